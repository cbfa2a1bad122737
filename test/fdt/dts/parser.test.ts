import { describe, expect, test } from "bun:test";
import { render } from "../../../src/diagnostics/diagnostic.ts";
import { type ParseDtsOptions, parseDts } from "../../../src/fdt/dts/parse.ts";
import { cells, find, strings } from "../../../src/fdt/tree.ts";
import { writeDtb } from "../../../src/fdt/writer.ts";
import { codeOf, errorOf, expectSameBytes, hasDtc, NEEDS_DTC, randomFrom } from "../support.ts";
import { CORPUS, filesOf, randomSource, root } from "./support.ts";

function bytesOf(value: string): number[] {
  return [...parseDts(root(`p = ${value};`)).root.properties.get("p")!];
}

describe("values", () => {
  test.each<[string, number[]]>([
    ["<1 0x10 010 'a'>", [0, 0, 0, 1, 0, 0, 0, 16, 0, 0, 0, 8, 0, 0, 0, 97]],
    ["<(1 + 2 * 3)>", [0, 0, 0, 7]],
    ["<(-1)>", [255, 255, 255, 255]],
    ["<(-7 / 2 == 0x7ffffffffffffffc)>", [0, 0, 0, 1]],
    ["<(5 > 3 ? 1 : 2)>", [0, 0, 0, 1]],
    ["/bits/ 8 <1 (-1) 'z'>", [1, 255, 122]],
    ["/bits/ 16 <0x1234>", [0x12, 0x34]],
    ["/bits/ 64 <0x123456789abcdef0>", [0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0]],
    ["[de ad BE EF 01 23]", [0xde, 0xad, 0xbe, 0xef, 1, 0x23]],
    ['"a\\0b\\x41\\101\\n\\q"', [97, 0, 98, 65, 65, 10, 113, 0]],
    ['"é"', [0xc3, 0xa9, 0]],
    ['<1>, "x", [02]', [0, 0, 0, 1, 120, 0, 2]],
    ["&{/}", [47, 0]],
  ])("%s", (value, expected) => expect(bytesOf(value)).toEqual(expected));

  test("a value that does not fit is cut, with a warning", () => {
    const tree = parseDts(root("p = /bits/ 8 <0x123 (-2)>;"), { file: "x.dts" });
    expect([...tree.root.properties.get("p")!]).toEqual([0x23, 0xfe]);
    expect(tree.warnings.map(({ code, place }) => `${code} ${place?.line}:${place?.column}`)).toEqual([
      "dts/truncated 3:15",
    ]);
  });
});

describe("references", () => {
  test("phandles are kept where given, and given where missing, from the first that is free", () => {
    const tree = parseDts(root("p = <&b &a &c>;", "a: a { };", "b: b { phandle = <1>; };", "c: c { phandle = <3>; };"));
    expect(cells(tree.root, "p")).toEqual([1, 2, 3]);
    expect(cells(find(tree.root, "/a")!, "phandle")).toEqual([2]);
  });

  test("paths from labels", () => {
    const source = `${root("l: a { b { }; };", "p = <&{l/b}>;").replace(/(l: a.*)\n(p.*)/, "$2\n$1")}&{l/b} { q; };`;
    const tree = parseDts(source);
    expect(cells(tree.root, "p")).toEqual([1]);
    expect(find(tree.root, "/a/b")!.properties.has("q")).toBeTrue();
  });

  test("symbols", () => {
    const tree = parseDts(root("l: a { m: n: b { }; };"), { symbols: true });
    const symbols = find(tree.root, "/__symbols__")!;
    expect([...symbols.properties.keys()]).toEqual(["l", "m", "n"]);
    expect(strings(symbols, "n")).toEqual(["/a/b"]);
    expect(cells(find(tree.root, "/a/b")!, "phandle")).toEqual([2]);
  });

  test("a plugin's fixups", () => {
    const tree = parseDts(CORPUS["plugin"]!);
    expect(tree.plugin).toBeTrue();
    const fixups = find(tree.root, "/__fixups__")!;
    expect(strings(fixups, "osc")).toEqual(["/fragment@0/__overlay__:clocks:0", "/fragment@0/__overlay__/sub:x:4"]);
    const local = find(tree.root, "/__local_fixups__/fragment@0/__overlay__")!;
    expect(cells(local, "clocks")).toEqual([8]);
  });

  test("fixups that the source has already are not told twice", () => {
    const tree = parseDts(`/dts-v1/; /plugin/; / {
      n { p = <&x 0xffffffff>; };
      __fixups__ { x = "/n:p:0", "/n:p:4"; };
    };`);
    expect(strings(find(tree.root, "/__fixups__")!, "x")).toEqual(["/n:p:0", "/n:p:4"]);
  });
});

