// Two harts at once, on threads of their own or not: what one does has to be, for the other, what the architecture promises.
// Every line is a count of what went wrong, or a sum that no interleaving changes. RISC-V Unpriv 20240411 §14, §18.
#include "trial.h"

#define MSIP ((volatile uint32_t *)0x02000000)
#define SOFTWARE_CAUSE (1ul << 63 | 3)

enum { LINE = 64, ROUNDS = 200000, LOCKED = 4000, LITMUS = 4096, REPEATS = 40, CODES = 1000, CALLS = 1000 };

#define fence(before, after) __asm__ volatile("fence " #before ", " #after : : : "memory")
// pause: a fence that orders nothing. RISC-V Unpriv §6
static inline void relax(void) { __asm__ volatile(".word 0x0100000f" : : : "memory"); }

// Each on a cache line of its own.
struct line {
  volatile uint64_t value;
} __attribute__((aligned(LINE)));

static struct line arrived, sum32, sum64, reserved, largest, least, bits, ticket, serving, flag, slot[2], torn;
static volatile uint64_t guarded[4];
static uint64_t wrong[2];
static struct line x[LITMUS], y[LITMUS];
static volatile uint64_t seen_x[LITMUS], seen_y[LITMUS], data[LITMUS];
static uint8_t area[2][PAGE] __attribute__((aligned(4096)));
static volatile ulong called[2];

// Both have come here before either goes on.
static void meet(void) {
  static ulong meetings[2];
  ulong hart;
  __asm__ volatile("csrr %0, mhartid" : "=r"(hart));
  ulong all = 2 * ++meetings[hart];
  __atomic_fetch_add(&arrived.value, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(&arrived.value, __ATOMIC_SEQ_CST) < all) relax();
}

void on_trap(struct frame *frame, ulong cause, ulong value) {
  ulong hart;
  __asm__ volatile("csrr %0, mhartid" : "=r"(hart));
  if (cause == SOFTWARE_CAUSE) {
    MSIP[hart] = 0;
    fence(rw, rw);
    called[hart]++;
    return;
  }
  print_hex("cause", cause);
  print_hex("at", frame->pc);
  print_hex("value", value);
  for (;;) *(volatile uint32_t *)0x100000 = 0x13333;
}

static void count(ulong hart) {
  volatile uint32_t *word = (volatile uint32_t *)&sum32.value;
  for (ulong i = 1; i <= ROUNDS; i++) {
    ulong mine = 2 * i + hart;
    __atomic_fetch_add(word, 3, __ATOMIC_RELAXED);
    __atomic_fetch_add(&sum64.value, 1ul << 32 | 1, __ATOMIC_RELAXED);
    __asm__ volatile("amomaxu.d zero, %1, (%0)" : : "r"(&largest.value), "r"(mine) : "memory");
    __asm__ volatile("amomin.w zero, %1, (%0)" : : "r"(&least.value), "r"(-mine) : "memory");
    __atomic_fetch_xor(&bits.value, 1ul << (2 * (i & 31) + hart), __ATOMIC_RELAXED);
    ulong old, failed;
    do __asm__ volatile("lr.d %0, (%2)\n addi %1, %0, 1\n sc.d %1, %1, (%2)" : "=&r"(old), "=&r"(failed) : "r"(&reserved.value) : "memory");
    while (failed);
  }
}

// A ticket lock, as kernels have it.
static void guard(ulong hart) {
  for (ulong i = 0; i < LOCKED; i++) {
    ulong mine = __atomic_fetch_add(&ticket.value, 1, __ATOMIC_RELAXED);
    while (__atomic_load_n(&serving.value, __ATOMIC_ACQUIRE) != mine) relax();
    for (int k = 0; k < 4; k++) guarded[k] += k + hart;
    __atomic_store_n(&serving.value, mine + 1, __ATOMIC_RELEASE);
  }
}

// Store buffering: one of the two has to see the other's store. RISC-V Unpriv §18.1
static NOINLINE void buffer_stores(ulong hart) {
  struct line *own = hart ? y : x, *other = hart ? x : y;
  volatile uint64_t *seen = hart ? seen_x : seen_y;
  for (ulong i = 0; i < LITMUS; i++) {
    own[i].value = 1;
    fence(rw, rw);
    seen[i] = other[i].value;
  }
}

