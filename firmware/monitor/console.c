// Drivers of the two UARTs, and sleeping until one of them has input.
#include "console.h"

#include "fdt.h"
#include "interrupts.h"
#include "text.h"

// ns16550a
enum { RBR = 0, THR = 0, DLL = 0, IER = 1, DLM = 1, IIR = 2, LCR = 3, MCR = 4, LSR = 5 };
enum { IER_RECEIVED = 1, IER_EMPTY = 2, LCR_8N1 = 3, LCR_DLAB = 0x80, LSR_READY = 1, LSR_EMPTY = 0x20 };
// sifive,uart0 (FU540-C000 manual §13)
enum { TXDATA = 0x00, RXDATA = 0x04, TXCTRL = 0x08, RXCTRL = 0x0c, IE = 0x10, IP = 0x14, DIV = 0x18 };
enum { IE_TRANSMIT = 1, IE_RECEIVE = 2 };

static struct {
  enum { ABSENT, NS16550A, SIFIVE } kind;
  int node;
  u64 base;
  u32 shift, width, source;
} console;

static u32 get(u32 offset) {
  u64 at = console.base + ((u64)offset << console.shift);
  return console.width == 4 ? read32(at) : console.width == 2 ? read16(at) : read8(at);
}

static void set(u32 offset, u32 value) {
  u64 at = console.base + ((u64)offset << console.shift);
  if (console.width == 4) write32(at, value);
  else if (console.width == 2) write16(at, (u16)value);
  else write8(at, (u8)value);
}

static int receive(void) {
  if (console.kind == SIFIVE) {
    u32 data = get(RXDATA);
    return data >> 31 ? -1 : (int)(data & 0xff);
  }
  return console.kind == NS16550A && get(LSR) & LSR_READY ? (int)(get(RBR) & 0xff) : -1;
}

// What was typed while a command ran waits here, so that input from a script is not lost.
static struct {
  u8 bytes[256];
  u32 head, count;
} ahead;

static bool ahead_full(void) { return ahead.count == sizeof ahead.bytes; }

static void take_in(void) {
  for (int byte; !ahead_full() && (byte = receive()) >= 0; ahead.count++)
    ahead.bytes[(ahead.head + ahead.count) % sizeof ahead.bytes] = (u8)byte;
}

static u8 take_out(void) {
  u8 byte = ahead.bytes[ahead.head];
  ahead.head = (ahead.head + 1) % sizeof ahead.bytes;
  ahead.count--;
  return byte;
}

static void receive_interrupt(bool on) {
  if (console.kind == SIFIVE) set(IE, on && console.source ? IE_RECEIVE : 0);
  else set(IER, on && console.source ? IER_RECEIVED : 0);
}

static bool try_open(int node) {
  u64 base, size;
  if (node == NO_NODE || !fdt_enabled(node) || !fdt_reg(node, 0, &base, &size)) return false;
  bool sifive = fdt_is(node, "sifive,uart0");
  if (!sifive && !fdt_is(node, "ns16550a") && !fdt_is(node, "ns16550")) return false;
  console.node = node;
  console.kind = sifive ? SIFIVE : NS16550A;
  console.base = base + fdt_u32(node, "reg-offset", 0);
  console.shift = sifive ? 0 : fdt_u32(node, "reg-shift", 0) & 7;
  console.width = sifive ? 4 : fdt_u32(node, "reg-io-width", 1);
  receive_interrupt(false);
  if (sifive) {
    set(TXCTRL, 1 << 16 | 1); // enabled, watermark 1
    set(RXCTRL, 1);
    return true;
  }
  u32 clock = fdt_u32(node, "clock-frequency", 0), divisor = (clock / 8 / 115200 + 1) / 2;
  if (divisor && divisor < 0x10000) {
    set(LCR, LCR_DLAB | LCR_8N1);
    set(DLL, divisor & 0xff);
    set(DLM, divisor >> 8);
  }
  set(LCR, LCR_8N1);
  set(MCR, 0x0b); // DTR, RTS, and OUT2, which gates the interrupt on PCs
  // FCR stays as it is: switching the FIFOs empties them, and what came before us is input too.
  return true;
}

bool console_open(void) {
  int chosen = fdt_by_path("/chosen");
  const char *path = chosen == NO_NODE ? 0 : fdt_string(chosen, "stdout-path");
  if (path && try_open(fdt_by_path(path))) return true;
  for (int node = 0; node < fdt_count(); node++)
    if (try_open(node)) return true;
  return false;
}

int console_node(void) { return console.node; }
u32 console_source(void) { return console.source; }

void console_listen(void) {
  console.source = plic_source_of(console.node);
  if (!console.source) return;
  plic_enable(console.source);
  receive_interrupt(true);
}

void console_put(u8 byte) {
  if (console.kind == SIFIVE) {
    while (get(TXDATA) >> 31) {}
    set(TXDATA, byte);
  } else if (console.kind == NS16550A) {
    for (u32 status; !((status = get(LSR)) & LSR_EMPTY);)
      if (status & LSR_READY) take_in(); // a UART without FIFO holds one byte
    set(THR, byte);
  }
}

bool console_interrupted(void) {
  take_in();
  for (u32 i = 0; i < ahead.count; i++) {
    if (ahead.bytes[(ahead.head + i) % sizeof ahead.bytes] != 3) continue;
    while (take_out() != 3) {}
    return true;
  }
  return false;
}

// WFI wakes on an interrupt that is pending and enabled in mie even while mstatus.MIE is 0 (Priv. §3.3.3), so no trap
// is taken, and input that arrives between the last look and the WFI is not slept through.
static void doze(bool limited, u64 until) {
  ulong wake = console.source && !ahead_full() ? MIP_MEIP : 0;
  if (interrupts.mtimecmp && (limited || !console.source)) {
    u64 look = time_now() + interrupts.timebase / 100; // without a receive interrupt: a hundred times a second
    timer_set(limited && (console.source || until < look) ? until : look);
    wake |= MIP_MTIP;
  }
  if (limited ? !interrupts.mtimecmp : !wake) return; // nothing would wake us: poll
  csr_set("mie", wake);
  wait_for_interrupt();
  csr_clear("mie", wake);
  if (!(console.source && csr_read("mip") & MIP_MEIP)) return;
  u32 source = plic_claim();
  take_in(); // takes the reason away before the source is completed
  if (source) plic_complete(source);
}

u8 console_wait(void) {
  for (;; doze(false, 0)) {
    if (!ahead.count) take_in();
    if (ahead.count) return take_out();
  }
}

bool console_sleep(u64 until) {
  for (;; doze(true, until)) {
    if (console_interrupted()) return false;
    if (time_now() >= until) return true;
  }
}

void console_transmit_interrupt(bool on) {
  if (console.kind == SIFIVE) {
    set(IE, on ? IE_TRANSMIT : console.source ? IE_RECEIVE : 0);
  } else {
    get(IIR); // reading it takes a reported "empty" back
    set(IER, on ? IER_EMPTY : console.source ? IER_RECEIVED : 0);
  }
}
