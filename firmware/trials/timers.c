// A timer interrupt at every instruction of a loop, one after the other. The loop's result must not know of it; the handler
// notes all registers, which are the same on every engine that counts alike (lines with "~"). First in M-mode, then in S-mode
// with paging, where the data lies in pages that are no neighbours.
#include "paging.h"

#define MTIMECMP 0x02004000ul
#define TIMER_CAUSE (1ul << 63 | 7)
#define MIE 8

static volatile ulong taken;
static uint64_t where;
static uint8_t pages[3][PAGE] __attribute__((aligned(4096)));
static uint8_t *data = pages[0];
static int supervisor;
static uint64_t counter;

static void disarm(void) { *(volatile uint64_t *)MTIMECMP = ~0ul; }

void on_trap(struct frame *frame, ulong cause, ulong value) {
  uint64_t sum = mix(where, frame->pc);
#define NOTE(n)                                           \
  {                                                       \
    uint64_t bits;                                        \
    __asm__ volatile("fmv.x.d %0, f" #n : "=r"(bits));    \
    sum = mix(sum, bits);                                 \
  }
  NOTE(0) NOTE(1) NOTE(2) NOTE(3) NOTE(10) NOTE(11) NOTE(12) NOTE(13) NOTE(14) NOTE(15)
  for (int i = 1; i < 32; i++) sum = mix(sum, frame->x[i]);
  sum = mix(mix(sum, csr_read("fcsr")), csr_read("mstatus"));
  where = mix(sum, csr_read("minstret"));
  if (cause == TIMER_CAUSE) {
    disarm();
    taken++;
    return;
  }
  print_hex("cause", cause);
  print_hex("at", frame->pc);
  print_hex("value", value);
  for (;;) *(volatile uint32_t *)0x100000 = 0x13333;
}

static NOINLINE uint64_t leaf_call(uint64_t a, uint64_t b) { return (a ^ b) + (a >> 5); }

static NOINLINE uint64_t integers(ulong rounds) {
  volatile uint64_t *table = (volatile uint64_t *)data;
  uint64_t sum = 3;
  for (ulong i = 0; i < rounds; i++) {
    table[i & 63] = sum;
    sum = leaf_call(sum, i) * 0x9e3779b97f4a7c15u;
    if (sum & 4) sum += table[(i * 5 + 1) & 63];
    else sum ^= (uint32_t)sum / ((uint32_t)i + 1);
    sum = (sum << 3) - (sum >> 61) + (uint16_t)table[i & 63];
  }
  return sum;
}

static NOINLINE uint64_t floats(ulong rounds) {
  double x = 1.5, y = 0.25;
  float z = 3;
  for (ulong i = 0; i < rounds; i++) {
    x = x * 1.0001 + y;
    y = (y + (double)(long)i) / x;
    z = z * 0.5f + (float)y;
    if (x > 1000) x -= 999.5;
    y = y < 0.1 ? y + 1 : y;
  }
  union {
    double value;
    uint64_t bits;
  } both = {x + y + (double)z};
  return both.bits;
}

static NOINLINE uint64_t locks(ulong rounds) {
  uint64_t sum = 0;
  counter = 0;
  for (ulong i = 0; i < rounds; i++) {
    uint64_t old, failed;
    do __asm__ volatile("lr.d %0, (%2)\n add %1, %0, %3\n sc.d %1, %1, (%2)" : "=&r"(old), "=&r"(failed) : "r"(&counter), "r"(i) : "memory");
    while (failed);
    sum = mix(sum, old + __atomic_fetch_add(&counter, 7, __ATOMIC_RELAXED));
    sum ^= __atomic_exchange_n((uint32_t *)data, (uint32_t)sum, __ATOMIC_RELAXED);
  }
  return sum ^ counter;
}

static NOINLINE uint64_t devices(ulong rounds) {
  uint64_t sum = 0;
  for (ulong i = 0; i < rounds; i++) {
    *(volatile uint8_t *)UART_SCRATCH = (uint8_t)(i * 3);
    sum = sum * 7 + *(volatile uint8_t *)UART_SCRATCH;
  }
  return sum;
}

static NOINLINE uint64_t crossing(ulong rounds) {
  uint64_t sum = 1;
  for (ulong i = 0; i < rounds; i++) {
    uint8_t *at = data + PAGE - 12 + i % 16;
    __asm__ volatile("sd %1, (%2)\n lw %0, 3(%2)\n add %0, %0, %1" : "=&r"(sum) : "r"(sum * 3), "r"(at) : "memory");
  }
  return sum;
}

// Interrupts are let in only here and there.
static NOINLINE uint64_t masked(ulong rounds) {
  uint64_t sum = 5;
  for (ulong i = 0; i < rounds; i++) {
    csr_clear("mstatus", MIE);
    sum = mix(sum, i);
    sum += leaf_call(sum, i);
    csr_set("mstatus", MIE);
    sum ^= sum >> 7;
  }
  return sum;
}

typedef uint64_t step(uint64_t, uint64_t);
static NOINLINE uint64_t step_a(uint64_t a, uint64_t b) { return a + b * 3; }
static NOINLINE uint64_t step_b(uint64_t a, uint64_t b) { return a ^ b << 4; }
static NOINLINE uint64_t step_c(uint64_t a, uint64_t b) { return a * 5 - b; }
static step *const steps[] = {step_a, leaf_call, step_b, step_c};

static NOINLINE uint64_t pointers(ulong rounds) {
  uint64_t sum = 1;
  for (ulong i = 0; i < rounds; i++) sum = steps[sum >> 3 & 3](sum, i);
  return sum;
}

static NOINLINE uint64_t recursion(ulong n) { return n < 2 ? n : recursion(n - 1) + recursion(n - 2); }

typedef uint64_t loop(ulong);

// In S-mode, machine interrupts cannot be kept out.
static void let_in(void) {
  if (!supervisor) csr_set("mstatus", MIE);
}
static void keep_out(void) {
  if (!supervisor) csr_clear("mstatus", MIE);
}

// Every run begins with the same memory.
static uint64_t afresh(loop *run, ulong rounds) {
  for (ulong i = 0; i < 64; i++) ((volatile uint64_t *)data)[i] = i;
  return run(rounds);
}

static void sweep(const char *label, loop *run, ulong rounds, ulong until) {
  where = 0;
  taken = 0;
  uint64_t expected = afresh(run, rounds), sum = 0;
  ulong wrong = 0;
  for (ulong delay = 0; delay < until; delay++) {
    *(volatile uint64_t *)MTIMECMP = *(volatile uint64_t *)MTIME + delay;
    let_in();
    uint64_t found = afresh(run, rounds);
    if (found != expected) wrong++;
    sum = mix(sum, found);
    keep_out();
    while (taken <= delay) { // an interrupt between the test and WFI would be slept through
      if (!supervisor) __asm__ volatile("wfi");
      let_in();
      keep_out();
    }
  }
  print_hex(label, sum);
  print_number("  taken", taken);
  print_number("  wrong", wrong);
  print_hex("~ where", where);
}

int trial(ulong hart, const uint8_t *fdt) {
  (void)fdt;
  if (hart) return 0;
  disarm();
  csr_set("mie", 1 << 7);
  sweep("integers", integers, 40, 1300);
  sweep("floats", floats, 40, 1000);
  sweep("locks", locks, 30, 800);
  sweep("devices", devices, 60, 700);
  sweep("crossing", crossing, 60, 800);
  sweep("masked", masked, 40, 1100);
  sweep("pointers", pointers, 60, 1000);
  sweep("recursion", recursion, 8, 1200);

  ulong tables = make_tables();
  map(WINDOW, pages[2], RWX);
  map(WINDOW + PAGE, pages[0], RWX);
  data = (uint8_t *)WINDOW;
  supervisor = 1;
  become_supervisor(tables);
  print_text("with paging\n");
  sweep("integers", integers, 40, 1300);
  sweep("floats", floats, 40, 1000);
  sweep("locks", locks, 30, 800);
  sweep("crossing", crossing, 60, 800);
  sweep("pointers", pointers, 60, 1000);
  sweep("recursion", recursion, 8, 1200);
  return 0;
}
