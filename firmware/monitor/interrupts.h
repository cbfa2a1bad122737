// CLINT or ACLINT (time, timer and software interrupts) and PLIC, as found in the FDT, for the hart we run on.
#pragma once

#include "machine.h"

extern struct interrupts {
  u64 mtime, mtimecmp; // addresses; 0: the board has none
  u64 plic;
  u32 plic_context;
  int plic_node;
  u32 timebase; // ticks of mtime per second
} interrupts;

void interrupts_open(ulong hart);
int cpu_of(ulong hart); // the node, or NO_NODE
ulong hart_of(int cpu);
u64 msip_of(ulong hart); // address of its software interrupt word, or 0

bool has_time(void);
u64 time_now(void); // mtime, else the time CSR, else a count that at least moves
void timer_set(u64 when);
bool time_passed(u64 since, u64 ticks);

u32 plic_source_of(int node); // 0: not wired to the PLIC
void plic_enable(u32 source);
u32 plic_claim(void);
void plic_complete(u32 source);
