import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createNode,
  deleteProperty,
  formatValue,
  nodeAt,
  parseValue,
  parseValueType,
  propertyAt,
  removeNode,
  writeProperty,
} from "../../src/fdt/query.ts";
import { readDtb } from "../../src/fdt/reader.ts";
import { find, node, walk } from "../../src/fdt/tree.ts";
import { writeDtb } from "../../src/fdt/writer.ts";
import { codeOf, errorOf, randomFdt, randomFrom, sampleFdt } from "./support.ts";

const bytes = (...values: number[]) => Uint8Array.from(values);

describe("a value is shown", () => {
  const cases: [string, Uint8Array, string | undefined, string][] = [
    ["by its look: text", bytes(0x61, 0, 0x62, 0), undefined, "a b"],
    ["by its look: cells, with a sign", bytes(0xff, 0xff, 0xff, 0xff, 0, 0, 0, 5), undefined, "-1 5"],
    ["by its look: bytes", bytes(1, 255, 3), undefined, "1 255 3"],
    ["an empty string is no text", bytes(0, 0x61, 0, 0), undefined, "6356992"],
    ["unsigned", bytes(0xff, 0xff, 0xff, 0xff), "u", "4294967295"],
    ["hexadecimal", bytes(0, 0, 0xab, 0xcd), "x", "abcd"],
    ["bytes", bytes(0, 10), "bx", "0 a"],
    ["bytes, the other way to say it", bytes(0, 10), "hhx", "0 a"],
    ["halves", bytes(0xff, 0xfe, 0, 1), "hi", "65534 1"],
    ["64 bits", bytes(0xff, 0, 0, 0, 0, 0, 0, 1), "qx", "ff00000000000001"],
    ["64 bits with a sign", bytes(...Array(8).fill(0xff)), "qi", "-1"],
    ["raw", bytes(0x80, 0), "r", "\x80\0"],
    ["nothing", bytes(), "x", ""],
  ];
  for (const [what, value, type, text] of cases) {
    test(what, () => expect(formatValue(value, type === undefined ? undefined : parseValueType(type))).toBe(text));
  }
});

test("what does not fit a type is refused", () => {
  expect(codeOf(() => formatValue(bytes(1, 2, 3), parseValueType("hx")))).toBe("fdt/value");
  expect(codeOf(() => formatValue(bytes(0x61), parseValueType("s")))).toBe("fdt/value");
  for (const type of ["", "z", "sx", "bs", "xx", "b"])
    expect(codeOf(() => parseValueType(type))).toBe("fdt/value-type");
});

describe("a value is read", () => {
  const cases: [string, string[], string | undefined, Uint8Array][] = [
    ["integers", ["1", "-1"], undefined, bytes(0, 0, 0, 1, 255, 255, 255, 255)],
    ["with 0x", ["0x10"], "u", bytes(0, 0, 0, 16)],
    ["hexadecimal", ["10", "0xff"], "x", bytes(0, 0, 0, 16, 0, 0, 0, 255)],
    ["bytes", ["1", "255"], "bi", bytes(1, 255)],
    ["halves", ["256"], "hu", bytes(1, 0)],
    ["64 bits", ["0x123456789a"], "qx", bytes(0, 0, 0, 0x12, 0x34, 0x56, 0x78, 0x9a)],
    ["strings", ["a", "", "b"], "s", bytes(0x61, 0, 0, 0x62, 0)],
    ["raw", ["ab", "c"], "r", bytes(0x61, 0x62, 0x63)],
    ["nothing", [], undefined, bytes()],
  ];
  for (const [what, words, type, value] of cases) {
    test(what, () => expect(parseValue(words, type === undefined ? undefined : parseValueType(type))).toEqual(value));
  }

  test("or refused", () => {
    for (const [word, type] of [
      ["x", "i"],
      ["1f", "u"],
      ["", "i"],
      ["4294967296", "u"],
      ["-2147483649", "i"],
      ["256", "bu"],
      ["1 2", "i"],
      ["0x", "x"],
    ] as const) {
      expect([word, codeOf(() => parseValue([word], parseValueType(type)))]).toEqual([word, "fdt/value"]);
    }
  });

  test("as it was shown", () => {
    const random = randomFrom(11);
    for (let i = 0; i < 200; i++) {
      const type = parseValueType(["i", "u", "x", "bu", "bx", "hx", "qi", "qx"][random(8)]!);
      const value = Uint8Array.from({ length: 8 * (1 + random(3)) }, () => random(256));
      expect(parseValue(formatValue(value, type).split(" "), type)).toEqual(value);
    }
  });
});

