// All kernels in one program for Linux, without a libc: `kernels NAME [ITERATIONS]` prints the checksum; without a name it only
// starts and ends.
#include "kernel.h"

#define EACH(what)                                                                                             \
  what(atomics) what(bignum) what(bytecode) what(chase) what(copy) what(coremark) what(double) what(fib)       \
  what(fma) what(indirect) what(records) what(sha) what(single) what(sort) what(stream) what(wide)

#define DECLARE(name) extern const struct kernel name##_kernel;
EACH(DECLARE)

#define ENTRY(name) &name##_kernel,
static const struct kernel *const kernels[] = {EACH(ENTRY)};

enum { WRITE = 64 };

static long call(long number, long a, long b, long c) {
  register long a7 __asm__("a7") = number, a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c;
  __asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2) : "memory");
  return a0;
}

static int same(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

static void print_hex(uint64_t value) {
  char text[17], *at = text + sizeof text;
  *--at = '\n';
  do *--at = "0123456789abcdef"[value & 15];
  while (value >>= 4);
  call(WRITE, 1, (long)at, text + sizeof text - at);
}

__attribute__((used)) static long start(const long *stack) {
  const char *const *arguments = (const char *const *)(stack + 1);
  if (stack[0] < 2) return 0;
  for (ulong i = 0; i < sizeof kernels / sizeof *kernels; i++) {
    if (!same(kernels[i]->name, arguments[1])) continue;
    ulong iterations = kernels[i]->iterations;
    if (stack[0] > 2) {
      iterations = 0;
      for (const char *digit = arguments[2]; *digit; digit++) iterations = iterations * 10 + (ulong)(*digit - '0');
    }
    print_hex(kernels[i]->run(iterations));
    return 0;
  }
  return 1;
}

__asm__(
    ".text\n"
    ".globl _start\n"
    "_start:\n"
    ".option push\n.option norelax\n"
    "  lla gp, __global_pointer$\n"
    ".option pop\n"
    "  mv a0, sp\n"
    "  call start\n"
    "  li a7, 94\n" // exit_group
    "  ecall\n");
