// What the small reader of profiles reads, it reads as the full one does: values, places, order and all.
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { Findings } from "../../src/profile/findings.ts";
import { parseFullText, parseFullValue } from "../../src/profile/full-text.ts";
import type { Origin } from "../../src/profile/located.ts";
import { readPlainText, readPlainValue } from "../../src/profile/plain-text.ts";
import { randomFrom } from "../fdt/support.ts";

const PROFILES = resolve(import.meta.dir, "../../profiles");
const origin: Origin = { kind: "file", folder: "/", shownFolder: "" };
const shipped = readdirSync(PROFILES)
  .filter((name) => name.endsWith(".toml"))
  .map((name) => [name, readFileSync(resolve(PROFILES, name), "utf8")] as const);

const full = (text: string) => parseFullText(text, "t.toml", origin, new Findings());

/** Whether it was read; the same by both, if so. */
function agrees(text: string): boolean {
  const tree = readPlainText(text, "t.toml", origin);
  if (!tree) return false;
  const expected = full(text);
  // Maps compare without their order.
  expect(JSON.stringify(tree, ordered)).toBe(JSON.stringify(expected, ordered));
  return true;
}

const ordered = (_: string, value: unknown) => (value instanceof Map ? [...value] : value);

test.each(shipped)("%s is plain", (_, text) => {
  expect(agrees(text)).toBe(true);
});

test.each([
  "",
  "\n# only a comment",
  'a = "x" # a comment\n  b = \'C:\\path\'  \n"quoted key" = ""\n\'k\' = "#"',
  "a = [\n  1, # one\n\n  0x2_0,\n  [true, false], { x = 1, y.z = [\n ] } ]".replace("[\n ]", "[]"),
  "when = 2026-01-01T00:00:00Z\nn = [-12, +7, 1_000, 0o17, 0b11, 0, 1.5, -0.25]",
  "a.b.c = 1\na.d = 2\n[t]\na.b = 3\n[t.u]\nx = 1\n[v.w]\n[v]\ny = 1",
  "[[l]]\nn = 1\n[l.sub]\nm = 1\n[[l]]\nn = 2\n[[l.deep]]\n[[l.deep]]\nz = 1\n[ l . sub ]",
  "[a.a]\nx = 1\r\n[b]\r\ny = 'z'\r\n",
  "__proto__ = 1\n[constructor]\nx = 1",
  "x = 1 # café, en dash –",
])("%j is plain", (text) => {
  expect(agrees(text)).toBe(true);
});

test.each([
  'a = "\\t"',
  'a = """x"""',
  "a = ''''''",
  "a = 1\na = 2",
  "[a]\n[a]",
  "[a]\n[[a]]",
  "[[a]]\n[a]",
  "a = {}\n[a.b]",
  "a.b = 1\n[a]",
  "a.b = 1\n[a.c]",
  "[a.b]\n[a]\nb.c = 1",
  "a = [1]\n[[a]]",
  "a = 01",
  "a = -0",
  "a = 1__0",
  "a = 9007199254740993",
  "a = 2026-02-30T00:00:00Z",
  "a = inf",
  "a = {x = 1,}",
  "a = {x = 1\n}",
  "a = [1 2]",
  "a = virt",
  'a = "x" b = 1',
  "[a",
  "[a]]",
  "a = 1 2",
  "= 1",
  "a = [",
  'a = "\u{1F600}"',
  "a = 1\u0000",
  "\uFEFFa = 1",
  "a = 1\rb = 2",
  `a = ${"[".repeat(20)}${"]".repeat(20)}`,
  `${Array.from({ length: 20 }, (_, i) => `k${i}`).join(".")} = 1`,
])("%j is left to the full reader", (text) => {
  expect(readPlainText(text, "t.toml", origin)).toBeUndefined();
});

describe("values for --set", () => {
  test.each(["1", ' "x" ', "[1, 'a']", "{ a = 1 }", "0x10 # ten"])("%j", (text) => {
    const place = { path: "--set" };
    expect(readPlainValue(text, place, origin)).toEqual(parseFullValue(text, place, origin)!);
  });

  test.each(["virt", "1\nb = 2", "", "1, 2"])("%j is none", (text) => {
    expect(readPlainValue(text, {}, origin)).toBeUndefined();
  });
});

test("profiles changed at random", () => {
  const PIECES = [
    "[",
    "]",
    "[[a]]",
    "[a]",
    "=",
    '"',
    "'",
    "{",
    "}",
    ",",
    ".",
    "\n",
    " ",
    "#",
    "1",
    "_",
    "a",
    "a.b = 1\n",
  ];
  const random = randomFrom(7);
  const whole = shipped.map(([, text]) => text);
  whole.push("[a]\nb.c = 1\nd = [1, 2]\n[[l]]\nx = { y = 1 }\n[l.m]\nz = 'q'\n[a.e]\n");
  let read = 0;
  for (let round = 0; round < 600; round++) {
    const text = whole[random(whole.length)]!;
    // A part from some line on, for every line to have its turn; the full reader is slow.
    const start = text.indexOf("\n", random(text.length)) + 1;
    let part = text.slice(start, start + 400);
    for (let i = random(3); i > 0; i--) {
      const at = random(part.length + 1);
      part = part.slice(0, at) + PIECES[random(PIECES.length)] + part.slice(at + random(3));
    }
    if (agrees(part)) read++;
  }
  expect(read).toBeGreaterThan(100);
});
