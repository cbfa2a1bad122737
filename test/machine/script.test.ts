import { describe, expect, test } from "bun:test";
import { Script, type ScriptStep } from "../../src/machine/script.ts";

const ask = (text: string): ScriptStep => ({ kind: "expect", text });
const answer = (text: string): ScriptStep => ({ kind: "input", text });

function play(steps: readonly ScriptStep[]) {
  const typed: string[] = [];
  const script = new Script(steps, (bytes) => void typed.push(Buffer.from(bytes).toString("latin1")));
  return { script, typed, print: (text: string) => script.output(Buffer.from(text, "latin1")) };
}

test("types what comes first at once, and the rest in its turn", () => {
  const { script, typed, print } = play([answer("a"), ask("login:"), answer("root\n"), ask("# "), answer("ls\n")]);
  expect(typed).toEqual(["a"]);
  expect(script.pending).toBe("login:");
  print("vmrun log");
  print("in: ");
  expect(typed).toEqual(["a", "root\n"]);
  print("# ");
  expect(typed).toEqual(["a", "root\n", "ls\n"]);
  expect(script.pending).toBeUndefined();
});

test("finds several expectations in one piece of output, each behind the last", () => {
  const { script, print } = play([ask("ab"), ask("ab"), ask("c")]);
  print("abab");
  expect(script.pending).toBe("c");
  print("c");
  expect(script.fulfilled).toBe(true);
});

test("does not find one text twice", () => {
  const { script, print } = play([ask("ok"), ask("ok")]);
  print("ok");
  expect(script.fulfilled).toBe(false);
  print("ok");
  expect(script.fulfilled).toBe(true);
});

test("finds text that comes byte by byte among much other", () => {
  const { script, print } = play([ask("needle")]);
  for (const letter of `${"hay".repeat(5000)}need${"needle"}`) print(letter);
  expect(script.fulfilled).toBe(true);
});

describe("is fulfilled", () => {
  test("only where the last step is an expectation", () => {
    const { script, print } = play([ask("x"), answer("y")]);
    print("x");
    expect(script.fulfilled).toBe(false);
    expect(play([]).script.fulfilled).toBe(false);
    expect(play([answer("x")]).script.fulfilled).toBe(false);
  });
});
