// Pages that move under running code: code and data, by page and whole, by address space, large and small.
#include "paging.h"

static uint8_t pages[16][PAGE] __attribute__((aligned(4096)));
static uint8_t large[2][2 << 20] __attribute__((aligned(2 << 20)));

static volatile ulong faults, last_cause, last_value;
static void (*repair)(ulong cause, ulong value, struct frame *frame);

void on_trap(struct frame *frame, ulong cause, ulong value) {
  faults++;
  last_cause = cause;
  last_value = value;
  if (repair && faults < 1000000) {
    repair(cause, value, frame);
    return;
  }
  print_hex("cause", cause);
  print_hex("at", frame->pc);
  print_hex("value", value);
  for (;;) *(volatile uint32_t *)0x100000 = 0x13333;
}

// A function that tells pages apart.
static void put_function(uint8_t *at, int32_t number) {
  put_code(at, slli(A0, A0, 1));
  put_code(at + 4, addi(A0, A0, number));
  put_code(at + 8, xori(A0, A0, number * 5 & 1023));
  put_code(at + 12, ret());
}

static uint64_t call(ulong address, ulong times, uint64_t value) {
  for (ulong n = 0; n < times; n++) value = ((code *)address)(value, n) & 0xffffffff;
  return value;
}

static uint64_t code_moves(int by_page) {
  uint64_t sum = 0;
  for (int i = 0; i < 8; i++) put_function(pages[i] + 64, i * 17 + 1);
  fence_i();
  for (int i = 0; i < 80; i++) {
    map(WINDOW, pages[i * 3 % 8], RWX);
    if (by_page) flush_page(WINDOW + 64);
    else flush();
    sum = mix(sum, call(WINDOW + 64, i % 7 == 0 ? 3000 : 40, sum & 0xffff));
  }
  return sum;
}

// Two address spaces with the same pages in other places; no flush between.
static uint64_t spaces_change(ulong satp) {
  static uint64_t roots[2][512] __attribute__((aligned(4096))), middles[2][512] __attribute__((aligned(4096))),
      leaves[2][512] __attribute__((aligned(4096)));
  uint64_t sum = 0, *own = (uint64_t *)((satp & 0xfffffffffff) << 12);
  for (int s = 0; s < 2; s++) {
    roots[s][0] = own[0];
    roots[s][2] = own[2];
    roots[s][1] = leaf(middles[s], V);
    middles[s][0] = leaf(leaves[s], V);
    leaves[s][5] = leaf(pages[2 + s], RWX);
    leaves[s][6] = leaf(pages[4 + s], RWX);
    leaves[s][7] = leaf(pages[3 - s], RWX);
    put_function(pages[2 + s] + 64, s * 50 + 3);
    for (ulong i = 0; i < PAGE; i++) pages[4 + s][i] = (uint8_t)(i + (ulong)s);
  }
  fence_i();
  for (int i = 0; i < 60; i++) {
    int s = i & 1;
    csr_write("satp", 8ul << 60 | (ulong)(s + 1) << 44 | (ulong)roots[s] >> 12);
    if (i < 2) flush(); // the first time in each
    volatile uint64_t *data = (uint64_t *)(WINDOW + 6 * PAGE + 1024);
    for (int n = 0; n < 50; n++) data[n & 7] += (uint64_t)(n + i);
    sum = mix(sum, call(WINDOW + 5 * PAGE + 64, i % 9 == 0 ? 2500 : 30, data[i & 7] & 0xffff));
    if (i > 20) sum = mix(sum, call(WINDOW + 7 * PAGE + 64, i % 5 == 0 ? 1500 : 30, (uint64_t)i));
  }
  csr_write("satp", satp);
  flush();
  return sum;
}

