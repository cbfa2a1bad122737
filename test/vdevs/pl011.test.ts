import { describe, expect, test } from "bun:test";
import { cells, strings, u32 } from "../../src/fdt/tree.ts";
import { assemble, contribution } from "../../src/vdev/testing.ts";
import { pl011 } from "../../src/vdevs/pl011.ts";

const DR = 0x000;
const RSR = 0x004;
const FR = 0x018;
const IBRD = 0x024;
const FBRD = 0x028;
const LCR_H = 0x02c;
const CR = 0x030;
const IFLS = 0x034;
const IMSC = 0x038;
const RIS = 0x03c;
const MIS = 0x040;
const ICR = 0x044;

const FIFOS = 0x10;
const ON = 0x301;
const LOOPBACK = 0x80;
const RX = 0x10;
const TX = 0x20;
const TIMEOUT = 0x40;
const OVERRUN = 0x400;
const [EMPTY, FULL, SENT] = [0x10, 0x40, 0x80];

function build(lineControl = 0, control = ON) {
  const { host, vdev, read, write } = assemble(pl011, { host: "stdio" });
  vdev.reset();
  const put = (offset: number, value: number) => write(offset, 4, value);
  put(LCR_H, lineControl);
  put(CR, control);
  return {
    host,
    vdev,
    terminal: host.fakeStream("stdio"),
    irq: host.line("irq"),
    get: (offset: number) => read(offset, 4),
    put,
  };
}

test("power-on values, and the identification that the AMBA bus reads", () => {
  const { read, vdev } = assemble(pl011, {});
  vdev.reset();
  expect([FR, CR, IFLS, IMSC, RIS].map((at) => read(at, 4))).toEqual([0x97, 0x300, 0x12, 0, 0]);
  const id = (at: number) => [0, 4, 8, 12].reduce((sum, i) => sum | (read(at + i, 4) << (i * 2)), 0) >>> 0;
  expect([id(0xfe0), id(0xff0)]).toEqual([0x0034_1011, 0xb105_f00d]);
});

describe("transmitting", () => {
  test("waits for both enables; what does not fit is lost", () => {
    const { get, put, terminal, host } = build(FIFOS, 0x300);
    for (let i = 0; i < 33; i++) put(DR, 0x40 + i);
    expect([terminal.text, get(FR) & 0xa0]).toEqual(["", 0x20]);
    expect(host.logged).toHaveLength(1);
    put(CR, ON);
    expect([terminal.text.length, get(FR) & 0xa0]).toEqual([32, SENT]);
  });

  test("the interrupt tells that the FIFO drained, and is cleared by hand", () => {
    const { get, put, irq } = build(FIFOS);
    put(IMSC, TX);
    expect(irq.level).toBe(false);
    put(DR, 0x41);
    expect([get(RIS), get(MIS), irq.level]).toEqual([TX, TX, true]);
    put(ICR, TX);
    expect([get(RIS), irq.level]).toEqual([0, false]);
  });
});

describe("receiving", () => {
  test("without FIFOs one character at a time, and none is lost", () => {
    const { get, put, terminal, irq } = build();
    put(IMSC, RX);
    terminal.send("abc");
    let text = "";
    while (irq.level) text += String.fromCharCode(get(DR));
    expect([text, get(FR) & EMPTY]).toEqual(["abc", EMPTY]);
  });

  test("with FIFOs the interrupt comes at the level, and goes below it", () => {
    const { get, put, terminal } = build(FIFOS);
    put(IFLS, 0 << 3);
    terminal.send("abc");
    expect(get(RIS) & RX).toBe(0);
    terminal.send("d");
    expect(get(RIS) & RX).toBe(RX);
    get(DR);
    expect(get(RIS) & RX).toBe(0);
  });

  test("what stays below the level is reported after 32 bit periods of silence", () => {
    const { host, get, put, terminal, irq } = build(FIFOS);
    // 24 MHz / (16 * 13.0625) = 114833 baud: 32 bits take 278.7 us.
    put(IBRD, 13);
    put(FBRD, 4);
    put(IMSC, TIMEOUT);
    terminal.send("x");
    host.clock.advance(200_000);
    terminal.send("y");
    host.clock.advance(200_000);
    expect(irq.level).toBe(false);
    host.clock.advance(80_000);
    expect(irq.level).toBe(true);
    get(DR);
    expect(irq.level).toBe(true);
    get(DR);
    expect(irq.level).toBe(false);
  });

  test("a full FIFO leaves the rest with the host", () => {
    const { get, terminal } = build(FIFOS);
    terminal.send("x".repeat(40));
    expect([get(FR) & FULL, terminal.waiting, get(RIS) & OVERRUN]).toEqual([FULL, 8, 0]);
  });
});

describe("loopback", () => {
  test("what is sent comes back, and an overrun is reported with the last character", () => {
    const { get, put, terminal } = build(0, ON | LOOPBACK);
    put(DR, 0x41);
    put(DR, 0x42);
    expect(get(RIS) & OVERRUN).toBe(OVERRUN);
    expect([get(DR), get(RSR), terminal.text]).toEqual([0x841, 8, ""]);
    put(RSR, 0);
    expect(get(RSR)).toBe(0);
  });

  test("modem outputs come back as inputs", () => {
    const { get, put } = build();
    put(CR, ON | LOOPBACK);
    expect(get(FR) & 0x107).toBe(0);
    put(CR, ON | LOOPBACK | 0x3c00);
    expect(get(FR) & 0x107).toBe(0x107);
    expect(get(RIS) & 0xf).toBe(0xf);
  });
});

test("the device tree names both clocks", () => {
  const { bus, root } = contribution(pl011, { clock: "48MHz" });
  const [own] = bus!;
  expect(strings(own!, "compatible")).toEqual(["arm,pl011", "arm,primecell"]);
  expect(strings(own!, "clock-names")).toEqual(["uartclk", "apb_pclk"]);
  const clock = u32(root![0]!, "phandle")!;
  expect([cells(own!, "clocks"), u32(root![0]!, "clock-frequency")]).toEqual([[clock, clock], 48_000_000]);
});
