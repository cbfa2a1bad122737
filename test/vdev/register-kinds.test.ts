// What registers and fields do by declaration alone: set, clear, read-clears, write-once, reserved, unimplemented, FIFOs.
import { describe, expect, test } from "bun:test";
import { registerBank } from "../../src/vdev/bank.ts";
import { fieldMasks, registerMap } from "../../src/vdev/registers.ts";
import { fakeHost } from "../../src/vdev/testing.ts";

const map = registerMap({
  SET: { at: 0x00, width: 4, access: "w1s", writable: 0xff, about: "writing 1 sets" },
  COUNT: { at: 0x04, width: 4, access: "rc", reset: 7, about: "a read clears" },
  LOCK: { at: 0x08, width: 4, access: "once", reset: 1, about: "the first write counts" },
  RESERVED: { at: 0x0c, width: 4, access: "reserved", reset: 0xffff_0000, about: "keep out" },
  DMA: { at: 0x10, width: 4, access: "unimplemented", reset: 3, about: "direct memory access" },
  MIXED: {
    at: 0x14,
    width: 4,
    reset: 0x0100_0000,
    fields: {
      mode: { bits: [3, 0], values: { off: 0, on: 1 }, about: "plain" },
      error: { bits: 8, access: "w1c" },
      request: { bits: 9, access: "w1s" },
      seen: { bits: 10, access: "rc" },
      lock: { bits: 16, access: "once" },
      state: { bits: 24, access: "r" },
      turbo: { bits: 28, access: "unimplemented" },
      top: { bits: [31, 29], access: "reserved" },
    },
    about: "a bit of each",
  },
  WIDE: { at: 0x18, width: 8, fields: { high: { bits: [63, 60], access: "w1c" } }, about: "64 bits" },
  RX: { at: 0x20, width: 1, access: "r", fifo: { depth: 4, empty: 0xee }, about: "receive" },
  TX: { at: 0x20, width: 1, access: "w", writable: 0x7f, fifo: { depth: 2 }, about: "transmit" },
});

/** A receiver whose control register cannot be read, and one whose level is a plain number. */
const tied = registerMap({
  DATA: {
    at: 0,
    width: 1,
    access: "r",
    fifo: {
      depth: 8,
      enable: "CONTROL.on",
      switching: "empties",
      clear: "CONTROL.clear",
      level: { by: "CONTROL.level", values: [1, 2, 4, 6] },
      flags: {
        ready: "STATUS.ready",
        empty: "STATUS.empty",
        full: "STATUS.full",
        reached: "STATUS.reached",
        overrun: ["STATUS.overrun", "ERRORS.overrun"],
      },
    },
    about: "receive",
  },
  CONTROL: { at: 1, width: 1, access: "w", fields: { on: 0, clear: 1, level: [7, 6] } },
  STATUS: { at: 2, width: 1, access: "r", reset: 2, fields: { ready: 0, empty: 1, full: 2, reached: 3, overrun: 4 } },
  ERRORS: { at: 3, width: 1, fields: { overrun: { bits: 7, access: "w1c" } } },
  OTHER: {
    at: 4,
    width: 1,
    access: "r",
    fifo: { depth: 4, level: { by: "MARK.level" }, flags: { above: "MARK.above", below: "MARK.below" } },
    about: "receive",
  },
  MARK: { at: 5, width: 1, writable: 7, fields: { level: [2, 0], above: 4, below: 5 } },
});

function make() {
  const { log, logged } = fakeHost();
  const bank = registerBank(map, { log });
  return { bank, logged, regs: bank.registers };
}

