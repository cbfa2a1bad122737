/** What the tests of src/fdt/dts share: files that exist only here, and sources that together hold every construct. */
import type { DtsFiles } from "../../../src/fdt/dts/source.ts";

export function filesOf(contents: Readonly<Record<string, string | Uint8Array>>): DtsFiles {
  return {
    read(path) {
      const content = contents[path];
      return typeof content === "string" ? new TextEncoder().encode(content) : content;
    },
  };
}

/** A source whose root holds these lines. */
export function root(...lines: string[]): string {
  return `/dts-v1/;\n/ {\n${lines.join("\n")}\n};\n`;
}

/** Accepted by dtc since 1.6; each with what `-@` makes of it. */
export const CORPUS: Readonly<Record<string, string>> = {
  empty: root(),
  "values of every kind": root(
    `text = "plain", "two"; empty-text = ""; none;`,
    `escapes = "\\a\\b\\t\\n\\v\\f\\r\\\\\\"\\x41\\xe9\\101\\0\\q"; newline = "a\nb"; utf8 = "é€";`,
    `cells = <1 0x10 017 0XfF 4294967295 10U 0x1UL 2ULL 'a' '\\n' '\\x7f' '\\''>;`,
    `bytes = [00 ff 0123 aB]; no-bytes = []; no-cells = <>;`,
    `sized = /bits/ 8 <1 0xff>, /bits/ 16 <0xffff 'x'>, /bits/ 32 <1>, /bits/ 64 <0x0123456789abcdef 18446744073709551615>;`,
    `negative = /bits/ 8 <(-1)>, /bits/ 16 <(-2)>, <(-3)>, /bits/ 64 <(-4)>;`,
    `mixed = <1>, "two", [03 04], /bits/ 16 <5>, "six";`,
    `#address-cells = <1>; \\#size-cells = <1>; 10 = <1>; +a,b._?* = <2>;`,
  ),
  expressions: root(
    `a = <(1 + 2 * 3) ((1 + 2) * 3) (10 / 3) (10 % 3) (-10 / 3 & 0xff) (7 - 2 - 1)>;`,
    `b = <(1 << 4) (256 >> 4) (1 << 63 >> 60) (1 << 64 & 0xff) (1 >> 64) (~0 & 0xff) (!0) (!5) (- - 5)>;`,
    `c = <(1 < 2) (2 < 1) (1 > 2) (1 <= 1) (1 >= 2) (1 == 1) (1 != 1) (-1 > 1)>;`,
    `d = <(1 && 0) (1 || 0) (0 || 0) (5 & 3) (5 | 3) (5 ^ 3) (1 | 2 ^ 3 & 4)>;`,
    `e = <(1 ? 2 : 3) (0 ? 2 : 3) (0 ? 1 : 0 ? 2 : 3) (1 ? 0 ? 4 : 5 : 6) ('a' + 1) ((((1))))>;`,
    `f = /bits/ 64 <(0xffffffffffffffff + 2) (1 << 63) (0 - 1) (0xffffffffffffffff * 0xffffffffffffffff)>;`,
  ),
  references: root(
    `by-label = <&n1>; by-path = <&{/soc/b} 7>; twice = <&n1 &n1>; path = &n1; path2 = &{/soc}; root-path = &{/};`,
    `list = "x", &n1, <&n2 1>, &n2, "y"; before = l1: &n1 l2:;`,
    `n1: a { self = <&n1>; };`,
    `n3: fixed { phandle = <1>; }; n4: fixed2 { linux,phandle = <2>; };`,
    `own { phandle = <&{/own}>; };`,
    `soc { n2: b { up = <&n3 &n4>; }; };`,
  ),
  "labels everywhere": `/dts-v1/;\nr1: r2: /memreserve/ 0x1000 0x2000;\n/memreserve/ (1 << 20) 'x';\n/ {
    p1: p2: a = v1: <v2: 1 v3: 2 v4:> v5:, v6: "s" v7:, [b1: 01 b2: 02 b3:];
    n1: n2: n3: node { q: empty; };
  };
  / { n4: n5: node { }; };
  n6: &n1 { added; };`,
  merging: `/dts-v1/;
    / { a = <1>; b = <2>; x: n { p = "1"; q = "2"; s { }; }; m { }; };
    / { b = <3>; c = <4>; n { q = "3"; t { }; }; o { }; };
    &x { p; u { deep; }; };
    &{/n/s} { found; };
    / { n { s { again = &x; }; }; };`,
  deleting: `/dts-v1/;
    / { a; b; c; l1: n1 { l2: in { }; }; n2 { k; }; l3: n3 { }; n4 { x { }; }; };
    / { /delete-property/ b; /delete-node/ n2; };
    /delete-node/ &l3;
    /delete-node/ &{/n4/x};
    / { b = "back"; n2 { back; }; };
    &l1 { /delete-node/ in; };
    / { n1 { in { none-of-the-labels; }; }; };
    / { n5 { p; /delete-property/ q; }; };`,
  "deleting in a body": `/dts-v1/;
    / { /delete-property/ gone; /delete-node/ never; n { }; };
    / { gone = <1>; never { }; last { }; };`,
  "omitting what nothing refers to": `/dts-v1/;
    / { r = <&used>; s = &by_path;
      /omit-if-no-ref/ used: a { }; /omit-if-no-ref/ unused: b { phandle = <1>; c { }; };
      l: /omit-if-no-ref/ d { }; by_path: e { }; f { }; late: g { }; };
    /omit-if-no-ref/ &by_path;
    /omit-if-no-ref/ &{/f};
    /omit-if-no-ref/ &late;`,
  "boot cpu": root(`cpus { cpu@3 { reg = <3>; }; cpu@0 { reg = <0>; }; };`),
  "name properties": root(`name = ""; n@1 { name = "n"; reg = <1>; };`),
  comments: `/* first */ /dts-v1/ /**/ ; // second
    /***/ / { /* a */ p /* b */ = /* c */ < /* d */ 1 /* e */ > // f
    ; // "not a string /* not a comment
    q = "/* no comment */ // neither"; r = [/* x */ 01];
    };`,
  "line markers": `# 1 "/tmp/board.dts"\n# 1 "<built-in>" 1\n#line 7 "x \\"y\\".dts"\n/dts-v1/;\n/ {\n p = <\n# 10 "z.dts" 2\n0x12\n>;\n};\n`,
  plugin: `/dts-v1/;\n/plugin/;\n/ { compatible = "acme,board"; };
    &uart0 { status = "okay"; clocks = <&osc 1>, <&local>; local: sub { x = <&local &osc>; }; };
    &{/soc/i2c@0} { dev@1 { reg = <1>; bus = <&missing>; }; };
    &local { y = <&uart0>; };`,
  "plugin that begins with a reference": `/dts-v1/;\n/plugin/;\n&a { p; };\n&b { q = <&a>; };`,
  "plugin written by hand": `/dts-v1/;\n/plugin/;\n/ {
      fragment@0 { target = <&uart0>; __overlay__ { a = <&here>, "x"; here: h { }; }; };
      fragment@1 { target-path = "/"; __overlay__ { b = <1 &uart0 &here>; }; };
    };`,
  "plugin without references": `/dts-v1/;\n/plugin/;\n&{/} { x; };`,
  "headers again": `/dts-v1/;\n/dts-v1/;\n/ { };`,
  "a word that is digits too": root(`p = [be: ef ad: de]; beef: abc { };`),
};

