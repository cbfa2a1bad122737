// Makes exits to order: runs the host's list of commands, each a loop that does one thing `count` times. How long that
// takes is the host's to measure, between two writes to the doorbell; without one (QEMU) a board's own counter tells.
#include "vdevs.h"

// As start.S has it.
struct {
  ulong taken, faults, lower, lower_value, claim, clock, seen, saved[3];
} trap_context;
uint32_t nowhere;

#define csr_set(name, bits) __asm__ volatile("csrs " name ", %0" ::"r"(bits) : "memory")
#define csr_clear(name, bits) __asm__ volatile("csrc " name ", %0" ::"r"(bits) : "memory")

enum { MIE = 8, MSIE = 1 << 3, MTIE = 1 << 7, MEIE = 1 << 11 };

// The instruction between is all that differs: without one it is what the loop takes by itself.
#define LOOP(instruction)                                                                       \
  do {                                                                                          \
    ulong left = command->count, address = command->address, value = command->value;            \
    if (left)                                                                                   \
      __asm__ volatile(".option push\n.balign 16\n.option norvc\n1:" instruction                \
                       "\naddi %0, %0, -1\nbnez %0, 1b\n.option pop"                            \
                       : "+r"(left)                                                             \
                       : "r"(address), "r"(value)                                               \
                       : "t0", "memory");                                                       \
    command->done = command->count;                                                             \
  } while (0)

static void accesses(struct command *command) {
  switch (command->kind << 4 | command->width) {
  case READ << 4 | 1: LOOP("lbu t0, (%1)"); break;
  case READ << 4 | 2: LOOP("lhu t0, (%1)"); break;
  case READ << 4 | 4: LOOP("lwu t0, (%1)"); break;
  case READ << 4 | 8: LOOP("ld t0, (%1)"); break;
  case WRITE << 4 | 1: LOOP("sb %2, (%1)"); break;
  case WRITE << 4 | 2: LOOP("sh %2, (%1)"); break;
  case WRITE << 4 | 4: LOOP("sw %2, (%1)"); break;
  case WRITE << 4 | 8: LOOP("sd %2, (%1)"); break;
  default: LOOP(""); break;
  }
}

static void expect_interrupts(const struct command *command, const struct list *list) {
  trap_context.taken = 0;
  trap_context.lower = command->lower;
  trap_context.lower_value = command->lower_value;
  trap_context.claim = command->claim;
  trap_context.clock = command->kind == TIMER ? list->clock : 0;
  // The handler's first instruction writes there.
  if (command->mark) __asm__ volatile("mv tp, %0" ::"r"(command->mark));
}

static ulong taken(void) { return *(volatile ulong *)&trap_context.taken; }

static void interrupts(struct command *command) {
  volatile uint32_t *raise = (uint32_t *)command->address;
  ulong patience = 0;
  // Not the timer's: mtimecmp may be 0 at power-on.
  csr_set("mie", MSIE);
  csr_set("mstatus", MIE);
  for (ulong i = 0; i < command->count; i++) {
    *raise = (uint32_t)command->value;
    for (patience = 1000000; taken() <= i && --patience;) {}
    if (!patience) break;
  }
  csr_clear("mstatus", MIE);
  csr_clear("mie", MSIE);
  command->done = taken();
}

// What interrupts() and the handler do to devices, in the same order.
static void same_accesses(struct command *command) {
  volatile uint32_t *raise = (uint32_t *)command->address, *lower = (uint32_t *)command->lower;
  volatile uint32_t *claim = (uint32_t *)command->claim, *mark = (uint32_t *)command->mark;
  for (ulong i = 0; i < command->count; i++) {
    *raise = (uint32_t)command->value;
    if (mark) *mark = 0;
    uint32_t line = claim ? *claim : 0;
    *lower = (uint32_t)command->lower_value;
    if (claim) *claim = line;
    command->done++;
  }
}

