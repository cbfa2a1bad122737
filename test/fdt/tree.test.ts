import { describe, expect, test } from "bun:test";
import {
  cells,
  cells64,
  child,
  type FdtNode,
  find,
  getProperty,
  node,
  type PropertyInput,
  setProperty,
  strings,
  u32,
  u64,
  walk,
} from "../../src/fdt/tree.ts";
import { codeOf, errorOf, sampleFdt } from "./support.ts";

function bytesOf(value: PropertyInput): number[] {
  return [...getProperty(node("n", { p: value }), "p")!];
}

describe("values become bytes", () => {
  test("a number is one big-endian cell", () => {
    expect(bytesOf(0x1234_5678)).toEqual([0x12, 0x34, 0x56, 0x78]);
    expect(bytesOf(0xffff_ffff)).toEqual([255, 255, 255, 255]);
  });

  test("a bigint is two cells", () => {
    expect(bytesOf(0x1_0000_0002n)).toEqual([0, 0, 0, 1, 0, 0, 0, 2]);
    expect(bytesOf(2n ** 64n - 1n)).toEqual(Array(8).fill(255));
  });

  test("strings end with NUL, also each one of a list", () => {
    expect(bytesOf("ab")).toEqual([0x61, 0x62, 0]);
    expect(bytesOf("")).toEqual([0]);
    expect(bytesOf("é")).toEqual([0xc3, 0xa9, 0]);
    expect(bytesOf(["a", "b"])).toEqual([0x61, 0, 0x62, 0]);
  });

  test("numbers in an array are cells; true and empty arrays are empty", () => {
    expect(bytesOf([1, 2])).toEqual([0, 0, 0, 1, 0, 0, 0, 2]);
    expect(bytesOf(true)).toEqual([]);
    expect(bytesOf([])).toEqual([]);
  });

  test("bytes are copied, even from a Buffer", () => {
    const buffer = Buffer.from([1, 2, 3]);
    const made = node("n", { p: buffer });
    buffer[0] = 9;
    expect([...getProperty(made, "p")!]).toEqual([1, 2, 3]);
  });

  test("undefined leaves the property out; order is kept", () => {
    expect([...node("n", { b: 1, gone: undefined, a: 2 }).properties.keys()]).toEqual(["b", "a"]);
  });

  test.each([[-1], [2 ** 32], [1.5], [Number.NaN], [-1n], [2n ** 64n], [[1, 2 ** 32]], ["a\0b"], [["a", "b\0"]]])(
    "%p is refused",
    (value) => expect(codeOf(() => node("n", { p: value as PropertyInput }))).toBe("fdt/value"),
  );

  test("an error names node and property", () => {
    const [diagnostic] = errorOf(() => node("serial@0", { reg: -1 })).diagnostics;
    expect(diagnostic!.place?.path).toBe("serial@0:reg");
    expect(diagnostic!.hint).toContain("bigint");
  });

  test("cells64 splits into high and low", () => {
    expect(cells64(0x8000_0000, 0x1_2345_6789)).toEqual([0, 0x8000_0000, 1, 0x2345_6789]);
    expect(cells64(Number.MAX_SAFE_INTEGER)).toEqual([0x1f_ffff, 0xffff_ffff]);
    expect(codeOf(() => cells64(2 ** 53))).toBe("fdt/value");
    expect(codeOf(() => cells64(-1))).toBe("fdt/value");
  });
});

describe("names", () => {
  test.each(["a/b", "a b", "a@1@2", "@1", "é", "a\n", "a".repeat(256)])("node %j is refused", (name) => {
    expect(codeOf(() => node(name))).toBe("fdt/name");
  });

  test.each(["", "a@1", "a/b", "a=b", "a".repeat(256)])("property %j is refused", (name) => {
    expect(codeOf(() => node("n", { [name]: true }))).toBe("fdt/name");
  });

  test("vendor prefixes, # and ? are fine", () => {
    const names = ["riscv,isa", "#address-cells", "is-ok?", "linux,usable-memory_range", "a.b+c*d"];
    expect([...node("pci@1,0", Object.fromEntries(names.map((name) => [name, true]))).properties.keys()]).toEqual(
      names,
    );
  });

  test("control characters do not reach the terminal", () => {
    expect(errorOf(() => node("a\x1b[31m\x9b")).message).toContain("a\\x1b[31m\\x9b");
  });
});

