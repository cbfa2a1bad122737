import { describe, expect, test } from "bun:test";
import { Findings } from "../../src/profile/findings.ts";
import { lookup, type Origin, plain } from "../../src/profile/located.ts";
import { parseText, parseValue } from "../../src/profile/text.ts";
import { codes, refused } from "./support.ts";

const origin: Origin = { kind: "file", folder: "/", shownFolder: "." };

function parse(text: string) {
  return parseText(text, "t.toml", origin, new Findings())!;
}

describe("values", () => {
  test("of every kind, through headers, dotted keys, inline tables and lists of tables", () => {
    const tree = parse(
      "\uFEFFa.b = 0x8000_0000\n[t.\"x y\"]\nk = [1, { z = true }]\n[[l]]\nn = 1.5\n[l.sub]\ns = 'q'\n[[l]]\nn = 2\n",
    );
    expect(plain(tree)).toEqual({
      a: { b: 0x8000_0000 },
      t: { "x y": { k: [1, { z: true }] } },
      l: [{ n: 1.5, sub: { s: "q" } }, { n: 2 }],
    });
  });

  test("dates without a zone are UTC, whatever the host's zone", () => {
    const tree = parse("a = 2026-01-01\nb = 2026-01-01 00:00:00\nc = 2026-01-01T01:00:00+01:00\n");
    for (const key of ["a", "b", "c"]) expect(plain(lookup(tree, key)!)).toEqual(new Date("2026-01-01T00:00:00Z"));
  });

  test("keys such as __proto__ are keys", () => {
    const tree = parse("[__proto__]\nx = 1\n[constructor]\ny = 2\n");
    expect([...tree.entries.keys()]).toEqual(["__proto__", "constructor"]);
    expect(Object.getPrototypeOf(plain(tree))).toBe(Object.prototype);
  });

  test("a lone value for --set, and nothing that would bring more than one", () => {
    const value = (text: string) => {
      const found = parseValue(text, {}, origin);
      return found && plain(found);
    };
    expect(value("0x10")).toBe(16);
    expect(value('["a", "b"]')).toEqual(["a", "b"]);
    expect(value("1\nother = 2")).toBeUndefined();
    expect(value("1\n[table]")).toBeUndefined();
    expect(value("Image")).toBeUndefined();
  });
});

describe("places", () => {
  test("of values and keys, with CRLF and tabs", () => {
    const tree = parse('[cpu]\r\n\tharts  = "four"\r\n');
    const cpu = tree.entries.get("cpu")!;
    expect(cpu.key).toMatchObject({ line: 1, column: 2, length: 3, source: "[cpu]" });
    const harts = cpu.value.kind === "table" ? cpu.value.entries.get("harts")! : undefined;
    expect(harts?.key).toMatchObject({ line: 2, column: 2, length: 5 });
    expect(harts?.value.place).toEqual({ file: "t.toml", line: 2, column: 11, length: 6, source: '\tharts  = "four"' });
  });

  test("a value over several lines is marked to the end of its first", () => {
    expect(lookup(parse("a = [1,\n2]\n"), "a")?.place).toMatchObject({ line: 1, column: 5, length: 3 });
  });
});

describe("syntax errors", () => {
  test("are located and say what is wrong", () => {
    expect(refused("schema = 1\nname = virt\n")).toMatchInlineSnapshot(`
      "board.toml:2:8: error[profile/syntax]: this is not TOML: unexpected character
          2 | name = virt
            |        ^
        hint: text needs quotes: "virt""
    `);
    expect(refused("schema = 1\n[cpu\nharts = 1\n")).toMatchInlineSnapshot(`
      "board.toml:2:5: error[profile/syntax]: this is not TOML: a bracket is not closed
          2 | [cpu
            |     ^"
    `);
    expect(refused('schema = 1\nname = "virt\n')).toMatchInlineSnapshot(`
      "board.toml:2:13: error[profile/syntax]: this is not TOML: unterminated string constant
          2 | name = "virt
            |             ^"
    `);
    expect(refused("schema =\n")).toMatchInlineSnapshot(`
      "board.toml:1:9: error[profile/syntax]: this is not TOML: a value is missing
          1 | schema =
            |         ^"
    `);
    expect(refused("schema = 1\n[[memory]]\nsize = 256MiB\n")).toMatchInlineSnapshot(`
      "board.toml:3:11: error[profile/syntax]: this is not TOML: must be a newline
          3 | size = 256MiB
            |           ^
        hint: text needs quotes: "256MiB""
    `);
  });

  test("a key or table defined twice names both places", () => {
    expect(refused("schema = 1\n[cpu]\nharts = 1\nharts = 2\n")).toMatchInlineSnapshot(`
      "board.toml:4:1: error[profile/syntax]: harts is defined twice
          4 | harts = 2
            | ^^^^^
      board.toml:3:1: note: the first definition
          3 | harts = 1
            | ^^^^^"
    `);
    expect(refused("schema = 1\n[cpu]\nharts = 1\n[time]\n[cpu]\n")).toMatchInlineSnapshot(`
      "board.toml:5:2: error[profile/syntax]: cpu is defined twice
          5 | [cpu]
            |  ^^^
      board.toml:2:2: note: the first definition
          2 | [cpu]
            |  ^^^"
    `);
  });

  test("nesting ends", () => {
    for (const [open, close] of [
      ["[", "]"],
      ["{a=", "}"],
    ] as const) {
      for (const depth of [20, 1000, 50_000]) {
        expect(codes(`schema = 1\nx = ${open.repeat(depth)}1${close.repeat(depth)}\n`)).toEqual(["profile/too-deep"]);
      }
    }
    expect(codes(`${"a.".repeat(1000)}a = 1\n`)).toEqual(["profile/too-deep"]);
    expect(codes(`[${"a.".repeat(1000)}a]\n`)).toEqual(["profile/too-deep"]);
  });
});
