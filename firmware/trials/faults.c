// Accesses that are misaligned, cross pages, or fault in the middle of hot loops. What the handler finds in the registers is
// part of the checksum: it is the same on every machine.
#include "paging.h"

static uint8_t pages[20][PAGE] __attribute__((aligned(4096)));
static uint64_t log_sum;
static ulong faults;
static volatile enum { NONE, DEMAND, COPY, SKIP, STEP } way;

static void note(struct frame *frame, ulong cause, ulong value) {
  faults++;
  if (cause == 3) value = 0; // the pc or zero, as a machine likes. RISC-V Priv 20240411 §3.1.16
  log_sum = mix(mix(mix(log_sum, cause), value), frame->pc - (ulong)pages);
  for (int i = 3; i < 32; i++) log_sum = mix(log_sum, frame->x[i]);
}

static ulong length_of(ulong pc) { return (*(uint16_t *)pc & 3) == 3 ? 4 : 2; }

void on_trap(struct frame *frame, ulong cause, ulong value) {
  note(frame, cause, value);
  ulong page = (value - WINDOW) / PAGE % 16;
  switch (way) {
    case DEMAND:
      map(value, pages[page * 5 % 16], RWX);
      flush_page(value);
      return;
    case COPY: // on write
      for (ulong i = 0; i < PAGE; i += 8) *(uint64_t *)(pages[16 + page % 4] + i) = *(uint64_t *)(pages[page * 5 % 16] + i);
      map(value, pages[16 + page % 4], RWX);
      flush_page(value);
      return;
    case SKIP:
      frame->x[A0] = value;
      frame->pc += length_of(frame->pc);
      return;
    case STEP:
      frame->x[A0] += cause * 3 + 1;
      frame->pc += length_of(frame->pc);
      return;
    case NONE: break;
  }
  print_hex("cause", cause);
  print_hex("at", frame->pc);
  print_hex("value", value);
  for (;;) *(volatile uint32_t *)0x100000 = 0x13333;
}

typedef volatile uint16_t __attribute__((aligned(1))) half;
typedef volatile uint32_t __attribute__((aligned(1))) word;
typedef volatile uint64_t __attribute__((aligned(1))) twice;

#define ACCESS(name, instruction)                                                               \
  static inline uint64_t name(ulong at) {                                                       \
    uint64_t value;                                                                             \
    __asm__ volatile(instruction " %0, (%1)" : "=r"(value) : "r"(at) : "memory");               \
    return value;                                                                               \
  }
ACCESS(lh, "lh")
ACCESS(lhu, "lhu")
ACCESS(lw, "lw")
ACCESS(lwu, "lwu")
ACCESS(ld, "ld")

static inline void sh(ulong at, uint64_t value) { __asm__ volatile("sh %0, (%1)" : : "r"(value), "r"(at) : "memory"); }
static inline void sw(ulong at, uint64_t value) { __asm__ volatile("sw %0, (%1)" : : "r"(value), "r"(at) : "memory"); }
static inline void sd(ulong at, uint64_t value) { __asm__ volatile("sd %0, (%1)" : : "r"(value), "r"(at) : "memory"); }

static inline uint64_t fld(ulong at) {
  uint64_t value;
  __asm__ volatile("fld ft0, (%1)\n fmv.x.d %0, ft0" : "=r"(value) : "r"(at) : "ft0", "memory");
  return value;
}
static inline uint64_t flw(ulong at) {
  uint64_t value;
  __asm__ volatile("flw ft0, (%1)\n fmv.x.d %0, ft0" : "=r"(value) : "r"(at) : "ft0", "memory");
  return value;
}
static inline void fsd(ulong at, uint64_t value) {
  __asm__ volatile("fmv.d.x ft0, %0\n fsd ft0, (%1)" : : "r"(value), "r"(at) : "ft0", "memory");
}

// Every width at every place around a border between pages.
static NOINLINE uint64_t around(ulong border, int rounds) {
  uint64_t sum = 0;
  for (int i = 0; i < rounds; i++)
    for (ulong at = border - 9; at < border + 2; at++) {
      sd(at, sum * 3 + at);
      sum = mix(sum, lh(at) + lhu(at + 1));
      sw(at + 1, sum);
      sum = mix(sum, lw(at) + lwu(at + 2));
      sh(at + 3, sum);
      sum = mix(sum, ld(at) ^ fld(at + 1));
      fsd(at + 2, sum);
      sum = mix(sum, flw(at + 3));
    }
  return sum;
}

static uint64_t contents(void) {
  uint64_t sum = 0;
  for (int page = 0; page < 20; page++)
    for (ulong i = 0; i < PAGE; i += 8) sum = mix(sum, *(uint64_t *)(pages[page] + i));
  return sum;
}

static void unmap_all(void) {
  for (ulong i = 0; i < 16; i++) *entry(WINDOW + i * PAGE) = 0;
  flush();
}

static NOINLINE uint64_t walk(ulong from, ulong to, ulong step, uint64_t sum) {
  for (ulong at = from; at < to; at += step) {
    sum = sum * 5 + ld(at);
    sd(at + 8, sum);
    sum ^= lw(at + 3);
  }
  return sum;
}

