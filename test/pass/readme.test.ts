// The README's device model, as it stands there, under a guest that adds with it.
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { passRig } from "./support.ts";

const ROOT = resolve(import.meta.dir, "../..");

test("the README's model adds and interrupts", async () => {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const source = /```ts\n(import \{ serveModel \}[\s\S]*?)```/.exec(readme)![1]!;
  const folder = mkdtempSync(join(tmpdir(), "vmrun-model-"));
  const name = `adder-${process.pid}`;
  const file = join(folder, "adder.ts");
  const text = source
    .replace('"vmrun/model"', JSON.stringify(join(ROOT, "src/pass/model.ts")))
    .replace('"adder"', JSON.stringify(name));
  writeFileSync(file, `${text}\nconsole.log("ready");\n`);
  const child = Bun.spawn([process.execPath, file], { stdout: "pipe", stderr: "inherit" });
  await child.stdout.getReader().read();
  const { machine, run } = passRig(
    `
    li s0, 0x19000000
    li t0, 40
    sw t0, 0(s0)
    li t0, 2
    sw t0, 4(s0)
    lw a0, 8(s0)
    li t0, 1
    sw t0, 12(s0)
    li s1, 0x0c001000
    lw a1, 0(s1)
  pending:
    lw a1, 0(s1)
    beqz a1, pending
    li t2, 0x100000
    li t3, 0x5555
    sw t3, 0(t2)
  wait: j wait`,
    `[[pass]]\nat = 0x19000000\nsize = 16\nhost = "shm:${name}"\nirq = "plic:5"\n`,
  );
  expect(run(100)).toBe("poweroff");
  expect([machine.harts[0]!.x(10), machine.harts[0]!.x(11)]).toEqual([42n, 32n]);
  machine.terminate();
  child.kill("SIGKILL");
  await child.exited;
  rmSync(folder, { recursive: true });
});
