import { describe, expect, test } from "bun:test";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { render, VmrunError } from "../../src/diagnostics/diagnostic.ts";
import { printDts } from "../../src/fdt/printer.ts";
import { readDtb } from "../../src/fdt/reader.ts";
import { writeDtb } from "../../src/fdt/writer.ts";
import { codeOf, dtc, errorOf, expectSameBytes, hasDtc, NEEDS_DTC, randomFrom, sampleFdt } from "./support.ts";

const MAX_SIZE = 16 << 20;
const BEGIN = 1;
const END_NODE = 2;
const PROPERTY = 3;
const NOP = 4;
const END = 9;

/** A blob around a hand-made structure block; header fields can be overridden by their index. */
function blobOf(structure: number[], strings = "reg\0compatible\0", header: Record<number, number> = {}): Uint8Array {
  const stringsOffset = 56 + 4 * structure.length;
  const fields = [
    0xd00dfeed,
    stringsOffset + strings.length,
    56,
    stringsOffset,
    40,
    17,
    16,
    0,
    strings.length,
    4 * structure.length,
  ];
  for (const [index, value] of Object.entries(header)) fields[Number(index)] = value;
  const blob = new Uint8Array(stringsOffset + strings.length);
  const view = new DataView(blob.buffer);
  [...fields, 0, 0, 0, 0, ...structure].forEach((word, i) => {
    view.setUint32(4 * i, word);
  });
  blob.set(new TextEncoder().encode(strings), stringsOffset);
  return blob;
}

/** Up to four characters as one word of the structure block. */
function word(text: string): number {
  return Buffer.from(text.padEnd(4, "\0")).readUInt32BE();
}

const EMPTY = [BEGIN, 0, END_NODE, END];

describe("readDtb accepts", () => {
  test("what the writer writes", () => {
    expect(readDtb(writeDtb(sampleFdt()))).toEqual(sampleFdt());
  });

  test("bytes behind the end, and bytes inside a larger buffer", () => {
    const blob = writeDtb(sampleFdt());
    const room = new Uint8Array(blob.length + 33).fill(0xaa);
    room.set(blob, 13);
    expect(readDtb(room.subarray(13))).toEqual(sampleFdt());
  });

  test("NOPs everywhere, and properties behind subnodes", () => {
    const structure = [NOP, BEGIN, 0, NOP, BEGIN, word("a"), NOP, END_NODE, PROPERTY, 0, 0, NOP, END_NODE, NOP, END];
    const { root } = readDtb(blobOf(structure));
    expect(root.children.map(({ name }) => name)).toEqual(["a"]);
    expect([...root.properties.keys()]).toEqual(["reg"]);
  });

  test("version 16, which does not give the size of its structure", () => {
    expect(readDtb(blobOf(EMPTY, "reg\0", { 5: 16, 9: 0 })).root.children).toEqual([]);
  });

  test("newer versions that say they are compatible", () => {
    expect(readDtb(blobOf(EMPTY, "", { 5: 18, 6: 17 })).root.name).toBe("");
  });

  test("values are the tree's own: the input may change afterwards, even a Buffer", () => {
    const blob = Buffer.from(writeDtb(sampleFdt()));
    const fdt = readDtb(blob);
    blob.fill(0xff);
    expect(fdt).toEqual(sampleFdt());
  });

  test.skipIf(!hasDtc)(`version 16 as dtc writes it${NEEDS_DTC}`, () => {
    expect(readDtb(dtc("dtb", "dtb", writeDtb(sampleFdt()), "-V", "16"))).toEqual(sampleFdt());
  });
});

