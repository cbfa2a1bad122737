// The house's rules: rooms and what they may import, what is written nowhere, and tables that are to say what the code does.
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { Glob } from "bun";
import { ExitCode } from "../src/cli/exit-codes.ts";
import { fdtVerbs } from "../src/cli/fdt/verbs.ts";
import { builtins } from "../src/vdevs/index.ts";

const ROOT = resolve(import.meta.dir, "..");
const LONGEST = 700;

/** Ground floor first: a room imports only from rooms before it. */
const ROOMS =
  "diagnostics host wasm memory fdt vdev virtio vdevs pass isa engine profile machine observe debug cli".split(" ");
/** What some rooms do without, although it is below them. */
const NEVER: Readonly<Record<string, readonly string[]>> = {
  host: ["wasm", "memory", "fdt", "vdev"],
  wasm: ["diagnostics", "host"],
  memory: ["host", "wasm"],
  fdt: ["host", "wasm", "memory"],
  vdev: ["host", "wasm"],
  virtio: ["host", "wasm"],
  // Vdevs reach the world through their host handle.
  vdevs: ["host", "wasm"],
  // Hardware comes through the host handle there, too; what opens it is the one part that calls the host.
  pass: ["wasm", "virtio", "vdevs"],
  isa: ["host", "fdt", "vdev", "virtio", "vdevs", "pass"],
  engine: ["host", "fdt", "vdev", "virtio", "vdevs", "pass"],
  // A board is data: which vdevs there are it learns from the registry.
  profile: ["wasm", "memory", "virtio", "vdevs", "isa", "engine"],
  machine: ["wasm", "virtio", "vdevs"],
};

interface Source {
  readonly path: string;
  readonly text: string;
}

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

const read = (path: string): Source => ({ path, text: readFileSync(join(ROOT, path), "utf8") });
const glob = (pattern: string) => [...new Glob(pattern).scanSync(ROOT)].sort();
const sources = glob("src/**/*.ts").map(read);
const tests = glob("test/**/*.ts").map(read);
/** This file names what it forbids. */
const own = relative(ROOT, import.meta.path);
const code = [...sources, ...tests, ...glob("bench/**/*.ts").map(read)].filter(({ path }) => path !== own);

const IMPORT = /^(?:import|export)\b(\s+type\b)?[^;'"]*?from\s+"(\.{1,2}\/[^"$]+)"|^import\s+"(\.{1,2}\/[^"$]+)"/gm;
const LAZY = /\bimport\(\s*"(\.{1,2}\/[^"]+)"\s*\)/g;

function importsOf({ path, text }: Source): Import[] {
  const to = (name: string) => join(dirname(path), name);
  const eager = [...text.matchAll(IMPORT)].map(([, type, named, bare]) => ({
    from: path,
    to: to((named ?? bare)!),
    typeOnly: type !== undefined,
  }));
  return [...eager, ...[...text.matchAll(LAZY)].map(([, name]) => ({ from: path, to: to(name!), typeOnly: false }))];
}

const imports = sources.flatMap(importsOf);
/** `undefined` for what stands above all rooms: `src/index.ts` and `src/cli.ts`. */
const roomOf = (path: string) => /^src\/([^/]+)\//.exec(path)?.[1];
const say = ({ from, to }: Import) => `${from} imports ${to}`;

