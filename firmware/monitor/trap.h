// Traps: exceptions are shown and end the command; interrupts are recorded for whoever awaits them.
#pragma once

#include "machine.h"

struct arrival {
  ulong mcause; // 0: nothing came
  u64 when;     // mtime
  u32 source;   // claimed from the PLIC
};

// Enables these bits of mie, sleeps with WFI and takes the trap. Gives up when mtime reaches `until`.
struct arrival interrupt_await(ulong bits, u64 until);

void trap_demonstrate(void); // the next exception shows its frame and the program goes on behind it
