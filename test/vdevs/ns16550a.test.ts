import { describe, expect, test } from "bun:test";
import { getProperty, u32 } from "../../src/fdt/tree.ts";
import { assemble, contribution } from "../../src/vdev/testing.ts";
import { ns16550a } from "../../src/vdevs/ns16550a.ts";

const DATA = 0;
const IER = 1;
const IIR = 2;
const FCR = 2;
const LCR = 3;
const MCR = 4;
const LSR = 5;
const MSR = 6;
const SCR = 7;

function build(options = {}) {
  const { host, vdev, read, write } = assemble(ns16550a, { host: "stdio", ...options });
  vdev.reset();
  return {
    host,
    vdev,
    terminal: host.fakeStream("stdio"),
    irq: host.line("irq"),
    get: (offset: number) => read(offset, 1),
    put: (offset: number, value: number) => write(offset, 1, value),
    read,
    write,
  };
}

test("power-on values", () => {
  const { get, irq } = build();
  expect([get(IER), get(IIR), get(LCR), get(MCR), get(LSR), get(MSR), get(SCR)]).toEqual([
    0, 0x01, 0, 0, 0x60, 0xb0, 0,
  ]);
  expect(irq.level).toBe(false);
});

test("the divisor latch takes the place of data and interrupt enable", () => {
  const { get, put, terminal } = build();
  put(IER, 0x0f);
  put(LCR, 0x83);
  put(DATA, 0x34);
  put(IER, 0x12);
  expect([get(DATA), get(IER)]).toEqual([0x34, 0x12]);
  put(LCR, 0x03);
  expect(get(IER)).toBe(0x0f);
  expect(terminal.output).toEqual([]);
});

describe("transmitting", () => {
  test("characters go out at once and the transmitter is empty again", () => {
    const { put, get, terminal } = build();
    for (const c of Buffer.from("hi")) put(DATA, c);
    expect(terminal.text).toBe("hi");
    expect(get(LSR)).toBe(0x60);
  });

  test("the empty interrupt: on enabling, cleared by IIR, again after each character", () => {
    const { put, get, irq } = build();
    put(IER, 0x02);
    expect([irq.level, get(IIR), irq.level, get(IIR)]).toEqual([true, 0x02, false, 0x01]);
    put(DATA, 0x41);
    expect([irq.level, get(IIR), irq.level]).toEqual([true, 0x02, false]);
    put(DATA, 0x41);
    put(IER, 0x00);
    expect([irq.level, get(IIR)]).toEqual([false, 0x01]);
  });

  // Linux drivers/tty/serial/8250/8250_port.c: serial8250_THRE_test and the TXEN test in serial8250_do_startup
  test("passes Linux' THRE test", () => {
    const { put, get } = build();
    put(IER, 0x02);
    const first = get(IIR);
    put(IER, 0);
    put(IER, 0x02);
    const second = get(IIR);
    put(IER, 0);
    expect([first & 1, second & 1]).toEqual([0, 0]);
    put(IER, 0x02);
    expect([get(LSR) & 0x40, get(IIR) & 1]).toEqual([0x40, 0]);
  });
});

describe("receiving", () => {
  test("without FIFOs one character is held and the others wait on the host", () => {
    const { put, get, irq, terminal } = build();
    put(IER, 0x01);
    terminal.send("ab");
    expect([irq.level, get(IIR), get(LSR), terminal.waiting]).toEqual([true, 0x04, 0x61, 1]);
    expect([get(DATA), irq.level, get(DATA), irq.level, get(LSR)]).toEqual([0x61, true, 0x62, false, 0x60]);
    expect(get(DATA)).toBe(0);
  });

  test("with FIFOs the trigger level decides between data and timeout", () => {
    const { put, get, terminal } = build();
    put(FCR, 0x81);
    put(IER, 0x01);
    terminal.send("1234567");
    expect(get(IIR)).toBe(0xcc);
    terminal.send("8");
    expect(get(IIR)).toBe(0xc4);
    get(DATA);
    expect(get(IIR)).toBe(0xcc);
  });

  test("a burst longer than the FIFO loses nothing", () => {
    const { put, get, terminal } = build();
    put(FCR, 0x01);
    const text = "the quick brown fox jumps over the lazy dog";
    terminal.send(text);
    let seen = "";
    while (get(LSR) & 1) seen += String.fromCharCode(get(DATA));
    expect(seen).toBe(text);
    expect(get(LSR)).toBe(0x60);
  });

  test("the receiver FIFO can be cleared, and changing mode clears it", () => {
    const { put, get, terminal } = build();
    put(FCR, 0x01);
    terminal.send("abc");
    put(FCR, 0x03);
    expect(get(LSR) & 1).toBe(0);
    terminal.send("d");
    put(FCR, 0x00);
    expect([get(LSR) & 1, get(IIR)]).toEqual([0, 0x01]);
  });

  test("input that waited since before a reset is found by polling", () => {
    const { vdev, get, terminal } = build();
    terminal.send("xy");
    vdev.reset();
    expect([get(LSR) & 1, get(DATA)]).toEqual([1, 0x79]);
  });
});