describe("readDtb refuses", () => {
  const deep = [...Array(65).keys()].flatMap((i) => (i === 0 ? [BEGIN, 0] : [BEGIN, word("a")]));
  const late = 56 + 4 * EMPTY.length;

  test.each<[string, Uint8Array, string, number]>([
    ["nothing", new Uint8Array(0), "fdt/truncated", 0],
    ["a cut header", blobOf(EMPTY).subarray(0, 20), "fdt/truncated", 20],
    ["another magic", blobOf(EMPTY, "", { 0: 0x7f454c46 }), "fdt/magic", 0],
    ["swapped bytes", blobOf(EMPTY, "", { 0: 0xedfe0dd0 }), "fdt/magic", 0],
    ["an old version", blobOf(EMPTY, "", { 5: 3, 6: 1 }), "fdt/version", 20],
    ["a future version", blobOf(EMPTY, "", { 5: 18, 6: 18 }), "fdt/version", 20],
    ["a size smaller than the header", blobOf(EMPTY, "", { 1: 39 }), "fdt/header", 4],
    ["a size larger than the bytes", blobOf(EMPTY, "", { 1: 1000 }), "fdt/truncated", 4],
    ["a huge size", blobOf(EMPTY, "", { 1: 0xffffffff }), "fdt/truncated", 4],
    ["a structure outside", blobOf(EMPTY, "", { 2: 0xfffffff0 }), "fdt/header", 8],
    ["a structure that reaches outside", blobOf(EMPTY, "", { 9: 0xfffffff0 }), "fdt/header", 8],
    ["a structure off its alignment", blobOf(EMPTY, "reg\0", { 2: 57 }), "fdt/header", 8],
    ["strings outside", blobOf(EMPTY, "", { 3: 0x10000 }), "fdt/header", 12],
    ["strings that reach outside", blobOf(EMPTY, "", { 8: 1 }), "fdt/header", 12],
    ["reservations outside", blobOf(EMPTY, "", { 4: 0x10000 }), "fdt/header", 16],
    ["reservations off their alignment", blobOf(EMPTY, "", { 4: 44 }), "fdt/header", 16],
    ["reservations without end", blobOf(EMPTY, "", { 4: 64 }), "fdt/truncated", 64],
    ["reservations over the header", blobOf(EMPTY, "", { 4: 32 }), "fdt/overlap", 32],
    ["strings over the structure", blobOf(EMPTY, "", { 3: 60, 8: 4 }), "fdt/overlap", 60],
    ["structure over the header", blobOf(EMPTY, "", { 2: 0, 9: 8 }), "fdt/overlap", 0],
    ["an empty structure", blobOf([]), "fdt/truncated", 56],
    ["a structure without a root", blobOf([END]), "fdt/structure", 56],
    ["a structure that does not end", blobOf([BEGIN, 0, END_NODE]), "fdt/truncated", 68],
    ["an end inside a node", blobOf([BEGIN, 0, END]), "fdt/structure", 64],
    ["an end of no node", blobOf([END_NODE, END]), "fdt/structure", 56],
    ["a second root", blobOf([BEGIN, 0, END_NODE, BEGIN, 0, END_NODE, END]), "fdt/structure", 68],
    ["a named root", blobOf([BEGIN, word("a"), END_NODE, END]), "fdt/name", 60],
    ["a nameless child", blobOf([BEGIN, 0, BEGIN, 0, END_NODE, END_NODE, END]), "fdt/name", 68],
    ["a slash in a name", blobOf([BEGIN, 0, BEGIN, word("a/b"), END_NODE, END_NODE, END]), "fdt/name", 68],
    ["an unknown token", blobOf([BEGIN, 0, 5]), "fdt/structure", 64],
    ["a name without NUL", blobOf([BEGIN, 0, BEGIN, word("abcd")]), "fdt/unterminated", 68],
    ["an endless name", blobOf([BEGIN, 0, BEGIN, ...Array(65).fill(word("abcd")), 0]), "fdt/name", 68],
    ["too many levels", blobOf(deep), "fdt/too-deep", 56 + 64 * 8],
    ["a property of no node", blobOf([PROPERTY, 0, 0, END]), "fdt/structure", 56],
    ["a property behind the root", blobOf([BEGIN, 0, END_NODE, PROPERTY, 0, 0, END]), "fdt/structure", 68],
    ["a cut property", blobOf([BEGIN, 0, PROPERTY, 0]), "fdt/truncated", 64],
    ["a value beyond the block", blobOf([BEGIN, 0, PROPERTY, 9, 0, 0, END_NODE]), "fdt/truncated", 68],
    ["a value of 4 GiB", blobOf([BEGIN, 0, PROPERTY, 0xffffffff, 0, END_NODE]), "fdt/truncated", 68],
    ["a value into the padding", blobOf([BEGIN, 0, PROPERTY, 1, 0]), "fdt/truncated", 68],
    ["a property name outside", blobOf([BEGIN, 0, PROPERTY, 0, 15, END_NODE, END]), "fdt/structure", 72],
    ["a property name far outside", blobOf([BEGIN, 0, PROPERTY, 0, 0xffffffff, END_NODE]), "fdt/structure", 72],
    ["a property name without NUL", blobOf([BEGIN, 0, PROPERTY, 0, 0, END_NODE, END], "reg"), "fdt/unterminated", 84],
    ["an empty property name", blobOf([BEGIN, 0, PROPERTY, 0, 3, END_NODE, END]), "fdt/name", 87],
    [
      "a property twice",
      blobOf([BEGIN, 0, PROPERTY, 0, 0, PROPERTY, 0, 0, END_NODE, END]),
      "fdt/duplicate-property",
      76,
    ],
    [
      "a node twice",
      blobOf([BEGIN, 0, BEGIN, word("a"), END_NODE, BEGIN, word("a"), END_NODE, END_NODE, END]),
      "fdt/duplicate-node",
      80,
    ],
    ["16 MiB and a byte", blobOf([...EMPTY, ...Array((MAX_SIZE - late) / 4).fill(NOP)], "x"), "fdt/too-large", 4],
  ])("%s", (_, blob, code, offset) => {
    const [diagnostic] = errorOf(() => readDtb(blob)).diagnostics;
    expect({ code: diagnostic!.code, offset: diagnostic!.place?.offset }).toEqual({ code, offset });
  });

  test("with file, offset and path in the report", () => {
    const blob = blobOf([BEGIN, 0, BEGIN, word("soc"), BEGIN, word("a@1"), PROPERTY, 99, 4]);
    const error = errorOf(() => readDtb(blob, { file: "board.dtb" }));
    expect(error.diagnostics.map(render)).toEqual([
      "board.dtb, offset 0x54, /soc/a@1: error[fdt/truncated]: property compatible claims 99 bytes, 0 are left",
    ]);
  });

  test.skipIf(!hasDtc)(`version 3 as dtc writes it${NEEDS_DTC}`, () => {
    expect(codeOf(() => readDtb(dtc("dtb", "dtb", writeDtb(sampleFdt()), "-V", "3")))).toBe("fdt/version");
  });
});

