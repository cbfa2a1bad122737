// Privileges and floating-point state that change around hot code: user mode and its calls, SUM and MXR, FS off until it is
// wanted, rounding modes, flags that stick.
#include "paging.h"

static uint8_t pages[4][PAGE] __attribute__((aligned(4096)));
static uint64_t log_sum;
static ulong traps, user_calls;

#define SUM (1ul << 18)
#define MXR (1ul << 19)
#define FS (3ul << 13)

extern char leave_user[];

void on_trap(struct frame *frame, ulong cause, ulong value) {
  traps++;
  log_sum = mix(mix(log_sum, cause), frame->pc);
  for (int i = 5; i < 32; i++) log_sum = mix(log_sum, frame->x[i]);
  if (cause == 8 && frame->x[17] == 1) { // user mode asks for something
    frame->x[A0] = frame->x[A0] * 3 + user_calls++;
    frame->pc += 4;
    return;
  }
  if (cause == 8) { // and leaves
    csr_set("sstatus", 1 << 8);
    frame->pc = (ulong)leave_user;
    return;
  }
  if (cause == 2 && !(csr_read("sstatus") & FS)) { // floating point is wanted after all
    csr_set("sstatus", 1 << 13);
    return;
  }
  if (cause == 13) { // not to be read: skipped
    frame->x[A0] = 0x1234;
    frame->pc += 4;
    return;
  }
  print_hex("cause", cause);
  print_hex("at", frame->pc);
  print_hex("value", value);
  for (;;) *(volatile uint32_t *)0x100000 = 0x13333;
}

// Runs user code at an address until it leaves with call 0; answers its a0.
NOINLINE uint64_t run_user(ulong address, uint64_t argument);
__asm__(
    ".text\n"
    "run_user:\n"
    "  addi sp, sp, -128\n"
    "  sd ra, 0(sp)\n sd s0, 8(sp)\n sd s1, 16(sp)\n sd s2, 24(sp)\n"
    "  li t0, 0x100\n csrc sstatus, t0\n" // SPP: user
    "  csrw sepc, a0\n"
    "  mv a0, a1\n"
    "  sret\n"
    "  .balign 4\n"
    "leave_user:\n"
    "  ld ra, 0(sp)\n ld s0, 8(sp)\n ld s1, 16(sp)\n ld s2, 24(sp)\n"
    "  addi sp, sp, 128\n"
    "  ret\n");

enum { A7 = 17, ECALL = 0x73 };

static uint64_t user(void) {
  uint64_t sum = 0;
  uint8_t *at = pages[0];
  put_code(at, addi(T0, ZERO, 50));
  put_code(at + 4, addi(A7, ZERO, 1));
  put_code(at + 8, xori(A0, A0, 77)); // again:
  put_code(at + 12, slli(T1, A0, 3));
  put_code(at + 16, add(A0, A0, T1));
  put_code(at + 20, ECALL);
  put_code(at + 24, addi(T0, T0, -1));
  put_code(at + 28, bnez(T0, -20));
  put_code(at + 32, addi(A7, ZERO, 0));
  put_code(at + 36, ECALL);
  fence_i();
  map(WINDOW, pages[0], V | R | X | U | A | D);
  flush();
  for (uint64_t i = 0; i < 200; i++) sum = mix(sum, run_user(WINDOW, i));
  return sum;
}

// The same load, allowed and not.
static NOINLINE uint64_t try_load(ulong at) {
  register ulong a0 __asm__("a0") = at;
  __asm__ volatile(".option push\n .option norvc\n ld a0, (a0)\n .option pop" : "+r"(a0) : : "memory");
  return a0;
}