// A function that crosses a border; what is behind the border moves.
static uint64_t tail_moves(void) {
  uint64_t sum = 0;
  for (int split = 2; split <= 6; split += 2) {
    ulong start = PAGE - 4 - (ulong)split;
    uint8_t *head = pages[8];
    for (int i = 0; i < 4; i++) { // the same head, four tails
      uint8_t whole[20];
      put_code(whole, addi(A0, A0, split));
      put_code(whole + 4, slli(A0, A0, 1));
      put_code(whole + 8, addi(A0, A0, 100 * (i + 1)));
      put_code(whole + 12, xori(A0, A0, i * 3));
      put_code(whole + 16, ret());
      for (ulong k = 0; k < sizeof whole; k++) {
        ulong at = start + k;
        if (at < PAGE) head[at] = whole[k];
        else pages[9 + i][at - PAGE] = whole[k];
      }
    }
    fence_i();
    map(WINDOW + 8 * PAGE, head, RWX);
    for (int i = 0; i < 40; i++) {
      map(WINDOW + 9 * PAGE, pages[9 + i % 4], RWX);
      if (i & 1) flush_page(WINDOW + 9 * PAGE);
      else flush();
      sum = mix(sum, call(WINDOW + 8 * PAGE + start, i % 5 == 0 ? 2500 : 25, sum & 0xfff));
    }
  }
  return sum;
}

// Data moves under a hot loop that is called again and again.
static NOINLINE uint64_t add_up(volatile uint64_t *from, volatile uint64_t *to, ulong count) {
  uint64_t sum = 0;
  for (ulong i = 0; i < count; i++) {
    sum += from[i & 127];
    to[i & 127] += sum;
  }
  return sum;
}

static uint64_t data_moves(void) {
  uint64_t sum = 0;
  for (int i = 0; i < 8; i++)
    for (ulong k = 0; k < PAGE; k++) pages[i][k] = (uint8_t)(k * 7 + (ulong)i);
  for (int i = 0; i < 120; i++) {
    map(WINDOW + 20 * PAGE, pages[i % 8], V | R | W | A | D);
    map(WINDOW + 21 * PAGE, pages[(i + 3) % 8], V | R | W | A | D);
    flush_page(WINDOW + 20 * PAGE);
    flush_page(WINDOW + 21 * PAGE);
    sum = mix(sum, add_up((uint64_t *)(WINDOW + 20 * PAGE), (uint64_t *)(WINDOW + 21 * PAGE), i % 6 == 0 ? 4000 : 100));
  }
  return sum;
}

// The page of running code stops being executable; the fault puts it back.
static void make_executable(ulong cause, ulong value, struct frame *frame) {
  if (cause != 12 || frame->pc != value) faults += 1000000;
  *entry(value) |= X;
  flush_page(value);
}

static uint64_t code_withdrawn(void) {
  uint64_t sum = 0;
  put_function(pages[0] + 64, 77);
  fence_i();
  repair = make_executable;
  map(WINDOW + 30 * PAGE, pages[0], RWX);
  flush();
  for (int i = 0; i < 40; i++) {
    sum = mix(sum, call(WINDOW + 30 * PAGE + 64, i < 3 ? 2500 : 50, (uint64_t)i));
    *entry(WINDOW + 30 * PAGE) &= ~(uint64_t)X;
    flush_page(WINDOW + 30 * PAGE);
    sum = mix(sum, call(WINDOW + 30 * PAGE + 64, 3, (uint64_t)i));
    sum = mix(sum, faults ^ last_cause << 8 ^ last_value);
  }
  repair = 0;
  return sum;
}

