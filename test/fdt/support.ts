/** What the tests of src/fdt share: a small board, trees at random, errors as values, and dtc as the judge. */
import { expect } from "bun:test";
import { VmrunError } from "../../src/diagnostics/diagnostic.ts";
import { cells64, type Fdt, type FdtNode, node, type PropertyInput, setProperty } from "../../src/fdt/tree.ts";

export const hasDtc = Bun.which("dtc") !== null;
/** For the name of a test that needs dtc, so that a skip says why. */
export const NEEDS_DTC = hasDtc ? "" : " (skipped: install device-tree-compiler)";

/** Runs dtc; its warnings are not our business here, its failure is. */
export function dtc(from: "dtb" | "dts", to: "dtb" | "dts", input: Uint8Array | string, ...more: string[]): Uint8Array {
  const run = Bun.spawnSync(["dtc", "-q", "-I", from, "-O", to, ...more, "-"], { stdin: Buffer.from(input) });
  if (run.exitCode !== 0) throw new Error(`dtc failed: ${run.stderr.toString()}`);
  return new Uint8Array(run.stdout);
}

/** Compares blobs without printing megabytes when they differ. */
export function expectSameBytes(actual: Uint8Array, expected: Uint8Array): void {
  const difference = expected.findIndex((byte, i) => actual[i] !== byte);
  expect({ length: actual.length, difference }).toEqual({ length: expected.length, difference: -1 });
}

export function errorOf(action: () => unknown): VmrunError {
  try {
    action();
  } catch (error) {
    if (error instanceof VmrunError) return error;
    throw error;
  }
  throw new Error("expected a VmrunError, but nothing was thrown");
}

export function codeOf(action: () => unknown): string {
  return errorOf(action).diagnostics[0]!.code;
}

/** Every kind of value, shared name tails, depth, a reservation. */
export function sampleFdt(): Fdt {
  const root = node("", { "#address-cells": 2, "#size-cells": 2, compatible: ["acme,board", "riscv-virtio"] }, [
    node("chosen", { bootargs: 'console=ttyS0 quote="a\\b"', "stdout-path": "/soc/serial@10000000" }),
    node("memory@80000000", { device_type: "memory", reg: cells64(0x8000_0000, 0x1_0000_0000) }),
    node("cpus", { "#address-cells": 1, "#size-cells": 0, "timebase-frequency": 10_000_000 }, [
      node("cpu@0", { device_type: "cpu", reg: 0, "riscv,isa": "rv64gc", status: undefined }, [
        node("interrupt-controller", { "#interrupt-cells": 1, "interrupt-controller": true, phandle: 1 }),
      ]),
    ]),
    node("soc", { "#address-cells": 2, "#size-cells": 2, ranges: true }, [
      node("serial@10000000", {
        reg: cells64(0x1000_0000, 0x100),
        "clock-frequency": 3_686_400n,
        "mac-address": new Uint8Array([2, 0, 0, 0, 0]),
        "reg-names": "",
        names: ["", "x"],
      }),
    ]),
  ]);
  return { root, reservations: [{ address: 0x8000_0000n, size: 0x1000n }], bootCpu: 0 };
}

/** Numbers in [0, limit) from a fixed seed (mulberry32). */
export function randomFrom(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
}

/** A tree of odd names and values: what a guess about types or a sharing of names could get wrong. */
export function randomFdt(seed: number): Fdt {
  const random = randomFrom(seed);
  const pick = (from: string): string => from[random(from.length)]!;
  const word = (alphabet: string): string => Array.from({ length: 1 + random(5) }, () => pick(alphabet)).join("");

  const value = (): PropertyInput => {
    const bytes = (size: number, limit: number) => Uint8Array.from({ length: size }, () => random(limit));
    switch (random(6)) {
      case 0:
        return true;
      case 1:
        return random(2 ** 32);
      case 2:
        return Array.from({ length: random(4) }, () => word("aB 7\\\"'\n\t/*;{}\u00e9"));
      case 3:
        return bytes(random(9), 256);
      case 4:
        // Around the border between strings and cells: NULs, control characters, letters.
        return bytes(4 * random(4), 14);
      default:
        return Uint8Array.from({ length: random(8) }, () => [0, 0x41, 0x31][random(3)]!);
    }
  };

  const grow = (name: string, depth: number): FdtNode => {
    const made = node(name);
    for (let i = random(5); i > 0; i--) setProperty(made, word("ab1#?-,.+*_"), value());
    const names = new Set(
      Array.from(
        { length: depth > 4 ? 0 : random(5) },
        () => word("ab1,.+*_-") + (random(2) ? `@${word("0fa,")}` : ""),
      ),
    );
    made.children = [...names].map((next) => grow(next, depth + 1));
    return made;
  };

  const reservations = Array.from({ length: random(3) }, () => ({
    address: BigInt(random(2 ** 48)) << 16n,
    size: BigInt(1 + random(2 ** 40)),
  }));
  return { root: grow("", 0), reservations, bootCpu: 0 };
}
