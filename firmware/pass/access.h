// Accesses to a device that is passed through, each by one instruction of its width and each written down, so that what the
// device saw can be compared with what was asked of it.
#pragma once

#include "../trials/trial.h"

enum { MOST_ACCESSES = 4096 };

struct access {
  uint8_t kind, width;
  uint32_t at;
  uint64_t value;
};

extern struct access accesses[MOST_ACCESSES];
extern ulong access_count;

// The device, at a guest physical address.
#define DEVICE 0x30000000ul

void note_access(uint8_t kind, uint8_t width, uint32_t at, uint64_t value);
void print_accesses(void);

#define READ(name, type, width, instruction)                                                       \
  static inline type name(uint32_t at) {                                                           \
    type value;                                                                                    \
    __asm__ volatile(instruction " %0, (%1)" : "=r"(value) : "r"(DEVICE + at) : "memory");         \
    note_access('r', width, at, value);                                                            \
    return value;                                                                                  \
  }
#define WRITE(name, type, width, instruction)                                                      \
  static inline void name(uint32_t at, type value) {                                               \
    note_access('w', width, at, value);                                                            \
    __asm__ volatile(instruction " %0, (%1)" : : "r"((uint64_t)value), "r"(DEVICE + at) : "memory"); \
  }

READ(read8, uint8_t, 1, "lbu")
READ(read16, uint16_t, 2, "lhu")
READ(read32, uint32_t, 4, "lwu")
READ(read64, uint64_t, 8, "ld")
WRITE(write8, uint8_t, 1, "sb")
WRITE(write16, uint16_t, 2, "sh")
WRITE(write32, uint32_t, 4, "sw")
WRITE(write64, uint64_t, 8, "sd")

// ---- its interrupt, through the PLIC ----

enum { SOURCE = 12 };
// How often it came, and how often the PLIC had none to claim.
extern volatile ulong interrupts, spurious;
// What the device wants done about it.
void serve_interrupt(void);

void enable_interrupt(void);
// Sleeps until there were as many.
void await_interrupts(ulong count);

// Prints "PASS what" or "FAIL what"; the trial's result is whether any failed.
void check(const char *what, int holds);
extern int failures;