static uint64_t permissions(void) {
  uint64_t sum = 0;
  map(WINDOW + PAGE, pages[1], V | R | W | U | A | D);
  map(WINDOW + 2 * PAGE, pages[2], V | X | A | D);
  flush();
  for (ulong i = 0; i < 300; i++) {
    if (i & 1) csr_set("sstatus", SUM);
    else csr_clear("sstatus", SUM);
    if (i & 2) csr_set("sstatus", MXR);
    else csr_clear("sstatus", MXR);
    for (ulong n = 0; n < (i < 8 ? 600u : 5u); n++) {
      sum = mix(sum, try_load(WINDOW + PAGE + n % 500 * 8));
      sum = mix(sum, try_load(WINDOW + 2 * PAGE + n % 500 * 8));
    }
  }
  csr_clear("sstatus", SUM | MXR);
  return sum;
}

static NOINLINE uint64_t some_floats(uint64_t seed) {
  uint64_t bits;
  __asm__ volatile(
      "fcvt.d.lu ft0, %1\n"
      "li t0, 3\n"
      "fcvt.d.l ft1, t0\n"
      "fdiv.d ft2, ft0, ft1\n"
      "fmadd.d ft3, ft2, ft1, ft0\n"
      "fcvt.s.d ft4, ft3\n"
      "fsqrt.s ft5, ft4\n"
      "fcvt.d.s ft6, ft5\n"
      "fadd.d ft6, ft6, ft2\n"
      "fmv.x.d %0, ft6\n"
      : "=r"(bits)
      : "r"(seed)
      : "t0", "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6");
  return bits;
}

static uint64_t lazily(void) {
  uint64_t sum = 0;
  for (uint64_t i = 0; i < 2500; i++) {
    if (i % 7 == 0) csr_clear("sstatus", FS);
    sum = mix(sum, some_floats(i * 977));
    sum = mix(sum, csr_read("sstatus") & FS);
  }
  return sum;
}

static uint64_t rounding(void) {
  uint64_t sum = 0;
  for (uint64_t i = 0; i < 4000; i++) {
    csr_write("frm", i / 100 % 5);
    sum = mix(sum, some_floats(i * 7919 + 1));
    if (i % 50 == 0) {
      sum = mix(sum, csr_read("fflags"));
      csr_write("fflags", 0);
    }
  }
  csr_write("fcsr", 0);
  return sum;
}

// Each flag by itself, raised deep in a hot loop.
static NOINLINE uint64_t raise(ulong at, double a, double b) {
  double c = 0, d = 0;
  for (ulong i = 0; i < 1200; i++) {
    if (i == at) __asm__ volatile("fdiv.d %0, %1, %2" : "=f"(c) : "f"(a), "f"(b));
    else __asm__ volatile("fadd.d %0, %0, %1" : "+f"(d) : "f"(2.0));
  }
  uint64_t bits;
  __asm__("fmv.x.d %0, %1" : "=r"(bits) : "f"(c + d));
  return bits;
}

static uint64_t flags(void) {
  static const double pairs[][2] = {{1, 0}, {0, 0}, {1, 3}, {1e-308, 1e10}, {1e308, 1e-10}, {8, 2}, {-1, 0}};
  uint64_t sum = 0;
  for (ulong i = 0; i < 70; i++) {
    csr_write("fflags", 0);
    sum = mix(sum, raise(i * 13, pairs[i % 7][0], pairs[i % 7][1]));
    sum = mix(sum, csr_read("fflags"));
  }
  return sum;
}

static void told(const char *label, uint64_t sum) {
  print_hex(label, sum);
  print_number("  traps", traps);
  print_hex("  registers", log_sum);
  traps = 0;
  log_sum = 0;
}

int trial(ulong hart, const uint8_t *fdt) {
  (void)fdt;
  if (hart) return 0;
  for (int p = 0; p < 4; p++)
    for (ulong i = 0; i < PAGE; i++) pages[p][i] = (uint8_t)(i * 5 + (ulong)p + (i >> 6));
  become_supervisor(make_tables());
  told("user", user());
  told("permissions", permissions());
  told("lazily", lazily());
  told("rounding", rounding());
  told("flags", flags());
  return 0;
}