describe("what a tree knows of its source", () => {
  const tree = parseDts(CORPUS["merging"]!, { file: "m.dts" });

  test("places", () => {
    const n = find(tree.root, "/n")!;
    expect(tree.sources.place(n)).toMatchObject({ file: "m.dts", line: 2, column: 30, length: 1 });
    expect(tree.sources.place(n, "q")).toMatchObject({ line: 3, column: 31 });
    expect(tree.sources.places(n).map(({ line }) => line)).toEqual([2, 3, 4, 6]);
    expect(tree.sources.place(n, "nothing")).toBeUndefined();
  });

  test("labels and references", () => {
    const n = find(tree.root, "/n")!;
    expect(tree.sources.labels(n)).toEqual(["x"]);
    expect(tree.sources.marks(find(n, "/s")!, "again").map(({ kind }) => kind)).toEqual(["string", "path"]);
  });

  test("line markers lead to the file that a preprocessor read", () => {
    const marked = parseDts('# 1 "a.dts"\n/dts-v1/;\n# 41 "b.dtsi" 2\n/ {\n\n  n { };\n};', { file: "out.i" });
    expect(marked.sources.place(marked.root.children[0]!)).toMatchObject({ file: "b.dtsi", line: 43, column: 3 });
  });
});

describe("with force", () => {
  test("wrong phandles, labels, names and references become warnings", () => {
    const source = root(
      "p = <&missing>;",
      'a: a { phandle = <1>; name = "x"; };',
      "a: b { phandle = <1>; };",
      "c { phandle = <0>; };",
    );
    const codes = errorOf(() => parseDts(source)).diagnostics.map(({ code }) => code);
    expect(codes).toEqual(["dts/duplicate-label"]);
    const tree = parseDts(source, { force: true });
    expect(tree.warnings.map(({ code }) => code)).toEqual([
      "dts/duplicate-label",
      "dts/name",
      "dts/phandle",
      "dts/phandle",
      "dts/reference",
    ]);
    expect(cells(tree.root, "p")).toEqual([0xffff_ffff]);
  });

  test("doubled names stay: of nodes both, of properties the first", () => {
    const tree = parseDts(root("p = <1>; p = <2>;", "a { };", "a { };"), { force: true });
    expect(tree.warnings.map(({ code }) => code)).toEqual(["dts/duplicate-node", "dts/duplicate-property"]);
    expect(tree.root.children.map(({ name }) => name)).toEqual(["a", "a"]);
    expect(cells(tree.root, "p")).toEqual([1]);
  });
});

