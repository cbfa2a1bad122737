import { describe, expect, test } from "bun:test";
import { readDtb } from "../../src/fdt/reader.ts";
import { type Fdt, type FdtNode, node } from "../../src/fdt/tree.ts";
import { writeDtb } from "../../src/fdt/writer.ts";
import { codeOf, dtc, expectSameBytes, hasDtc, NEEDS_DTC, randomFdt, sampleFdt } from "./support.ts";

function fdtOf(root: FdtNode, more: Partial<Fdt> = {}): Fdt {
  return { root, reservations: [], bootCpu: 0, ...more };
}

function words(blob: Uint8Array, start: number, end: number): number[] {
  const view = new DataView(blob.buffer, blob.byteOffset);
  return Array.from({ length: (end - start) / 4 }, (_, i) => view.getUint32(start + 4 * i));
}

describe("writeDtb", () => {
  test("the smallest tree, word by word", () => {
    const blob = writeDtb(fdtOf(node(""), { bootCpu: 3 }));
    expect(words(blob, 0, 40)).toEqual([0xd00dfeed, 72, 56, 72, 40, 17, 16, 3, 0, 16]);
    expect(words(blob, 40, 56)).toEqual([0, 0, 0, 0]);
    expect(words(blob, 56, 72)).toEqual([1, 0, 2, 9]);
  });

  test("a property: token, length, name, value, padding", () => {
    const blob = writeDtb(fdtOf(node("", { ab: new Uint8Array([1, 2, 3, 4, 5]) })));
    expect(words(blob, 64, 92)).toEqual([3, 5, 0, 0x01020304, 0x05000000, 2, 9]);
    expect([...blob.subarray(92)]).toEqual([0x61, 0x62, 0]);
  });

  test("names are stored once, and tails of earlier names share them", () => {
    const blob = writeDtb(fdtOf(node("", { "my-reg": 1, reg: 2, "x-reg": 3, g: 4 }, [node("n", { reg: 5, y: 6 })])));
    expect(new TextDecoder().decode(blob.subarray(blob.length - 15))).toBe("my-reg\0x-reg\0y\0");
    expect(words(blob, 8, 16)[1]).toBe(blob.length - 15);
  });

  test("the same tree gives the same bytes", () => {
    expectSameBytes(writeDtb(sampleFdt()), writeDtb(sampleFdt()));
  });

  test("padding is zeros, counted in the size", () => {
    const plain = writeDtb(sampleFdt());
    const padded = writeDtb(sampleFdt(), { padding: 10 });
    expect(words(padded, 4, 8)).toEqual([plain.length + 10]);
    expect([...padded.subarray(plain.length)]).toEqual(Array(10).fill(0));
    expect(readDtb(padded)).toEqual(sampleFdt());
  });

  test("read(write(tree)) is the tree", () => {
    for (let seed = 0; seed < 100; seed++) {
      const fdt = randomFdt(seed);
      expect(readDtb(writeDtb(fdt))).toEqual(fdt);
    }
  });

  test("trees that no blob can hold are refused", () => {
    const deep = node("");
    for (let i = 0, at = deep; i < 64; i++) {
      at.children.push(node("n"));
      at = at.children[0]!;
    }
    const renamed = { ...node("x"), name: "a/b" };
    const refused: [string, () => unknown][] = [
      ["fdt/too-deep", () => writeDtb(fdtOf(deep))],
      ["fdt/name", () => writeDtb(fdtOf(node("root")))],
      ["fdt/name", () => writeDtb(fdtOf(node("", {}, [node("")])))],
      ["fdt/name", () => writeDtb(fdtOf(node("", {}, [renamed])))],
      ["fdt/name", () => writeDtb(fdtOf({ ...node(""), properties: new Map([["a b", new Uint8Array(0)]]) }))],
      ["fdt/duplicate-node", () => writeDtb(fdtOf(node("", {}, [node("a"), node("a")])))],
      ["fdt/reservation", () => writeDtb(fdtOf(node(""), { reservations: [{ address: 1n, size: 0n }] }))],
      ["fdt/reservation", () => writeDtb(fdtOf(node(""), { reservations: [{ address: 1n << 64n, size: 1n }] }))],
      ["fdt/value", () => writeDtb(fdtOf(node(""), { bootCpu: -1 }))],
      ["fdt/value", () => writeDtb(fdtOf(node("")), { padding: -1 })],
      ["fdt/too-large", () => writeDtb(fdtOf(node("")), { padding: 1 << 24 })],
    ];
    for (const [code, action] of refused) expect(codeOf(action)).toBe(code);
  });

  test("63 levels below the root are fine", () => {
    const deep = node("");
    for (let i = 0, at = deep; i < 63; i++) {
      at.children.push(node("n"));
      at = at.children[0]!;
    }
    expect(readDtb(writeDtb(fdtOf(deep))).root).toEqual(deep);
  });
});

describe("writeDtb beside dtc", () => {
  test.skipIf(!hasDtc)(`dtc has nothing to change about our blobs${NEEDS_DTC}`, () => {
    const blobs = [sampleFdt(), ...Array.from({ length: 40 }, (_, seed) => randomFdt(seed))].map((fdt) =>
      writeDtb(fdt),
    );
    for (const blob of blobs) expectSameBytes(dtc("dtb", "dtb", blob, "-f"), blob);
  });

  test.skipIf(!hasDtc)(`the boot CPU and the padding survive dtc${NEEDS_DTC}`, () => {
    const fdt = { ...sampleFdt(), bootCpu: 2 };
    expectSameBytes(dtc("dtb", "dtb", writeDtb(fdt)), writeDtb(fdt));
    expectSameBytes(dtc("dtb", "dtb", writeDtb(fdt), "-p", "100"), writeDtb(fdt, { padding: 100 }));
  });
});