// Message passing, and reads of one place that must not go backwards.
static NOINLINE ulong pass_messages(ulong hart) {
  ulong bad = 0;
  if (hart == 0) {
    for (ulong i = 0; i < LITMUS; i++) {
      data[i] = i + 1;
      fence(w, w);
      flag.value = i + 1;
    }
    return 0;
  }
  for (ulong before = 0; before < LITMUS;) {
    ulong now = flag.value;
    fence(r, r);
    if (now < before || flag.value < now) bad++;
    if (now > 0 && data[now - 1] != now) bad++;
    before = now;
    relax();
  }
  return bad;
}

// 8 bytes are read and written whole, also where no translation is remembered.
static NOINLINE ulong tear(ulong hart, ulong flushing) {
  ulong bad = 0;
  for (ulong i = 0; i < LITMUS; i++) {
    if (flushing) __asm__ volatile("sfence.vma" : : : "memory");
    if (hart == 0) torn.value = -(i & 1);
    else bad += (torn.value + 1) > 1;
  }
  return bad;
}

// Code that one hart writes and the other runs. RISC-V Unpriv §6
static ulong change_code(ulong hart) {
  ulong bad = 0;
  uint8_t *own = area[hart] + 128, *other = area[1 - hart] + 128;
  for (ulong i = 1; i <= CODES; i++) {
    put_code(own, addi(A0, A0, (int32_t)(i + hart)));
    put_code(own + 4, xori(A0, A0, 5));
    put_code(own + 8, ret());
    meet();
    fence_i();
    for (ulong times = 0; times < 20; times++) bad += ((code *)(ulong)other)(times, 0) != ((times + i + 1 - hart) ^ 5);
    meet();
  }
  return bad;
}

// Interrupts to and fro.
static ulong call(ulong hart) {
  csr_set("mie", 8);
  csr_set("mstatus", 8);
  for (ulong i = 1; i <= CALLS; i++) {
    if (hart == 0) MSIP[1] = 1;
    while (called[hart] < i) {
      // As long as none is pending: it wakes the hart though it is taken before.
      csr_clear("mstatus", 8);
      if (called[hart] < i) __asm__ volatile("wfi" : : : "memory");
      csr_set("mstatus", 8);
    }
    if (hart == 1) MSIP[0] = 1;
  }
  csr_clear("mstatus", 8);
  return called[hart] - CALLS;
}

// Computes, and touches memory of its own: what two harts do in the time of one.
static NOINLINE uint64_t work(ulong hart, ulong rounds) {
  static uint64_t table[2][1024];
  uint64_t sum = hart + 1;
  for (ulong i = 0; i < rounds; i++) {
    for (ulong k = 0; k < 1024; k++) {
      sum = mix(sum, table[hart][k] + i);
      table[hart][k] ^= sum;
    }
  }
  return sum;
}

int trial(ulong hart, const uint8_t *fdt) {
  if (hart > 1) return 0;
  meet();
  ulong rounds = boot_option(fdt, "work", 0);
  if (rounds) {
    ulong before = csr_read("time");
    x[hart].value = work(hart, rounds);
    meet();
    if (hart == 1) return 0;
    print_hex("work", x[0].value ^ x[1].value);
    print_number("~ ticks", csr_read("time") - before);
    return 0;
  }
  count(hart);
  meet();
  if (hart == 0) {
    print_number("added words", (uint32_t)sum32.value);
    print_hex("added", sum64.value);
    print_number("reserved", reserved.value);
    print_number("largest", largest.value);
    print_number("least", (ulong) - (int32_t)least.value);
    print_hex("bits", bits.value);
  }
  guard(hart);
  meet();
  if (hart == 0) {
    for (int k = 0; k < 4; k++) print_number("guarded", guarded[k]);
  }
  ulong buffered = 0, messages = 0, tears = 0;
  for (ulong repeat = 0; repeat < REPEATS; repeat++) {
    meet();
    buffer_stores(hart);
    meet();
    for (ulong i = hart; i < LITMUS; i += 2) {
      buffered += seen_x[i] == 0 && seen_y[i] == 0;
    }
    meet();
    if (hart == 0) {
      for (ulong i = 0; i < LITMUS; i++) x[i].value = y[i].value = data[i] = 0;
      flag.value = 0;
    }
    meet();
    messages += pass_messages(hart);
    meet();
    tears += tear(hart, repeat & 1);
  }
  meet();
  ulong codes = change_code(hart);
  meet();
  ulong calls = call(hart);
  slot[hart].value = buffered + messages + tears;
  wrong[hart] = codes + calls;
  meet();
  if (hart == 0) {
    print_number("wrong in order", slot[0].value + slot[1].value);
    print_number("wrong in code", wrong[0] + wrong[1]);
  }
  return wrong[0] + wrong[1] + slot[0].value + slot[1].value != 0;
}