static uint64_t on_demand(void) {
  uint64_t sum = 0;
  way = DEMAND;
  for (int i = 0; i < 30; i++) {
    unmap_all();
    ulong step = i % 3 == 0 ? 8 : i % 3 == 1 ? 13 : 97;
    sum = mix(sum, walk(WINDOW + (ulong)i % 8, WINDOW + 15 * PAGE, step, sum));
  }
  way = NONE;
  return sum;
}

// A store across a border into a page that is not there leaves nothing behind in the first.
static uint64_t half_there(void) {
  uint64_t sum = 0;
  way = SKIP;
  for (int i = 0; i < 40; i++) {
    unmap_all();
    map(WINDOW + PAGE, pages[3], RWX);
    flush();
    for (ulong k = 1; k < 8; k++) {
      sd(WINDOW + 2 * PAGE - k, 0xdeadbeef00112233u * k);
      sum = mix(sum, *(uint64_t *)(pages[3] + PAGE - 8));
      sd(WINDOW + PAGE - k, 0xdeadbeef00112233u * k); // and the other way about
      sum = mix(sum, *(uint64_t *)pages[3]);
      register ulong a0 __asm__("a0") = WINDOW + 2 * PAGE - k;
      __asm__ volatile("ld a0, (a0)" : "+r"(a0) : : "memory");
      sum = mix(sum, a0);
    }
  }
  way = NONE;
  return sum;
}

static uint64_t copied(void) {
  uint64_t sum = 0;
  way = COPY;
  for (int i = 0; i < 40; i++) {
    for (ulong p = 0; p < 4; p++) map(WINDOW + p * PAGE, pages[p * 5 % 16], V | R | A | D);
    flush();
    sum = mix(sum, walk(WINDOW + (ulong)i, WINDOW + 4 * PAGE - 16, i & 1 ? 24 : 9, sum));
  }
  way = NONE;
  return sum;
}

// Loops in which an instruction traps each time, and is passed over.
static uint64_t passed_over(void) {
  way = STEP;
  register ulong a0 __asm__("a0") = 1;
  for (ulong i = 0; i < 3000; i++) {
    switch (i & 3) {
      case 0: __asm__ volatile("addi a0, a0, 1\n ebreak\n xori a0, a0, 3" : "+r"(a0)); break;
      case 1: __asm__ volatile("addi a0, a0, 1\n .word 0xffffffff\n xori a0, a0, 5" : "+r"(a0)); break;
      case 2: __asm__ volatile("addi a0, a0, 1\n csrr a0, mstatus\n xori a0, a0, 9" : "+r"(a0)); break;
      case 3: __asm__ volatile("li t0, 0x50000001\n addi a0, a0, 1\n lw a1, 4(t0)\n xori a0, a0, 17" : "+r"(a0) : : "t0", "a1"); break;
    }
  }
  way = NONE;
  return a0;
}

// Calls into pages that are not there yet; an instruction that lies across the border is fetched in two parts.
static uint64_t fetched(void) {
  uint64_t sum = 0;
  way = DEMAND;
  for (int split = 0; split <= 6; split += 2) {
    ulong start = 5 * PAGE - 4 - (ulong)split;
    uint8_t *head = pages[4 * 5 % 16], *tail = pages[5 * 5 % 16];
    uint8_t whole[16];
    put_code(whole, addi(A0, A0, split + 1));
    put_code(whole + 4, slli(A0, A0, 1));
    put_code(whole + 8, xori(A0, A0, 0x155));
    put_code(whole + 12, ret());
    for (ulong k = 0; k < sizeof whole; k++) {
      ulong at = start + k;
      if (at < 5 * PAGE) head[at % PAGE] = whole[k];
      else tail[at % PAGE] = whole[k];
    }
    fence_i();
    for (int i = 0; i < 40; i++) {
      unmap_all();
      for (ulong n = 0; n < (i < 3 ? 2500u : 20u); n++) sum = mix(sum, ((code *)(WINDOW + start))(n, 0));
      *entry(WINDOW + 5 * PAGE) = 0; // the tail alone goes
      flush_page(WINDOW + 5 * PAGE);
      for (ulong n = 0; n < 5; n++) sum = mix(sum, ((code *)(WINDOW + start))(n, 0));
    }
  }
  way = NONE;
  return sum;
}

static void told(const char *label, uint64_t sum) {
  print_hex(label, sum);
  print_number("  faults", faults);
  print_hex("  registers", log_sum);
  faults = 0;
  log_sum = 0;
}

int trial(ulong hart, const uint8_t *fdt) {
  (void)fdt;
  if (hart) return 0;
  for (int page = 0; page < 20; page++)
    for (ulong i = 0; i < PAGE; i++) pages[page][i] = (uint8_t)(i * 3 + (ulong)page * 11 + (i >> 7));
  told("bare", around((ulong)pages[2], 400));
  become_supervisor(make_tables());
  told("paged", around((ulong)pages[2], 400));
  map(WINDOW, pages[7], RWX);
  map(WINDOW + PAGE, pages[1], RWX);
  flush();
  told("scattered", mix(around(WINDOW + PAGE, 400), contents()));
  told("on demand", mix(on_demand(), contents()));
  told("half there", mix(half_there(), contents()));
  told("copied", mix(copied(), contents()));
  told("passed over", passed_over());
  told("fetched", fetched());
  return 0;
}
