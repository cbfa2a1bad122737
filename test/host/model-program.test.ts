import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startModelProgram } from "../../src/host/model-program.ts";

const folder = mkdtempSync(join(tmpdir(), "vmrun-models-"));
afterAll(() => rmSync(folder, { recursive: true }));

function program(text: string): string {
  const path = join(folder, "soc.ts");
  writeFileSync(path, text);
  return path;
}

test("is there when it says so, is heard, and ends with its standard input", async () => {
  const said: string[] = [];
  const path = program(
    `console.log("ready");
     console.log("first");
     for await (const _ of Bun.stdin.stream());
     console.log("the end");
     process.exit();`,
  );
  const model = await startModelProgram(path, (line) => said.push(line));
  model.stop();
  for (let i = 0; i < 500 && said.length < 2; i++) await Bun.sleep(5);
  expect(said).toEqual(["first", "the end"]);
});

test("that ends before it is ready is an error with its name", async () => {
  expect(startModelProgram(program("process.exit(3);"), () => {})).rejects.toThrow(
    "the device models of soc.ts did not start: it ended with status 3",
  );
});
