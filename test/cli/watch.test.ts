import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { bareFolder } from "./folder.ts";
import { ROOT, VIRT, vmrun } from "./vmrun.ts";

const folder = bareFolder();

/** A run that a test talks to. */
class Running {
  readonly #child;
  #text = "";
  #heard = 0;

  constructor(args: readonly string[]) {
    this.#child = Bun.spawn([process.execPath, resolve(ROOT, "src/cli.ts"), ...args], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: undefined },
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) this.#listen(stream);
  }

  async #listen(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) this.#text += decoder.decode(chunk, { stream: true });
  }

  /** Waits for text behind what was waited for before, and answers all up to its end. */
  async until(text: string): Promise<string> {
    const begun = Date.now();
    for (;;) {
      const at = this.#text.indexOf(text, this.#heard);
      if (at >= 0) {
        const heard = this.#text.slice(this.#heard, at + text.length);
        this.#heard = at + text.length;
        return heard;
      }
      if (Date.now() - begun > 30_000) throw new Error(`"${text}" did not come; ${this.#text.slice(this.#heard)}`);
      await Bun.sleep(10);
    }
  }

  type(line: string): void {
    this.#child.stdin.write(`${line}\n`);
    this.#child.stdin.flush();
  }

  get exited(): Promise<number> {
    return this.#child.exited;
  }
}

test("new code takes over with the old state, and is refused with a reason", async () => {
  expect((await vmrun(["new", "vdev", "clock", folder])).code).toBe(0);
  const [module, profile] = [join(folder, "clock.ts"), join(folder, "clock.toml")];
  const text = readFileSync(module, "utf8");
  const run = new Running(["run", "--watch", profile, "--set", "boot.cmdline=nocolor"]);
  await run.until("monitor> ");
  run.type("mw 10100008 1234");
  await run.until("monitor> ");
  run.type("md.w 10100000 3");
  expect(await run.until("00001234")).toContain("766d7275");

  writeFileSync(module, text.replace("0x766d_7275", "0xc0ff_ee00"));
  await run.until("reloaded clock0 (clock)");
  run.type("md.w 10100000 3");
  // The new id, and the period that the guest had set.
  expect(await run.until("00001234")).toContain("c0ffee00");

  writeFileSync(module, text.replace("size: 0x1000", "size: 0x2000"));
  expect(await run.until("hint: ")).toContain("vdev clock0 is not replaced: its regions or interrupts are not those");
  writeFileSync(module, text.replace("irq.set(STATUS", "irq.st(STATUS"));
  expect(await run.until("irq.st is not a function")).toContain("clock0 is not replaced");
  writeFileSync(module, `${text}const x = ;\n`);
  expect(await run.until("used here")).toMatch(/clock\.ts:\d+:11: error\[vdev\/module-syntax\]: Unexpected ;/);

  run.type("md.w 10100000 3");
  expect(await run.until("00001234")).toContain("c0ffee00");
  run.type("poweroff");
  await run.until("guest powered off");
  expect(await run.exited).toBe(0);
}, 60_000);

test("a profile without modules has nothing to watch", async () => {
  const { code, err } = await vmrun(["run", "--watch", VIRT]);
  expect([code, err]).toEqual([2, expect.stringContaining("cli/watch")]);
});