// A 2 MiB page of code and data becomes another, and then 512 small ones.
static uint64_t large_changes(void) {
  static uint64_t split[512] __attribute__((aligned(4096)));
  uint64_t sum = 0;
  for (int i = 0; i < 2; i++)
    for (ulong at = 0; at < sizeof large[i]; at += 64 * PAGE) put_function(large[i] + at, (int32_t)(at >> 13) + i);
  for (int i = 0; i < 512; i++) split[i] = leaf(large[i & 1] + (ulong)i * PAGE, RWX);
  fence_i();
  for (int i = 0; i < 30; i++) {
    *large_entry() = i % 3 == 2 ? leaf(split, V) : leaf(large[i % 3], RWX);
    flush();
    for (ulong at = 0; at < sizeof large[0]; at += 64 * PAGE) sum = mix(sum, call(LARGE + at, i < 6 ? 300 : 20, at & 0xff));
    volatile uint64_t *data = (uint64_t *)(LARGE + 3 * PAGE);
    for (int n = 0; n < 1500; n++) data[n & 15] += (uint64_t)(n * i);
    sum = mix(sum, data[5]);
  }
  return sum;
}

// Pages that are written through one address and run through another.
static uint64_t two_names(void) {
  uint64_t sum = 0;
  map(WINDOW + 40 * PAGE, pages[14], V | R | X | A);
  map(WINDOW + 41 * PAGE, pages[14], V | R | W | A | D);
  flush();
  for (int i = 0; i < 60; i++) {
    uint8_t *writable = i & 1 ? pages[14] : (uint8_t *)(WINDOW + 41 * PAGE);
    put_function(writable + 128, i + 3);
    fence_i();
    sum = mix(sum, call(WINDOW + 40 * PAGE + 128, i % 4 == 0 ? 2000 : 20, sum & 0xff));
    sum = mix(sum, call((ulong)pages[14] + 128, 10, sum & 0xff));
  }
  return sum;
}

// The accessed and dirty bits that hardware sets in hot loops. RISC-V Priv 20240411 §10.3.1 and Svadu
static void set_bits(ulong cause, ulong value, struct frame *frame) {
  (void)frame;
  *entry(value) |= cause == 15 ? A | D : A; // harts without Svadu leave it to us
  flush_page(value);
}

static uint64_t bits_set(void) {
  uint64_t sum = 0;
  repair = set_bits;
  for (int p = 0; p < 8; p++)
    for (ulong k = 0; k < PAGE; k++) pages[p][k] = (uint8_t)(k * 5 + (ulong)p);
  for (int i = 0; i < 50; i++) {
    for (ulong p = 0; p < 8; p++) map(WINDOW + (50 + p) * PAGE, pages[p], V | R | W);
    flush();
    uint64_t read = 0;
    for (ulong n = 0; n < (i < 4 ? 3000u : 64u); n++) read += *(volatile uint64_t *)(WINDOW + 50 * PAGE + n % 6 * PAGE + n % 64 * 8);
    for (ulong p = 0; p < 8; p++) sum = mix(sum, *entry(WINDOW + (50 + p) * PAGE) & (A | D));
    for (ulong n = 0; n < (i < 4 ? 3000u : 64u); n++) *(volatile uint64_t *)(WINDOW + 50 * PAGE + n % 3 * PAGE + n % 64 * 8) = read + n;
    for (ulong p = 0; p < 8; p++) sum = mix(sum, *entry(WINDOW + (50 + p) * PAGE) & (A | D));
    sum = mix(sum, read);
  }
  repair = 0;
  return sum;
}

int trial(ulong hart, const uint8_t *fdt) {
  if (hart) return 0;
  // Which of them, one bit each: what one leaves behind may hide or break the next.
  ulong parts = boot_option(fdt, "parts", ~0ul);
  ulong satp = make_tables();
  become_supervisor(satp);
#define PART(bit, label, run) if (parts >> bit & 1) print_hex(label, run)
  PART(0, "code", code_moves(0));
  PART(1, "code, page", code_moves(1));
  PART(2, "spaces", spaces_change(satp));
  PART(3, "tail", tail_moves());
  PART(4, "data", data_moves());
  PART(5, "withdrawn", code_withdrawn());
  PART(6, "large", large_changes());
  PART(7, "two names", two_names());
  PART(8, "A and D", bits_set());
  return 0;
}