describe("readDtb under fire", () => {
  const original = writeDtb(sampleFdt());

  /** A tree or a VmrunError with a place; a tree must also survive printing and writing. */
  function attempt(bytes: Uint8Array): "tree" | "refused" {
    try {
      const fdt = readDtb(bytes);
      printDts(fdt);
      expect(readDtb(writeDtb(fdt))).toEqual(fdt);
      return "tree";
    } catch (error) {
      if (!(error instanceof VmrunError)) throw error;
      expect(error.diagnostics[0]!.place?.offset).toBeNumber();
      return "refused";
    }
  }

  test("every truncation is refused", () => {
    for (let size = 0; size < original.length; size++) expect(attempt(original.subarray(0, size))).toBe("refused");
  });

  test("every truncation with the size made to fit is refused", () => {
    for (let size = 40; size < original.length; size++) {
      const cut = original.slice(0, size);
      new DataView(cut.buffer).setUint32(4, size);
      expect(attempt(cut)).toBe("refused");
    }
  });

  test("every single byte replaced", () => {
    const outcomes = { tree: 0, refused: 0 };
    for (let at = 0; at < original.length; at++) {
      for (const value of [0x00, 0x01, 0x80, 0xff]) {
        const bytes = original.slice();
        bytes[at] = value;
        outcomes[attempt(bytes)]++;
      }
    }
    expect(outcomes.tree).toBeGreaterThan(100);
    expect(outcomes.refused).toBeGreaterThan(100);
  });

  test("many changes at once: words, copies, cuts", () => {
    const random = randomFrom(0xf007);
    const interesting = [0, 1, 2, 3, 4, 9, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffc, original.length];
    const outcomes = { tree: 0, refused: 0 };
    for (let round = 0; round < 5000; round++) {
      const bytes = original.slice(0, random(8) === 0 ? random(original.length) : original.length);
      const view = new DataView(bytes.buffer);
      for (let change = 1 + random(4); change > 0 && bytes.length >= 8; change--) {
        const at = 4 * random(bytes.length >> 2);
        if (random(3) === 0) bytes.copyWithin(at, random(bytes.length), random(bytes.length));
        else view.setUint32(at, random(2) === 0 ? interesting[random(interesting.length)]! : random(bytes.length));
      }
      outcomes[attempt(bytes)]++;
    }
    expect(outcomes.tree).toBeGreaterThan(100);
    expect(outcomes.refused).toBeGreaterThan(100);
  });

  test("garbage behind a good header", () => {
    const random = randomFrom(0xbad);
    for (let round = 0; round < 2000; round++) {
      const bytes = original.slice();
      const tokens = [BEGIN, END_NODE, PROPERTY, NOP, END, 0, word("a"), random(64)];
      const view = new DataView(bytes.buffer);
      for (let at = 72; at + 4 <= bytes.length; at += 4) view.setUint32(at, tokens[random(tokens.length)]!);
      attempt(bytes);
    }
  });

  test("work stays linear: long shared names, wide and flat trees, deep NOPs", () => {
    const names = Array.from({ length: 60_000 }, (_, i) => i);
    // Every property names another suffix of one long string without an end in reach.
    const suffixes = [BEGIN, 0, ...names.flatMap((i) => [PROPERTY, 0, i]), END_NODE, END];
    expect(codeOf(() => readDtb(blobOf(suffixes, `${"a".repeat(60_000)}\0`)))).toBe("fdt/name");
    const siblings = names.flatMap((i) => [
      BEGIN,
      word(`${i.toString(36)}`),
      ...(i.toString(36).length > 3 ? [0] : []),
      END_NODE,
    ]);
    const started = performance.now();
    expect(readDtb(blobOf([BEGIN, 0, ...siblings, END_NODE, END])).root.children.length).toBe(60_000);
    expect(readDtb(blobOf([...Array(1_000_000).fill(NOP), ...EMPTY])).root.children.length).toBe(0);
    // Quadratic work would take minutes here.
    expect(performance.now() - started).toBeLessThan(5000);
  });
});

