/** Sources that mean harm: whatever they are, the result is a tree or an error, soon. */
import { describe, expect, test } from "bun:test";
import { VmrunError } from "../../../src/diagnostics/diagnostic.ts";
import { type ParseDtsOptions, parseDts } from "../../../src/fdt/dts/parse.ts";
import { printSource } from "../../../src/fdt/dts/printer.ts";
import { writeDtb } from "../../../src/fdt/writer.ts";
import { codeOf, randomFrom } from "../support.ts";
import { CORPUS, filesOf, randomSource, root } from "./support.ts";

const MACROS = `#define F(a, b...) a ## b #a F(b)
#define G F
#if defined(F) && (1 << 3) / 2 == 4
#include "x.h"
#endif
`;
const files = filesOf({ "x.h": "#define X 1\n/* x */\n", "y.dtsi": "y { };\n" });

/** A tree or VmrunError; anything else fails the test. */
function survive(source: string | Uint8Array, options: ParseDtsOptions = {}): boolean {
  try {
    const tree = parseDts(source, { files, ...options });
    printSource(tree);
    writeDtb(tree);
    return true;
  } catch (error) {
    if (error instanceof VmrunError) return false;
    throw error;
  }
}

describe("broken sources", () => {
  const seeds = [...Object.values(CORPUS), MACROS + root("p = <X F(1, 2)>;", '/include/ "y.dtsi"')];
  const words = [
    "{",
    "}",
    ";",
    "<",
    ">",
    "(",
    ")",
    '"',
    "'",
    "/*",
    "*/",
    "//",
    "\\",
    "#if 1\n",
    "\n#endif\n",
    "&",
    "&{/",
    "}",
    "a:",
    "/bits/ 8",
    "/delete-node/",
    '/include/ "y.dtsi"',
    "#define A ",
    "##",
    "F(",
    "\0",
    "\u00e9",
    "99999999999999999999",
    "?",
    ":",
  ];

  test("cut off anywhere", () => {
    for (const source of seeds) {
      for (let end = 0; end < source.length; end += 7) survive(source.slice(0, end), { force: end % 2 === 0 });
    }
  });

  test("pieces lost, doubled, moved and mistyped", () => {
    const random = randomFrom(4);
    let trees = 0;
    for (let round = 0; round < 2000; round++) {
      let source = seeds[random(seeds.length)]!;
      for (let change = 1 + random(3); change > 0; change--) {
        const at = random(source.length);
        const end = at + random(20);
        const from = random(source.length);
        const piece = [words[random(words.length)]!, source.slice(from, from + random(30)), ""][random(3)]!;
        source = source.slice(0, at) + piece + source.slice(random(2) ? end : at);
      }
      if (survive(source, { symbols: random(2) === 0, force: random(2) === 0, fixups: random(4) === 0 })) trees++;
    }
    expect(trees).toBeGreaterThan(100);
  });

  test("bytes at random", () => {
    const random = randomFrom(5);
    const text = new TextEncoder();
    for (let round = 0; round < 1000; round++) {
      const bytes = text.encode(seeds[random(seeds.length)]!);
      for (let change = 1 + random(8); change > 0; change--) bytes[random(bytes.length)] = random(256);
      survive(bytes);
    }
  });

  test("sources that make sense, forced", () => {
    for (let seed = 0; seed < 200; seed++) survive(randomSource(randomFrom(seed)), { force: true, symbols: true });
  });
});

