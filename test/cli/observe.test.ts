// What a run tells about exits, and where it goes.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { command, ROOT, VIRT, vmrun } from "./vmrun.ts";

const POWEROFF = "poweroff\n";

describe("--exits", () => {
  test("is a table on standard error; the guest's output stays alone", async () => {
    const plain = await vmrun([VIRT], POWEROFF);
    const { code, out, err } = await vmrun([VIRT, "--exits"], POWEROFF);
    expect(code).toBe(0);
    expect(out).toBe(plain.out);
    const lines = err.split("\n");
    expect(lines[0]).toBe(plain.err.split("\n")[0].replace(/\d+ MIPS/, /\d+ MIPS/.exec(lines[0])![0]));
    expect(lines[1]).toMatch(/^[\d,]+ exits in .* in guest code, .* in exits, .* outside/);
    expect(lines[3]).toMatch(/^ *EXITS +TIME +OF RUN +MIN +MEDIAN +P99 +MAX +BYTES +WHAT$/);
    expect(err).toMatch(/^ *1 .* write +4 {2}power\.FINISHER$/m);
    expect(err).toMatch(/GUEST CODE\n.* 0x80[0-9a-f]{6}\n/);
  });

  test("is CSV of the columns that one asks for, with counts that are the same in every run", async () => {
    const run = async () =>
      (await vmrun([VIRT, "-q", "--exits=csv", "--exits-by", "vdev,register,kind"], POWEROFF)).err;
    const [header, ...rows] = (await run()).trimEnd().split("\r\n");
    expect(header).toBe("vdev,register,kind,count,ns,min,median,p99,max,timed");
    const counts = (lines: readonly string[]) => lines.map((line) => line.split(",").slice(0, 4).join()).sort();
    expect(counts(rows)).toContain("power,FINISHER,write,1");
    expect(counts(rows)).toEqual(counts((await run()).trimEnd().split("\r\n").slice(1)));
  });

  test("is JSON in a file", async () => {
    const folder = mkdtempSync(join(tmpdir(), "vmrun-exits-"));
    const file = join(folder, "exits.json");
    const { code, err } = await vmrun(
      [VIRT, "-q", "--exits=json", "--exits-file", file, "--exits-by=vdev,pc"],
      POWEROFF,
    );
    expect([code, err]).toEqual([0, ""]);
    const { total, time, exits } = JSON.parse(readFileSync(file, "utf8"));
    expect(exits.reduce((sum: number, { count }: { count: number }) => sum + count, 0)).toBe(total);
    expect(exits[0].pc).toMatch(/^0x8000/);
    expect(time.exits).toBeLessThan(time.running);
    rmSync(folder, { recursive: true });
  });

  test("refuses formats and columns that there are not", async () => {
    const format = await vmrun([VIRT, "--exits=xml"]);
    expect([format.code, format.err]).toEqual([
      2,
      'error[cli/exits]: exits cannot be told as "xml"\n  hint: table, csv, json\n',
    ]);
    const column = await vmrun([VIRT, "--exits-by=vdev,regsiter"]);
    expect([column.code, column.err]).toEqual([
      2,
      'error[cli/exits]: exits have no column "regsiter"\n  hint: did you mean "register"?\n',
    ]);
  });
});

test("--trace says what does not fit, and is JSON", async () => {
  const folder = mkdtempSync(join(tmpdir(), "vmrun-trace-"));
  const file = join(folder, "trace.json");
  const { code, err } = await vmrun([VIRT, "-q", "--trace", file, "--trace-events", "500"], POWEROFF);
  expect(code).toBe(0);
  expect(err).toMatch(
    /trace\.json has the first 500 events: [\d,]+ later ones are not in it; --trace-events raises that/,
  );
  const { traceEvents, otherData } = JSON.parse(readFileSync(file, "utf8"));
  expect(traceEvents.filter(({ ph }: { ph: string }) => ph !== "M").length).toBe(1000);
  expect(otherData["events that are not in this file"]).toBeGreaterThan(1000);
  rmSync(folder, { recursive: true });
  expect((await vmrun([VIRT, "--trace", file, "--trace-events", "all"])).err).toContain("1 to 5000000");
  expect((await vmrun([VIRT, "--top"])).err).toContain("error[cli/top]: --top needs a terminal");
  expect((await vmrun([VIRT, "--exits", "--symbols", "/nowhere"])).err).toContain("there is no file /nowhere");
});

