import { describe, expect, test } from "bun:test";
import { type Diagnostic, fail, type Place, render, VmrunError } from "../../src/diagnostics/diagnostic.ts";

const at = (place: Place, more: Partial<Diagnostic> = {}): string =>
  render({ code: "test/code", severity: "error", message: "it is wrong", place, ...more });

describe("the text of a diagnostic", () => {
  test("shows the line with the span marked, related places, and a hint", () => {
    const source = "size = 12";
    expect(
      at(
        { file: "a.toml", line: 7, column: 8, length: 2, source },
        {
          related: [{ place: { file: "b.toml", line: 120, column: 1, length: 4, source }, message: "the other" }],
          hint: "make it 13",
        },
      ),
    ).toMatchInlineSnapshot(`
      "a.toml:7:8: error[test/code]: it is wrong
          7 | size = 12
            |        ^^
      b.toml:120:1: note: the other
        120 | size = 12
            | ^^^^
        hint: make it 13"
    `);
  });

  test("knows as much of a place as it is told", () => {
    expect(at({ file: "a" })).toBe("a: error[test/code]: it is wrong");
    expect(at({ file: "a", line: 3 })).toBe("a:3: error[test/code]: it is wrong");
    expect(at({ file: "a", offset: 255 })).toBe("a, offset 0xff: error[test/code]: it is wrong");
    expect(at({ path: "/soc/uart" })).toBe("/soc/uart: error[test/code]: it is wrong");
    expect(at({ file: "a", line: 1, path: "vdev[0]" })).toBe("a:1: error[test/code]: it is wrong");
    expect(at({})).toBe("error[test/code]: it is wrong");
    expect(render({ code: "c", severity: "warning", message: "m" })).toBe("warning[c]: m");
  });

  const marks = (place: Place): string => at({ file: "a", line: 1, ...place }).split("\n")[2];
  test("marks at least one column, and none beyond the line", () => {
    expect(marks({ column: 1, source: "abc" })).toBe("      | ^");
    expect(marks({ column: 2, length: 0, source: "abc" })).toBe("      |  ^");
    expect(marks({ column: 2, length: 99, source: "abc" })).toBe("      |  ^^");
    expect(marks({ column: 4, length: 5, source: "abc" })).toBe("      |    ^");
    expect(marks({ column: 1, length: 5, source: "" })).toBe("      | ^");
  });

  test("keeps tabs, so that the mark stands below its text", () => {
    expect(marks({ column: 4, length: 1, source: "\tab\tc" })).toBe("      | \t  ^");
  });
});

describe("an error", () => {
  test("carries every finding, and codes in its message", () => {
    const findings: Diagnostic[] = [
      { code: "a/one", severity: "error", message: "first" },
      { code: "a/two", severity: "warning", message: "second" },
    ];
    const error = new VmrunError(findings);
    expect(error.diagnostics).toEqual(findings);
    expect(error.message).toBe("a/one: first\na/two: second");
    expect(error.name).toBe("VmrunError");
    expect(new VmrunError(findings[0]).diagnostics).toEqual([findings[0]]);
  });

  test("of one finding is made by `fail`", () => {
    try {
      fail("a/b", "no", { hint: "yes", place: { file: "f" } });
    } catch (error) {
      expect(error).toBeInstanceOf(VmrunError);
      expect((error as VmrunError).diagnostics).toEqual([
        { code: "a/b", severity: "error", message: "no", hint: "yes", place: { file: "f" } },
      ]);
      return;
    }
    throw new Error("fail returned");
  });
});
