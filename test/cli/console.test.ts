import { expect, test } from "bun:test";
import { ConsoleEscape } from "../../src/cli/console.ts";

function typed(...pieces: readonly string[]) {
  const seen = { guest: "", done: [] as string[], said: [] as string[] };
  const keys = new ConsoleEscape(
    { quit: () => void seen.done.push("quit"), status: () => void seen.done.push("status") },
    (text) => void seen.said.push(text),
  );
  for (const piece of pieces) seen.guest += Buffer.from(keys.filter(Buffer.from(piece, "latin1"))).toString("latin1");
  return seen;
}

test("what is typed is the guest's, Ctrl-C too", () => {
  expect(typed("ls\r\x03\x1b[A\xff").guest).toBe("ls\r\x03\x1b[A\xff");
});

test("Ctrl-A introduces commands, also when they come apart", () => {
  expect(typed("a\x01xb")).toEqual({ guest: "ab", done: ["quit"], said: [] });
  expect(typed("a\x01", "s", "b")).toEqual({ guest: "ab", done: ["status"], said: [] });
  expect(typed("\x01X").done).toEqual(["quit"]);
});

test("Ctrl-A twice is one for the guest", () => {
  expect(typed("\x01\x01\x01\x01x").guest).toBe("\x01\x01x");
});

test("anything else shows the help, and is not the guest's", () => {
  const { guest, said } = typed("\x01?c");
  expect(guest).toBe("c");
  expect(said).toHaveLength(1);
  expect(said[0]).toMatchInlineSnapshot(`
    "
    Ctrl-A x   end the machine
    Ctrl-A s   status: guest time, instructions, exits, and how the vdevs are
    Ctrl-A h   this help
    Ctrl-A Ctrl-A   send Ctrl-A to the guest
    "
  `);
});