describe("errors", () => {
  const files = filesOf({ "loop.dtsi": '/include/ "loop.dtsi"', "self.h": '#include "self.h"\n' });

  function rendered(source: string, options: ParseDtsOptions = {}): string {
    return errorOf(() => parseDts(source, { file: "board.dts", ...options }))
      .diagnostics.map(render)
      .join("\n");
  }

  test.each<[string, string]>([
    ["", "dts/syntax"],
    ["/ { };", "dts/syntax"],
    ["/dts-v1/;", "dts/syntax"],
    ["/dts-v1/; / { }", "dts/syntax"],
    ["/dts-v1/; / { }; /memreserve/ 1 2;", "dts/syntax"],
    ["/dts-v1/; /memreserve/ 1 0; / { };", "dts/reservation"],
    ["/dts-v1/; / { }; junk { };", "dts/syntax"],
    ["/dts-v1/; /dts-v1/; /plugin/; / { };", "dts/syntax"],
    ["/dts-v1/; / { }; /delete-node/ &{/};", "dts/syntax"],
    ["/dts-v1/; / { }; &nowhere { };", "dts/reference"],
    ["/dts-v1/; / { }; /delete-node/ &nowhere;", "dts/reference"],
    ["/dts-v1/; /plugin/; / { }; &{l/x} { };", "dts/reference"],
    ["/dts-v1/; /plugin/; / { p = <&{/x}>; };", "dts/reference"],
    ["/dts-v1/; / { /* ", "dts/syntax"],
    ['/dts-v1/; / { p = "', "dts/syntax"],
    [root("n { }; p;"), "dts/syntax"],
    [root("p = ;"), "dts/syntax"],
    [root("p = <1 -2>;"), "dts/syntax"],
    [root("p = <1>"), "dts/syntax"],
    [root("p = [012];"), "dts/syntax"],
    [root("p = <MACRO>;"), "dts/syntax"],
    [root("a: "), "dts/syntax"],
    [root("/omit-if-no-ref/ p;"), "dts/syntax"],
    [root("p = <09>;"), "dts/number"],
    [root("p = <0x10000000000000000>;"), "dts/number"],
    [root(`p = <${"9".repeat(1000)}>;`), "dts/number"],
    [root("p = <''>;"), "dts/number"],
    [root("p = <'ab'>;"), "dts/number"],
    [root("p = /bits/ 24 <1>;"), "dts/number"],
    [root('p = "\\x";'), "dts/string"],
    [root("p = <(1 / 0)>;"), "dts/expression"],
    [root("p = <(1 ? 2 : 3 % 0)>;"), "dts/expression"],
    [root("p = <(1 ? 2)>;"), "dts/expression"],
    [root("p = <(1 + )>;"), "dts/syntax"],
    [root("p = /bits/ 64 <&{/}>;"), "dts/reference"],
    [root("p = <&nowhere>;"), "dts/reference"],
    [root("p = &nowhere;"), "dts/reference"],
    [root("p = <&{}>;"), "dts/reference"],
    [root("a@1@2 { };"), "dts/name"],
    [root("p@1;"), "dts/name"],
    [root(`${"x".repeat(256)} { };`), "dts/name"],
    [root(`${"x".repeat(256)}: n { };`), "dts/name"],
    [root('n { name = "m"; };'), "dts/name"],
    [root("n { }; n { };"), "dts/duplicate-node"],
    [root("p; p;"), "dts/duplicate-property"],
    [root("a: p; a: n { };"), "dts/duplicate-label"],
    [root("p = a: <1 a: 2>;"), "dts/duplicate-label"],
    [root("phandle = <0>;"), "dts/phandle"],
    [root("phandle = <1 2>;"), "dts/phandle"],
    [root("phandle = <1>; n { phandle = <1>; };"), "dts/phandle"],
    [root("phandle = <1>; linux,phandle = <2>;"), "dts/phandle"],
    [root("phandle = <&n>; n: n { };"), "dts/phandle"],
    ['/include/ "none"', "dts/include"],
    ['/include/ "loop.dtsi"', "dts/include"],
    ["/include/ none", "dts/syntax"],
    ['#include "self.h"', "dts/limit"],
    ["#include none", "dts/include"],
    ["#include <none>", "dts/include"],
    ["#if 1", "dts/directive"],
    ["#endif", "dts/directive"],
    ["#if 0\n#else\n#else\n#endif", "dts/directive"],
    ["#if 1 +\n#endif", "dts/directive"],
    ["#if 1 2\n#endif", "dts/directive"],
    ["#if 1 / 0\n#endif", "dts/expression"],
    ["#if (1\n#endif", "dts/expression"],
    ["#ifdef\n#endif", "dts/directive"],
    ["#include_next <x>", "dts/directive"],
    ["#line x", "dts/directive"],
    ["#error no", "dts/error"],
    ["#define", "dts/macro"],
    ["#define F(", "dts/macro"],
    ["#define F(a, a) a", "dts/macro"],
    ["#define F(a +) a", "dts/macro"],
    ["#define F(a) ## a", "dts/macro"],
    ["#define F(a) a\nF(1, 2)", "dts/macro"],
    ["#define F(a) a\nF(1", "dts/macro"],
    ["#define F(a) a\nF(1\n#define G\n)", "dts/directive"],
  ])("%j", (source, code) => {
    const { place } = errorOf(() => parseDts(source, { file: "board.dts", files })).diagnostics[0]!;
    expect(codeOf(() => parseDts(source, { file: "board.dts", files }))).toBe(code);
    expect(place?.file).toBeString();
    expect(place?.line).toBeNumber();
    expect(place?.column).toBeNumber();
  });

  test("as a person sees them", () => {
    expect(rendered(root("\tclocks = <&osc 1>, <&pll>;", "\tx = <1>;"))).toMatchInlineSnapshot(`
      "board.dts:3:12: error[dts/reference]: there is no node with label osc
          3 | 	clocks = <&osc 1>, <&pll>;
            | 	          ^^^^
      board.dts:3:22: error[dts/reference]: there is no node with label pll
          3 | 	clocks = <&osc 1>, <&pll>;
            | 	                    ^^^^"
    `);
    expect(rendered(root("a: n1 { };", "a: n2 { };"))).toMatchInlineSnapshot(`
      "board.dts:4:4: error[dts/duplicate-label]: label a is used twice
          4 | a: n2 { };
            |    ^^
      board.dts:3:4: note: the first time is here
          3 | a: n1 { };
            |    ^^"
    `);
    expect(rendered(root("p = <1 + 2>;"))).toMatchInlineSnapshot(`
      "board.dts:3:8: error[dts/syntax]: expected a cell or ">", found "+"
          3 | p = <1 + 2>;
            |        ^
        hint: arithmetic needs parentheses: <(1 + 2)>"
    `);
    expect(rendered(root("p = <GPIO_ACTIVE_LOW>;"))).toMatchInlineSnapshot(`
      "board.dts:3:6: error[dts/syntax]: "GPIO_ACTIVE_LOW" is not known here
          3 | p = <GPIO_ACTIVE_LOW>;
            |      ^^^^^^^^^^^^^^^
        hint: a macro without its #include or #define? a reference is written &label, text in double quotes"
    `);
    expect(rendered('/dts-v1/;\n/include/ "soc.dtsi"\n', { files, includePaths: ["/usr/dts"] })).toMatchInlineSnapshot(`
      "board.dts:2:1: error[dts/include]: "soc.dtsi" is not there
          2 | /include/ "soc.dtsi"
            | ^^^^^^^^^^^^^^^^^^^^
        hint: looked for soc.dtsi, /usr/dts/soc.dtsi"
    `);
  });

  test("many errors are told at once, but not all of too many", () => {
    const wrong = (count: number): string => root(`p = <${"&x ".repeat(count)}>;`);
    expect(errorOf(() => parseDts(wrong(3))).diagnostics).toHaveLength(3);
    expect(errorOf(() => parseDts(wrong(100_000))).diagnostics.length).toBeLessThanOrEqual(100);
  });
});

describe("sources at random", () => {
  test.skipIf(!hasDtc)(`dtc and we make the same of them, or both nothing${NEEDS_DTC}`, () => {
    let accepted = 0;
    for (let seed = 0; seed < 100; seed++) {
      const source = randomSource(randomFrom(seed));
      // dtc before 1.7 takes references of a plugin to paths for labels.
      if (source.includes("/plugin/") && /&\{\/[^}]*\}(?! \{|;)/.test(source)) continue;
      const run = Bun.spawnSync(["dtc", "-q", "-I", "dts", "-O", "dtb", "-"], { stdin: Buffer.from(source) });
      if (run.exitCode === 0) {
        accepted++;
        expectSameBytes(writeDtb(parseDts(source)), run.stdout);
      } else errorOf(() => parseDts(source));
    }
    expect(accepted).toBeGreaterThan(15);
  });
});
