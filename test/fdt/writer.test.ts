import { describe, expect, test } from "bun:test";
import { readDtb } from "../../src/fdt/reader.ts";
import { sortTree } from "../../src/fdt/sort.ts";
import { type Fdt, type FdtNode, node } from "../../src/fdt/tree.ts";
import { type WriteOptions, writeDtb } from "../../src/fdt/writer.ts";
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

  test("a least size and an alignment, as dtc has them", () => {
    const size = (options: WriteOptions) => writeDtb(sampleFdt(), options).length;
    const plain = size({});
    expect(size({ size: plain + 5 })).toBe(plain + 5);
    expect(size({ size: 10 })).toBe(plain);
    expect(size({ padding: 100, align: 64 })).toBe(Math.ceil((plain + 100) / 64) * 64);
    for (const wrong of [{ align: 0 }, { size: -1 }, { padding: 0.5 }, { spareReservations: 2 ** 40 }]) {
      expect(codeOf(() => size(wrong))).toBe("fdt/value");
    }
  });

  test("with force, what is wrong too, and the reader tolerates it on request", () => {
    const wrong = fdtOf(node("", {}, [node("a"), node("a"), { ...node("b"), name: "b c" }]));
    const blob = writeDtb(wrong, { force: true });
    const findings: string[] = [];
    expect(readDtb(blob, { tolerate: ({ code }) => findings.push(code) })).toEqual(wrong);
    expect(findings).toEqual(["fdt/duplicate-node", "fdt/name"]);
    const beyond = fdtOf(node("", {}, [{ ...node("b"), name: "b\0c" }]));
    expect(codeOf(() => writeDtb(beyond, { force: true }))).toBe("fdt/name");
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

  test.skipIf(!hasDtc)(`spare reservations, version 16 and sorted trees are dtc's${NEEDS_DTC}`, () => {
    const blob = writeDtb(sampleFdt());
    expectSameBytes(writeDtb(sampleFdt(), { spareReservations: 3 }), dtc("dtb", "dtb", blob, "-R", "3"));
    expectSameBytes(writeDtb(sampleFdt(), { version: 16 }), dtc("dtb", "dtb", blob, "-V", "16"));
    for (let seed = 0; seed < 20; seed++) {
      const fdt = randomFdt(seed);
      const sorted = dtc("dtb", "dtb", writeDtb(fdt), "-f", "-s");
      sortTree(fdt);
      expectSameBytes(writeDtb(fdt), sorted);
    }
  });

  test.skipIf(!hasDtc)(`the boot CPU and the padding survive dtc${NEEDS_DTC}`, () => {
    const fdt = { ...sampleFdt(), bootCpu: 2 };
    expectSameBytes(dtc("dtb", "dtb", writeDtb(fdt)), writeDtb(fdt));
    expectSameBytes(dtc("dtb", "dtb", writeDtb(fdt), "-p", "100"), writeDtb(fdt, { padding: 100 }));
  });
});
