// The list of commands that the host leaves in memory, and where results go. src/observe/bench/list.ts writes and reads it.
#pragma once

#include <stdint.h>

// From the first instruction of this image.
#define LIST_OFFSET 0x100000
#define LIST_MAGIC 0x68636e656272766dul // "mvrbench"

enum {
  NOTHING = 0,   // the loop alone
  READ = 1,      // count reads of address
  WRITE = 2,     // count writes of value
  INTERRUPT = 3, // count times: write value to address, take an interrupt
  ACCESSES = 4,  // the accesses of INTERRUPT, without being interrupted
  TIMER = 5,     // count times: arm mtimecmp `delay` ticks ahead, sleep
  VIRTQUEUE = 6, // count times: offer the chain, ring the doorbell, wait for it to be used
  UART = 7,      // count characters through a 16550 (line status at +5, ready 0x20) or a PL011 (flags at +0x18, full 0x20)
};

struct chain {
  uint64_t address;
  uint32_t length;
  uint32_t writable;
};

struct command {
  uint32_t kind;
  uint32_t width; // 1, 2, 4 or 8; of UART: 1 is a 16550, 4 a PL011
  uint64_t address, count, value;
  // Of interrupts: what ends the cause (a 4-byte write), and a PLIC's claim register or 0.
  uint64_t lower, lower_value, claim;
  // What the handler's first instruction writes to; 0 is nowhere. Of TIMER: ticks ahead.
  uint64_t mark, delay;
  // Of VIRTQUEUE: index and size of the queue, how far the first buffer moves each time and where it starts over.
  // Of UART: text, its length, and how many characters go at a time.
  uint32_t queue, size;
  uint64_t step, wrap;
  struct chain chain[3];
  // Results: how often it was done, ticks that all took, a sum of what was read (of TIMER: ticks late), faults.
  uint64_t done, ticks, sum, faults;
};

struct list {
  uint64_t magic;
  uint64_t go; // 1: there is something to do
  uint64_t count;
  uint64_t doorbell; // 0: there is none
  uint64_t clock;    // a counter of 8 bytes to tell time by, or 0
  uint64_t console;  // a 16550 to print results on before powering off through `finisher`, or 0
  uint64_t finisher;
  uint64_t samples; // where TIMER leaves its ticks, 8 bytes each, or 0
  struct command commands[];
};

// Registers of the doorbell.
enum { BELL_START = 0x00, BELL_STOP = 0x04, BELL_DONE = 0x08, BELL_AWAKE = 0x0c };
