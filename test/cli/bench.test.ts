// The command line of vmrun bench: what it takes, what it refuses, and what it leaves in files.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { command, ROOT, vmrun } from "./vmrun.ts";

const folder = mkdtempSync(join(tmpdir(), "vmrun-bench-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const SHORT = ["bench", "--quick", "--engine", "interpreter", "--only", "uart0.SCR"];

test("figures of one register: as a table, in a file, and compared with it", async () => {
  const file = join(folder, "saved.json");
  const first = await vmrun([...SHORT, "--passes", "2", "--save", file]);
  expect([first.code, first.err]).toEqual([0, ""]);
  const lines = first.out.trimEnd().split("\n");
  expect(lines[0]).toMatch(/^ +WHAT +BYTES +INTERPRETER +\+-$/);
  expect(lines.slice(1).map((line) => line.split(/ +/).slice(0, 3))).toEqual([
    ["uart0.SCR", "read", "1"],
    ["uart0.SCR", "write", "1"],
  ]);
  const saved = JSON.parse(readFileSync(file, "utf8"));
  expect(saved.figures[0]).toMatchObject({ subject: "uart0.SCR", what: "read", width: 1, runner: "interpreter" });

  expect(saved.figures[0].passes.length).toBe(2);
  expect(saved.figures[0].samples).toBe(30);

  // As if it had taken a second less than nothing: whatever the host is busy with, that is slower.
  for (const figure of saved.figures) {
    figure.median = -1e9;
    figure.deviation = 0;
    figure.passes = undefined;
  }
  saved.figures.splice(1);
  writeFileSync(file, JSON.stringify(saved));
  const second = await vmrun([...SHORT, "--csv", "--passes=1", "--against", file]);
  expect(second.code).toBe(9);
  expect(second.out.split("\r\n")[0]).toBe("subject,what,width,runner,median,deviation,min,max,samples");
  expect(second.err).toContain("1 slower, 0 faster, 0 as before");
  expect(second.err).toContain("not measured then: uart0.SCR write/1 interpreter");
});

test("--list tells what would be measured, and what not", async () => {
  const { code, out } = await vmrun(["bench", "--list"]);
  expect(code).toBe(0);
  expect(out).toContain("\nuart0.SCR  read/1\nuart0.SCR  write/1\n");
  expect(out).toContain("\nuart0.RBR  left out: reading it takes or clears something\n");
});

describe("refused is", () => {
  const other = join(folder, "other.json");
  writeFileSync(other, '{"format":1,"figures":[{"median":"fast"}]}');
  const cases: readonly (readonly [string, readonly string[], string])[] = [
    [
      "a name of nothing",
      ["--only", "uart0.SRC"],
      'error[bench/unknown]: nothing that can be measured is called "uart0.SRC"',
    ],
    ["an engine that there is not", ["--engine", "warp"], 'error[cli/engine]: there is no engine "warp" to measure'],
    ["two formats at once", ["--json", "--csv"], "error[cli/usage]: --json and --csv exclude each other"],
    ["a saved run that is not there", ["--against", join(folder, "none")], "error[bench/saved]: cannot read"],
    ["a file of something else", ["--against", other], "is no saved run of vmrun bench"],
    ["a comparison with something else", ["--vs", "bochs"], 'error[cli/vs]: vmrun cannot be compared with "bochs"'],
    ["a number of runs that is none", ["--passes", "few"], "error[cli/passes]: --passes takes a number from 1 to 100"],
    ["an unknown option", ["--fast"], "error[cli/unknown-option]: there is no option --fast"],
    ["a board with too little RAM", ["--set", "memory.dram.size=1MiB"], "error[bench/ram]"],
  ];
  test.each(cases)("%s", async (_, args, message) => {
    const { code, out, err } = await vmrun(["bench", ...args]);
    expect([code, out]).toEqual([2, ""]);
    expect(err).toContain(message);
  });
});

test("without QEMU, --vs qemu says what is missing", async () => {
  const [bun, ...args] = command(["bench", "--vs", "qemu"]);
  const child = Bun.spawn([bun!, ...args], { cwd: ROOT, env: { ...process.env, PATH: folder }, stderr: "pipe" });
  expect(await new Response(child.stderr).text()).toContain("error[bench/no-qemu]: there is no qemu-system-riscv64");
  expect(await child.exited).toBe(2);
});

test("bench console is a command of its own, with a board of its own", async () => {
  const { code, out, err } = await vmrun(["bench", "console", "--help"]);
  expect([code, err]).toEqual([0, ""]);
  expect(out).toContain("characters per exit");
  const refused = await vmrun(["bench", "console", "profiles/virt-rv64.toml"]);
  expect([refused.code, refused.out]).toEqual([2, ""]);
  expect(refused.err).toContain("error[cli/usage]: it has a board of its own");
});