describe("loopback", () => {
  test("characters come back, the terminal is cut off", () => {
    const { put, get, terminal } = build();
    put(FCR, 0x01);
    put(MCR, 0x10);
    terminal.send("q");
    put(DATA, 0x5a);
    expect([get(LSR) & 1, get(DATA), get(LSR) & 1]).toEqual([1, 0x5a, 0]);
    put(MCR, 0);
    expect([terminal.text, get(DATA)]).toEqual(["", 0x71]);
  });

  test("overrun keeps a FIFO and overwrites a lone buffer; it is a line status interrupt until LSR is read", () => {
    const { put, get } = build();
    put(MCR, 0x10);
    put(IER, 0x05);
    put(DATA, 1);
    put(DATA, 2);
    expect([get(IIR), get(LSR), get(IIR), get(DATA)]).toEqual([0x06, 0x63, 0x04, 2]);
    put(FCR, 0x01);
    for (let i = 0; i < 17; i++) put(DATA, i);
    expect([get(LSR) & 2, get(DATA)]).toEqual([2, 0]);
  });

  // Linux drivers/tty/serial/8250/8250_port.c: the loopback test of autoconfig()
  test("modem outputs come back as inputs, with their changes noted", () => {
    const { put, get } = build();
    put(MCR, 0x1a);
    expect(get(MSR) & 0xf0).toBe(0x90);
    put(MCR, 0x14);
    expect(get(MSR)).toBe(0x40 | 0x09);
    put(IER, 0x08);
    put(MCR, 0x10);
    // The ring indicator ended.
    expect([get(IIR), get(MSR), get(IIR)]).toEqual([0x00, 0x04, 0x01]);
    put(MCR, 0x14);
    expect(get(MSR)).toBe(0x40);
  });
});

test("interrupts are told most urgent first", () => {
  const { put, get, irq } = build();
  put(MCR, 0x10);
  get(MSR);
  put(FCR, 0x01);
  for (let i = 0; i < 17; i++) put(DATA, i);
  put(MCR, 0x11);
  put(IER, 0x0f);
  expect(get(IIR)).toBe(0xc6);
  get(LSR);
  expect(get(IIR)).toBe(0xc4);
  put(FCR, 0x03);
  expect(get(IIR)).toBe(0xc2);
  expect(get(IIR)).toBe(0xc0);
  get(MSR);
  expect([get(IIR), irq.level]).toEqual([0xc1, false]);
});

test("registers can lie apart", () => {
  const { read, write, terminal } = build({ reg_shift: 2 });
  write(0, 4, 0x141);
  write(1, 1, 0x42);
  write(7 << 2, 4, 0xab);
  expect(terminal.text).toBe("A");
  expect([read(5 << 2, 4), read(7 << 2, 1), read(29, 1)]).toEqual([0x60, 0xab, 0]);
  expect(u32(contribution(ns16550a, { reg_shift: 2 }).bus![0]!, "reg-shift")).toBe(2);
});

test("device tree", () => {
  const { bus, alias, console } = contribution(ns16550a, {});
  expect([alias, console]).toEqual(["serial", true]);
  expect(u32(bus![0]!, "clock-frequency")).toBe(3_686_400);
  expect(getProperty(bus![0]!, "reg-shift")).toBeUndefined();
});
