// Standard input that is a pipe: heard as it speaks, and left alone while it is held.
import { expect, test } from "bun:test";
import { resolve } from "node:path";

const TERMINAL = resolve(import.meta.dir, "../../src/host/terminal.ts");
const CHILD = `
  import { openStdin } from ${JSON.stringify(TERMINAL)};
  const input = await openStdin();
  let bytes = input.initial.length;
  input.onBytes = (more) => { bytes += more.length; };
  const seen = async () => { const before = bytes; await Bun.sleep(150); return bytes > before; };
  const said = [await seen(), input.isOpen()];
  input.hold(true);
  said.push(await seen(), input.isOpen());
  input.hold(false);
  said.push(await seen(), input.isOpen());
  console.log(JSON.stringify([input.kind, ...said]));
  process.exit();
`;

test("a writer in a hurry waits while its input is held", async () => {
  const writer = Bun.spawn(["yes"], { stdin: "ignore", stdout: "pipe", stderr: "ignore" });
  const reader = Bun.spawn([process.execPath, "-e", CHILD], { stdin: writer.stdout, stdout: "pipe" });
  const said = JSON.parse(await new Response(reader.stdout).text());
  writer.kill();
  expect(said).toEqual(["open", true, true, false, false, true, true]);
});
