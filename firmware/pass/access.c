// What the guests on passed devices have in common: the list of accesses, the interrupt, the verdicts.
#include "access.h"

#define REG(at) (*(volatile uint32_t *)(at))

struct access accesses[MOST_ACCESSES];
ulong access_count;
volatile ulong interrupts, spurious;
int failures;

void note_access(uint8_t kind, uint8_t width, uint32_t at, uint64_t value) {
  if (access_count < MOST_ACCESSES) accesses[access_count] = (struct access){kind, width, at, value};
  access_count++;
}

static void put_hex(char *to, uint64_t value, int digits) {
  while (digits--) to[digits] = "0123456789abcdef"[value & 15], value >>= 4;
}

void print_accesses(void) {
  check("all accesses were written down", access_count <= MOST_ACCESSES);
  for (ulong i = 0; i < access_count && i < MOST_ACCESSES; i++) {
    char line[] = "access r4 00000 0000000000000000\n";
    line[7] = (char)accesses[i].kind;
    line[8] = (char)('0' + accesses[i].width);
    put_hex(line + 10, accesses[i].at, 5);
    put_hex(line + 16, accesses[i].value, 16);
    print_text(line);
  }
}

void check(const char *what, int holds) {
  print_text(holds ? "PASS " : "FAIL ");
  print_text(what);
  print_text("\n");
  failures += !holds;
}

void enable_interrupt(void) {
  REG(PLIC + 4 * SOURCE) = 1;
  REG(PLIC + 0x2000) = 1 << SOURCE; // M-mode of hart 0
  csr_set("mie", 1 << 11);
  csr_set("mstatus", 8);
}

void on_trap(struct frame *frame, ulong cause, ulong value) {
  if (cause != (1ul << 63 | 11)) {
    print_hex("trap", cause);
    print_hex("at", frame->pc);
    print_hex("value", value);
    REG(0x100000) = 0x13333; // the guest failed
  }
  uint32_t source = REG(PLIC_CLAIM);
  if (source != SOURCE) {
    spurious++;
    return;
  }
  serve_interrupt();
  interrupts++;
  REG(PLIC_CLAIM) = source;
}

void await_interrupts(ulong count) {
  for (;;) {
    csr_clear("mstatus", 8); // so that none comes between the question and the sleep
    if (interrupts >= count) break;
    __asm__ volatile("wfi");
    csr_set("mstatus", 8);
  }
  csr_set("mstatus", 8);
}
