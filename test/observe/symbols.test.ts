// Names for addresses: from ELF files, from lists, and from files that are not what they seem.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { Symbols } from "../../src/observe/symbols.ts";

const ELF = readFileSync(resolve(import.meta.dir, "../../firmware/exits/exits.elf"));
const of = (...texts: (string | Uint8Array)[]) =>
  new Symbols(texts.map((text, i) => ({ path: `file${i}`, bytes: Buffer.from(text as string) })));

test("a kernel's list: functions alone, modules by name, nothing far behind the last", () => {
  const symbols = of(
    "ffffffff80002000 T _start\nffffffff80002040 t early\nffffffff80002050 D data\n0000000080000000 A absolute\n" +
      "ffffffff01730000 t probe\t[virtio_blk]\n",
  );
  expect(symbols.size).toBe(3);
  expect(symbols.resolve(0xffffffff80002044n)?.symbol).toBe("early");
  expect(symbols.resolve(0xffffffff80002051n)?.symbol).toBe("early");
  expect(symbols.resolve(0xffffffff01730010n)?.symbol).toBe("probe [virtio_blk]");
  expect(symbols.resolve(0xffffffff80000000n)).toBeUndefined();
  expect(symbols.resolve(0xffffffff90000000n)).toBeUndefined();
  expect(symbols.resolve(0n)).toBeUndefined();
});

test("an ELF file: sizes count, assembly has labels, and lists may come beside it", () => {
  const symbols = of(ELF, "c0000000 T elsewhere\n");
  expect(symbols.resolve(0x8000_0000n)).toMatchObject({
    symbol: "_start",
    line: expect.stringMatching(/^start\.S:\d+$/),
  });
  expect(symbols.resolve(0xc000_0000n)).toEqual({ symbol: "elsewhere", line: undefined });
});

describe("what is malformed", () => {
  test("is refused where it is nothing at all", () => {
    expect(() => of("hello\n")).toThrow("file0 is neither an ELF file nor a list of symbols");
    expect(of().size).toBe(0);
  });

  test("gives what can be had, and never fails", () => {
    let random = 7;
    const next = (below: number) => {
      random = (Math.imul(random, 1103515245) + 12345) >>> 0;
      return (random >>> 8) % below;
    };
    for (let round = 0; round < 300; round++) {
      const bytes = Uint8Array.from(ELF).subarray(0, round % 3 === 0 ? 64 + next(ELF.length) : ELF.length);
      // The header's magic stays.
      for (let i = 0; i < 1 + next(40); i++) bytes[6 + next(bytes.length - 6)] = next(256);
      const symbols = of(bytes);
      for (const pc of [0x8000_0000n, 0x8000_0100n, 0n, 2n ** 64n - 1n]) symbols.resolve(pc);
    }
  });
});