describe("too much", () => {
  const repeated = (text: string, count: number): string => text.repeat(count);

  test.each<[string, string, string]>([
    ["nodes in nodes", root(repeated("n { ", 200_000)), "dts/limit"],
    [
      "extensions of extensions",
      `${root("l0: n { };")}${Array.from({ length: 70 }, (_, i) => `&l${i} { l${i + 1}: n { }; };`).join("\n")}`,
      "dts/limit",
    ],
    ["parentheses", root(`p = <${repeated("(", 200_000)}>;`), "dts/limit"],
    ["signs", root(`p = <(${repeated("- ", 200_000)}1)>;`), "dts/limit"],
    ["choices", root(`p = <(${repeated("1 ? ", 200_000)}1)>;`), "dts/limit"],
    ["labels", root(`${Array.from({ length: 10_000 }, (_, i) => `l${i}:`).join(" ")} n { };`), "dts/limit"],
    ["#if in #if", repeated("#if 1\n", 10_000), "dts/limit"],
    ["#if with parentheses", `#if ${repeated("(", 10_000)}`, "dts/limit"],
    ["a long directive", `#define A ${repeated("x", 100_000)}`, "dts/limit"],
    [
      "macros that double",
      `${Array.from({ length: 40 }, (_, i) => `#define A${i + 1} A${i} A${i}`).join("\n")}\n${root("p = <A40>;")}`,
      "dts/limit",
    ],
    [
      "arguments that double",
      `#define D(x) x x\n${root(`p = <${repeated("D(", 100)}1${repeated(")", 100)}>;`)}`,
      "dts/limit",
    ],
    [
      "arguments in arguments",
      `#define I(x) x\n${root(`p = <${repeated("I(", 5000)}1${repeated(")", 5000)}>;`)}`,
      "dts/limit",
    ],
    ["a macro used half a million times", `#define E\n${repeated("E ", 1 << 20)}`, "dts/limit"],
    ["bytes", root(`p = ${repeated('/incbin/("big"), ', 20)}"";`), "dts/limit"],
    ["paths", `${root(`l: ${"n".repeat(255)} { };`)}/ { p = ${repeated("&l, ", 80_000)}""; };`, "dts/limit"],
    ["the source itself", repeated("/", 40 << 20), "dts/limit"],
  ])("%s", (_, source, code) => {
    const big = { ...files, read: (path: string) => (path === "big" ? new Uint8Array(1 << 20) : undefined) };
    expect(codeOf(() => parseDts(source, { files: big }))).toBe(code);
  });

  test("includes that multiply", () => {
    const levels = Object.fromEntries(
      Array.from({ length: 40 }, (_, i) => [`f${i}`, `#include "f${i + 1}"\n`.repeat(2)]),
    );
    const all = filesOf({ ...levels, f40: "" });
    expect(codeOf(() => parseDts('#include "f0"\n', { files: all }))).toBe("dts/limit");
  });

  test("time stays in proportion: what tempts a reader to look twice", () => {
    const many = 10_000;
    const sources = [
      root(...Array.from({ length: many }, (_, i) => `n${i} { };`)),
      root(...Array.from({ length: many }, (_, i) => `p${i} = <${i}>;`)),
      root("l: n { };") + repeated("/ { n { p = <&l>; }; };\n", many),
      root(`p = ${repeated("<1>, ", 4 * many)}<2>;`),
      root(
        `p = <${Array.from({ length: many }, (_, i) => `&l${i}`).join(" ")}>;`,
        ...Array.from({ length: many }, (_, i) => `l${i}: n${i} { };`),
      ),
      `/dts-v1/; /plugin/; / { p = <${Array.from({ length: many }, (_, i) => `&l${i % 100}`).join(" ")}>; };`,
      root(...Array.from({ length: many }, (_, i) => `n${i} { phandle = <${i + 1}>; };`)),
      repeated("/* */ // x\n", many) + root(),
      root(`p = "${repeated("\\n", many)}";`),
      `#define F(x) x\n${repeated("F // ////////////////////\n", many)}${repeated("'a' ", many)}`,
      `#${repeated(" ", many)}x\n#define X\n`,
      repeated("'\\", many),
      `#define X\n${repeated('"\\', many)}`,
      root("l: n { a { }; b { }; };") + repeated("/ { /delete-node/ n; };\n/ { n { a { }; }; };\n", many),
    ];
    const start = performance.now();
    for (const source of sources) survive(source, { symbols: true });
    // A twentieth of a second each where the time is linear, minutes where it is not.
    expect(performance.now() - start).toBeLessThan(20_000);
  }, 60_000);
});
