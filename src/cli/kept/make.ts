/** Makes the programs that are kept: `bun src/cli/kept/make.ts`, with a folder if it is not to be the user's. */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { setPriority } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { BunPlugin } from "bun";
import { factsOf } from "../../host/file-facts.ts";
import {
  bytecodeOf,
  FOLDER_PREFIX,
  type Manifest,
  manifestFile,
  PROGRAMS,
  type ProgramName,
  programFolder,
  ROOT,
} from "./door.ts";
import { claimFile, factsOfSources, SETTINGS, SOURCE } from "./sources.ts";

const LEAST_PRIORITY = 19;
/** The host's clock for files is coarser than this one, ms: a later change may look as early. */
const CLOCK_GRAIN = 100;
/** What is younger may be another maker's, ms. */
const LONGEST_MAKING = 60_000;
/** Some megabytes each. */
const MOST_FOLDERS = 8;
const OWN_FOLDER = new RegExp(`^${FOLDER_PREFIX}[0-9a-f]+$`);
/** How programs are made. */
const MAKERS = ["make.ts", "sources.ts", "door.ts"].map((name) => join(import.meta.dir, name));
const MODULES = join(SOURCE, "host/modules.ts");
const KEPT_MODULES = join(SOURCE, "host/kept-modules.ts");
/** What the sources know by `import.meta`, of which a script has none: each file brings its own. */
const PLACES = {
  ...{ "import.meta.dir": "__folder", "import.meta.dirname": "__folder" },
  ...{ "import.meta.path": "__file", "import.meta.filename": "__file", "import.meta.url": "__address" },
} as const;

const text = JSON.stringify;

const fromSources: BunPlugin = {
  name: "vmrun",
  setup(build) {
    build.onResolve({ filter: /\/modules\.ts$/ }, ({ path, importer }) =>
      resolve(dirname(importer), path) === MODULES ? { path: KEPT_MODULES } : undefined,
    );
    build.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      if (!path.startsWith(SOURCE)) return undefined;
      const places = { __folder: dirname(path), __file: path, __address: pathToFileURL(path).href };
      const known = Object.entries(places).map(([name, place]) => `const ${name} = ${text(place)}; `);
      return { contents: known.join("") + (await Bun.file(path).text()), loader: "ts" };
    });
    // What is compiled when it is wanted stays where it is.
    build.onLoad({ filter: /\.c$/ }, ({ path }) => ({ contents: `export default ${text(path)};`, loader: "js" }));
  },
};

/** Makes all of them. Throws where the sources change meanwhile; then the next process that wants them has them made. */
export async function makePrograms(folder: string): Promise<void> {
  const draft = join(folder, `draft-${process.pid}`);
  mkdirSync(draft, { recursive: true, mode: 0o700 });
  try {
    const kept: string[] = [];
    for (const name of PROGRAMS) kept.push(...(await makeProgram(name, folder, draft)));
    // It says that this has been done. Were the programs not to be used for some reason, it is not done again each time.
    kept.push(claimFile(folder, factsOfSources().fingerprint));
    // What is of other sources, and what makers have left that did not come to an end.
    for (const path of readdirSync(folder).map((name) => join(folder, name))) {
      const made = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
      if (!kept.includes(path) && made < Date.now() - LONGEST_MAKING) rmSync(path, { recursive: true, force: true });
    }
    if (OWN_FOLDER.test(basename(folder))) forgetOthers(dirname(folder));
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

/** Every vmrun, and every version of Bun, has programs of its own; those that were made last stay. */
function forgetOthers(cache: string): void {
  const folders = readdirSync(cache).filter((name) => OWN_FOLDER.test(name));
  const byAge = folders.map((name) => ({ path: join(cache, name), made: statSync(join(cache, name)).mtimeMs }));
  byAge.sort((a, b) => b.made - a.made);
  for (const { path } of byAge.slice(MOST_FOLDERS)) rmSync(path, { recursive: true, force: true });
}

/** Answers the files that are the program. */
async function makeProgram(name: ProgramName, folder: string, draft: string): Promise<string[]> {
  const { fingerprint: before, newest: settled } = factsOfSources();
  await Bun.sleep(Math.max(0, 2 * CLOCK_GRAIN - (Date.now() - settled)));
  const begun = Date.now();
  const inputs = await bundle(name, draft);
  const files = [...inputs, ...MAKERS, ...SETTINGS, ...placesOfPackages(inputs)];
  const { fingerprint, newest } = factsOf(files);
  if (newest > begun - CLOCK_GRAIN || factsOfSources().fingerprint !== before) {
    throw new Error("the sources have changed");
  }
  const made = join(draft, `${name}.js`);
  if (typeof (require(made) as { main?: unknown }).main !== "function") throw new Error(`${made} is no program`);
  const facts = fingerprint.toString(16);
  const program = `${name}-${facts}-${process.pid}.js`;
  const manifest: Manifest = { files, facts, program, sizes: [Bun.file(made).size, Bun.file(bytecodeOf(made)).size] };
  writeFileSync(manifestFile(draft, name), text(manifest), { mode: 0o600 });
  const path = join(folder, program);
  // Others load meanwhile: what they find is whole, and the manifest names what is there already.
  const moves = [
    [bytecodeOf(made), bytecodeOf(path)],
    [made, path],
    [manifestFile(draft, name), manifestFile(folder, name)],
  ] as const;
  for (const [from, to] of moves) moveDurably(from, to);
  return moves.map(([, to]) => to);
}

/** Answers the files that the program comes from. */
async function bundle(name: ProgramName, folder: string): Promise<string[]> {
  const { metafile } = await Bun.build({
    entrypoints: [join(import.meta.dir, `${name}.ts`)],
    outdir: folder,
    root: import.meta.dir,
    target: "bun",
    // Bytecode is for scripts alone, and those are not strict by themselves, as modules are.
    format: "cjs",
    banner: '"use strict";',
    bytecode: true,
    // Its text is read and compared with the bytecode's at every start. Syntax is left as it was written.
    minify: { whitespace: true, identifiers: true },
    define: PLACES,
    metafile: true,
    plugins: [fromSources],
  });
  return Object.keys(metafile!.inputs)
    .map((path) => resolve(path))
    .sort();
}

/** Where the packages of these files are looked for, nearest first, as far as they are found: others may come to lie there. */
function placesOfPackages(files: readonly string[]): string[] {
  const names = new Set(files.flatMap((path) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []));
  return [...names].flatMap((name) => {
    const places: string[] = [];
    for (let at = ROOT; ; at = dirname(at)) {
      const place = join(at, "node_modules", name, "package.json");
      places.push(place);
      if (Bun.file(place).size > 0 || at === dirname(at)) return places;
    }
  });
}

/** There is the whole file or none, even where the power fails. */
function moveDurably(from: string, to: string): void {
  const fd = openSync(from, "r+");
  fsyncSync(fd);
  closeSync(fd);
  renameSync(from, to);
}

if (import.meta.main) {
  setPriority(LEAST_PRIORITY);
  const folder = process.argv[2] ?? programFolder();
  if (folder !== undefined) await makePrograms(folder);
}
