// Firmware that makes a known number of each kind of exit: every one is accounted for, on every engine, and QEMU counts the same.

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { EngineKind } from "../../src/engine/engine.ts";
import { boot } from "../../src/index.ts";
import { Symbols } from "../../src/observe/symbols.ts";
import { ROOT, testWith, VIRT } from "./vmrun.ts";

const FIRMWARE = resolve(ROOT, "firmware/exits/exits.elf");

/** Where nothing is. */
const NOTHING = 0x3000_0000;

/** What firmware/exits/exits.c does, by `read 1 uart0.LSR`: kind, bytes, register. */
function expected(harts: number): Record<string, number> {
  const all = (each: number) => harts * each;
  return {
    "read 1 uart0.LSR": all(100) + (harts * (harts - 1)) / 2,
    "write 1 uart0.SCR": all(50),
    "read 4 rtc.TIME_LOW": all(20),
    "read 4 plic.PRIORITY[]": all(7),
    "write 4 plic.PRIORITY[]": all(5),
    "read 4 clint.MSIP[]": all(4),
    "write 4 clint.MSIP[]": all(4 + 4),
    // 64 bits are two halves.
    "read 4 clint.MTIME": all(2 * 10),
    "write 4 clint.MTIMECMP[]": all(2 * 6),
    "read 4 nothing": all(3),
    "write 1 uart0.LCR": 2,
    "write 1 uart0.DLL": 3,
    "write 1 uart0.DLM": 2,
    "write 4 power.FINISHER": 1,
  };
}

function run(harts: number, engine: EngineKind, exits: "counts" | "costs" = "counts") {
  const guest = boot(VIRT, { exits, engine, set: [`cpu.harts=${harts}`, `boot.firmware=${FIRMWARE}`] });
  expect(guest.runUntil({ instructions: 10_000_000 })).toBe("ended");
  expect(guest.ending).toEqual({ kind: "poweroff" });
  return guest;
}

describe("every exit is accounted for", () => {
  for (const engine of ["interpreter", "translator", "forced", "native"] as const) {
    for (const harts of [1, 2, 4]) {
      test(`on the ${engine} with ${harts} harts`, () => {
        using guest = run(harts, engine);
        const { exits } = guest;
        const accesses = exits.by("kind", "width", "vdev", "register").filter(({ width }) => width !== undefined);
        const named = accesses.map(({ kind, width, vdev, register, count }) => [
          `${kind} ${width} ${vdev === undefined ? "nothing" : `${vdev}.${register}`}`,
          count,
        ]);
        expect(Object.fromEntries(named)).toEqual(expected(harts));
        expect(accesses.reduce((sum, { count }) => sum + count, 0)).toBe(guest.machine.bus.exits);
        expect(exits.count({ kind: "interrupt" })).toBe(harts * 4);
        for (let hart = 0; hart < harts; hart++) {
          expect(exits.count({ hart, register: "LSR" })).toBe(100 + hart);
          expect(exits.count({ hart, event: "machine software" })).toBe(4);
        }
      });
    }
  }
});

test("timing exits counts the same ones", () => {
  using counted = run(2, "translator");
  using timed = run(2, "translator", "costs");
  const counts = (guest: typeof counted) =>
    guest.exits.by("kind", "register", "pc", "hart").map((row) => [row.kind, row.pc, row.hart, row.count].join());
  expect(counts(timed).sort()).toEqual(counts(counted).sort());
});

test("functions and lines are those of the source", () => {
  using guest = run(1, "interpreter");
  const symbols = new Symbols([{ path: FIRMWARE, bytes: readFileSync(FIRMWARE) }]);
  const source = readFileSync(resolve(ROOT, "firmware/exits/exits.c"), "utf8").split("\n");
  const lineWith = (text: string) => `exits.c:${source.findIndex((line) => line.includes(text)) + 1}`;
  const places = guest.exits.resolved(symbols).where({ vdev: "uart0" }).by("symbol", "line");
  expect(places).toEqual([
    { symbol: "bytes", line: lineWith("UART + 5"), count: 100 },
    { symbol: "bytes", line: lineWith("UART + 7"), count: 50 },
    { symbol: "divisor", line: lineWith("uint8_t, UART)"), count: 3 },
    { symbol: "divisor", line: lineWith("UART + 1)"), count: 2 },
    { symbol: "divisor", line: lineWith("= 0x83"), count: 1 },
    { symbol: "divisor", line: lineWith("+ 3) = 3"), count: 1 },
  ]);
});

/** By address and direction: bytes accessed, whatever width the accesses were split into. */
function tally(accesses: Iterable<{ readonly write: boolean; readonly address: number; readonly bytes: number }>) {
  const sums = new Map<string, number>();
  for (const { write, address, bytes } of accesses) {
    // An access of 8 bytes may be two of 4.
    for (let i = 0; i < bytes; i += 4) {
      const key = `${write ? "write" : "read"} 0x${(address + i).toString(16)} ${Math.min(4, bytes)}`;
      sums.set(key, (sums.get(key) ?? 0) + 1);
    }
  }
  return Object.fromEntries([...sums].sort());
}

testWith([], { "qemu-system-riscv64": "qemu-system-misc" })(
  "QEMU's trace of the same guest has the same accesses",
  async () => {
    const machine = ["-M", "virt", "-smp", "4", "-bios", FIRMWARE, "-display", "none", "-serial", "null"];
    const child = Bun.spawn(["qemu-system-riscv64", ...machine, "-trace", "memory_region_ops_*"], { stderr: "pipe" });
    const [trace, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
    expect(code).toBe(0);
    const lines = trace.matchAll(
      /memory_region_ops_(read|write) cpu (-?\d+) mr \S+ addr 0x([0-9a-f]+) value \S+ size (\d)/g,
    );
    const qemu = [...lines]
      // Reset and devices are no exits of a hart.
      .filter(([, , cpu]) => Number(cpu) >= 0)
      .map(([, kind, , at, size]) => ({
        write: kind === "write",
        // What finds nothing has no address of its own there.
        address: Number.parseInt(at, 16) || NOTHING,
        bytes: Number(size),
      }));
    using guest = run(4, "translator");
    const rows = guest.exits.by("kind", "address", "width").filter(({ width }) => width !== undefined);
    const own = rows.flatMap(({ kind, address, width, count }) =>
      Array.from({ length: count }, () => ({ write: kind === "write", address: address!, bytes: width! })),
    );
    expect(Object.keys(tally(own)).length).toBeGreaterThan(20);
    expect(tally(own)).toEqual(tally(qemu));
  },
);
