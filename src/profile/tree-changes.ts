/** The `[fdt]` table: source text and overlays over a board's tree. */
import { readFileSync } from "node:fs";
import { fail } from "../diagnostics/diagnostic.ts";
import { parseDts } from "../fdt/dts/parse.ts";
import { MAGIC } from "../fdt/format.ts";
import { applyOverlays } from "../fdt/overlay.ts";
import { printDts } from "../fdt/printer.ts";
import { readDtb } from "../fdt/reader.ts";
import { type Fdt, node } from "../fdt/tree.ts";
import type { BoardFdt } from "./board.ts";

/** Paths of nodes by label. */
export type Labels = ReadonlyMap<string, string>;

/** Names that no file has: what a source includes is looked up here first. */
const BOARD_SOURCE = "<board>";
const PROFILE_SOURCE = "<profile>";

export function changeTree(tree: Fdt, { symbols, overlays, dts }: BoardFdt, labels: Labels): Fdt {
  let fdt = tree;
  if (dts) fdt = extend(tree, dts, labels, symbols);
  else if (symbols) tree.root.children.push(node("__symbols__", Object.fromEntries(labels)));
  if (overlays.length === 0) return fdt;
  return applyOverlays(
    fdt,
    overlays.map((file) => ({ fdt: readOverlay(file), file })),
  ).fdt;
}

/** The board's source and the profile's behind it, as one: so the profile's can extend, replace and delete. */
function extend(tree: Fdt, { text, file, line }: NonNullable<BoardFdt["dts"]>, labels: Labels, symbols: boolean): Fdt {
  const names = Array.from(labels, ([label, path]) => `${label}: &{${path}} { };\n`).join("");
  const parts = new Map([
    [BOARD_SOURCE, printDts(tree).replace(/^\/dts-v1\/;/, "")],
    [PROFILE_SOURCE, `# ${line} ${JSON.stringify(file)}\n${text}\n`],
  ]);
  const source = `/dts-v1/;\n/include/ "${BOARD_SOURCE}"\n${names}/include/ "${PROFILE_SOURCE}"\n`;
  const encoder = new TextEncoder();
  const read = (path: string) => {
    const part = parts.get(path);
    return part === undefined ? readIfThere(path) : encoder.encode(part);
  };
  const { root, reservations } = parseDts(source, { file: "<tree>", files: { read }, symbols });
  return { root, reservations, bootCpu: tree.bootCpu };
}

function readOverlay(file: string): Fdt {
  const bytes = readIfThere(file) ?? fail("fdt/overlay", `cannot read the overlay ${file}`);
  const isBlob = bytes.length >= 4 && new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) === MAGIC;
  return isBlob ? readDtb(bytes, { file }) : parseDts(bytes, { file, files: { read: readIfThere } });
}

function readIfThere(path: string): Uint8Array | undefined {
  try {
    return new Uint8Array(readFileSync(path));
  } catch {
    return undefined;
  }
}