describe("budgets", () => {
  const folder = mkdtempSync(join(tmpdir(), "vmrun-budget-"));
  const path = (name: string) => join(folder, name);
  afterAll(() => rmSync(folder, { recursive: true }));

  test("of a recorded run are kept by the same run, and broken by one that does more", async () => {
    const recorded = await vmrun([VIRT, "-q", "--budget-record", path("budget.toml")], POWEROFF);
    expect([recorded.code, recorded.err]).toEqual([0, ""]);
    const kept = await vmrun([VIRT, "-q", "--budget", path("budget.toml")], POWEROFF);
    expect([kept.code, kept.err]).toEqual([0, ""]);
    const broken = await vmrun([VIRT, "-q", "--budget", path("budget.toml")], `\n${POWEROFF}`);
    expect(broken.code).toBe(10);
    expect(broken.err).toMatch(
      /budget\.toml:\d+:2: error\[budget\/exceeded\]: budget uart0-RBR-read is exceeded: 10 exits, 9 allowed/,
    );
    expect(broken.err).toMatch(/^ {2}10 {2}read {2}uart0\.RBR\n {2}10 {2}from {2}0x8000/m);
    expect(broken.err).not.toContain("plic-");
  });

  test("count between markers: text on the console, or a write to a register", async () => {
    const profile = (limits: string) => {
      writeFileSync(path("board.toml"), `schema = 1\ninclude = ${JSON.stringify(VIRT)}\n${limits}`);
      return path("board.toml");
    };
    // "help" is typed behind the first prompt; the finisher is written once, behind everything.
    const limits = (echo: number, finisher: number) => `
      [budget.echo]
      vdev = "uart0"
      register = "THR"
      from = "> "
      to = "help"
      exits = ${echo}
      [budget.finisher]
      vdev = "power"
      from = { vdev = "uart0", register = "IER", value = 1 }
      exits = ${finisher}`;
    const kept = await vmrun([profile(limits(4, 1)), "-q"], `help\n${POWEROFF}`);
    expect([kept.code, kept.err]).toEqual([0, ""]);
    const broken = await vmrun([profile(limits(3, 0)), "-q"], `help\n${POWEROFF}`);
    expect(broken.code).toBe(10);
    expect(broken.err).toContain("budget echo is exceeded: 4 exits, 3 allowed");
    expect(broken.err).toContain("budget finisher is exceeded: 1 exits, 0 allowed");
    const never = await vmrun([profile(`[budget.login]\nfrom = "login:"\nexits = 1`), "-q"], POWEROFF);
    expect(never.code).toBe(10);
    expect(never.err).toContain('error[budget/phase]: budget login: its phase never began: there was no "login:"');
  });

  test("do not hide how a run fails otherwise", async () => {
    writeFileSync(path("board.toml"), `schema = 1\ninclude = ${JSON.stringify(VIRT)}\n[budget.all]\nexits = 1\n`);
    const { code, err } = await vmrun([path("board.toml")], "poweroff 9\n");
    expect(code).toBe(3);
    expect(err).toContain("budget all is exceeded");
  });
});

test("SIGUSR1 tells how the machine is, with its exits so far", async () => {
  const child = Bun.spawn(command([VIRT, "--exits"]), {
    cwd: ROOT,
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
  const output = child.stdout.getReader();
  let seen = "";
  while (!seen.includes("> ")) seen += new TextDecoder().decode((await output.read()).value);
  child.kill("SIGUSR1");
  const errors = child.stderr.getReader();
  let said = "";
  while (!said.includes("GUEST CODE")) said += new TextDecoder().decode((await errors.read()).value);
  expect(said).toContain("s of guest time");
  expect(said).toMatch(/write +1 {2}uart0\.THR/);
  child.stdin.write(POWEROFF);
  child.stdin.end();
  expect(await child.exited).toBe(0);
});
