import { describe, expect, test } from "bun:test";
import { type DtsTree, type ParseDtsOptions, parseDts } from "../../../src/fdt/dts/parse.ts";
import { cells, strings } from "../../../src/fdt/tree.ts";
import { writeDtb } from "../../../src/fdt/writer.ts";
import { dtc, errorOf, expectSameBytes, hasDtc, NEEDS_DTC } from "../support.ts";
import { filesOf } from "./support.ts";

/** A root with one property `p` of cells, behind some lines of preprocessor. */
function source(value: string, ...lines: string[]): string {
  return [...lines, "/dts-v1/;", "/ {", `  p = <${value}>;`, "};", ""].join("\n");
}

function cellsOf(tree: DtsTree): number[] | undefined {
  return cells(tree.root, "p");
}

function read(value: string, ...lines: string[]): number[] | undefined {
  return cellsOf(parseDts(source(value, ...lines)));
}

const VALUES: readonly [string, string, string[]][] = [
  ["a constant", "IRQ", ["#define IRQ 7"]],
  ["a constant of constants", "A B", ["#define A (B + 1)", "#define B 4"]],
  ["a later definition counts where it is used", "A", ["#define A B", "#define B 4", "#undef B", "#define B 5"]],
  ["arguments", "F(1, (2, 3))", ["#define F(a, b) a G b", "#define G(x, y) x y"]],
  ["no arguments", "F()", ["#define F() 3"]],
  ["a name without its parentheses is no use", "F (9)", ["#define F 1", "#define G() 2"]],
  ["arguments over lines", "F(1,\n 2 /* , */,\n // ,\n 3)", ["#define F(a, b, c) c b a"]],
  ["arguments are expanded before", "F(A)", ["#define F(x) x x", "#define A 6"]],
  ["pasting", "F(1, 2) A_B C(A_)", ["#define F(a, b) a ## b", "#define A_B 5", "#define C(x) x##B"]],
  ["pasting with nothing", "F(,2) F(1,)", ["#define F(a, b) 0 a##b"]],
  ["no expansion in itself", "('A' + F(F(1)))", ["#define F(x) (x + 1)"]],
  ["a rest", "G(1, 2, 3)", ["#define G(a, rest...) a H(rest)", "#define H(x, y) (x * y)"]],
  ["the call of what a macro gives", "A(3) B (4)", ["#define F(x) (x + 1)", "#define A F", "#define B F"]],
  ["lines joined", "A", ["#define A 1 \\", " 2 \\", " 3"]],
  ["comments in directives", "A", ["#define /* x */ A /* y", "z */ 8 // nine"]],
  [
    "#if",
    "A",
    ["#if (1 + 1 == 2) && defined(B) || !defined C && 'a' == 97", "#define A 1", "#else", "#define A 2", "#endif"],
  ],
  [
    "#elif",
    "A",
    [
      "#if 0",
      "#define A 1",
      "#elif -1 > 0",
      "#define A 2",
      "#elif UNKNOWN + 3",
      "#define A 3",
      "#else",
      "#define A 4",
      "#endif",
    ],
  ],
  [
    "#ifdef and #ifndef",
    "A",
    ["#define X", "#ifdef X", "#ifndef X", "#define A 1", "#else", "#define A 2", "#endif", "#endif"],
  ],
  [
    "what is left out may be anything",
    "1",
    ["#if 0", "don't { \" /* #endif", "*/ # unknown", "#if 1", "#else", "#endif", "#endif"],
  ],
  ["division where it does not matter", "A", ["#if 0 && 1 / 0 || (1 ? 1 : 1 / 0)", "#define A 5", "#endif"]],
  ["strings and characters are left alone", "'A'", ["#define A 5", "#define x"]],
  ["numbers are not names", "0xA 1", ["#define xA bad", "#define A bad"]],
];

describe("macros and conditionals", () => {
  test.each<[string, string[], number[]]>([
    ["IRQ", ["#define IRQ 7"], [7]],
    ["F(1, 2) F(3,)", ["#define F(a, b) a b"], [1, 2, 3]],
    ["F(1) F(1, 2, 3)", ["#define F(...) N(__VA_ARGS__, 3, 2, 1)", "#define N(a, b, c, n, ...) n"], [1, 3]],
    ["F(4) F(4, 5)", ["#define F(a, ...) G(a, ## __VA_ARGS__)", "#define G(a, ...) a __VA_ARGS__"], [4, 4, 5]],
    ["A", ["#if __has_thing", "#define A 1", "#else", "#define A 2", "#endif"], [2]],
    ["A", ["#ifdef __DTS__", "#define A 3", "#endif"], [3]],
    ["A", ["#if A0 < 0x8000000000000000", "#define A 0", "#else", "#define A 4", "#endif"], [4]],
  ])("%s", (value, lines, expected) => {
    expect(read(value, ...lines)).toEqual(expected);
  });

  const cpp = Bun.which("cpp");
  const needs = cpp ? NEEDS_DTC : " (skipped: install cpp)";
  describe.skipIf(!cpp || !hasDtc)(`as cpp and dtc together${needs}`, () => {
    for (const [name, value, lines] of VALUES) {
      test(name, () => {
        const text = source(value, ...lines);
        const command = [cpp!, "-nostdinc", "-undef", "-D__DTS__", "-x", "assembler-with-cpp", "-"];
        const run = Bun.spawnSync(command, { stdin: Buffer.from(text) });
        expect(run.exitCode).toBe(0);
        expectSameBytes(writeDtb(parseDts(text)), dtc("dts", "dtb", run.stdout));
      });
    }
  });

  test("macros make names, labels, strings, properties and nodes", () => {
    const tree = parseDts(`
      #define ONE 1
      #define NODE(name, address) name: uart@address { reg = <0x##address>; label = #name; }
      #define PROPERTY(x) x-cells = <1>
      /dts-v1/;
      / {
        PROPERTY(size);
        #address-cells = <ONE>;
        NODE(u0, 10);
        NODE(u1, 20);
      };
      / { alias = &u1; };`);
    expect(tree.root.children.map(({ name }) => name)).toEqual(["uart@10", "uart@20"]);
    expect(strings(tree.root.children[1]!, "label")).toEqual(["u1"]);
    expect(strings(tree.root, "alias")).toEqual(["/uart@20"]);
    expect([...tree.root.properties.keys()]).toContain("#address-cells");
  });

  test("names of properties that begin like directives", () => {
    const tree = parseDts("#define ONE 1\n/dts-v1/;\n/ {\n#include-cells = <ONE>;\n#error-cells = <2>;\n};\n");
    expect([...tree.root.properties.keys()]).toEqual(["#include-cells", "#error-cells"]);
  });

  test("a text without directives is left alone", () => {
    expect(read("1", "// __DTS__")).toEqual([1]);
    expect(strings(parseDts('/dts-v1/; / { p = "a\\\\"; };').root, "p")).toEqual(["a\\"]);
  });
});

