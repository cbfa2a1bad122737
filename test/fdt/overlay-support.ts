/** Base trees and overlays at random: what compilers emit for `dtc -@`, with every kind of reference. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Fdt, type FdtNode, node, type PropertyInput, setProperty, walk } from "../../src/fdt/tree.ts";
import { randomFrom } from "./support.ts";

export const hasFdtoverlay = Bun.which("fdtoverlay") !== null;
export const NEEDS_FDTOVERLAY = hasFdtoverlay ? "" : " (skipped: install device-tree-compiler)";

/** The blob that fdtoverlay writes, or what it says when it refuses. */
export function fdtoverlay(
  base: Uint8Array,
  overlays: readonly Uint8Array[],
  tool = "fdtoverlay",
): Uint8Array | string {
  const folder = mkdtempSync(join(tmpdir(), "vmrun-overlay-"));
  try {
    writeFileSync(join(folder, "base.dtb"), base);
    const names = overlays.map((bytes, i) => {
      writeFileSync(join(folder, `${i}.dtbo`), bytes);
      return `${i}.dtbo`;
    });
    const run = Bun.spawnSync([tool, "-i", "base.dtb", "-o", "out.dtb", ...names], { cwd: folder });
    return run.exitCode === 0 ? new Uint8Array(readFileSync(join(folder, "out.dtb"))) : run.stderr.toString();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export interface RandomOptions {
  /** Overlays that give a phandle to a node of the base that has one: libfdt before 1.7 broke the base's references. */
  readonly phandleClashes?: boolean;
}

/** A base with labels, and overlays that fit it one after the other. */
export function randomOverlays(seed: number, { phandleClashes = false }: RandomOptions = {}) {
  const random = randomFrom(seed);
  const pick = <T>(from: readonly T[]): T => from[random(from.length)]!;
  const names = ["a", "b", "bus@1", "bus@2", "uart@10", "x@0", "x@1", "led"];
  const propertyNames = ["reg", "compatible", "g", "status", "my-reg", "link", "z"];
  const value = (): PropertyInput => pick<PropertyInput>([true, random(2 ** 32), "okay", ["p", "q"], [1, 2, 3]]);

  const grow = (name: string, depth: number): FdtNode => {
    const made = node(name);
    for (let i = random(3); i > 0; i--) setProperty(made, pick(propertyNames), value());
    if (depth < 3) {
      const children = new Set(Array.from({ length: random(4) }, () => pick(names)));
      made.children = [...children].map((child) => grow(child, depth + 1));
    }
    return made;
  };

  const root = grow("", 0);
  const labels: { label: string; path: string }[] = [];
  let phandle = 0;
  for (const { node: each, path, depth } of walk(root)) {
    if (depth === 0 || random(2)) continue;
    setProperty(each, "phandle", ++phandle);
    labels.push({ label: `l${labels.length}`, path });
  }
  const nodes = [...walk(root)].map(({ path }) => path);
  root.children.push(node("__symbols__", Object.fromEntries(labels.map(({ label, path }) => [label, path]))));
  const base: Fdt = { root, reservations: [{ address: 0x1000n, size: 0x1000n }], bootCpu: 0 };

  const overlay = (number: number): Fdt => {
    // Only new names may bear phandles of their own, unless clashes are wanted.
    const fresh = phandleClashes
      ? [...names, "new@1", "new@2", "n"]
      : [`new${number}@1`, `new${number}@2`, `n${number}`];
    const fixups = new Map<string, string[]>();
    const locals: { path: string[]; property: string; offset: number }[] = [];
    const symbols: Record<string, string> = {};
    const owned: { node: FdtNode; phandle: number }[] = [];
    const grown: { node: FdtNode; path: string[] }[] = [];
    const content = (name: string, path: string[], depth: number): FdtNode => {
      const made = node(name);
      grown.push({ node: made, path });
      if ((depth > 0 || phandleClashes) && random(3) === 0) {
        const own = owned.length + 1;
        setProperty(made, "phandle", own);
        owned.push({ node: made, phandle: own });
        if (random(2)) symbols[`o${random(100)}`] = `/${path.join("/")}`;
      }
      for (let i = random(3); i > 0; i--) setProperty(made, pick([...propertyNames, "fresh", "sh"]), value());
      if (depth < 3) {
        const children = new Set(Array.from({ length: random(3) }, () => pick(fresh)));
        made.children = [...children].map((child) => content(child, [...path, child], depth + 1));
      }
      return made;
    };
    const fragments = Array.from({ length: 1 + random(3) }, (_, i) => {
      const name = `fragment@${i}`;
      const fragment = node(name);
      if (labels.length > 0 && random(2)) {
        setProperty(fragment, "target", 0xffff_ffff);
        addFixup(fixups, pick(labels).label, `/${name}:target:0`);
      } else setProperty(fragment, "target-path", pick(nodes));
      fragment.children.push(content("__overlay__", [name, "__overlay__"], 0));
      return fragment;
    });
    for (const { node: each, path } of grown) {
      if (owned.length > 0 && random(3) === 0) {
        setProperty(each, "near", [7, pick(owned).phandle]);
        locals.push({ path, property: "near", offset: 4 });
      }
      if (labels.length > 0 && random(3) === 0) {
        setProperty(each, "far", [0xffff_ffff, 9, 0xffff_ffff]);
        const text = `/${path.join("/")}:far`;
        addFixup(fixups, pick(labels).label, `${text}:0`);
        addFixup(fixups, pick(labels).label, `${text}:8`);
      }
    }
    const localFixups = node("__local_fixups__");
    for (const { path, property, offset } of locals) {
      let at = localFixups;
      for (const name of path) {
        let next = at.children.find((child) => child.name === name);
        if (!next) {
          next = node(name);
          at.children.push(next);
        }
        at = next;
      }
      setProperty(at, property, [offset]);
    }
    const special = [node("__symbols__", symbols), node("__fixups__", Object.fromEntries(fixups)), localFixups];
    const children = [...fragments, ...special.filter((each) => each.properties.size + each.children.length > 0)];
    return { root: node("", {}, children), reservations: [], bootCpu: 0 };
  };
  return { base, overlays: Array.from({ length: 1 + random(3) }, (_, i) => overlay(i)) };
}

function addFixup(fixups: Map<string, string[]>, label: string, place: string): void {
  fixups.set(label, [...(fixups.get(label) ?? []), place]);
}

/**
 * libfdt moves bytes about in place and leaves what was there in the gaps of alignment behind values: the only bytes of
 * its output that have no meaning. Zeroed here, all others can be compared.
 */
export function zeroGaps(blob: Uint8Array): Uint8Array {
  const clean = new Uint8Array(blob);
  const view = new DataView(clean.buffer);
  for (let at = view.getUint32(8); ; ) {
    const token = view.getUint32(at);
    at += 4;
    if (token === 9) return clean;
    let end = at;
    if (token === 1) end = clean.indexOf(0, at) + 1;
    if (token === 3) end = at + 8 + view.getUint32(at);
    at = (end + 3) & ~3;
    clean.fill(0, end, at);
  }
}