/** A source of many parts that extend, delete, revive and refer: few names, so that they meet often. Some are wrong. */
export function randomSource(random: (limit: number) => number): string {
  const pick = <T>(from: readonly T[]): T => from[random(from.length)]!;
  const some = (limit: number, make: () => string): string => Array.from({ length: random(limit) }, make).join(" ");
  const nodeName = () => pick(["a", "b", "c", "d@1", "e"]);
  const given: string[] = ["l0"];
  /** Mostly a new one: one that is used twice is an error. */
  const label = (): string => {
    if (random(30) > 0) given.push(`l${given.length}`);
    return given.at(-1)!;
  };
  const path = () => `/${Array.from({ length: 1 + random(2) }, nodeName).join("/")}`;
  const reference = () => (random(9) ? `&${pick(given)}` : `&{${path()}}`);
  const cell = () => pick([() => `${random(1 << 20)}`, () => `(${random(99)} - ${random(99)})`, reference])();
  const value = () => pick([() => `<${some(4, cell)}>`, () => `"${some(3, nodeName)}"`, reference, () => "[0a 0b]"])();
  const labels = () => (random(6) ? "" : `${label()}: `);
  const property = (): string => {
    const name = pick(["p", "q", "r", "s"]);
    const roll = random(8);
    if (roll === 0) return `/delete-property/ ${name};`;
    if (roll === 1) return `phandle = <${1 + random(40)}>;`;
    return roll === 2 ? `${name};` : `${labels()}${name} = ${value()}${random(3) ? "" : `, ${value()}`};`;
  };
  const distinct = (limit: number, make: () => string): string => {
    const byName = new Map<string, string>();
    for (let i = random(limit); i > 0; i--) {
      const text = make();
      byName.set(/[\w@]+(?= =|;| \{)/.exec(text)![0], text);
    }
    return [...byName.values()].join(" ");
  };
  const body = (depth: number): string => {
    const child = (): string => {
      if (random(7) === 0) return `/delete-node/ ${nodeName()};`;
      const omit = random(8) ? "" : "/omit-if-no-ref/ ";
      return `${omit}${random(2) ? "" : `${label()}: `}${nodeName()} ${body(depth + 1)}`;
    };
    return `{ ${distinct(4, property)} ${depth > 3 ? "" : distinct(4, child)} };`;
  };
  const part = (): string =>
    pick([
      () => `/ ${body(0)}`,
      () => `${reference()} ${body(1)}`,
      () => `${random(3) ? "" : `${label()}: `}&${pick(given)} ${body(1)}`,
      () => `/delete-node/ ${reference()};`,
      () => `/omit-if-no-ref/ ${reference()};`,
    ])();
  const plugin = random(3) === 0;
  return `/dts-v1/; ${plugin ? "/plugin/; " : ""}/ { l0: a { }; };\n/ ${body(0)}\n${Array.from({ length: random(5) }, part).join("\n")}\n`;
}
