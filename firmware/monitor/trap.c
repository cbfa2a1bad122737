// The trap handler.
#include "trap.h"

#include "console.h"
#include "interrupts.h"
#include "text.h"

volatile int guard;
static volatile struct arrival arrival;
static volatile bool demonstration;

static const char exceptions[] =
    "instruction address misaligned\0instruction access fault\0illegal instruction\0breakpoint\0"
    "load address misaligned\0load access fault\0store address misaligned\0store access fault\0"
    "ecall from U-mode\0ecall from S-mode\0reserved\0ecall from M-mode\0"
    "instruction page fault\0load page fault\0reserved\0store page fault\0";

static const char registers[] =
    "ra\0sp\0gp\0tp\0t0\0t1\0t2\0s0\0s1\0a0\0a1\0a2\0a3\0a4\0a5\0a6\0a7\0"
    "s2\0s3\0s4\0s5\0s6\0s7\0s8\0s9\0s10\0s11\0t3\0t4\0t5\0t6\0";

static ulong instruction_size(ulong at) { return (read16(at) & 3) == 3 ? 4 : 2; }

static void take_interrupt(ulong cause) {
  arrival.mcause = cause;
  arrival.when = time_now();
  if (cause == (CAUSE_INTERRUPT | 11)) {
    u32 source = plic_claim();
    console_transmit_interrupt(false);
    if (source) plic_complete(source);
    arrival.source = source;
  } else if (cause == (CAUSE_INTERRUPT | 3)) {
    u64 msip = msip_of(csr_read("mhartid"));
    if (msip) write32(msip, 0);
  }
}

void trap(struct trap_frame *frame) {
  if (frame->mcause & CAUSE_INTERRUPT) {
    frame->mstatus &= ~(MSTATUS_MIE << 4); // MPIE: one trap per wait
    csr_write("mie", 0);
    take_interrupt(frame->mcause);
    return;
  }
  if (guard) {
    guard = 2;
    frame->mepc += instruction_size(frame->mepc);
    return;
  }
  const char *name = nth(exceptions, frame->mcause < 16 ? frame->mcause : 10);
  ink(RED);
  print("\n  trap: %s", name);
  ink(PLAIN);
  print("\n  mcause  %016lx  mepc    %016lx\n  mtval   %016lx  mstatus %016lx\n", frame->mcause, frame->mepc, frame->mtval,
        frame->mstatus);
  if (demonstration) {
    for (ulong i = 0; i < 31; i++)
      print("%s%-7s %016lx", i % 3 ? "  " : i ? "\n  " : "  ", nth(registers, i), frame->x[i]);
    put('\n');
    demonstration = false;
    frame->mepc += instruction_size(frame->mepc);
    return;
  }
  frame->mepc = (ulong)resume_at_prompt;
}

struct arrival interrupt_await(ulong bits, u64 until) {
  arrival.mcause = 0;
  csr_write("mie", bits);
  while (!arrival.mcause && time_now() < until) {
    if (interrupts.mtimecmp) wait_for_interrupt();
    csr_set("mstatus", MSTATUS_MIE); // what woke us traps here
    csr_clear("mstatus", MSTATUS_MIE);
  }
  csr_write("mie", 0);
  return arrival;
}

void trap_demonstrate(void) {
  demonstration = true;
  __asm__ volatile("unimp" ::: "memory");
}
