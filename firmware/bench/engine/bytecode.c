// An interpreter inside the guest: a switch in a loop, over a program that counts steps of the Collatz sequence.
#include "kernel.h"

KERNEL(bytecode, 1200);

enum op { LOAD, ADD, ADDI, SHIFT, MUL3, ODD, LESS, JUMP, JUMP_IF, STORE, FETCH, XOR, END };

struct word {
  uint8_t op, a, b, c;
  int32_t number;
};

// r0: n; r1: value; r2: steps; r3: a condition; r4: sum; r5: the last n.
static const struct word program[] = {
    {LOAD, 0, 0, 0, 1},
    // next n
    {LOAD, 2, 0, 0, 0},
    {ADDI, 1, 0, 0, 0},
    // next step
    {LOAD, 6, 0, 0, 2},
    {LESS, 3, 1, 6, 0},
    {JUMP_IF, 3, 0, 0, 13},
    {ADDI, 2, 2, 0, 1},
    {ODD, 3, 1, 0, 0},
    {JUMP_IF, 3, 0, 0, 11},
    {SHIFT, 1, 1, 0, 1},
    {JUMP, 0, 0, 0, 4},
    {MUL3, 1, 1, 0, 1},
    {JUMP, 0, 0, 0, 4},
    // the end of a sequence
    {STORE, 2, 0, 0, 0},
    {FETCH, 7, 0, 0, 0},
    {ADD, 4, 4, 7, 0},
    {XOR, 4, 4, 0, 0},
    {ADDI, 0, 0, 0, 1},
    {LESS, 3, 0, 5, 0},
    {JUMP_IF, 3, 0, 0, 1},
    {END, 0, 0, 0, 0},
};

static uint64_t memory[64];

static NOINLINE uint64_t interpret(const struct word *code, uint64_t last) {
  uint64_t r[8] = {0};
  r[5] = last;
  for (const struct word *at = code;; at++) {
    switch ((enum op)at->op) {
      case LOAD: r[at->a] = (uint64_t)(int64_t)at->number; break;
      case ADD: r[at->a] = r[at->b] + r[at->c]; break;
      case ADDI: r[at->a] = r[at->b] + (uint64_t)(int64_t)at->number; break;
      case SHIFT: r[at->a] = r[at->b] >> at->number; break;
      case MUL3: r[at->a] = r[at->b] * 3 + (uint64_t)(int64_t)at->number; break;
      case ODD: r[at->a] = r[at->b] & 1; break;
      case LESS: r[at->a] = r[at->b] < r[at->c]; break;
      case JUMP: at = code + at->number - 1; break;
      case JUMP_IF:
        if (r[at->a]) at = code + at->number - 1;
        break;
      case STORE: memory[r[at->b] & 63] = r[at->a]; break;
      case FETCH: r[at->a] = memory[r[at->b] & 63]; break;
      case XOR: r[at->a] = r[at->b] ^ r[at->c]; break;
      case END: return r[4];
    }
  }
}

static uint64_t run(ulong iterations) {
  uint64_t sum = 0;
  for (ulong i = 0; i < iterations; i++) sum = mix(sum, interpret(program, 100 + (i & 31)));
  return sum;
}
