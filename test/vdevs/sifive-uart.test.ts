import { describe, expect, test } from "bun:test";
import { u32 } from "../../src/fdt/tree.ts";
import { assemble, contribution } from "../../src/vdev/testing.ts";
import { sifiveUart } from "../../src/vdevs/sifive-uart.ts";

const TXDATA = 0x00;
const RXDATA = 0x04;
const TXCTRL = 0x08;
const RXCTRL = 0x0c;
const IE = 0x10;
const IP = 0x14;
const DIV = 0x18;
const EMPTY = 0x8000_0000;
const FULL = 0x8000_0000;

function build() {
  const { host, vdev, read, write } = assemble(sifiveUart, { host: "stdio" });
  vdev.reset();
  return {
    vdev,
    terminal: host.fakeStream("stdio"),
    irq: host.line("irq"),
    get: (offset: number) => read(offset, 4),
    put: (offset: number, value: number) => write(offset, 4, value),
  };
}

describe("transmitting", () => {
  test("characters wait until the transmitter is enabled; a full FIFO ignores more", () => {
    const { get, put, terminal } = build();
    for (let i = 0; i < 9; i++) put(TXDATA, 0x30 + i);
    expect([get(TXDATA), terminal.text]).toEqual([FULL, ""]);
    put(TXCTRL, 1);
    expect([get(TXDATA), terminal.text]).toEqual([0, "01234567"]);
    put(TXDATA, 0x21);
    expect(terminal.text).toBe("01234567!");
  });

  test("the watermark interrupt is pending while the FIFO holds fewer", () => {
    const { get, put, irq } = build();
    put(IE, 1);
    expect([get(IP), irq.level]).toEqual([0, false]);
    put(TXCTRL, 0x0002_0000);
    expect([get(IP), irq.level]).toEqual([1, true]);
    put(TXDATA, 1);
    put(TXDATA, 2);
    expect([get(IP), irq.level]).toEqual([0, false]);
    put(TXCTRL, 0x0002_0001);
    expect(irq.level).toBe(true);
    put(IE, 0);
    expect(irq.level).toBe(false);
  });
});

describe("receiving", () => {
  test("nothing arrives until the receiver is enabled, and nothing is lost", () => {
    const { get, put, terminal } = build();
    terminal.send("a longer line");
    expect(get(RXDATA)).toBe(EMPTY);
    put(RXCTRL, 1);
    let seen = "";
    for (let data = get(RXDATA); data !== EMPTY; data = get(RXDATA)) seen += String.fromCharCode(data);
    expect(seen).toBe("a longer line");
  });

  test("the watermark interrupt is pending while the FIFO holds more", () => {
    const { get, put, irq, terminal } = build();
    put(IE, 2);
    put(RXCTRL, 0x0001_0001);
    terminal.send("x");
    expect([get(IP) & 2, irq.level]).toEqual([0, false]);
    terminal.send("y");
    expect([get(IP) & 2, irq.level]).toEqual([2, true]);
    get(RXDATA);
    expect(irq.level).toBe(false);
  });
});

test("control registers keep only the bits they have", () => {
  const { get, put } = build();
  expect(get(DIV)).toBe(0x363);
  for (const offset of [TXCTRL, RXCTRL, IE, IP, DIV]) put(offset, 0xffff_ffff);
  expect([get(TXCTRL), get(RXCTRL), get(IE), get(DIV)]).toEqual([0x0007_0003, 0x0007_0001, 3, 0xffff]);
});

test("the device tree gives it a clock of its own", () => {
  const { bus, root, console } = contribution(sifiveUart, { clock: "10MHz" });
  expect(u32(bus![0]!, "clocks")).toBe(u32(root![0]!, "phandle")!);
  expect([root![0]!.name, u32(root![0]!, "clock-frequency"), console]).toEqual([
    "clock-sifive-uart0",
    10_000_000,
    true,
  ]);
});
