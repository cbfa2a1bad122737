/** What a tree says about harts and memory, as far as boards can have it. */
import { AddressMap } from "../fdt/addresses.ts";
import type { FdtNode } from "../fdt/tree.ts";
import { cellOf, type TreeIndex } from "../fdt/tree-index.ts";
import { decodeStrings } from "../fdt/values.ts";
import { SUPPORTED } from "./isa.ts";
import { MAX_MEMORY } from "./layout.ts";
import { DEFAULT_ISA, MAX_HARTS } from "./schema.ts";

export interface DraftCpu {
  readonly isa: string;
  readonly harts: number;
  readonly mmu: string;
  readonly timebase: number | undefined;
  readonly guesses: { readonly isa?: string; readonly harts?: string; readonly mmu?: string };
}

export interface DraftBlock {
  readonly at: number;
  readonly size: number;
  readonly guess?: string;
}

const PAGE = 4096;
const DEFAULT_SIZE = 256 * 2 ** 20;
const MMUS = ["none", "sv39", "sv48", "sv57"];

/** Texts of a property; none where it is absent or no text. */
export function textsOf(node: FdtNode | undefined, name: string): string[] {
  const value = node?.properties.get(name);
  return value?.at(-1) === 0 ? decodeStrings(value, name).filter((text) => /^[\x20-\x7e]+$/.test(text)) : [];
}

export function draftCpu(index: TreeIndex): DraftCpu {
  const all = (index.at("/cpus")?.children ?? []).filter(
    (node) => textsOf(node, "device_type")[0] === "cpu" || /^cpu@/.test(node.name),
  );
  const mmuOf = (node: FdtNode | undefined) => textsOf(node, "mmu-type")[0]?.replace(/^riscv,/, "") ?? "none";
  // A hart that cannot run an operating system is rarely the one that matters.
  const model = all.find((node) => mmuOf(node) !== "none") ?? all[0];
  const { isa, guess } = isaOf(model);
  const mmu = mmuOf(model);
  const harts = Math.min(Math.max(all.length, 1), MAX_HARTS);
  const differ = all.some((node) => isaText(node) !== isaText(model) || mmuOf(node) !== mmuOf(model));
  return {
    isa,
    harts,
    mmu: MMUS.includes(mmu) ? mmu : "sv57",
    timebase:
      cellOf(index.at("/cpus") ?? index.fdt.root, "timebase-frequency") ??
      (model && cellOf(model, "timebase-frequency")),
    guesses: {
      isa: guess,
      mmu: MMUS.includes(mmu) ? undefined : `the tree says ${mmu}`,
      harts:
        all.length !== harts
          ? `the tree has ${all.length}`
          : differ
            ? `all harts are as ${model!.name} here; in the tree they differ`
            : undefined,
    },
  };
}

function isaText(node: FdtNode | undefined): string | undefined {
  const base = textsOf(node, "riscv,isa-base")[0];
  if (base) return [base, ...textsOf(node, "riscv,isa-extensions").filter((name) => name !== "i")].join("_");
  return textsOf(node, "riscv,isa")[0];
}

/** What of an ISA string the CPU has. */
function isaOf(node: FdtNode | undefined): { isa: string; guess?: string } {
  const text = isaText(node)?.toLowerCase();
  if (!text?.startsWith("rv64"))
    return { isa: DEFAULT_ISA, guess: `the tree says ${text ?? "nothing that is RISC-V"}` };
  const [first = "", ...rest] = text.slice(4).split("_");
  const singles = /^[a-rt-wy]*/.exec(first)![0];
  const names = [...singles, first.slice(singles.length), ...rest].filter((name) => name !== "" && name !== "i");
  const has = (name: string) => SUPPORTED.includes(name) || name === "g" || name === "b";
  // Both at once mean that firmware switches; the CPU has one of them.
  const kept = names.filter((name) => has(name) && !(name === "svade" && names.includes("svadu")));
  const dropped = names.filter((name) => !kept.includes(name));
  const isa = `rv64i${kept.filter((name) => name.length === 1).join("")}${kept
    .filter((name) => name.length > 1)
    .map((name) => `_${name}`)
    .join("")}`;
  return { isa, guess: dropped.length > 0 ? `without ${dropped.join(", ").slice(0, 200)}` : undefined };
}

export function draftMemory(index: TreeIndex): DraftBlock[] {
  const addresses = new AddressMap(index);
  const nodes = index.fdt.root.children.filter(
    (node) => textsOf(node, "device_type")[0] === "memory" || /^memory(@|$)/.test(node.name),
  );
  const blocks: DraftBlock[] = [];
  let left = MAX_MEMORY;
  for (const { cpuAddress, size } of nodes.flatMap((node) => addresses.registers(node))) {
    const usable = cpuAddress !== undefined && cpuAddress % BigInt(PAGE) === 0n && size >= BigInt(PAGE) && left > 0;
    if (!usable || cpuAddress + size > BigInt(Number.MAX_SAFE_INTEGER) || blocks.length === 64) continue;
    const [at, whole] = [Number(cpuAddress), Number(size)];
    if (blocks.some((block) => at < block.at + block.size && block.at < at + whole)) continue;
    const bytes = Math.min(left, whole - (whole % PAGE));
    left -= bytes;
    blocks.push({ at, size: bytes, guess: bytes === whole ? undefined : `the tree has 0x${whole.toString(16)} bytes` });
  }
  const none = { at: 0x8000_0000, size: DEFAULT_SIZE, guess: "the tree has no memory that a board could have" };
  return blocks.length > 0 ? blocks : [none];
}
