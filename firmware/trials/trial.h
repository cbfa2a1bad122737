// Trials: programs that are hard for a translator. Each prints checksums that depend on nothing but the architecture; a line
// that begins with "~" also depends on when interrupts come, which an emulator may choose, but must choose alike each time.
#pragma once

#include "../bench/board.h"

#define NOINLINE __attribute__((noinline))
#define PAGE 4096ul

static inline uint64_t mix(uint64_t sum, uint64_t value) {
  sum ^= value;
  return (sum << 13 | sum >> 51) * 0x9e3779b97f4a7c15u;
}

static inline uint32_t next_random(uint32_t *seed) {
  *seed = *seed * 1664525u + 1013904223u;
  return *seed >> 8;
}

static inline void fence_i(void) { __asm__ volatile("fence.i" : : : "memory"); }

#define csr_write(name, value) __asm__ volatile("csrw " name ", %0" : : "r"(value) : "memory")
#define csr_set(name, value) __asm__ volatile("csrs " name ", %0" : : "r"(value) : "memory")
#define csr_clear(name, value) __asm__ volatile("csrc " name ", %0" : : "r"(value) : "memory")

// Registers as they were, and where to go on.
struct frame {
  ulong x[32], pc;
};

// What a trial consists of.
int trial(ulong hart, const uint8_t *fdt);
void on_trap(struct frame *frame, ulong cause, ulong value);

void become_supervisor(ulong satp);

// ---- instructions, RISC-V Unpriv 20240411 §2 ----

enum { ZERO = 0, RA = 1, T0 = 5, T1 = 6, A0 = 10, A1 = 11, A2 = 12, A3 = 13 };

static inline uint32_t i_type(uint32_t opcode, int rd, int funct3, int rs1, int32_t immediate) {
  return (uint32_t)immediate << 20 | (uint32_t)rs1 << 15 | (uint32_t)funct3 << 12 | (uint32_t)rd << 7 | opcode;
}
static inline uint32_t addi(int rd, int rs1, int32_t value) { return i_type(0x13, rd, 0, rs1, value); }
static inline uint32_t xori(int rd, int rs1, int32_t value) { return i_type(0x13, rd, 4, rs1, value); }
static inline uint32_t slli(int rd, int rs1, int32_t by) { return i_type(0x13, rd, 1, rs1, by); }
static inline uint32_t jalr(int rd, int rs1) { return i_type(0x67, rd, 0, rs1, 0); }
static inline uint32_t ret(void) { return jalr(ZERO, RA); }
static inline uint32_t r_type(int funct7, int rs2, int rs1, int funct3, int rd) {
  return (uint32_t)funct7 << 25 | (uint32_t)rs2 << 20 | (uint32_t)rs1 << 15 | (uint32_t)funct3 << 12 | (uint32_t)rd << 7 | 0x33;
}
static inline uint32_t add(int rd, int rs1, int rs2) { return r_type(0, rs2, rs1, 0, rd); }
static inline uint32_t sub(int rd, int rs1, int rs2) { return r_type(0x20, rs2, rs1, 0, rd); }
static inline uint32_t mul(int rd, int rs1, int rs2) { return r_type(1, rs2, rs1, 0, rd); }
static inline uint32_t bnez(int rs1, int32_t offset) {
  uint32_t o = (uint32_t)offset;
  return (o >> 12 & 1) << 31 | (o >> 5 & 0x3f) << 25 | (uint32_t)rs1 << 15 | 1 << 12 | (o >> 1 & 15) << 8 | (o >> 11 & 1) << 7 | 0x63;
}
static inline uint32_t jal(int rd, int32_t offset) {
  uint32_t o = (uint32_t)offset;
  return (o >> 20 & 1) << 31 | (o >> 1 & 0x3ff) << 21 | (o >> 11 & 1) << 20 | (o >> 12 & 0xff) << 12 | (uint32_t)rd << 7 | 0x6f;
}
// c.addi rd, value: 16 bits
static inline uint16_t c_addi(int rd, int value) {
  return (uint16_t)((value >> 5 & 1) << 12 | rd << 7 | (value & 31) << 2 | 1);
}

// Code may begin in the middle of a word.
static inline void put_code(void *at, uint32_t instruction) {
  ((volatile uint16_t *)at)[0] = (uint16_t)instruction;
  ((volatile uint16_t *)at)[1] = (uint16_t)(instruction >> 16);
}

typedef uint64_t code(uint64_t a, uint64_t b);
