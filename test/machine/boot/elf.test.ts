import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { render, VmrunError } from "../../../src/diagnostics/diagnostic.ts";
import { bytesOf, Held } from "../../../src/machine/boot/contents.ts";
import { readElf as readElfFrom } from "../../../src/machine/boot/elf.ts";
import { chance, type ElfSpec, filled, makeElf, refusal, spoil, text } from "./images.ts";

const BASE = 0x8000_0000;
const CODE = filled(16, 0x13);
const plain: ElfSpec = {
  entry: BASE + 4,
  segments: [
    { at: BASE, bytes: CODE },
    { at: BASE + 0x1000, bytes: text("data"), memorySize: 0x100 },
  ],
};

/** With the bytes of each segment in place of where they are. */
function readElf(bytes: Uint8Array, file: string) {
  const image = readElfFrom(new Held(bytes), file);
  const segments = image.segments.map(({ contents, ...rest }) => ({ bytes: bytesOf(contents), ...rest }));
  return { ...image, segments };
}

/** The plain file with one field overwritten. */
function withField(at: number, bits: 8 | 16 | 32 | 64, value: number | bigint): Uint8Array {
  const bytes = makeElf(plain);
  const view = new DataView(bytes.buffer);
  if (bits === 8) view.setUint8(at, Number(value));
  else if (bits === 16) view.setUint16(at, Number(value), true);
  else if (bits === 32) view.setUint32(at, Number(value), true);
  else view.setBigUint64(at, BigInt(value), true);
  return bytes;
}

describe("reading", () => {
  test("entry, segments and what they take in memory", () => {
    expect(readElf(makeElf(plain), "fw.elf")).toEqual({
      entry: BASE + 4,
      segments: [
        { at: BASE, bytes: CODE, memorySize: 16 },
        { at: BASE + 0x1000, bytes: text("data"), memorySize: 0x100 },
      ],
      movable: false,
    });
  });

  test("segments come by ascending address, and empty ones not at all", () => {
    const { segments } = readElf(
      makeElf({ entry: 0x100, segments: [{ at: 0x2000, bytes: CODE }, { at: 0x1000 }, { at: 0x100, memorySize: 8 }] }),
      "x",
    );
    expect(segments.map(({ at, memorySize }) => [at, memorySize])).toEqual([
      [0x100, 8],
      [0x2000, 16],
    ]);
  });

  test("a virtual entry becomes physical through its segment", () => {
    const high = 0xffff_ffff_8000_0000n;
    const image = readElf(makeElf({ entry: high + 8n, segments: [{ at: BASE, virtual: high, bytes: CODE }] }), "x");
    expect(image.entry).toBe(BASE + 8);
  });

  test("headers that are not PT_LOAD are passed over", () => {
    const segments = [{ type: 0x7000_0003, at: 0, bytes: CODE }, ...plain.segments];
    expect(readElf(makeElf({ ...plain, segments }), "x").segments).toHaveLength(2);
  });

  test("ET_DYN may be moved", () => {
    expect(readElf(makeElf({ ...plain, type: 3 }), "x").movable).toBe(true);
  });

  test("a window on a larger buffer is read from its own start", () => {
    const file = makeElf(plain);
    const large = filled(file.length + 16, 0xee);
    large.set(file, 8);
    expect(readElf(large.subarray(8, 8 + file.length), "x")).toEqual(readElf(file, "x"));
  });

  test("the board monitor that ships", () => {
    const image = readElf(readFileSync(new URL("../../../firmware/monitor.elf", import.meta.url)), "monitor.elf");
    expect(image.entry).toBe(BASE);
    expect(image.segments[0].at).toBe(BASE);
  });
});

