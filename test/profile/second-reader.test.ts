// Profiles are read by the parser that keeps places; the `toml` package reads them too, and both must see the same values.

import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parse } from "toml";
import { Findings } from "../../src/profile/findings.ts";
import { plain } from "../../src/profile/located.ts";
import { parseText } from "../../src/profile/text.ts";

const PROFILES = resolve(import.meta.dir, "../../profiles");

/** Dates as text, integers as numbers: the two readers may choose other types for the same value. */
const comparable = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_, each) =>
      typeof each === "bigint" ? Number(each) : each instanceof Date ? each.toJSON() : each,
    ),
  );

function read(text: string): unknown {
  const tree = parseText(text, "test.toml", { kind: "file", folder: "/", shownFolder: "" }, new Findings());
  return tree && plain(tree);
}

describe("two readers of TOML see the same values", () => {
  for (const name of readdirSync(PROFILES).filter((file) => file.endsWith(".toml"))) {
    test(`profiles/${name}`, () => {
      const text = readFileSync(`${PROFILES}/${name}`, "utf8");
      expect(comparable(read(text))).toEqual(comparable(parse(text)));
    });
  }

  test("in every form that values have", () => {
    const text = [
      'basic = "tab\\t quote\\" \\u00e9 \\U0001F600"',
      "literal = 'C:\\path'",
      'long = """\none \\\n   two"""',
      "integers = [0, +7, -12, 0x8000_0000, 0o17, 0b1010, 1_000_000, 9007199254740991]",
      "floats = [1.5, -0.25, 6e3, 1_0.5]",
      "truth = [true, false]",
      "when = 2026-01-01T00:00:00Z",
      "inline = { a = 1, b = { c = [1, [2, 3]] } }",
      'dotted.key."with space" = 1',
      "[table.deep]",
      "x = 1",
      "[[list]]",
      "n = 1",
      "[[list]]",
      "n = 2",
      "[list.sub]",
      "m = 3",
    ].join("\n");
    expect(comparable(read(text))).toEqual(comparable(parse(text)));
  });
});
