/**
 * What a command line goes through first: programs that are kept in this user's cache folder, which are commands bundled
 * into one file each and compiled to bytecode. Reading, transpiling and compiling the sources would take longer than all
 * that a short run does.
 *
 * A program is taken for the sources as long as no file that it was made from has changed in any way that the host can
 * tell, and only from files that nobody but this user can have written. Where there is none, the sources do what is asked,
 * and one is made for the next time (see make.ts). This file is on everybody's way: it loads next to nothing.
 */
import { lstatSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Program } from "./program.ts";

/** The commands that people wait for the start of, each named as the file beside this one that its program is made from. */
export const PROGRAMS = ["run", "fdt"] as const;
export type ProgramName = (typeof PROGRAMS)[number];

/** The package: its sources, and what says how to read them. */
export const ROOT = resolve(import.meta.dir, "../../..");

/** What is known of a kept program, in the file beside it that is written last. */
export interface Manifest {
  /** All that the program was made from, and what would be taken instead if it were there. */
  readonly files: readonly string[];
  /** Their fingerprint. */
  readonly facts: string;
  /** The name of the program's own file, which no other maker uses. */
  readonly program: string;
  /** Bytes of the program and of its bytecode, which Bun would run half of. */
  readonly sizes: readonly [number, number];
}

/** How far a command line came without the sources. */
export interface Passage {
  /** The exit code; absent where the sources have to do what was asked. */
  readonly code?: number;
  /** Where programs would have been of use, and are to be made for the next time. */
  readonly missing?: string;
}

export async function passDoor(args: readonly string[]): Promise<Passage> {
  const asked = askedOf(args);
  if (asked) loadPolicy().compileReluctantly();
  const folder = asked && hasSources() && !bringsModules(asked) ? programFolder() : undefined;
  if (!asked || folder === undefined) return {};
  const program = load(folder, asked.program);
  return program ? { code: await program(asked.rest) } : { missing: folder };
}

/** What is asked of which program. */
export interface Asked {
  readonly program: ProgramName;
  /** The words behind the command's name. */
  readonly rest: readonly string[];
}

/** What these words ask for, as main.ts understands them; `undefined` where that may be something else. */
export function askedOf(args: readonly string[]): Asked | undefined {
  const [first = "", second = ""] = args;
  if (first === "run") return { program: "run", rest: args.slice(1) };
  // A single word may be a verb, or a verb misspelt.
  if (first === "fdt") return looksLikeFile(second) ? { program: "fdt", rest: args.slice(1) } : undefined;
  // Options without a command are not all for `run`.
  return looksLikeFile(first) && !first.startsWith("-") ? { program: "run", rest: args } : undefined;
}

/** Whether a first word can only be a profile, or an option of `run`. */
export function looksLikeFile(word: string): boolean {
  return word.startsWith("-") || /[./\\:]/.test(word);
}

/** Who gives Bun options looks at the sources, and inside of a bundle or an executable there are none. */
function hasSources(): boolean {
  return process.execArgv.length === 0 && import.meta.path.endsWith("door.ts");
}

/** A profile that says so at first sight is for the sources: see kept-modules.ts. Others are found out by reading them. */
function bringsModules({ rest }: Asked): boolean {
  const profile = rest.find((word) => word.endsWith(".toml"));
  try {
    return profile !== undefined && /^use\b/m.test(readFileSync(profile, "utf8"));
  } catch {
    return false;
  }
}

export const FOLDER_PREFIX = "programs-";

/** This vmrun's own folder, for this version of Bun; `undefined` where nothing is to be kept. */
export function programFolder(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): string | undefined {
  const folder = loadCache().cacheFolder(environment);
  return folder && join(folder, `${FOLDER_PREFIX}${Bun.hash.wyhash(`${ROOT}\n${Bun.revision}`).toString(16)}`);
}

export const manifestFile = (folder: string, name: ProgramName): string => join(folder, `${name}.json`);
/** Where Bun looks for it. */
export const bytecodeOf = (path: string): string => `${path}.jsc`;

/** The file of a program's module; `undefined` where there is none that is as the sources are. */
export function keptProgram(folder: string, name: ProgramName): string | undefined {
  const { isOwn, readOwn } = loadCache();
  const bytes = readOwn(manifestFile(folder, name));
  if (bytes === undefined) return undefined;
  try {
    const { files, facts, program, sizes } = JSON.parse(Buffer.from(bytes).toString()) as Manifest;
    if (fingerprintOf(files) !== facts) return undefined;
    const path = join(folder, program);
    const whole = isOwnFile(path, sizes[0]) && isOwnFile(bytecodeOf(path), sizes[1]);
    return whole && isOwn(lstatSync(folder)) ? path : undefined;
  } catch {
    return undefined;
  }
}

export const fingerprintOf = (files: readonly string[]): string => loadFacts().factsOf(files).fingerprint.toString(16);

function isOwnFile(path: string, size: number): boolean {
  const facts = lstatSync(path);
  return facts.isFile() && facts.size === size && loadCache().isOwn(facts);
}

function load(folder: string, name: ProgramName): Program | undefined {
  const path = keptProgram(folder, name);
  if (path === undefined) return undefined;
  try {
    return (require(path) as { readonly main: Program }).main;
  } catch {
    // It went away just now.
    return undefined;
  }
}

// Loaded when something is asked for that there may be a program for.
const loadCache = () => require("../../host/cache-folder.ts") as typeof import("../../host/cache-folder.ts");
const loadFacts = () => require("../../host/file-facts.ts") as typeof import("../../host/file-facts.ts");
const loadPolicy = () => require("../../host/jit-policy.ts") as typeof import("../../host/jit-policy.ts");
