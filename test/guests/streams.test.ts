/** The monitor on a console that is elsewhere: a Unix socket, a TCP port, a pseudo terminal, a program, files. */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { command, endedWith, ROOT, testWith, VIRT, vmrun, Workshop } from "./vmrun.ts";

const PROMPT = "monitor> ";
const on = (host: string) => [VIRT, "--set", "boot.cmdline=nocolor", "--set", `vdev.uart0.host=${host}`];

/** vmrun in the background, whose console is elsewhere. */
class Elsewhere {
  stderr = "";
  readonly child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #heard: Promise<void>;

  constructor(host: string) {
    this.child = Bun.spawn(command(["--host-timeout", "100s", ...on(host)]), {
      cwd: ROOT,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#heard = this.#listen();
  }

  /** What it says of its stream, once it has. */
  async said(pattern: RegExp): Promise<string> {
    for (const begun = Date.now(); ; await Bun.sleep(10)) {
      const match = pattern.exec(this.stderr);
      if (match !== null) return match[1]!;
      if (Date.now() - begun > 30_000) throw new Error(`no ${pattern} in\n${this.stderr}`);
    }
  }

  async end(): Promise<{ readonly code: number; readonly stdout: string }> {
    const [code, stdout] = await Promise.all([this.child.exited, new Response(this.child.stdout).text(), this.#heard]);
    return { code, stdout };
  }

  async #listen(): Promise<void> {
    for await (const chunk of this.child.stderr) this.stderr += Buffer.from(chunk).toString();
  }
}

/** A program of the host whose standard input and output are the console. */
class Peer {
  screen = "";
  readonly child: Bun.Subprocess<"pipe", "pipe", "inherit">;

  constructor(...program: readonly string[]) {
    this.child = Bun.spawn([...program], { stdin: "pipe", stdout: "pipe" });
    void this.#listen();
  }

  type(text: string): void {
    this.child.stdin.write(text);
    this.child.stdin.flush();
  }

  async until(text: string): Promise<void> {
    for (const begun = Date.now(); !this.screen.includes(text); await Bun.sleep(5)) {
      if (Date.now() - begun > 30_000) throw new Error(`no ${JSON.stringify(text)} in\n${this.screen}`);
    }
  }

  async leave(): Promise<void> {
    this.child.kill();
    await this.child.exited;
  }

  async #listen(): Promise<void> {
    for await (const chunk of this.child.stdout) this.screen += Buffer.from(chunk).toString("latin1");
  }
}

/** Two of them, one after the other: the first finds all that was printed before it came. */
async function twoPeers(guest: Elsewhere, program: readonly string[], enter: string): Promise<void> {
  const first = new Peer(...program);
  await first.until(PROMPT);
  expect(first.screen).toContain("the monitor runs on hart 0");
  first.type(`hello${enter}`);
  await first.until("unknown command: hello");
  await first.leave();
  const second = new Peer(...program);
  second.type(`help${enter}`);
  await second.until("poweroff");
  expect(second.screen).not.toContain("the monitor runs on");
  second.type(`poweroff 5${enter}`);
  expect(await guest.end()).toMatchObject({ code: 3, stdout: "" });
  expect(guest.stderr).toContain("guest reported failure 5");
  await second.leave();
}

describe("peers come and go", () => {
  const withSocat = testWith([], { socat: "socat" });

  withSocat("at a Unix socket", async () => {
    using shop = new Workshop();
    const path = shop.path("uart.sock");
    const guest = new Elsewhere(`unix:${path}`);
    expect(await guest.said(/listens at (\S+)/)).toBe(path);
    await twoPeers(guest, ["socat", "-", `UNIX-CONNECT:${path}`], "\n");
    expect(existsSync(path)).toBe(false);
  });

  withSocat("at a TCP port", async () => {
    const guest = new Elsewhere("tcp:127.0.0.1:0");
    const port = await guest.said(/listens at 127\.0\.0\.1:(\d+)/);
    await twoPeers(guest, ["socat", "-", `TCP:127.0.0.1:${port}`], "\n");
  });

  withSocat("at a pseudo terminal", async () => {
    using shop = new Workshop();
    const link = shop.path("uart");
    const guest = new Elsewhere(`pty:${link}`);
    await guest.said(/pseudo terminal is (\S+),/);
    await twoPeers(guest, ["socat", "-", `${link},raw,echo=0`], "\r");
    expect(existsSync(link)).toBe(false);
  });

  withSocat("where vmrun connects to them", async () => {
    using shop = new Workshop();
    const path = shop.path("uart.sock");
    const guest = new Elsewhere(`unix-connect:${path}`);
    await guest.said(/(it is tried again)/);
    await twoPeers(guest, ["socat", "-", `UNIX-LISTEN:${path},unlink-early`], "\n");
  });
});

describe("a program", () => {
  test("is the console's other end, and has time to end", async () => {
    using shop = new Workshop();
    const [script, log] = [shop.path("peer.sh"), shop.path("log")];
    writeFileSync(script, `echo hello\necho poweroff 6\ncat >${log}\necho over >>${log}\n`);
    const run = await vmrun([...on(`process:sh ${script}`), "--allow-host-power"]);
    endedWith(run, 3);
    expect(readFileSync(log, "latin1")).toMatch(/unknown command: hello[\s\S]*poweroff 6\s+over\n$/);
  });

  test("does not run where nobody allowed it", async () => {
    using shop = new Workshop();
    const run = await vmrun(on(`process:touch ${shop.path("trace")}`));
    endedWith(run, 2);
    expect(run.stderr).toContain("host commands are not allowed");
    expect(run.stderr).toContain("--allow-host-power");
    expect(existsSync(shop.path("trace"))).toBe(false);
  });
});

test("files are a console whose every run is the same", async () => {
  using shop = new Workshop();
  const [input, output] = [shop.path("in"), shop.path("out")];
  writeFileSync(input, "hello\nsleep 3\npoweroff 7\n");
  const runs = [];
  for (let i = 0; i < 2; i++) {
    const run = await vmrun(on(`file:${output}<${input}`));
    endedWith(run, 3);
    runs.push([run.instructions, run.guestTime, readFileSync(output, "latin1")]);
  }
  expect(runs[0]).toEqual(runs[1]!);
  expect(runs[0]![2]).toContain("unknown command: hello");
});