describe("registers", () => {
  test("w1s sets and never clears", () => {
    const { bank, regs } = make();
    bank.write(0, 4, 0x105);
    bank.write(1, 1, 0xff);
    bank.write(0, 1, 0x02);
    expect(bank.read(0, 4)).toBe(0x07);
    regs.SET.value = 0;
    expect(bank.read(0, 4)).toBe(0);
  });

  test("rc is cleared by a read, not by a write, and its device is told", () => {
    const { bank } = make();
    const taken: number[] = [];
    bank.behave({ COUNT: { taken: (value) => void taken.push(value) } });
    bank.write(4, 4, 0xff);
    expect([bank.read(4, 4), bank.read(4, 4)]).toEqual([7, 0]);
    expect(taken).toEqual([7, 0]);
  });

  test("once takes one write until a reset", () => {
    const { bank } = make();
    bank.write(8, 4, 0x55);
    bank.write(8, 4, 0xaa);
    expect(bank.read(8, 4)).toBe(0x55);
    const saved = JSON.parse(JSON.stringify(bank.snapshot()));
    bank.reset();
    expect(bank.read(8, 4)).toBe(1);
    bank.restore(saved);
    bank.write(8, 4, 0xaa);
    expect(bank.read(8, 4)).toBe(0x55);
    expect(bank.snapshot()).toEqual(saved);
  });

  test("reserved keeps its value, without a word", () => {
    const { bank, logged } = make();
    bank.write(0xc, 4, 0);
    expect(bank.read(0xc, 4)).toBe(0xffff_0000);
    expect(logged).toEqual([]);
  });

  test("unimplemented keeps its value, and tells once for each direction", () => {
    const { bank, logged } = make();
    for (let i = 0; i < 5; i++) {
      bank.write(0x10, 4, 0x10 + i);
      expect(bank.read(0x10, 4)).toBe(3);
    }
    expect(logged.map(({ message }) => message)).toEqual(["write of unimplemented DMA", "read of unimplemented DMA"]);
  });
});

describe("fields with rules of their own", () => {
  test("each does its own in one write", () => {
    const { bank, regs, logged } = make();
    regs.MIXED.value |= fieldMasks(map.MIXED).error | fieldMasks(map.MIXED).seen;
    const written: number[] = [];
    bank.behave({ MIXED: { write: (value) => void written.push(value) } });
    bank.write(0x14, 4, 0xffff_ffff);
    // Plain bits 0xffff_ffff of no field included.
    expect(regs.MIXED.value & 0x0f).toBe(0x0f);
    expect(regs.MIXED.value & fieldMasks(map.MIXED).error).toBe(0);
    expect(regs.MIXED.value & fieldMasks(map.MIXED).request).not.toBe(0);
    expect(regs.MIXED.value & fieldMasks(map.MIXED).lock).not.toBe(0);
    expect(regs.MIXED.value >>> 28).toBe(0);
    expect(written).toHaveLength(1);
    expect(logged.map(({ message }) => message)).toEqual(["write of unimplemented MIXED.turbo"]);
    bank.write(0x14, 4, 0);
    expect(regs.MIXED.value & fieldMasks(map.MIXED).lock).not.toBe(0);
    expect(regs.MIXED.value & fieldMasks(map.MIXED).request).not.toBe(0);
    expect(regs.MIXED.value & fieldMasks(map.MIXED).state).not.toBe(0);
  });

  test("a read clears only the bits that say so", () => {
    const { bank, regs } = make();
    regs.MIXED.value = 0x0000_0405;
    expect([bank.read(0x14, 4), bank.read(0x14, 4)]).toEqual([0x405, 0x005]);
  });

  test("a narrow write touches its bytes alone", () => {
    const { bank, regs } = make();
    bank.write(0x14, 1, 0x5);
    bank.write(0x16, 1, 0);
    // The byte of the lock was written: it counts.
    bank.write(0x16, 1, 1);
    expect(regs.MIXED.value).toBe(0x0100_0005);
    const other = make();
    other.bank.write(0x14, 1, 0x5);
    other.bank.write(0x16, 1, 1);
    expect(other.regs.MIXED.value).toBe(0x0101_0005);
  });

  test("of 64 bits", () => {
    const { bank, regs } = make();
    regs.WIDE.putWide(0xf000_0000_0000_0000n);
    bank.write(0x18, 4, 0x1234_5678);
    bank.write(0x1c, 4, 0x9000_0001);
    expect(regs.WIDE.wide()).toBe(0x6000_0001_1234_5678n);
  });
});