// Address: mtimecmp. Lowering is a write to its upper half.
static void timer(struct command *command, const struct list *list) {
  volatile uint64_t *compare = (uint64_t *)command->address, *clock = (uint64_t *)list->clock;
  uint64_t *samples = (uint64_t *)list->samples;
  csr_set("mie", MTIE);
  for (ulong i = 0; i < command->count; i++) {
    uint64_t due = *clock + command->delay;
    *compare = due;
    csr_set("mstatus", MIE);
    while (taken() <= i) __asm__ volatile("wfi" ::: "memory");
    csr_clear("mstatus", MIE);
    uint64_t late = *(volatile ulong *)&trap_context.seen - due;
    command->sum += late;
    if (samples) *samples++ = late;
    command->done++;
  }
  csr_clear("mie", MTIE);
}

// Polls for room before every `step` characters, as drivers do.
static void uart(struct command *command) {
  const uint8_t *text = (const uint8_t *)command->chain[0].address;
  ulong base = command->address, wrap = command->wrap, burst = command->step;
  for (ulong i = 0; i < command->count;) {
    if (command->width == 1)
      while (!(*(volatile uint8_t *)(base + 5) & 0x20)) {}
    else
      while (*(volatile uint32_t *)(base + 0x18) & 0x20) {}
    for (ulong n = 0; n < burst && i < command->count; n++, i++) {
      if (command->width == 1) *(volatile uint8_t *)base = text[i & (wrap - 1)];
      else *(volatile uint32_t *)base = text[i & (wrap - 1)];
    }
  }
  command->done = command->count;
}

static void ring(const struct list *list, ulong bell, uint32_t value) {
  if (list->doorbell) *(volatile uint32_t *)(list->doorbell + bell) = value;
}

static uint64_t now(const struct list *list) { return list->clock ? *(volatile uint64_t *)list->clock : 0; }

static void carry_out(struct command *command, const struct list *list, uint32_t index) {
  command->done = command->sum = trap_context.faults = 0;
  if (command->kind == VIRTQUEUE) virtqueue_begin(command);
  else if (command->kind >= INTERRUPT && command->kind <= TIMER) expect_interrupts(command, list);
  uint64_t begun = now(list);
  ring(list, BELL_START, index);
  switch (command->kind) {
  case INTERRUPT: interrupts(command); break;
  case ACCESSES: same_accesses(command); break;
  case TIMER: timer(command, list); break;
  case VIRTQUEUE: virtqueue_run(command); break;
  case UART: uart(command); break;
  default: accesses(command); break;
  }
  ring(list, BELL_STOP, index);
  command->ticks = now(list) - begun;
  __asm__ volatile("lla tp, nowhere");
  if (command->kind == VIRTQUEUE) virtqueue_end(command);
  command->faults = trap_context.faults;
}

static void print(const struct list *list, uint64_t value, char end) {
  for (int shift = 60; shift >= -4; shift -= 4) {
    while (!(*(volatile uint8_t *)(list->console + 5) & 0x20)) {}
    *(volatile uint8_t *)list->console = (uint8_t)(shift < 0 ? end : "0123456789abcdef"[value >> shift & 15]);
  }
}

static void report(const struct list *list) {
  for (uint64_t i = 0; i < list->count; i++) {
    print(list, list->commands[i].done, ' ');
    print(list, list->commands[i].ticks, ' ');
    print(list, list->commands[i].sum, ' ');
    print(list, list->commands[i].faults, '\n');
  }
}

void run(volatile struct list *shared) {
  struct list *list = (struct list *)shared;
  // Pending in `mie` alone: it ends a wfi, and interrupts nothing.
  csr_set("mie", MEIE);
  for (;;) {
    while (shared->magic != LIST_MAGIC || !shared->go) __asm__ volatile("wfi" ::: "memory");
    ring(list, BELL_AWAKE, 0);
    for (uint64_t i = 0; i < list->count; i++) carry_out(&list->commands[i], list, (uint32_t)i);
    shared->go = 0;
    if (list->console) report(list);
    if (list->finisher) *(volatile uint32_t *)list->finisher = 0x5555;
    ring(list, BELL_DONE, 0);
  }
}
