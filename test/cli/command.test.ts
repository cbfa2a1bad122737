import { describe, expect, test } from "bun:test";
import { defineCommand, parseArguments, runCommand } from "../../src/cli/command.ts";
import { VmrunError } from "../../src/diagnostics/diagnostic.ts";

const definitions = {
  profile: { type: "positional", required: true },
  more: { type: "positional", required: false },
  set: { type: "string", alias: "s" },
  format: { type: "string", default: "dts" },
  quiet: { type: "boolean", alias: ["q", "silent"] as string[] },
  reboot: { type: "boolean", default: true },
  "host-timeout": { type: "string" },
} as const;

const parse = (...words: string[]) => parseArguments(words, definitions);

describe("a command line", () => {
  test("has words and options in any order, the last of an option counting", () => {
    expect(parse("--set", "a=1", "board.toml", "-q", "--set=b=2", "x")).toMatchObject({
      ...{ _: ["board.toml", "x"], profile: "board.toml", more: "x", set: "b=2", format: "dts", quiet: true },
      ...{ reboot: true, "host-timeout": undefined, s: "b=2", silent: true },
    });
  });

  test("has a value behind an option of one letter, and behind an alias", () => {
    expect(parse("b", "-s", "v").set).toBe("v");
    expect(parse("b", "-s=v").set).toBe("v");
    expect(parse("b", "--silent").quiet).toBe(true);
  });

  test("says no to what is on", () => {
    expect(parse("b", "--no-reboot").reboot).toBe(false);
    expect(parse("b", "--reboot=false").reboot).toBe(false);
    expect(parse("b", "--quiet=yes").quiet).toBe(true);
  });

  test("takes what follows an option that wants a value for the value, whatever it looks like", () => {
    expect(parse("b", "--set", "--quiet")).toMatchObject({ set: "--quiet", quiet: undefined });
    expect(parse("b", "--set", "--no-reboot")).toMatchObject({ set: "--no-reboot", reboot: true });
    expect(parse("b", "--set", "a\nb=c").set).toBe("a\nb=c");
    expect(parse("b", "--set").set).toBe("");
  });

  test("ends its options at --", () => {
    expect(parse("--", "--quiet", "-q")).toMatchObject({ profile: "--quiet", more: "-q", quiet: undefined });
  });

  test("passes over what is not known, names of every object among it", () => {
    expect(parse("b", "--constructor", "--__proto__=1", "--toString").profile).toBe("b");
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  test("lacks a word that the command needs", () => {
    expect(() => parse("--quiet")).toThrow(VmrunError);
    expect(() => parse("--quiet")).toThrow("Missing required positional argument: PROFILE");
  });
});

test("a command gets its words, its arguments and itself, and answers", async () => {
  const command = defineCommand({
    args: { count: { type: "string", default: "1" } },
    run: ({ args, rawArgs, cmd }) => [args.count, rawArgs, cmd],
  });
  expect(await runCommand(command as never, ["--count", "3"])).toEqual(["3", ["--count", "3"], command as never]);
});