describe("rooms", () => {
  test("there is something to judge", () => {
    expect(sources.length).toBeGreaterThan(150);
    expect(imports.length).toBeGreaterThan(500);
    expect(imports.filter(({ to }) => !existsSync(join(ROOT, to))).map(say)).toEqual([]);
  });

  test("are all known", () => {
    const rooms = new Set(sources.map(({ path }) => roomOf(path)).filter((room) => room !== undefined));
    expect([...rooms].filter((room) => !ROOMS.includes(room))).toEqual([]);
  });

  test("import from rooms below them only", () => {
    const upward = imports.filter(({ from, to }) => {
      const [room, other] = [roomOf(from), roomOf(to)];
      return room !== undefined && (other === undefined || ROOMS.indexOf(other) > ROOMS.indexOf(room));
    });
    expect(upward.map(say)).toEqual([]);
  });

  test("leave alone what they have no business with", () => {
    const stray = imports.filter(({ from, to }) => NEVER[roomOf(from) ?? ""]?.includes(roomOf(to) ?? ""));
    expect(stray.map(say)).toEqual([]);
  });

  test("vdevs do not know each other, and neither does a vdev's kit know them", () => {
    const known = imports.filter(({ from, to }) => roomOf(to) === "vdevs" && /^src\/(vdev|virtio)\//.test(from));
    expect(known.map(say)).toEqual([]);
  });

  test("no file imports itself by way of others", () => {
    const next = new Map<string, string[]>();
    for (const { from, to, typeOnly } of imports) if (!typeOnly) next.set(from, [...(next.get(from) ?? []), to]);
    const cycles: string[] = [];
    const done = new Set<string>();
    const visit = (path: string, trail: readonly string[]): void => {
      const at = trail.indexOf(path);
      if (at >= 0) cycles.push([...trail.slice(at), path].join(" -> "));
      if (at >= 0 || done.has(path)) return;
      for (const other of next.get(path) ?? []) visit(other, [...trail, path]);
      done.add(path);
    };
    for (const { path } of sources) visit(path, []);
    expect(cycles).toEqual([]);
  });

  test("only the host's calls the system by bun:ffi", () => {
    const callers = code.filter(({ path, text }) => /["']bun:ffi["']/.test(text) && !/^(src|test)\/host\//.test(path));
    expect(callers.map(({ path }) => path)).toEqual([]);
  });
});

describe("no file", () => {
  const where = (pattern: RegExp, files: readonly Source[] = code) =>
    files.flatMap(({ path, text }) =>
      text.split("\n").flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1}: ${line.trim()}`] : [])),
    );

  test("gives up on types", () => {
    expect(where(/[:<(,|&]\s*any\b(?!\s+[a-z])|\bas any\b|\bany\[\]/, code.map(withoutComments))).toEqual([]);
    expect(where(/@ts-(ignore|expect-error|nocheck)/)).toEqual([]);
  });

  test("has a default export", () => {
    // In quotes it is a user's, that a test writes.
    expect(where(/^export default\b/, sources)).toEqual([]);
  });

  test("is left for later", () => {
    expect(where(/\b(TODO|FIXME|XXX|HACK)\b/)).toEqual([]);
  });

  test("is too long to read", () => {
    const long = code.filter(({ text }) => text.split("\n").length > LONGEST);
    expect(long.map(({ path }) => path)).toEqual([]);
  });

  test("of the sources begins without saying what it is for", () => {
    // A shell's lines, where one begins with them, come first.
    const silent = sources.filter(({ text }) => !/^(#!.*\n(":" .*\n)*)?\/[/*]/.test(text));
    expect(silent.map(({ path }) => path)).toEqual([]);
  });

  test("names the machine that it was written on", () => {
    const { stdout, exitCode } = Bun.spawnSync(["git", "ls-files", "-z"], { cwd: ROOT });
    // An unpacked package has no git; what is published is among the sources.
    const listed = exitCode === 0 ? stdout.toString().split("\0").filter(Boolean) : sources.map(({ path }) => path);
    const files = listed.filter((path) => path !== own && existsSync(join(ROOT, path)) && !/\.(elf|bin)$/.test(path));
    const home = /(?<![\w.-])\/(home|Users|work)\/[\w.-]+|https?:\/\/[\w.-]*(registry|artifact|mirror|proxy)[\w.-]*/;
    expect(where(home, files.map(read))).toEqual([]);
  });
});

/** Comments may use the word. */
function withoutComments({ path, text }: Source): Source {
  return {
    path,
    text: text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, "")).replace(/(^|\s)\/\/.*$/gm, ""),
  };
}

/** As `defineVdev` makes them. */
function isDescriptor(value: unknown): boolean {
  const { type, create } = (value ?? {}) as { readonly type?: unknown; readonly create?: unknown };
  return typeof value === "object" && typeof type === "string" && typeof create === "function";
}

test("every built-in vdev is in the list of built-ins", async () => {
  const listed = new Set<unknown>(builtins);
  const missing: string[] = [];
  for (const path of glob("src/vdevs/**/*.ts")) {
    const module = (await import(join(ROOT, path))) as Readonly<Record<string, unknown>>;
    for (const [name, value] of Object.entries(module)) {
      if (isDescriptor(value) && !listed.has(value)) missing.push(`${path}: ${name}`);
    }
  }
  expect(missing).toEqual([]);
});

describe("the README", () => {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");

  test("lists the exit codes, and no others", () => {
    const rows = [...readme.matchAll(/^\| ([\d, ]+) \|/gm)].flatMap(([, codes]) => codes!.split(",").map(Number));
    expect(rows).toEqual(Object.values(ExitCode).sort((a, b) => a - b));
  });

  test("lists the commands, and no others", () => {
    const main = readFileSync(join(ROOT, "src/cli/main.ts"), "utf8");
    const table = /const commands: [^{]*\{\n([\s\S]*?)\n\};/.exec(main)![1]!;
    const commands = [...table.matchAll(/^ {2}"?([\w-]+)"?: \(\) =>/gm)].map(([, name]) => name!);
    expect(commands).toContain("check");
    const shown = [...readme.matchAll(/^\| `vmrun ([a-z-]+)\b/gm)].map(([, name]) => name!);
    // `vmrun PROFILE` is how run is written.
    expect(new Set(["run", ...shown])).toEqual(new Set(commands));
  });

  test("names every vdev", () => {
    expect(builtins.map(({ type }) => type).filter((type) => !readme.includes(`\`${type}\``))).toEqual([]);
  });

  test("lists what can be done with device trees", () => {
    const shown = [...readme.matchAll(/^\| `vmrun fdt ([a-z]+)\b/gm)].map(([, verb]) => verb!);
    expect(new Set(shown)).toEqual(new Set(Object.keys(fdtVerbs)));
  });
});
