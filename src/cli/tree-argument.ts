/** An argument that is a device tree: of a profile, a DTB or a DTS, from a file or, for "-", from standard input. */
import { readFileSync } from "node:fs";
import { type Diagnostic, fail, type Place, render } from "../diagnostics/diagnostic.ts";
import type { DtsTree } from "../fdt/dts/parse.ts";
import { MAGIC } from "../fdt/format.ts";
import { readDtb } from "../fdt/reader.ts";
import type { Fdt, FdtNode } from "../fdt/tree.ts";
import { occurrences } from "./arguments.ts";

export interface TreeArgument {
  readonly fdt: Fdt;
  readonly kind: "profile" | "dtb" | "dts";
  /** For errors; standard input has a name too. */
  readonly file: string;
  /** The source behind the tree, where it has one. */
  readonly dts?: DtsTree;
}

export const treeArguments = {
  set: {
    type: "string",
    valueHint: "PATH=VALUE",
    description: "override a value of a profile; may be repeated",
  },
  include: { type: "string", valueHint: "DIR", description: "where a DTS's includes are looked for; may be repeated" },
} as const;

export const TREE_HINT = "a profile (.toml), a DTB or a DTS; - is standard input";

export interface LoadOptions {
  /** Labels of a DTS become symbols that overlays can refer to. As `dtc -@`. */
  readonly symbols?: boolean;
}

export async function loadTree(
  path: string,
  rawArgs: readonly string[],
  { symbols }: LoadOptions = {},
): Promise<TreeArgument> {
  if (path.endsWith(".toml")) return await loadProfileTree(path, rawArgs);
  const file = path === "-" ? "<stdin>" : path;
  const bytes = readAll(path);
  if (hasMagic(bytes)) return { fdt: readDtb(bytes, { file }), kind: "dtb", file };
  if (!/\.dtsi?$|\.dtso$/.test(path) && !looksLikeSource(bytes)) {
    fail("cli/no-tree", `${file} is neither a DTB nor a DTS, and not named as a profile`, {
      hint: "a DTB begins with d00dfeed, a DTS with /dts-v1/; and a profile's name ends in .toml",
    });
  }
  const { parseDts } = await import("../fdt/dts/parse.ts");
  const includePaths = occurrences(rawArgs, ["include"]).map(({ value }) => value);
  const dts = parseDts(bytes, { file, files: { read: readIfThere }, includePaths, symbols });
  report(dts.warnings);
  return { fdt: dts, kind: "dts", file, dts };
}

/** Where a node, or a property of it, stands in a tree's source. */
export function placeIn({ dts }: TreeArgument): ((node: FdtNode, property?: string) => Place | undefined) | undefined {
  return dts && ((node, property) => dts.sources.place(node, property) ?? dts.sources.place(node));
}

/** The references that a tree's source has in a property, by offset; undefined where there is no source for it. */
export function referencesIn({
  dts,
}: TreeArgument): ((node: FdtNode, property: string) => ReadonlySet<number> | undefined) | undefined {
  if (!dts) return undefined;
  return (node, property) => {
    const marks = dts.sources.marks(node, property);
    if (marks.length === 0) return undefined;
    return new Set(marks.filter(({ kind }) => kind === "phandle").map(({ offset }) => offset));
  };
}

/** Loaded on demand: most uses of a tree need no registry of vdevs. */
async function loadProfileTree(path: string, rawArgs: readonly string[]): Promise<TreeArgument> {
  const [{ loadFromArguments }, { boardTree }] = await Promise.all([
    import("./profile-argument.ts"),
    import("../profile/devicetree.ts"),
  ]);
  const { board, registry } = await loadFromArguments(path, rawArgs);
  return { fdt: boardTree(board, registry), kind: "profile", file: path };
}

function readAll(path: string): Uint8Array {
  try {
    return new Uint8Array(readFileSync(path === "-" ? 0 : path));
  } catch (error) {
    fail("cli/input", `cannot read ${path}: ${error instanceof Error ? error.message : error}`);
  }
}

function readIfThere(path: string): Uint8Array | undefined {
  try {
    return new Uint8Array(readFileSync(path));
  } catch {
    return undefined;
  }
}

function hasMagic(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0) === MAGIC;
}

/** The version tag may stand behind comments and directives. */
function looksLikeSource(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 1 << 16)).includes("/dts-v1/");
}

function report(warnings: readonly Diagnostic[]): void {
  for (const warning of warnings) process.stderr.write(`${render(warning)}\n`);
}