describe("refusing", () => {
  const dynamic = makeElf({ ...plain, segments: [{ type: 3, at: 0, bytes: text("/lib/ld.so\0") }, ...plain.segments] });
  const overlapping = makeElf({
    entry: BASE,
    segments: [
      { at: BASE, memorySize: 0x1001 },
      { at: BASE + 0x1000, bytes: CODE },
    ],
  });
  const cases: readonly (readonly [name: string, bytes: Uint8Array, code: string, offset: number, message: RegExp])[] =
    [
      ["no ELF", text("#!/bin/sh"), "elf/magic", 0, /no ELF/],
      ["cut in the header", makeElf(plain).slice(0, 63), "elf/truncated", 63, /63 of the ELF header's 64/],
      ["cut in the program headers", makeElf(plain).slice(0, 64 + 111), "elf/truncated", 32, /program headers end/],
      ["cut in a segment", makeElf(plain).slice(0, -1), "elf/truncated", 64 + 56 + 8, /bytes end/],
      ["big endian", withField(5, 8, 2), "elf/byte-order", 5, /big endian/],
      ["no byte order", withField(5, 8, 7), "elf/byte-order", 5, /EI_DATA is 7/],
      ["x86-64", withField(18, 16, 62), "elf/machine", 18, /for x86-64; vmrun's CPU is riscv64/],
      ["unknown machine", withField(18, 16, 999), "elf/machine", 18, /machine 999/],
      ["32-bit", withField(4, 8, 1), "elf/class", 4, /32-bit RISC-V/],
      ["no class", withField(4, 8, 0), "elf/class", 4, /EI_CLASS is 0/],
      ["version", withField(20, 32, 2), "elf/version", 20, /e_version is 2/],
      ["object file", withField(16, 16, 1), "elf/type", 16, /object file/],
      ["core dump", withField(16, 16, 4), "elf/type", 16, /core dump/],
      ["odd type", withField(16, 16, 0xfe00), "elf/type", 16, /e_type is 65024/],
      ["program header size", withField(54, 16, 32), "elf/header", 54, /e_phentsize is 32/],
      ["no program headers", withField(56, 16, 0), "elf/empty", 64, /no loadable/],
      ["too many program headers", withField(56, 16, 0xffff), "elf/header", 56, /65535 program headers/],
      ["program headers outside", withField(32, 64, 1n << 63n), "elf/truncated", 32, /program header table/],
      [
        "program headers at the end",
        withField(32, 64, makeElf(plain).length),
        "elf/truncated",
        32,
        /program headers end/,
      ],
      ["segment outside", withField(64 + 8, 64, 2n ** 64n - 1n), "elf/truncated", 64 + 8, /0xffffffffffffffff/],
      ["segment beyond the file", withField(64 + 32, 64, 4096), "elf/truncated", 64 + 32, /size/],
      ["more in the file than in memory", withField(64 + 40, 64, 15), "elf/segment", 64 + 32, /more than fit/],
      ["size beyond 2^53", withField(64 + 40, 64, 1n << 60n), "elf/address", 64 + 40, /beyond 2\^53/],
      ["address beyond 2^53", withField(64 + 24, 64, 1n << 53n), "elf/address", 64 + 24, /beyond 2\^53/],
      ["end beyond 2^53", withField(64 + 24, 64, 2n ** 53n - 8n), "elf/address", 64 + 24, /reaches beyond/],
      ["entry beyond 2^53", withField(24, 64, 1n << 63n), "elf/address", 24, /entry point/],
      ["dynamic", dynamic, "elf/dynamic", 64, /dynamic loader/],
      ["overlap", overlapping, "elf/overlap", 64 + 56 + 24, /ends at 0x80001001, the next begins at 0x80001000/],
    ];
  for (const [name, bytes, code, offset, message] of cases) {
    test(name, () => {
      const found = refusal(() => readElf(bytes, "fw.elf"));
      expect(found.code).toBe(code);
      expect(found.message).toMatch(message);
      expect(found.place).toEqual({ file: "fw.elf", offset });
    });
  }

  test("as a person reads it", () => {
    expect(render(refusal(() => readElf(withField(18, 16, 62), "fw.elf")))).toMatchInlineSnapshot(`
      "fw.elf, offset 0x12: error[elf/machine]: this ELF is for x86-64; vmrun's CPU is riscv64
        hint: build it with a riscv64 compiler, or name another file"
    `);
  });
});

test("spoilt files are read or refused, nothing else", () => {
  const next = chance(0x0e1f);
  const outcomes = { read: 0, refused: 0 };
  const original = makeElf(plain);
  for (let round = 0; round < 20_000; round++) {
    const bytes = spoil(original, next);
    try {
      for (const { at, bytes: data, memorySize } of readElf(bytes, "x").segments) {
        if (!Number.isSafeInteger(at + memorySize) || data.length > memorySize)
          throw new Error(`round ${round}: ${at}`);
      }
      outcomes.read++;
    } catch (error) {
      if (!(error instanceof VmrunError)) throw error;
      outcomes.refused++;
    }
  }
  expect(outcomes.read).toBeGreaterThan(1000);
  expect(outcomes.refused).toBeGreaterThan(1000);
});
