/** TypeScript and JavaScript modules of users: found, read for what they import, and imported, as often as they change. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { isBuiltin } from "node:module";
import { basename, dirname, extname, join, resolve, sep } from "node:path";
import { type Diagnostic, type Place, VmrunError } from "../diagnostics/diagnostic.ts";

export interface ImportedModule {
  readonly exports: Readonly<Record<string, unknown>>;
  /** The module and all files that it imports by relative paths. Absolute. */
  readonly files: readonly string[];
}

/** What becomes of `use`d modules; tests bring their own. */
export interface ModuleLoader {
  /** The file of an installed package, seen from a folder; `undefined` where it is not installed. */
  findPackage(name: string, folder: string): string | undefined;
  /** Imports a file as it is now. Throws a `VmrunError` whose places name absolute files. */
  import(path: string): Promise<ImportedModule>;
}

export const hostModules: ModuleLoader = { findPackage, import: importFresh };

const OWN_SOURCE = resolve(import.meta.dir, "..") + sep;
const LOADERS: Readonly<Record<string, "ts" | "tsx" | "js" | "jsx">> = {
  ...{ ".ts": "ts", ".mts": "ts", ".cts": "ts", ".tsx": "tsx" },
  ...{ ".js": "js", ".mjs": "js", ".cjs": "js", ".jsx": "jsx" },
};
/** Far more than a vdev has; a module graph without end would be followed without end. */
const MAX_FILES = 1000;
/** What a module may wait for at its top level, ms. */
const PATIENCE = 10_000;

/** Looks only where packages are installed: Bun's own resolution would download what it does not find. */
function findPackage(name: string, folder: string): string | undefined {
  if (!isInstalled(name, folder)) return undefined;
  try {
    return Bun.resolveSync(name, folder);
  } catch {
    return undefined;
  }
}

function isInstalled(specifier: string, folder: string): boolean {
  const name = specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, "node_modules", name, "package.json"))) return true;
    if (at === dirname(at)) return false;
  }
}

async function importFresh(path: string): Promise<ImportedModule> {
  // Not before a module is wanted: it changes what names mean in this process.
  const { OWN_MODULES } = await import("./own-modules.ts");
  const files = importedFiles(path, OWN_MODULES);
  for (const file of files) delete require.cache[file];
  try {
    return { exports: await settled(import(path)), files };
  } catch (error) {
    throw new VmrunError(failure(error, path, files));
  }
}

/** A module that waits for what never comes would let the process end without a word. */
async function settled(importing: Promise<Record<string, unknown>>): Promise<Record<string, unknown>> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const patience = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it is not done after ${PATIENCE / 1000} s`)), PATIENCE);
  });
  try {
    return await Promise.race([importing, patience]);
  } finally {
    clearTimeout(timer);
  }
}

/** Follows relative imports; refuses those that lead nowhere. `own`: names that are always there. */
function importedFiles(path: string, own: readonly string[]): string[] {
  const files = [path];
  const findings: Diagnostic[] = [];
  for (const file of files) {
    const loader = LOADERS[extname(file)];
    if (loader === undefined) continue;
    const text = readFileSync(file, "utf8");
    for (const specifier of importsOf(text, loader, file)) {
      const found = own.includes(specifier) ? "" : follow(specifier, dirname(file));
      if (found === undefined) findings.push(missingImport(specifier, text, file));
      else if (found.startsWith(sep) && !found.startsWith(OWN_SOURCE) && !files.includes(found)) files.push(found);
    }
    if (files.length > MAX_FILES) break;
  }
  if (findings.length > 0) throw new VmrunError(findings);
  return files;
}

function importsOf(text: string, loader: "ts" | "tsx" | "js" | "jsx", file: string): string[] {
  try {
    return new Bun.Transpiler({ loader }).scanImports(text).map(({ path }) => path);
  } catch (error) {
    throw new VmrunError(buildErrors(error, file) ?? [failure(error, file, [file])]);
  }
}

/** The file that a relative import means, `""` for what needs no file of the user's, `undefined` for nothing. */
function follow(specifier: string, folder: string): string | undefined {
  if (isBuiltin(specifier) || /^(bun|node|#|@\/|~\/)/.test(specifier)) return "";
  if (!/^\.{0,2}\//.test(specifier)) return isInstalled(specifier, folder) ? "" : undefined;
  try {
    const found = Bun.resolveSync(specifier, folder);
    return statSync(found).isFile() ? found : undefined;
  } catch {
    return undefined;
  }
}

function missingImport(specifier: string, text: string, file: string): Diagnostic {
  const relative = /^\.{0,2}\//.test(specifier);
  return {
    code: "vdev/module-import",
    severity: "error",
    message: relative ? `there is no file "${specifier}" to import` : `the package "${specifier}" is not installed`,
    place: placeOf(specifier, text, file),
    hint: relative
      ? "the path is relative to this file, with its extension"
      : `bun add ${specifier}, in the profile's folder`,
  };
}

