// One hart changes the code, then the pages, that another runs: interrupt, fence.i or sfence.vma there, and its word that it is
// done. What hart 1 computes afterwards must be new.
#include "paging.h"

#define MSIP ((volatile uint32_t *)0x02000000)
#define SOFTWARE_CAUSE (1ul << 63 | 3)

static uint8_t area[2][PAGE] __attribute__((aligned(4096)));
static volatile ulong request, done, rounds, seen, phase, counts[2];
static uint64_t shared, locked;
static volatile uint32_t lock;

void on_trap(struct frame *frame, ulong cause, ulong value) {
  if (cause == SOFTWARE_CAUSE) {
    MSIP[1] = 0;
    __asm__ volatile("fence rw, rw" : : : "memory");
    ulong asked = request;
    fence_i();
    flush();
    __asm__ volatile("fence rw, rw" : : : "memory");
    done = asked;
    return;
  }
  print_hex("cause", cause);
  print_hex("at", frame->pc);
  print_hex("value", value);
  for (;;) *(volatile uint32_t *)0x100000 = 0x13333;
}

static void tell(ulong number) {
  request = number;
  __asm__ volatile("fence rw, rw" : : : "memory");
  MSIP[1] = 1;
  while (done != number) {}
  ulong now = rounds; // one round may have begun before
  while (rounds - now < 2) {}
}

// Until the phase is over, calls the function and shows what came of it.
static void keep_calling(ulong address, ulong which) {
  while (phase == which) {
    seen = ((code *)address)(which, 0);
    __asm__ volatile("fence rw, rw" : : : "memory");
    rounds++;
  }
}

static void count_up(ulong hart, ulong times) {
  for (ulong i = 0; i < times; i++) {
    __atomic_fetch_add(&shared, hart + 1, __ATOMIC_RELAXED);
    uint64_t old, failed;
    do __asm__ volatile("lr.d.aq %0, (%2)\n addi %1, %0, 1\n sc.d.rl %1, %1, (%2)" : "=&r"(old), "=&r"(failed) : "r"(&counts[0]) : "memory");
    while (failed);
    while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE)) {}
    locked += 3;
    __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
  }
}

static void put_function(uint8_t *at, int32_t number) {
  put_code(at, addi(A0, A0, number));
  put_code(at + 4, slli(A0, A0, 1));
  put_code(at + 8, ret());
}

static ulong tables;
enum { COUNTING = 3 };

int trial(ulong hart, const uint8_t *fdt) {
  (void)fdt;
  if (hart > 1) return 0;
  if (hart == 1) {
    csr_set("mie", 8);
    csr_set("mstatus", 8);
    while (!phase) {}
    keep_calling((ulong)area[0] + 64, 1);
    become_supervisor(tables);
    flush();
    keep_calling(WINDOW + 64, 2);
    count_up(1, 20000);
    counts[1] = 1;
    return 0;
  }

  tables = make_tables();
  put_function(area[0] + 64, 1);
  fence_i();
  __asm__ volatile("fence rw, rw" : : : "memory");
  phase = 1;
  uint64_t sum = 0;
  ulong wrong = 0;
  for (ulong version = 1; version <= 150; version++) {
    put_function(area[0] + 64, (int32_t)version + 1);
    tell(version);
    if (seen != (1 + version + 1) * 2) wrong++;
    sum = mix(sum, seen);
  }
  // QEMU 7.2 sometimes keeps what it translated while the code was being written.
  print_hex("~ code", sum);
  print_number("~ wrong", wrong);

  put_function(area[0] + 64, 100);
  put_function(area[1] + 64, 200);
  map(WINDOW, area[0], RWX);
  tell(1000);
  ulong before = rounds;
  phase = 2;
  while (rounds - before < 10) {}
  sum = wrong = 0;
  for (ulong version = 0; version < 150; version++) {
    map(WINDOW, area[version & 1], RWX);
    tell(2000 + version);
    if (seen != (2 + (version & 1 ? 200 : 100)) * 2) wrong++;
    sum = mix(sum, seen);
  }
  print_hex("pages", sum);
  print_number("  wrong", wrong);

  __asm__ volatile("fence rw, rw" : : : "memory");
  phase = COUNTING;
  count_up(0, 20000);
  while (!counts[1]) {}
  print_number("added", shared);
  print_number("reserved", counts[0]);
  print_number("locked", locked);
  return 0;
}
