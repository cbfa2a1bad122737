// A user's vdev that never comes back, or fails where nobody waits: told once, with its name, and its policy decides.
import { beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { bareFolder } from "../cli/folder.ts";
import { type Result, ROOT, vmrun } from "../cli/vmrun.ts";

const VDEV = `import { defineVdev, registerMap } from "vmrun";
import * as v from "valibot";

const never = () => new Promise(() => {});
const registers = registerMap({ CONTROL: { at: 0, width: 4, about: "never comes back" } });
export const stuck = defineVdev({
  type: "stuck",
  summary: "A vdev that hangs",
  options: v.object({ where: v.pipe(v.optional(v.string(), "read"), v.description("Where.")) }),
  regions: [{ name: "regs", size: 0x1000 }],
  registers: { regs: registers },
  create(host, { where }) {
    const hang = (here) => {
      while (here === where);
    };
    hang("create");
    const timer = host.clock.timer(() => hang("timer"));
    return {
      regions: [{
        read() {
          hang("read");
          return 0;
        },
        write() {
          timer.after(0);
          if (where === "work") host.work(never, () => {});
          if (where === "interval") setInterval(() => {}, 1000);
          if (where === "floating") setTimeout(() => hang("floating"), 5);
          if (where === "throw") setTimeout(() => { throw new Error("nobody caught this"); }, 5);
          if (where === "reject") (async () => { await 0; throw new Error("nobody awaited this"); })();
        },
      }],
      reset() {},
      snapshot: () => null,
      restore() {},
    };
  },
});
`;
const PROFILE = `schema = 1
include = "vmrun:virt-rv64"
use = ["./stuck.ts"]
hang_after = 1
[[vdev]]
type = "stuck"
name = "stuck0"
at = 0x2000_0000
`;

const folder = bareFolder();
const profile = join(folder, "stuck.toml");
beforeAll(() => {
  writeFileSync(join(folder, "stuck.ts"), VDEV);
  writeFileSync(profile, PROFILE);
});

test("what a vdev leaves behind keeps nobody waiting when the guest has ended", async () => {
  for (const where of ["interval", "reject"]) {
    const { code, err } = await vmrun([profile, "--set", `vdev.stuck0.where=${where}`], "mw 20000000 1\npoweroff\n");
    expect([where, code]).toEqual([where, 0]);
    if (where === "reject") expect(err).toContain("nobody awaited this");
  }
}, 30_000);

const WHERE = ["create", "read", "timer", "floating", "throw", "reject"] as const;

describe("on_fault = end", () => {
  const results = {} as Record<(typeof WHERE)[number], Result>;

  beforeAll(async () => {
    const runs = WHERE.map(async (where) => {
      const set = ["--set", `vdev.stuck0.where=${where}`, "--set", "vdev.stuck0.on_fault=end"];
      // The host's timers need the host's time.
      const input = where === "read" ? "md 20000000 1\n" : "mw 20000000 1\nsleep 1000\n";
      results[where] = await vmrun([profile, "--quiet", "--set", "time.mode=host", ...set], input);
    });
    await Promise.all(runs);
  }, 30_000);

  const hang = (what: string) => `error[vdev/hang]: stuck0 (stuck): ${what} has not come back for 1 s`;

  test.each([
    ["create", hang("create")],
    ["read", hang("read of regs+0x0 (CONTROL)")],
    ["timer", hang("a timer")],
    ["floating", hang("a timer or promise of the host's that it left behind")],
  ] as const)("a hang: %s", (where, message) => {
    const { code, err } = results[where];
    expect(code).toBe(8);
    expect(err).toStartWith(message);
    expect(err).toEndWith("; on_fault ends vmrun\n");
    if (where === "read") expect(err).toMatch(/, pc 0x8000[0-9a-f]{4};/);
    // Once.
    expect(err.split("\n")).toHaveLength(2);
  });

  test.each([
    ["throw", "nobody caught this"],
    ["reject", "nobody awaited this"],
  ] as const)("a failure that nobody waits for: %s", (where, message) => {
    const { code, err } = results[where];
    expect(err).toMatch(/^vmrun: stuck0: code that nobody waits for \(stuck\.ts:\d+\) failed in the vdev: /);
    expect(err).toContain(message);
    expect(code).toBe(8);
  });
});

test("other policies only report a hang, and a signal ends vmrun all the same", async () => {
  const child = Bun.spawn([process.execPath, resolve(ROOT, "src/cli.ts"), profile, "--quiet"], {
    stdin: new Blob(["md 20000000 1\n"]),
    stdout: "ignore",
    stderr: "pipe",
    env: { ...process.env, NO_COLOR: "1" },
  });
  const reader = child.stderr.getReader();
  const { value } = await reader.read();
  const text = new TextDecoder().decode(value);
  expect(text).toContain("stuck0 (stuck): read of regs+0x0 (CONTROL) has not come back for 1 s, pc 0x8000");
  expect(text).toContain("hint: Ctrl-C or SIGTERM ends vmrun");
  child.kill("SIGTERM");
  await child.exited;
  expect(child.signalCode).toBe("SIGTERM");
}, 30_000);

test("work that does not settle is told of, and the guest goes on", async () => {
  const set = ["--set", "vdev.stuck0.where=work"];
  const { code, err } = await vmrun([profile, ...set, "--host-timeout", "1300ms"], "mw 20000000 1\n");
  expect(err).toContain("vmrun: stuck0: its work has not settled for 1 s\n");
  expect(code).toBe(4);
}, 30_000);