/** The import that names it: its quoted text. */
function placeOf(specifier: string, text: string, file: string): Place {
  const lines = text.split("\n");
  for (const [i, source] of lines.entries()) {
    const column = source.search(new RegExp(`["']${RegExp.escape(specifier)}["']`)) + 1;
    if (column > 0) return { file, line: i + 1, column, length: specifier.length + 2, source };
  }
  return { file };
}

/** What an import throws: an error of the build, or whatever the module's own code threw. */
function failure(error: unknown, path: string, files: readonly string[]): Diagnostic {
  const [first] = buildErrors(error, path) ?? [];
  if (first) return first;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof VmrunError) {
    const [finding] = error.diagnostics;
    return { ...finding!, place: stackPlace(error, files) ?? { file: path } };
  }
  const missing = /^Export named '(.+)' not found in module '(.+)'\.?$/.exec(message);
  if (missing) {
    const [, name, from] = missing;
    const place = exportPlace(name!, files) ?? { file: path };
    return {
      code: "vdev/module-import",
      severity: "error",
      message: `"${shortName(from!)}" exports no ${name}`,
      place,
    };
  }
  const place = (error instanceof Error && stackPlace(error, files)) || { file: path };
  return { code: "vdev/module-failed", severity: "error", message: `its code failed: ${message}`, place };
}

function shortName(from: string): string {
  return from.startsWith(sep) ? basename(from) : from;
}

function buildErrors(error: unknown, file: string): Diagnostic[] | undefined {
  const errors = error instanceof AggregateError ? (error.errors as unknown[]) : [error];
  const found = errors.flatMap((each): Diagnostic[] => {
    if (!(each instanceof BuildMessage) && !(each instanceof ResolveMessage)) return [];
    const { message, position } = each;
    const place = position
      ? {
          file: position.file === "input.ts" || position.file === "" ? file : position.file,
          line: position.line,
          column: position.column,
          length: position.length,
          source: position.lineText,
        }
      : { file };
    return [{ code: "vdev/module-syntax", severity: "error", message, place }];
  });
  return found.length > 0 ? found : undefined;
}

/** Where in the user's own files an error was thrown. */
function stackPlace(error: Error, files: readonly string[]): Place | undefined {
  for (const [, file, line, column] of (error.stack ?? "").matchAll(/\(?(\/[^\n()]*):(\d+):(\d+)\)?$/gm)) {
    if (!files.includes(file!)) continue;
    const source = readFileSync(file!, "utf8").split("\n")[Number(line) - 1];
    return { file: file!, line: Number(line), column: Number(column), source };
  }
  return undefined;
}

/** The first import of that name. */
function exportPlace(name: string, files: readonly string[]): Place | undefined {
  for (const file of files) {
    const lines = readFileSync(file, "utf8").split("\n");
    for (const [i, source] of lines.entries()) {
      const column = source.search(new RegExp(`(?<![\\w$])${RegExp.escape(name)}(?![\\w$])`)) + 1;
      if (column > 0) return { file, line: i + 1, column, length: name.length, source };
    }
  }
  return undefined;
}