describe("dumps of QEMU's boards", () => {
  const boards: [string, string, string[]][] = [
    ["qemu-system-riscv64", "virt", ["-smp", "4"]],
    ["qemu-system-riscv64", "virt,aclint=on,aia=aplic-imsic", ["-smp", "2"]],
    ["qemu-system-riscv64", "sifive_u", []],
    ["qemu-system-aarch64", "virt", []],
  ];

  for (const [program, machine, more] of boards) {
    const ready = hasDtc && Bun.which(program) !== null;
    const reason = ready ? "" : ` (skipped: needs ${program} and device-tree-compiler)`;
    test.skipIf(!ready)(`${program} -M ${machine}: as dtc normalises it${reason}`, async () => {
      const file = join(tmpdir(), `vmrun-fdt-${process.pid}.dtb`);
      const run = Bun.spawnSync([program, "-M", `${machine},dumpdtb=${file}`, "-display", "none", ...more]);
      expect(run.exitCode).toBe(0);
      const dump = await Bun.file(file).bytes();
      await Bun.file(file).delete();

      const fdt = readDtb(dump, { file });
      const normal = dtc("dtb", "dtb", dump);
      expectSameBytes(writeDtb(fdt), normal);
      expectSameBytes(dtc("dts", "dtb", printDts(fdt)), normal);
    });
  }
});
