/**
 * An argument that is a device tree: of a profile, a DTB or a DTS, from a file or, for "-", from standard input; or the
 * directory that a Linux shows its own in.
 */
import { readFileSync, statSync } from "node:fs";
import { type Diagnostic, fail, type Place, render } from "../diagnostics/diagnostic.ts";
import type { DtsTree, ParseDtsOptions } from "../fdt/dts/parse.ts";
import { MAGIC } from "../fdt/format.ts";
import { readDtb } from "../fdt/reader.ts";
import type { Fdt, FdtNode } from "../fdt/tree.ts";
import type { Board } from "../profile/board.ts";
import { occurrences } from "./arguments.ts";

export interface TreeArgument {
  readonly fdt: Fdt;
  readonly kind: "profile" | "dtb" | "dts" | "directory";
  /** For errors; standard input has a name too. */
  readonly file: string;
  /** The source behind the tree, where it has one. */
  readonly dts?: DtsTree;
  /** What a profile's tree was made of. */
  readonly board?: Board;
  /** What was wrong and tolerated, because the caller asked for that. */
  readonly findings: readonly Diagnostic[];
}

export const treeArguments = {
  set: {
    type: "string",
    valueHint: "PATH=VALUE",
    description: "override a value of a profile; may be repeated",
  },
  include: { type: "string", valueHint: "DIR", description: "where a DTS's includes are looked for; may be repeated" },
} as const;

export const TREE_HINT = "a profile (.toml), a DTB, a DTS, or a directory as /proc/device-tree; - is standard input";

/** What is said of a DTS's labels and phandles is without effect on other trees. */
export interface LoadOptions extends Pick<ParseDtsOptions, "symbols" | "aliases" | "fixups" | "phandles" | "bootCpu"> {
  /** Wrong names, phandles and references become findings, where a tree can be made of the rest. */
  readonly tolerant?: boolean;
  /** Hears of every file that was read. */
  readonly onRead?: (path: string) => void;
}

export async function loadTree(
  path: string,
  rawArgs: readonly string[],
  { tolerant = false, onRead, ...given }: LoadOptions = {},
): Promise<TreeArgument> {
  onRead?.(path);
  if (path.endsWith(".toml")) return await loadProfileTree(path, rawArgs);
  const findings: Diagnostic[] = [];
  if (isDirectory(path)) {
    const { readDirectoryTree } = await import("../profile/directory-tree.ts");
    return { fdt: readDirectoryTree(path), kind: "directory", file: path, findings };
  }
  const file = path === "-" ? "<stdin>" : path;
  const bytes = readAll(path);
  if (hasMagic(bytes)) {
    const tolerate = tolerant ? (finding: Diagnostic) => findings.push(finding) : undefined;
    return { fdt: readDtb(bytes, { file, tolerate }), kind: "dtb", file, findings };
  }
  if (!/\.dtsi?$|\.dtso$/.test(path) && !looksLikeSource(bytes)) {
    fail("cli/no-tree", `${file} is neither a DTB nor a DTS, and not named as a profile`, {
      hint: "a DTB begins with d00dfeed, a DTS with /dts-v1/; and a profile's name ends in .toml",
    });
  }
  const { parseDts } = await import("../fdt/dts/parse.ts");
  const includePaths = occurrences(rawArgs, ["include"]).map(({ value }) => value);
  const read = (included: string) => {
    const content = readIfThere(included);
    if (content) onRead?.(included);
    return content;
  };
  const dts = parseDts(bytes, { file, files: { read }, includePaths, force: tolerant, ...given });
  if (!tolerant) reportFindings(dts.warnings);
  return { fdt: dts, kind: "dts", file, dts, findings: tolerant ? dts.warnings : findings };
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
  const [{ loadFromArguments }, { boardTree }, { startingClocks }] = await Promise.all([
    import("./profile-argument.ts"),
    import("../profile/devicetree.ts"),
    import("./host-clocks.ts"),
  ]);
  const { board, registry } = await loadFromArguments(path, rawArgs);
  const fdt = boardTree(board, registry, { clocks: startingClocks(board) });
  return { fdt, kind: "profile", file: path, board, findings: [] };
}

function readAll(path: string): Uint8Array {
  try {
    return new Uint8Array(readFileSync(path === "-" ? 0 : path));
  } catch (error) {
    fail("cli/input", `cannot read ${path}: ${error instanceof Error ? error.message : error}`);
  }
}

function isDirectory(path: string): boolean {
  return path !== "-" && statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
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

export function reportFindings(warnings: readonly Diagnostic[]): void {
  for (const warning of warnings) process.stderr.write(`${render(warning)}\n`);
}