describe("places", () => {
  test("are found by path, by alias, without unit addresses", () => {
    const fdt = sampleFdt();
    fdt.root.children.push(node("aliases", { serial0: "/soc/serial@10000000", soc: "/soc", me: "me" }));
    expect(nodeAt(fdt, "/").name).toBe("");
    expect(nodeAt(fdt, "/soc/serial").name).toBe("serial@10000000");
    expect(nodeAt(fdt, "serial0").name).toBe("serial@10000000");
    expect(nodeAt(fdt, "soc/serial").name).toBe("serial@10000000");
    for (const path of ["me", "", "nowhere", "/soc/x"]) expect(codeOf(() => nodeAt(fdt, path))).toBe("fdt/no-node");
  });

  test("that are not there come with those that are", () => {
    const hint = (action: () => unknown) => errorOf(action).diagnostics[0]!.hint;
    expect(hint(() => nodeAt(sampleFdt(), "/soc/uart"))).toBe("/soc has serial@10000000");
    expect(hint(() => nodeAt(sampleFdt(), "soc"))).toContain("alias");
    expect(hint(() => propertyAt(sampleFdt(), "/chosen", "x"))).toBe("it has bootargs, stdout-path");
  });

  test("come and go", () => {
    const fdt = sampleFdt();
    createNode(fdt, "/soc/rtc@1");
    writeProperty(fdt, "/soc/rtc@1", "reg", bytes(0, 0, 0, 1));
    expect(propertyAt(fdt, "/soc/rtc", "reg").length).toBe(4);
    expect(codeOf(() => createNode(fdt, "/soc/rtc@1"))).toBe("fdt/exists");
    expect(codeOf(() => createNode(fdt, "/a/b/c"))).toBe("fdt/no-node");
    createNode(fdt, "/a/b/c", { parents: true });
    createNode(fdt, "/a/b/c", { parents: true });
    expect(nodeAt(fdt, "/a/b/c").name).toBe("c");
    deleteProperty(fdt, "/soc/rtc", "reg");
    expect(codeOf(() => deleteProperty(fdt, "/soc/rtc", "reg"))).toBe("fdt/no-property");
    removeNode(fdt, "/soc/rtc");
    expect(find(fdt.root, "/soc/rtc")).toBeUndefined();
    expect(codeOf(() => removeNode(fdt, "/"))).toBe("fdt/path");
    expect(codeOf(() => createNode(fdt, "/bad name"))).toBe("fdt/name");
    expect(codeOf(() => createNode(fdt, "/"))).toBe("fdt/path");
  });
});

const hasTools = Bun.which("fdtget") !== null && Bun.which("fdtput") !== null;
const NEEDS_TOOLS = hasTools ? "" : " (skipped: install device-tree-compiler)";

test.skipIf(!hasTools)(`fdtget prints the same${NEEDS_TOOLS}`, () => {
  let compared = 0;
  for (let seed = 1; seed <= 12; seed++) {
    const fdt = randomFdt(seed);
    for (const { node: each, path } of walk(fdt.root)) {
      for (const type of [undefined, "s", "i", "u", "x", "bx", "bu", "hx"]) {
        const names = [...each.properties.keys()].filter((name) => {
          const value = each.properties.get(name)!;
          // fdtget reads what is not UTF-8 byte by byte; strings with none but a NUL it may take for text.
          if (value.some((byte) => byte > 0x7e) && type === "s") return false;
          return codeOfOrNone(() => formatValue(value, type === undefined ? undefined : parseValueType(type))) === "";
        });
        if (names.length === 0 || compared > 120) continue;
        const options = type === undefined ? [] : ["-t", type];
        const run = Bun.spawnSync(["fdtget", ...options, "--", "-", ...names.flatMap((name) => [path, name])], {
          stdin: Buffer.from(writeDtb(fdt)),
        });
        const ours = names.map((name) => {
          const value = each.properties.get(name)!;
          return `${formatValue(value, type === undefined ? undefined : parseValueType(type))}\n`;
        });
        expect({ seed, path, type, out: run.stdout.toString("latin1") }).toEqual({
          seed,
          path,
          type,
          out: ours.join(""),
        });
        compared++;
      }
    }
  }
  expect(compared).toBeGreaterThan(60);
});

test.skipIf(!hasTools)(`fdtput writes the same values${NEEDS_TOOLS}`, () => {
  for (const [type, words] of [
    ["s", ["a", "b c"]],
    ["i", ["1", "-5"]],
    ["u", ["2147483647"]],
    ["x", ["12", "ab"]],
    ["bx", ["12", "ab"]],
  ] as const) {
    const fdt = sampleFdt();
    const folder = mkdtempSync(join(tmpdir(), "vmrun-fdtput-"));
    const path = join(folder, "tree.dtb");
    writeFileSync(path, writeDtb(fdt));
    expect(Bun.spawnSync(["fdtput", "-t", type, "--", path, "/soc", "new", ...words]).exitCode).toBe(0);
    const theirs = readDtb(new Uint8Array(readFileSync(path)));
    rmSync(folder, { recursive: true });
    writeProperty(fdt, "/soc", "new", parseValue(words, parseValueType(type)));
    expect(propertyAt(fdt, "/soc", "new")).toEqual(propertyAt(theirs, "/soc", "new"));
  }
});

function codeOfOrNone(action: () => unknown): string {
  try {
    action();
    return "";
  } catch {
    return "refused";
  }
}
