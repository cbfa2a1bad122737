import { describe, expect, test } from "bun:test";
import { commentsAtEnd, mergeComments, pushComments } from "../../src/fdt/comments.ts";

const comment = (text: string, apart = false) => ({ text, apart });

function lines(...texts: string[]): string {
  const out: string[] = [];
  pushComments(
    out,
    texts.map((text) => comment(text)),
    "\t",
  );
  return out.join("\n");
}

describe("on lines of their own", () => {
  test.each([
    ["one line", "// a  ", "\t// a"],
    ["stars under each other", "/*\n      * a\n   *\n  */", "\t/*\n\t * a\n\t *\n\t */"],
    ["text keeps its shape", "/* a\n\n  b\n    c\n*/", "\t/* a\n\n\t   b\n\t     c\n\t */"],
    ["an end behind text", "/* a\n   b */", "\t/* a\n\t   b */"],
    ["lines of Windows", "/* a\r\n * b\r\n */", "\t/* a\n\t * b\n\t */"],
    ["nothing that a preprocessor continues", "// a \\", "\t/* a \\ */"],
    ["nothing that moves a cursor or turns the text", "// \x1b[2J\x00\x9b\u202e\u2066\u2028é，", "\t// ·[2J·····é，"],
  ])("%s", (_, text, printed) => expect(lines(text)).toBe(printed));

  test("an empty line stays between two", () => {
    const out: string[] = [];
    pushComments(out, [comment("// a", true), comment("// b"), comment("// c", true)], "");
    expect(out).toEqual(["// a", "// b", "", "// c"]);
  });
});

test("at the end of a line, only the last may be one that goes to its end", () => {
  const texts = ["// a", "/* b */", "// c */ d /**/ */", "//", "// e */ f"];
  const printed = " /* a */ /* b */ /* c * / d /** / * / */ /*  */ // e */ f";
  expect(
    commentsAtEnd(
      texts.map((text) => comment(text)),
      "",
    ),
  ).toBe(printed);
});

test("the later comments of a node take the place of the earlier ones, part by part", () => {
  const [a, b, c] = ["// a", "// b", "// c"].map((text) => [comment(text)]) as [object[], object[], object[]];
  const earlier = { before: a, after: [], open: b, last: [] } as never;
  const later = { before: c, after: c, open: [], last: [] } as never;
  expect(mergeComments(earlier, later)).toEqual({ before: c, after: c, open: b, last: [] } as never);
  expect(mergeComments(earlier, undefined)).toBe(earlier);
  expect(mergeComments(undefined, later)).toBe(later);
});