describe("typed readers", () => {
  const sample = node("n", {
    one: 7,
    wide: 0x1_0000_0000n,
    three: [1, 2, 3],
    list: ["a", "", "b"],
    flag: true,
    odd: new Uint8Array(3),
  });

  test("give back what was written", () => {
    expect(u32(sample, "one")).toBe(7);
    expect(u64(sample, "wide")).toBe(0x1_0000_0000n);
    expect(cells(sample, "three")).toEqual([1, 2, 3]);
    expect(strings(sample, "list")).toEqual(["a", "", "b"]);
    expect(strings(sample, "flag")).toEqual([]);
    expect(cells(sample, "flag")).toEqual([]);
  });

  test("give undefined for what is absent", () => {
    expect([u32, u64, cells, strings, getProperty].map((read) => read(sample, "absent"))).toEqual(
      Array(5).fill(undefined),
    );
  });

  test("throw for the wrong shape", () => {
    for (const action of [
      () => u32(sample, "wide"),
      () => u64(sample, "one"),
      () => cells(sample, "odd"),
      () => strings(node("n", { p: new Uint8Array([0x61]) }), "p"),
    ]) {
      expect(codeOf(action)).toBe("fdt/shape");
    }
  });

  test("setProperty replaces in place", () => {
    const made = node("n", { a: 1, b: 2 });
    setProperty(made, "a", "x");
    expect([...made.properties.keys()]).toEqual(["a", "b"]);
    expect(strings(made, "a")).toEqual(["x"]);
  });
});

describe("finding nodes", () => {
  const { root } = sampleFdt();

  test("by full path, and without an unambiguous unit address", () => {
    const serial = root.children[3]!.children[0]!;
    expect(find(root, "/soc/serial@10000000")).toBe(serial);
    expect(find(root, "/soc/serial")).toBe(serial);
    expect(find(root, "/")).toBe(root);
    expect(child(root, "memory")?.name).toBe("memory@80000000");
  });

  test("absence is undefined", () => {
    expect(find(root, "/soc/serial@1")).toBeUndefined();
    expect(find(root, "/nowhere/serial")).toBeUndefined();
    expect(find(root, "/ser")).toBeUndefined();
  });

  test("the exact name wins over the same base name", () => {
    const parent = node("", {}, [node("cpu@0"), node("cpu")]);
    expect(child(parent, "cpu")).toBe(parent.children[1]!);
  });

  test("ambiguity is an error that lists the choices", () => {
    const parent = node("", {}, [node("cpu@0"), node("cpu@1")]);
    const [diagnostic] = errorOf(() => find(parent, "/cpu")).diagnostics;
    expect(diagnostic!.code).toBe("fdt/ambiguous");
    expect(diagnostic!.hint).toContain("cpu@1");
  });

  test("a relative path is an error", () => {
    expect(codeOf(() => find(root, "soc"))).toBe("fdt/path");
  });
});

describe("walk", () => {
  test("visits parents first, in order, with paths", () => {
    const visits = [...walk(sampleFdt().root)];
    expect(visits.map(({ path }) => path)).toEqual([
      "/",
      "/chosen",
      "/memory@80000000",
      "/cpus",
      "/cpus/cpu@0",
      "/cpus/cpu@0/interrupt-controller",
      "/soc",
      "/soc/serial@10000000",
    ]);
    expect(visits.map(({ depth }) => depth)).toEqual([0, 1, 1, 1, 2, 3, 1, 2]);
    expect(visits.map(({ parent }) => parent?.name)).toEqual([undefined, "", "", "", "cpus", "cpu@0", "", "soc"]);
  });

  test("ends at a cycle", () => {
    const knot: FdtNode = node("knot");
    knot.children.push(knot);
    expect(codeOf(() => [...walk(knot)])).toBe("fdt/too-deep");
  });
});
