// time, sleep, irq, harts, regs, trap, bench: the harts and their interrupts.
#include "commands.h"
#include "console.h"
#include "fdt.h"
#include "interrupts.h"
#include "text.h"
#include "trap.h"

volatile u64 hart_report[4]; // hartid + 1, misa, marchid, minstret: written by a parked hart, see start.S

static void print_ticks(u64 ticks) { // as milliseconds
  print_decimal(ticks, interrupts.timebase / 1000 ?: 1, 3);
  print(" ms");
}

void command_time(char **arguments) {
  (void)arguments;
  u64 now = time_now();
  print("  mtime    %20lu   ", now);
  print_decimal(now, interrupts.timebase, 6);
  print(" s%s\n  mcycle   %20lu\n  minstret %20lu\n", has_time() ? "" : " (this board has no clock)", csr_read("mcycle"),
        csr_read("minstret"));
}

void command_sleep(char **arguments) {
  u64 seconds, fraction = 0;
  const char *rest = next_number(arguments[1], false, &seconds);
  if (rest && *rest == '.') {
    u64 weight = interrupts.timebase / 10;
    for (rest++; *rest >= '0' && *rest <= '9'; rest++, weight /= 10) fraction += weight * (u64)(*rest - '0');
  }
  if (!rest || *rest || seconds > 1000000) print("  usage: sleep SECONDS, such as sleep 0.5\n");
  else if (!has_time()) print("  this board has no clock\n");
  else if (!console_sleep(time_now() + seconds * interrupts.timebase + fraction)) print("  ^C\n");
}

// ---- irq ----

static void report(const char *name, struct arrival arrival, ulong bit, u64 start) {
  print("  %-10s", name);
  if (arrival.mcause != (CAUSE_INTERRUPT | bit)) {
    print_in(RED, "did not arrive");
    put('\n');
    return;
  }
  print_in(GREEN, "arrived");
  print(" after ");
  print_ticks(arrival.when - start);
  print(", mcause %016lx", arrival.mcause);
}

void command_irq(char **arguments) {
  (void)arguments;
  u64 start, second = interrupts.timebase, msip = msip_of(csr_read("mhartid"));
  if (!interrupts.mtimecmp) {
    print("  timer     this board has no CLINT or ACLINT timer\n");
  } else {
    start = time_now();
    timer_set(start + second / 100);
    struct arrival arrival = interrupt_await(MIP_MTIP, start + second);
    report("timer", arrival, 7, start);
    if (arrival.mcause) print(", set for 10.000 ms\n");
  }
  if (msip) {
    start = time_now();
    timer_set(start + second / 10); // what ends the wait if nothing comes
    write32(msip, 1);
    struct arrival arrival = interrupt_await(MIP_MSIP | MIP_MTIP, start + second);
    report("software", arrival, 3, start);
    if (arrival.mcause) print(", raised by msip\n");
  }
  if (!console_source()) {
    print("  external  the console is not wired to a PLIC that serves this hart\n");
    return;
  }
  start = time_now();
  timer_set(start + second / 10);
  console_transmit_interrupt(true);
  struct arrival arrival = interrupt_await(MIP_MEIP | MIP_MTIP, start + second);
  console_transmit_interrupt(false);
  report("external", arrival, 11, start);
  if (arrival.mcause == (CAUSE_INTERRUPT | 11))
    print(", transmitter empty:\n            source %u claimed and completed%s\n", arrival.source,
          arrival.source == console_source() ? "" : ", which is not the console's");
}

// ---- harts, regs ----

static void print_misa(ulong misa) {
  print("rv%s", misa >> 62 == 2 ? "64" : misa >> 62 == 1 ? "32" : "?");
  for (int letter = 0; letter < 26; letter++)
    if (misa >> letter & 1) put((char)('a' + letter));
}

static void ask_hart(ulong hart) {
  u64 msip = msip_of(hart), start = time_now();
  if (!msip) {
    print("no software interrupt leads to it\n");
    return;
  }
  hart_report[0] = 0;
  fence();
  write32(msip, 1);
  while (hart_report[0] != hart + 1 && !time_passed(start, interrupts.timebase / 10)) {}
  u64 end = time_now();
  fence();
  write32(msip, 0);
  if (hart_report[0] != hart + 1) {
    print_in(YELLOW, "does not answer");
    put('\n');
    return;
  }
  print_misa(hart_report[1]);
  print("  woke from WFI, answered in ");
  print_ticks(end - start);
  put('\n');
}

void command_harts(char **arguments) {
  (void)arguments;
  for (int node = 0; node < fdt_count(); node++) {
    const char *type = fdt_string(node, "device_type");
    if (!type || !same(type, "cpu")) continue;
    ulong hart = hart_of(node);
    print("  hart %lu  ", hart);
    if (!fdt_enabled(node)) print("disabled\n");
    else if (hart != csr_read("mhartid")) ask_hart(hart);
    else {
      print_misa(csr_read("misa"));
      print("  runs this monitor\n");
    }
  }
}

// Shows a CSR unless reading it trapped, two in a line.
static void show_csr(int *shown, const char *name, ulong value) {
  if (guard_disarm()) print("  %-11s %016lx%s", name, value, (*shown)++ & 1 ? "\n" : "   ");
  guard_arm();
}

void command_regs(char **arguments) {
  (void)arguments;
  int shown = 0;
  guard_arm();
#define SHOW(name) show_csr(&shown, name, csr_read(name));
  SHOW("mhartid")
  SHOW("misa")
  SHOW("mvendorid")
  SHOW("marchid")
  SHOW("mimpid")
  SHOW("mstatus")
  SHOW("mtvec")
  SHOW("mscratch")
  SHOW("mie")
  SHOW("mip")
  SHOW("mepc")
  SHOW("mcause")
  SHOW("mtval")
  SHOW("mcounteren")
  SHOW("pmpcfg0")
  SHOW("pmpaddr0")
  SHOW("medeleg")
  SHOW("mideleg")
  SHOW("satp")
  SHOW("menvcfg")
#undef SHOW
  guard_disarm();
  print("%s  misa says ", shown & 1 ? "\n" : "");
  print_misa(csr_read("misa"));
  put('\n');
}

void command_trap(char **arguments) {
  (void)arguments;
  print("  executing an instruction that does not exist");
  trap_demonstrate();
  print_in(GREEN, "  and on behind it");
  put('\n');
}

void command_bench(char **arguments) {
  (void)arguments;
  if (!has_time()) {
    print("  this board has no clock\n");
    return;
  }
  ulong sum = 1, instructions = csr_read("minstret"), cycles = csr_read("mcycle");
  u64 start = time_now();
  while (!time_passed(start, interrupts.timebase) && !console_interrupted()) sum = bench_block(sum);
  u64 ticks = time_now() - start;
  instructions = csr_read("minstret") - instructions;
  cycles = csr_read("mcycle") - cycles;
  print("  %lu instructions in ", instructions);
  print_decimal(ticks, interrupts.timebase, 3);
  print(" s of guest time\n  ");
  u64 microseconds = ticks / (interrupts.timebase / 1000000 ?: 1) ?: 1; // ticks * 10^6 would overflow late, this never
  ink(BOLD);
  print_decimal(instructions, microseconds, 1);
  ink(PLAIN);
  print(" million instructions per guest second (%lu cycles, sum %016lx)\n", cycles, sum);
}