describe("FIFOs", () => {
  test("a read takes the oldest, or gives the value for empty", () => {
    const { bank, regs } = make();
    const taken: number[] = [];
    bank.behave({ RX: { taken: (value) => void taken.push(value) } });
    for (const value of [1, 2, 3, 4, 5]) regs.RX.fifo.push(value);
    expect([regs.RX.fifo.length, regs.RX.fifo.isFull]).toEqual([4, true]);
    expect(Array.from({ length: 5 }, () => bank.read(0x20, 1))).toEqual([1, 2, 3, 4, 0xee]);
    expect(taken).toEqual([1, 2, 3, 4]);
  });

  test("a write appends; what does not fit is lost, and the device is told", () => {
    const { bank, regs } = make();
    const told: string[] = [];
    bank.behave({
      TX: {
        write: (value) => void told.push(`write ${value}`),
        overrun: (value) => void told.push(`overrun ${value}`),
      },
    });
    for (const value of [7, 8, 9]) bank.write(0x20, 1, value);
    expect(told).toEqual(["write 7", "write 8", "overrun 9"]);
    expect([regs.TX.fifo.pop(), regs.TX.fifo.pop(), regs.TX.fifo.pop()]).toEqual([7, 8, -1]);
  });

  test("keep the writable bits of what is written", () => {
    const { bank, regs } = make();
    bank.write(0x20, 1, 0xff);
    expect(regs.TX.fifo.values).toEqual([0x7f]);
  });

  test("are cleared by a reset, and part of a snapshot", () => {
    const { bank, regs } = make();
    for (const value of [1, 3]) regs.RX.fifo.push(value);
    const saved = JSON.parse(JSON.stringify(bank.snapshot()));
    expect(saved.fifos).toEqual({ RX: [1, 3] });
    bank.reset();
    expect(regs.RX.fifo.values).toEqual([]);
    bank.restore(saved);
    expect(regs.RX.fifo.values).toEqual([1, 3]);
    expect(() => bank.restore({ window: null, values: {}, fifos: { RX: [1, 2, 3, 4, 5] } })).toThrow("no FIFO");
    expect(() => bank.restore({ window: null, values: {}, fifos: { SET: [1] } })).toThrow("no FIFO");
    expect(() => bank.restore({ window: null, values: {}, written: [99] })).toThrow("no word");
  });
});

describe("FIFOs and the fields they are tied to", () => {
  const [READY, EMPTY, FULL, REACHED, OVERRUN] = [1, 2, 4, 8, 16];

  function receiver(control: number) {
    const bank = registerBank(tied);
    bank.write(1, 1, control);
    const { fifo } = bank.registers.DATA;
    return { bank, fifo, status: () => bank.read(2, 1) };
  }

  test("off holds one value; the control bits switch it, and are kept", () => {
    const { bank, fifo, status } = receiver(0);
    expect([fifo.push(1), fifo.push(2), fifo.level]).toEqual([true, false, 1]);
    expect(status()).toBe(READY | FULL | REACHED | OVERRUN);
    bank.write(1, 1, 0x81);
    expect([fifo.length, fifo.on, fifo.level]).toEqual([0, true, 4]);
    expect(status()).toBe(EMPTY | OVERRUN);
    expect(bank.read(1, 1)).toBe(0);
  });

  test("clear empties, and does nothing while it is off", () => {
    const { bank, fifo } = receiver(1);
    for (const value of [1, 2]) fifo.push(value);
    bank.write(1, 1, 3);
    expect(fifo.values).toEqual([]);
    bank.write(1, 1, 0);
    fifo.push(1);
    bank.write(1, 1, 2);
    expect(fifo.values).toEqual([1]);
  });

  test("reached is set by arrivals and cleared below the level; what clears it meanwhile is not undone", () => {
    const { bank, fifo, status } = receiver(0x41);
    fifo.push(1);
    expect(status() & REACHED).toBe(0);
    for (const value of [2, 3, 4]) fifo.push(value);
    expect(status() & REACHED).toBe(REACHED);
    bank.registers.STATUS.value &= ~REACHED;
    bank.read(0, 1);
    expect(status() & REACHED).toBe(0);
    fifo.push(5);
    expect(status() & REACHED).toBe(REACHED);
    for (let i = 0; i < 3; i++) bank.read(0, 1);
    expect([fifo.length, status() & REACHED]).toEqual([1, 0]);
  });

  test("an overrun stays until it is cleared, and the newest value can be marked", () => {
    const { bank, fifo } = receiver(0);
    for (const value of [1, 2]) if (!fifo.push(value)) fifo.last |= 0x80;
    expect([bank.read(3, 1), bank.read(0, 1)]).toEqual([0x80, 0x81]);
    bank.write(3, 1, 0x80);
    expect(bank.read(3, 1)).toBe(0);
  });

  test("a level that is a number of its own counts at once", () => {
    const bank = registerBank(tied);
    const { fifo } = bank.registers.OTHER;
    const seen = () => bank.read(5, 1) >>> 4;
    expect(seen()).toBe(0);
    bank.write(5, 1, 1);
    expect(seen()).toBe(2);
    fifo.push(1);
    expect(seen()).toBe(0);
    fifo.push(2);
    expect(seen()).toBe(1);
    bank.write(5, 1, 7);
    expect(seen()).toBe(2);
  });

  test("a snapshot carries switch, level, contents and bits", () => {
    const { bank, fifo } = receiver(0x81);
    for (const value of [1, 2, 3, 4]) fifo.push(value);
    const saved = JSON.parse(JSON.stringify(bank.snapshot()));
    const copy = registerBank(tied);
    copy.restore(saved);
    const other = copy.registers.DATA.fifo;
    expect([other.values, other.on, other.level]).toEqual([[1, 2, 3, 4], true, 4]);
    expect(copy.read(2, 1)).toBe(READY | REACHED);
    expect(copy.snapshot()).toEqual(saved);
    copy.reset();
    expect(copy.snapshot()).toEqual(registerBank(tied).snapshot());
    expect([other.on, other.level, other.isEmpty]).toEqual([false, 1, true]);
  });
});

