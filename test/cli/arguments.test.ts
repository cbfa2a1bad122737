import { describe, expect, test } from "bun:test";
import type { ArgsDef } from "citty";
import { asksForHelp, duration, occurrences, refuseUnknown, unescaped } from "../../src/cli/arguments.ts";
import { render, VmrunError } from "../../src/diagnostics/diagnostic.ts";

function refusal(act: () => void): string {
  try {
    act();
  } catch (error) {
    if (error instanceof VmrunError) return error.diagnostics.map(render).join("\n");
    throw error;
  }
  throw new Error("it was accepted");
}

describe("options that repeat", () => {
  test("are found in their order, in either form, among others", () => {
    const raw = ["board.toml", "--expect", "a", "--quiet", "--input=b=c", "--expect", "--expect"];
    expect(occurrences(raw, ["expect", "input"])).toEqual([
      { name: "expect", value: "a" },
      { name: "input", value: "b=c" },
      { name: "expect", value: "--expect" },
    ]);
  });

  test("may be empty or of several lines, and end at --", () => {
    expect(occurrences(["--input=", "--input=a\nb", "--", "--input=c"], ["input"]).map(({ value }) => value)).toEqual([
      "",
      "a\nb",
    ]);
  });

  test("need their value", () => {
    expect(refusal(() => occurrences(["--set"], ["set"]))).toBe("error[cli/usage]: --set needs a value");
  });
});

test("help is asked for by an option, not by another one's value", () => {
  const args: ArgsDef = { profile: { type: "positional" }, expect: { type: "string", alias: "e" } };
  for (const raw of [["-h"], ["a.toml", "--help"], ["--expect=-h", "-h"], ["--expect", "x", "-h"]]) {
    expect(asksForHelp(raw, args)).toBe(true);
  }
  for (const raw of [[], ["--expect", "-h"], ["-e", "--help"], ["--expect=-h"], ["--", "-h"]]) {
    expect(asksForHelp(raw, args)).toBe(false);
  }
});

describe("unknown options", () => {
  const args: ArgsDef = {
    profile: { type: "positional" },
    set: { type: "string" },
    output: { type: "string", alias: "o" },
    quiet: { type: "boolean", alias: ["q"] },
    "host-timeout": { type: "string" },
  };

  test("are refused, with the one that was meant", () => {
    expect(refusal(() => refuseUnknown(["--quite"], args))).toMatchInlineSnapshot(`
      "error[cli/unknown-option]: there is no option --quite
        hint: did you mean --quiet?"
    `);
    expect(refusal(() => refuseUnknown(["--host-timout=3s"], args))).toContain("did you mean --host-timeout?");
    expect(refusal(() => refuseUnknown(["--zzz"], args))).toContain("--help lists the options");
    expect(refusal(() => refuseUnknown(["-x"], args))).toContain("-x");
  });

  test("are not seen in values, numbers, or behind --", () => {
    refuseUnknown(["--set", "--nothing", "-o", "-z", "-5", "-", "--", "--unknown"], args);
  });

  test("known ones pass, also negated and by their aliases", () => {
    refuseUnknown(["a.toml", "--set=a=b", "-o", "f", "-q", "--no-quiet", "--host-timeout", "3s"], args);
  });
});

test("durations", () => {
  expect(["10", "10s", "500ms", "2min", "1h", "1.5 s", "3us", "7ns"].map((text) => duration("timeout", text))).toEqual([
    10e9, 10e9, 500e6, 120e9, 3600e9, 1.5e9, 3000, 7,
  ]);
  for (const wrong of ["", "s", "-1s", "10 parsecs", "1e3", "1s2", "constructor"]) {
    expect(refusal(() => duration("timeout", wrong))).toContain("--timeout takes a duration");
  }
});

test("escapes of what is typed", () => {
  expect(unescaped(String.raw`a\n\r\t\\\e\x41\xff`)).toBe("a\n\r\t\\\x1bA\xff");
  expect(unescaped(String.raw`\\n`)).toBe("\\n");
  // What is no escape stays as it is.
  expect(unescaped(String.raw`\q\x4\ `)).toBe(String.raw`\q\x4\ `);
});
