// The machine as C sees it: fixed-width types, CSRs, device accesses of an exact width, and the trap frame.
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef unsigned long ulong; // as wide as a register, and what "%lu" and "%lx" take

#define csr_read(name)                                        \
  ({                                                          \
    ulong value_;                                             \
    __asm__ volatile("csrr %0, " name : "=r"(value_));        \
    value_;                                                   \
  })
#define csr_write(name, value) __asm__ volatile("csrw " name ", %0" ::"r"((ulong)(value)) : "memory")
#define csr_set(name, bits) __asm__ volatile("csrs " name ", %0" ::"r"((ulong)(bits)) : "memory")
#define csr_clear(name, bits) __asm__ volatile("csrc " name ", %0" ::"r"((ulong)(bits)) : "memory")

#define MSTATUS_MIE 0x8ul
#define MIP_MSIP 0x008ul
#define MIP_MTIP 0x080ul
#define MIP_MEIP 0x800ul
#define CAUSE_INTERRUPT (1ul << 63)

static inline u8 read8(ulong at) { return *(volatile u8 *)at; }
static inline u16 read16(ulong at) { return *(volatile u16 *)at; }
static inline u32 read32(ulong at) { return *(volatile u32 *)at; }
static inline u64 read64(ulong at) { return *(volatile u64 *)at; }
static inline void write8(ulong at, u8 value) { *(volatile u8 *)at = value; }
static inline void write16(ulong at, u16 value) { *(volatile u16 *)at = value; }
static inline void write32(ulong at, u32 value) { *(volatile u32 *)at = value; }
static inline void write64(ulong at, u64 value) { *(volatile u64 *)at = value; }

static inline void wait_for_interrupt(void) { __asm__ volatile("wfi" ::: "memory"); }
static inline void fence(void) { __asm__ volatile("fence" ::: "memory"); }

struct trap_frame {
  ulong x[31]; // x1..x31
  ulong mepc, mcause, mtval, mstatus, pad;
};

// Between guard_arm() and guard_disarm() a faulting instruction is skipped instead of reported.
extern volatile int guard;
static inline void guard_arm(void) { guard = 1; }
static inline bool guard_disarm(void) {
  bool sound = guard == 1;
  guard = 0;
  return sound;
}

#define try_csr_read(name, value)        \
  ({                                     \
    guard_arm();                         \
    ulong try_ = csr_read(name);         \
    bool sound_ = guard_disarm();        \
    *(value) = sound_ ? try_ : 0;        \
    sound_;                              \
  })

static inline bool try_read32(ulong at, u32 *value) {
  guard_arm();
  *value = read32(at);
  return guard_disarm();
}

ulong bench_block(ulong seed);
_Noreturn void resume_at_prompt(void);
