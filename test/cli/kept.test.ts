// Kept programs: they do what the sources do, and are never taken for sources that they are not made from.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import {
  askedOf,
  bytecodeOf,
  fingerprintOf,
  keptProgram,
  type Manifest,
  manifestFile,
  programFolder,
} from "../../src/cli/kept/door.ts";
import { claimFile, factsOfSources } from "../../src/cli/kept/sources.ts";
import { startMaker } from "../../src/cli/kept/start-maker.ts";
import { command, ROOT, VIRT } from "./vmrun.ts";

const folder = mkdtempSync(join(tmpdir(), "vmrun-kept-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const profile = join(folder, "poweroff.toml");
const withModule = join(folder, "module.toml");
const wrong = join(folder, "wrong.toml");
writeFileSync(
  profile,
  `schema = 1
include = ${JSON.stringify(VIRT)}
boot.firmware = ${JSON.stringify(join(ROOT, "firmware/bench/poweroff.elf"))}
`,
);
writeFileSync(
  join(folder, "beeper.ts"),
  `import { defineVdev } from "vmrun";
import * as v from "valibot";
export const beeper = defineVdev({
  type: "beeper", summary: "Beeps", options: v.object({}), regions: [{ name: "regs", size: 0x1000 }],
  create: (host) => { host.log.warn("beep"); return {}; },
});
`,
);
writeFileSync(
  withModule,
  `schema = 1\ninclude = ${JSON.stringify(profile)}\n"use" = ["./beeper.ts"]\n[[vdev]]\ntype = "beeper"\n`,
);
writeFileSync(wrong, `schema = 1\ninclude = ${JSON.stringify(profile)}\ncpu.hart = 2\nnonsense = 1\n`);

interface Options {
  readonly cache?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly bunOptions?: readonly string[];
}

async function vmrun(args: readonly string[], { cache, environment, bunOptions = [] }: Options = {}) {
  const [bun, ...words] = command(args);
  const child = Bun.spawn([bun!, ...bunOptions, ...words], {
    cwd: folder,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: undefined, XDG_CACHE_HOME: cache, ...environment },
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, out, err: err.replace(/\d+ MIPS/, "") };
}

const cacheOf = (name: string): string => join(folder, name);
const programsIn = (cache: string): string => programFolder({ XDG_CACHE_HOME: cache })!;

async function make(programs: string): Promise<void> {
  const maker = Bun.spawn([process.execPath, join(ROOT, "src/cli/kept/make.ts"), programs], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  expect(await maker.exited).toBe(0);
}

/** A program made from `file`, which says that it is one. */
function forge(programs: string, file: string, body = 'console.log(["kept", ...rest].join(" ")); return 0;'): string {
  rmSync(programs, { recursive: true, force: true });
  mkdirSync(programs, { recursive: true, mode: 0o700 });
  // Nobody makes real ones meanwhile.
  writeFileSync(claimFile(programs, factsOfSources().fingerprint), "", { mode: 0o600 });
  const facts = fingerprintOf([file]);
  const program = "run-forged.js";
  const path = join(programs, program);
  writeFileSync(path, `exports.main = async (rest) => { ${body} };`, { mode: 0o600 });
  writeFileSync(bytecodeOf(path), "no bytecode", { mode: 0o600 });
  const manifest: Manifest = {
    files: [file],
    facts,
    program,
    sizes: [statSync(path).size, statSync(bytecodeOf(path)).size],
  };
  writeFileSync(manifestFile(programs, "run"), JSON.stringify(manifest), { mode: 0o600 });
  return path;
}

describe("programs that were made", () => {
  const cache = cacheOf("made");
  beforeAll(async () => {
    const programs = programsIn(cache);
    mkdirSync(join(programs, "draft-1"), { recursive: true, mode: 0o700 });
    const left = ["run-1.js", "run-1.js.jsc", "making-1", "draft-1/run.js"];
    for (const name of left) writeFileSync(join(programs, name), "");
    for (const name of [...left, "draft-1"]) utimesSync(join(programs, name), 1, 1);
    for (let i = 0; i < 20; i++) mkdirSync(`${programs}${i}`);
    await make(programs);
  }, 60_000);

  test("are whole, for this user alone, and nothing of others is left beside them", () => {
    const programs = programsIn(cache);
    for (const name of ["run", "fdt"] as const) expect(keptProgram(programs, name)).toStartWith(programs);
    expect(readdirSync(programs)).toHaveLength(6);
    expect(readdirSync(join(programs, ".."))).toHaveLength(8);
    expect(statSync(programs).mode & 0o777).toBe(0o700);
  });

  test("name every source that they are made from, and nothing of the sources' places is left open", () => {
    const programs = programsIn(cache);
    const { files } = JSON.parse(readFileSync(manifestFile(programs, "run"), "utf8")) as Manifest;
    expect(files).toContain(join(ROOT, "src/engine/translator/regions.ts"));
    expect(files).toContain(join(ROOT, "src/host/kept-modules.ts"));
    expect(files.some((file) => file.endsWith("/node_modules/valibot/package.json"))).toBe(true);
    for (const name of ["run", "fdt"] as const) {
      expect(readFileSync(keptProgram(programs, name)!, "utf8")).not.toMatch(/import\.meta\b(?!")/);
    }
  });

  test.each([
    ["a run", ["run", profile]],
    ["a run by its profile alone", [profile]],
    ["a run that changes the board", ["run", profile, "--set", "cpu.harts=2", "--stats", "--engine", "interpreter"]],
    ["a run whose exits are counted", ["run", profile, "--exits-by", "vdev,register,event"]],
    ["a profile that is wrong", ["run", wrong]],
    ["a profile that is not there", ["run", "nowhere.toml"]],
    ["an option that does not exist", ["run", profile, "--nonsense"]],
    ["help", ["run", "--help"]],
    ["modules of the user's", ["run", withModule]],
    ["a tree", ["fdt", profile, "--dts"]],
    ["a tree of a wrong profile", ["fdt", wrong]],
    ["help for trees", ["fdt", "--help"]],
  ])("do what the sources do: %s", async (_, args) => {
    const kept = await vmrun(args, { cache });
    const bySources = await vmrun(args, { environment: { VMRUN_NO_CACHE: "1" } });
    const times = /\d+(\.\d+)? (ns|us|ms|s|%)/g;
    const plain = ({ code, out, err }: typeof kept) => [code, out, err.replace(times, "")];
    if (args.some((word) => word.startsWith("--exits"))) expect(kept.code).toBe(bySources.code);
    else expect(plain(kept)).toEqual(plain(bySources));
  });

  test("are not written again, and leave nothing else behind", async () => {
    const programs = programsIn(cache);
    const before = readdirSync(programs).map((name) => [name, statSync(join(programs, name)).ino]);
    await vmrun(["run", profile], { cache });
    expect(readdirSync(programs).map((name) => [name, statSync(join(programs, name)).ino])).toEqual(before);
  });
});

describe("a program is taken", () => {
  const cache = cacheOf("forged");
  const programs = programsIn(cache);
  const source = join(folder, "source.ts");
  writeFileSync(source, "export const a = 1;");
  const taken = async (options: Options = {}) => {
    const { code, out } = await vmrun(["run", profile, "--quiet"], { cache, ...options });
    expect(code).toBe(0);
    return out === `kept ${profile} --quiet\n`;
  };

  test("where it is as its sources are", async () => {
    forge(programs, source);
    expect(await taken()).toBe(true);
  });

  test("with hardly a source on the way to it", async () => {
    const path = forge(programs, source, "console.log(Object.keys(require.cache).join('\\n')); return 0;");
    const { out } = await vmrun(["run", profile], { cache });
    // The door itself is not done before the program is.
    const loaded = out.split("\n").filter((file) => file !== "" && file !== path);
    expect(loaded.map((file) => relative(ROOT, file)).sort()).toEqual([
      "src/cli/kept/door.ts",
      "src/host/cache-folder.ts",
      "src/host/file-facts.ts",
      "src/host/jit-policy.ts",
    ]);
  });

  test("not with VMRUN_NO_CACHE, nor by who gives Bun options", async () => {
    forge(programs, source);
    expect(await taken({ environment: { VMRUN_NO_CACHE: "1" } })).toBe(false);
    expect(await taken({ bunOptions: ["--smol"] })).toBe(false);
  });

  test("not where others may write", async () => {
    const path = forge(programs, source);
    for (const each of [path, bytecodeOf(path), manifestFile(programs, "run"), programs]) {
      const { mode } = statSync(each);
      chmodSync(each, mode | 0o020);
      expect(keptProgram(programs, "run")).toBeUndefined();
      chmodSync(each, mode);
    }
    expect(keptProgram(programs, "run")).toBe(path);
    renameSync(path, join(folder, "elsewhere.js"));
    symlinkSync(join(folder, "elsewhere.js"), path);
    expect(keptProgram(programs, "run")).toBeUndefined();
    expect(await taken()).toBe(false);
  });

  test("not where a part of it is missing or damaged", async () => {
    for (const damage of [
      (path: string) => rmSync(path),
      (path: string) => writeFileSync(path, ""),
      (path: string) => writeFileSync(bytecodeOf(path), "no"),
      (path: string) => rmSync(bytecodeOf(path)),
      () => writeFileSync(manifestFile(programs, "run"), "{"),
      () => writeFileSync(manifestFile(programs, "run"), "{}"),
      () => rmSync(manifestFile(programs, "run")),
    ]) {
      damage(forge(programs, source));
      expect(keptProgram(programs, "run")).toBeUndefined();
    }
    forge(programs, source, "(");
    expect(await taken()).toBe(false);
  });

  test("and may leave it to the sources before it has done anything", async () => {
    forge(programs, source, "return undefined;");
    expect(await vmrun(["run", profile, "--quiet"], { cache })).toMatchObject({ code: 0, out: "X" });
  });

  test.each([
    ["written", (path: string) => writeFileSync(path, "export const a = 2;")],
    [
      "written with the old size and time",
      (path: string) => {
        const { atime, mtime } = statSync(path);
        writeFileSync(path, "export const a = 2;");
        utimesSync(path, atime, mtime);
      },
    ],
    [
      "replaced by a file with the old size and time",
      (path: string) => {
        const { atime, mtime } = statSync(path);
        const other = join(folder, "other.ts");
        copyFileSync(path, other);
        utimesSync(other, atime, mtime);
        renameSync(other, path);
      },
    ],
    ["removed", (path: string) => rmSync(path)],
  ])("no more when a source was %s", async (_, change) => {
    writeFileSync(source, "export const a = 1;");
    // The host's clock for files is coarse.
    await Bun.sleep(20);
    const path = forge(programs, source);
    expect(keptProgram(programs, "run")).toBe(path);
    change(source);
    expect(keptProgram(programs, "run")).toBeUndefined();
  });

  test("no more when a package came to lie nearer", () => {
    const missing = join(folder, "node_modules/valibot/package.json");
    forge(programs, missing);
    expect(keptProgram(programs, "run")).toBeDefined();
    mkdirSync(join(missing, ".."), { recursive: true });
    writeFileSync(missing, "{}");
    expect(keptProgram(programs, "run")).toBeUndefined();
  });
});

describe("a maker", () => {
  test("is started once for the same sources, and makes them", async () => {
    const programs = programsIn(cacheOf("background"));
    for (let i = 0; i < 5; i++) startMaker(programs, 0);
    expect(readdirSync(programs).filter((name) => name.startsWith("making-"))).toHaveLength(1);
    const deadline = Date.now() + 60_000;
    const settled = () => ["run", "fdt"].every((name) => existsSync(join(programs, `${name}.json`)));
    while (!(settled() && readdirSync(programs).length === 7) && Date.now() < deadline) await Bun.sleep(50);
    expect(readdirSync(programs).filter((name) => !/^(run|fdt|making)/.test(name))).toEqual([]);
    expect(keptProgram(programs, "run")).toBeDefined();
    // Not even where what was made is gone: whoever cannot keep programs is not to make them all the time.
    rmSync(manifestFile(programs, "run"));
    startMaker(programs, 0);
    await Bun.sleep(100);
    expect(readdirSync(programs)).toHaveLength(6);
  }, 70_000);

  test("is not started for sources that are being worked on", () => {
    const programs = programsIn(cacheOf("busy"));
    startMaker(programs, Number.POSITIVE_INFINITY);
    expect(existsSync(programs)).toBe(false);
  });

  test("does without a folder that cannot be made", () => {
    writeFileSync(join(folder, "file"), "");
    startMaker(programsIn(join(folder, "file")), 0);
  });

  test("does no harm to others at the same time", async () => {
    const programs = programsIn(cacheOf("many"));
    const makers = Array.from({ length: 2 }, () =>
      Bun.spawn([process.execPath, join(ROOT, "src/cli/kept/make.ts"), programs], {
        stdio: ["ignore", "ignore", "ignore"],
      }),
    );
    await Promise.all(makers.map((maker) => maker.exited));
    const path = keptProgram(programs, "run");
    expect(path).toBeDefined();
    expect(await vmrun(["run", profile, "--quiet"], { cache: cacheOf("many") })).toMatchObject({ code: 0, out: "X" });
  }, 60_000);
});

test("words ask for a program where main.ts would load its command", () => {
  expect(askedOf(["run", "a.toml"])).toEqual({ program: "run", rest: ["a.toml"] });
  expect(askedOf(["a.toml", "--quiet"])).toEqual({ program: "run", rest: ["a.toml", "--quiet"] });
  expect(askedOf(["./board"])).toEqual({ program: "run", rest: ["./board"] });
  expect(askedOf(["fdt", "a.toml"])).toEqual({ program: "fdt", rest: ["a.toml"] });
  for (const words of [
    [],
    ["--help"],
    ["-v"],
    ["help"],
    ["check", "a.toml"],
    ["rnu"],
    ["fdt"],
    ["fdt", "check", "a.toml"],
  ]) {
    expect(askedOf(words)).toBeUndefined();
  }
});