describe("files", () => {
  const options = (contents: Record<string, string | Uint8Array>, more: ParseDtsOptions = {}): ParseDtsOptions => ({
    file: "boards/board.dts",
    files: filesOf(contents),
    ...more,
  });

  test("#include looks beside the file, then on the include paths; <> only there", () => {
    const contents = {
      "boards/near.h": "#define NEAR 1\n",
      "include/near.h": "#define NEAR 2\n",
      "include/dt-bindings/irq.h": '#ifndef IRQ_H\n#define IRQ_H\n#include "base.h"\n#endif\n',
      "include/dt-bindings/base.h": "#pragma once\n#define BASE 10\n",
    };
    const text = source(
      "NEAR BASE",
      '#include "near.h"',
      "#include <dt-bindings/irq.h>",
      "#include <dt-bindings/irq.h>",
    );
    expect(cellsOf(parseDts(text, options(contents, { includePaths: ["include"] })))).toEqual([1, 10]);
    const angled = source("NEAR", "#include <near.h>");
    expect(cellsOf(parseDts(angled, options(contents, { includePaths: ["include"] })))).toEqual([2]);
    const computed = source("NEAR", '#define HEADER "near.h"', "#include HEADER");
    expect(cellsOf(parseDts(computed, options(contents)))).toEqual([1]);
  });

  test("/include/ stands anywhere between tokens, and macros do not cross it", () => {
    const contents = {
      "boards/soc/soc.dtsi": '/dts-v1/;\n/ { soc { /include/ "part.dtsi" }; };\n',
      "boards/soc/part.dtsi": "#define X 5\nx = <X>;\n",
      "boards/cells.txt": "1 2 3",
    };
    const tree = parseDts('/include/ "soc/soc.dtsi"\n/ { p = < /include/ "cells.txt" 4>; };', options(contents));
    expect(cellsOf(tree)).toEqual([1, 2, 3, 4]);
    expect(cells(tree.root.children[0]!, "x")).toEqual([5]);
    const crossing = '#define X 1\n/dts-v1/; / { /include/ "soc/part.dtsi" y = <X>; };';
    expect(cells(parseDts(crossing, options(contents)).root, "x")).toEqual([5]);
    expect(cells(parseDts(crossing, options(contents)).root, "y")).toEqual([1]);
  });

  test("/incbin/ takes a file or a part of it", () => {
    const contents = { "boards/data.bin": Uint8Array.of(0, 1, 2, 0xff, 4) };
    const text =
      '/dts-v1/; / { a = /incbin/("data.bin"); b = "x", /incbin/("data.bin", 1, (1 + 1)); c = /incbin/("data.bin", 4, 99); d = /incbin/("data.bin", 9, 1); };';
    const { root } = parseDts(text, options(contents));
    expect([...root.properties.values()].map((value) => [...value])).toEqual([
      [0, 1, 2, 255, 4],
      [120, 0, 1, 2],
      [4],
      [],
    ]);
  });

  test("bytes that are no UTF-8 are kept", () => {
    const text = Buffer.from('/dts-v1/; / { p = "\xe9\xff"; };', "latin1");
    expect([...parseDts(new Uint8Array(text)).root.properties.get("p")!]).toEqual([0xe9, 0xff, 0]);
  });

  test("an error in an included file is told there", () => {
    const contents = { "boards/a.h": "#define OK 1\n\n#include <b.h>\n", "include/b.h": "\n  #error stop here\n" };
    const error = errorOf(() =>
      parseDts(source("1", '#include "a.h"'), options(contents, { includePaths: ["include"] })),
    );
    expect(error.diagnostics[0]).toMatchObject({
      code: "dts/error",
      message: "stop here",
      place: { file: "include/b.h", line: 2, column: 3, source: "  #error stop here" },
    });
  });

  test("what a macro makes is told at its use", () => {
    const text = source("1 BAD", "#define BAD oops", "#define OTHER(x) 2");
    expect(errorOf(() => parseDts(text, { file: "x.dts" })).diagnostics[0]!.place).toMatchObject({
      file: "x.dts",
      line: 5,
      column: 10,
      length: 3,
      source: "  p = <1 BAD>;",
    });
  });
});
