/** vmrun as a process with a real guest in it: pipes, signals, the terminal, and files that are not there. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { answer, command, dialogue, endedWith, LINUX, ROOT, TEST_LIMIT, VIRT, vmrun, Workshop } from "./vmrun.ts";

const PLAIN = ["--set", "boot.cmdline=nocolor"];
const PROMPT = "monitor> ";

describe("standard input", () => {
  test("from a pipe is typed to the guest, all of it", async () => {
    const lines = Array.from({ length: 50 }, (_, i) => `line-${i}`);
    const run = await vmrun([VIRT, ...PLAIN], `${lines.join("\n")}\npoweroff\n`);
    endedWith(run, 0);
    for (const line of lines) expect(answer(run, line, PROMPT)).toContain(`unknown command: ${line};`);
  });

  test("that stays open does not keep vmrun from ending", async () => {
    const child = Bun.spawn(command([VIRT, ...dialogue(PROMPT.slice(-2), ["poweroff"])]), {
      cwd: ROOT,
      stdin: "pipe",
      stdout: "ignore",
      stderr: "pipe",
    });
    expect(await child.exited).toBe(0);
    await child.stdin.end();
  });

  test("may come late: the guest waits at the host's pace", async () => {
    const child = Bun.spawn(command([VIRT, ...PLAIN]), { cwd: ROOT, stdin: "pipe", stdout: "pipe", stderr: "ignore" });
    const output = child.stdout.getReader();
    await shown(output, PROMPT);
    await Bun.sleep(500);
    child.stdin.write("time\npoweroff 5\n");
    await child.stdin.end();
    const said = await shown(output, "poweroff 5");
    const seconds = Number(/ ([\d.]+) s/.exec(said)?.[1]);
    expect(seconds).toBeGreaterThan(0.2);
    expect(seconds).toBeLessThan(30);
    expect(await child.exited).toBe(3);
  });
});

/** Reads on until `text` has come; answers what was read. */
async function shown(
  output: { read(): Promise<{ done: boolean; value?: Uint8Array }> },
  text: string,
): Promise<string> {
  let seen = "";
  while (!seen.includes(text)) {
    const { done, value } = await output.read();
    if (done) throw new Error(`the output ended without ${JSON.stringify(text)}:\n${seen}`);
    seen += Buffer.from(value ?? []).toString("latin1");
  }
  return seen;
}

describe("a signal ends a busy guest", () => {
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    test(signal, async () => {
      // Counting to the end of it takes the guest far longer than the test.
      const args = [VIRT, ...PLAIN, ...dialogue(PROMPT, Array<string>(200).fill("bench"))];
      const child = Bun.spawn(command(args), { cwd: ROOT, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
      await shown(child.stdout.getReader(), "bench");
      child.kill(signal);
      const asked = Bun.nanoseconds();
      expect(await child.exited).toBe(code);
      expect((Bun.nanoseconds() - asked) / 1e9).toBeLessThan(20);
      expect(await new Response(child.stderr).text()).toContain("ended from outside");
    });
  }
});

test("a kernel that is not there is named, with what its profile says to do about it", async () => {
  using shop = new Workshop();
  const board = shop.profile(LINUX, `[boot]\nkernel = "missing/Image"\nif_missing = "run make-image.sh"\n`);
  const run = await vmrun([board]);
  endedWith(run, 2);
  expect(run.stderr).toContain("boot.kernel names");
  expect(run.stderr).toContain("missing/Image");
  expect(run.stderr).toContain("hint: run make-image.sh");
  expect(run.stdout).toBe("");
});

/** A shell in a terminal of its own, that runs vmrun between two looks at the terminal's settings. */
class Terminal {
  screen = "";
  readonly shell: Bun.Subprocess;
  readonly #shop: Workshop;

  constructor(shop: Workshop, run: string) {
    this.#shop = shop;
    const [before, after] = ["before", "after"].map((name) => shop.path(name));
    const script = `stty -a >${before}; sh -c 'echo PID $$.; exec ${run}'; echo CODE $?.; stty -a >${after}`;
    this.shell = Bun.spawn(["sh", "-c", script], {
      cwd: ROOT,
      env: { ...process.env, TERM: "xterm" },
      terminal: { cols: 100, rows: 40, data: (_, bytes) => (this.screen += Buffer.from(bytes).toString("latin1")) },
    });
  }

  type(keys: string): void {
    this.shell.terminal!.write(keys);
  }

  async until(text: string): Promise<void> {
    for (const begun = Bun.nanoseconds(); !this.screen.includes(text); await Bun.sleep(10)) {
      const late = Bun.nanoseconds() - begun > 30e9;
      if (late) throw new Error(`no ${JSON.stringify(text)} on the terminal:\n${this.screen.slice(-2000)}`);
    }
  }

  get pid(): number {
    return Number(/PID (\d+)\./.exec(this.screen)![1]);
  }

  /** The exit code, and whether the terminal is as it was. */
  async end(): Promise<{ code: number; restored: boolean }> {
    await this.shell.exited;
    await this.until("CODE ");
    this.shell.terminal!.close();
    const [before, after] = ["before", "after"].map((name) => readFileSync(this.#shop.path(name), "utf8"));
    expect(before).toContain("icanon");
    return { code: Number(/CODE (\d+)\./.exec(this.screen)![1]), restored: before === after };
  }
}

describe.skipIf(process.platform === "win32")("at a terminal", () => {
  const open = async (shop: Workshop): Promise<Terminal> => {
    const terminal = new Terminal(shop, `${command([VIRT, ...PLAIN]).join(" ")}`);
    await terminal.until(PROMPT);
    return terminal;
  };

  test(
    "Ctrl-A introduces commands, Ctrl-C is the guest's, and Ctrl-A x leaves it as it was",
    async () => {
      using shop = new Workshop();
      const terminal = await open(shop);
      expect(terminal.screen).toContain("Ctrl-A x ends the machine");
      // The guest sends its own carriage returns.
      expect(terminal.screen).toContain("\r\n");
      expect(terminal.screen).not.toContain("\r\r\n");
      terminal.type("\x01h");
      await terminal.until("Ctrl-A s   status");
      terminal.type("\x01s");
      await terminal.until(" s of guest time");
      terminal.type("sleep 100\r");
      await terminal.until("sleep 100\r");
      terminal.type("\x03");
      terminal.type("nonsense\r");
      await terminal.until("unknown command: nonsense");
      terminal.type("\x01x");
      expect(await terminal.end()).toEqual({ code: 130, restored: true });
    },
    TEST_LIMIT,
  );

  test("the guest's end restores it", async () => {
    using shop = new Workshop();
    const terminal = await open(shop);
    terminal.type("poweroff 9\r");
    expect(await terminal.end()).toEqual({ code: 3, restored: true });
  });

  for (const [signal, code] of [
    ["SIGTERM", 143],
    ["SIGHUP", 143],
    ["SIGINT", 130],
  ] as const) {
    test(`${signal} restores it`, async () => {
      using shop = new Workshop();
      const terminal = await open(shop);
      process.kill(terminal.pid, signal);
      expect(await terminal.end()).toEqual({ code, restored: true });
    });
  }

  test("a profile that is refused leaves it alone", async () => {
    using shop = new Workshop();
    const terminal = new Terminal(shop, command([VIRT, "--set", "cpu.harts=99"]).join(" "));
    expect(await terminal.end()).toEqual({ code: 2, restored: true });
  });
});