test("a device is asked before a read, and told what was stored before a write", () => {
  const { bank, regs } = make();
  const told: number[][] = [];
  bank.behave({
    COUNT: { refresh: () => void regs.COUNT.value++ },
    MIXED: {
      refresh() {
        regs.MIXED.value |= 2;
      },
      write: (value, _, __, before) => void told.push([value, before]),
    },
  });
  expect([bank.read(4, 4), bank.read(4, 4), bank.read(0x14, 1)]).toEqual([8, 1, 2]);
  bank.write(0x14, 1, 5);
  expect(told).toEqual([[5, 0x0100_0002]]);
});

describe("contradictions are refused", () => {
  test.each([
    ["a FIFO with both ends", { A: { at: 0, width: 4, fifo: { depth: 2 } } }],
    ["a FIFO array", { A: { at: 0, width: 4, access: "r", count: 2, fifo: { depth: 2 } } }],
    ["a FIFO without depth", { A: { at: 0, width: 4, access: "r", fifo: { depth: 0 } } }],
    ["an empty value that does not fit", { A: { at: 0, width: 1, access: "r", fifo: { depth: 1, empty: 256 } } }],
    [
      "a FIFO tied to no field",
      { A: { at: 0, width: 4, access: "r", fifo: { depth: 2, enable: "B.on" } }, B: { at: 4, width: 4 } },
    ],
    [
      "a FIFO with fewer levels than its field has values",
      {
        A: { at: 0, width: 4, access: "r", fifo: { depth: 2, level: { by: "B.level", values: [1] } } },
        B: { at: 4, width: 4, fields: { level: [1, 0] } },
      },
    ],
    [
      "a FIFO whose flag is several bits",
      {
        A: { at: 0, width: 4, access: "r", fifo: { depth: 2, flags: { full: "B.level" } } },
        B: { at: 4, width: 4, fields: { level: [1, 0] } },
      },
    ],
    ["a field value that does not fit", { A: { at: 0, width: 4, fields: { f: { bits: [1, 0], values: { x: 4 } } } } }],
    [
      "a field rule in a write-only register",
      { A: { at: 0, width: 4, access: "w", fields: { f: { bits: 1, access: "w1c" } } } },
    ],
  ] as const)("%s", (_, bad) => {
    expect(() => registerMap(bad)).toThrow("vdev/register-map");
  });
});
