/** Which vdev stands for which binding, and what of its options a node tells: for drafts of profiles. */
import { interruptsOf } from "../fdt/interrupt-tree.ts";
import type { FdtNode } from "../fdt/tree.ts";
import { cellAt, cellOf, type TreeIndex } from "../fdt/tree-index.ts";

export type DraftValue = string | number | readonly string[];

export interface Recognised {
  readonly type: string;
  /** What instances are called, numbered where there are several. */
  readonly family: string;
  readonly options: Readonly<Record<string, DraftValue>>;
  /** What the node does not tell. */
  readonly guesses: readonly string[];
  /** The entry of `reg` that is the first region. */
  readonly register: number;
}

interface Binding {
  readonly compatible: readonly string[];
  readonly type: string;
  readonly family: string;
  readonly register?: number;
  readonly read?: (node: FdtNode, index: TreeIndex) => Partial<Pick<Recognised, "options" | "guesses">>;
}

/** RISC-V Priv 20240411 §3.1.9: the supervisor's external interrupt. */
const SEIP = 9;

const BINDINGS: readonly Binding[] = [
  { compatible: ["ns16550a", "ns16550"], type: "ns16550a", family: "uart", read: read16550 },
  { compatible: ["sifive,uart0"], type: "sifive-uart", family: "uart", read: clocked("clock") },
  { compatible: ["arm,pl011"], type: "pl011", family: "uart", read: clocked("clock") },
  { compatible: ["arm,pl031"], type: "pl031", family: "rtc" },
  { compatible: ["arm,sp805"], type: "sp805", family: "watchdog", read: clocked("frequency") },
  { compatible: ["google,goldfish-rtc"], type: "goldfish-rtc", family: "rtc" },
  { compatible: ["sifive,plic-1.0.0", "riscv,plic0"], type: "plic", family: "plic", read: readPlic },
  { compatible: ["sifive,clint0", "riscv,clint0"], type: "clint", family: "clint" },
  { compatible: ["riscv,aclint-mswi"], type: "aclint-mswi", family: "mswi" },
  { compatible: ["riscv,aclint-mtimer"], type: "aclint-mtimer", family: "mtimer", register: 1 },
  { compatible: ["riscv,aclint-sswi"], type: "aclint-sswi", family: "sswi" },
  { compatible: ["sifive,test1", "sifive,test0"], type: "syscon-power", family: "power" },
  { compatible: ["stopwatch"], type: "stopwatch", family: "stopwatch" },
  {
    compatible: ["virtio,mmio"],
    type: "virtio-empty",
    family: "slot",
    read: () => ({ guesses: ['no device behind it; type = "virtio-blk" and file = "disk.img" put a disk here'] }),
  },
];

/** By the most specific of its compatibles that a vdev answers to. */
export function recognise(node: FdtNode, compatible: readonly string[], index: TreeIndex): Recognised | undefined {
  for (const name of compatible) {
    const binding = BINDINGS.find((candidate) => candidate.compatible.includes(name));
    if (!binding) continue;
    const { type, family, register = 0, read } = binding;
    return { type, family, register, options: {}, guesses: [], ...read?.(node, index) };
  }
  return undefined;
}

function read16550(node: FdtNode, index: TreeIndex): Partial<Recognised> {
  const { options, guesses } = clocked("clock")(node, index);
  const shift = cellOf(node, "reg-shift");
  if (shift === undefined) return { options, guesses };
  if (shift <= 4) return { options: { ...options, reg_shift: shift }, guesses };
  return { options, guesses: [...guesses, `registers lie next to each other; reg-shift is ${shift}`] };
}

/** The node's own clock-frequency, or its first clock's where that is fixed. */
function clocked(option: string) {
  return (node: FdtNode, index: TreeIndex): Pick<Recognised, "options" | "guesses"> => {
    const clocks = node.properties.get("clocks");
    const clock = clocks && clocks.length >= 4 ? index.byPhandle(cellAt(clocks, 0)) : undefined;
    const frequency = cellOf(node, "clock-frequency") ?? (clock && cellOf(clock, "clock-frequency"));
    if (frequency) return { options: { [option]: frequency }, guesses: [] };
    return { options: {}, guesses: [`${option}: the tree does not tell its rate; the type's default`] };
  };
}

function readPlic(node: FdtNode, index: TreeIndex): Pick<Recognised, "options" | "guesses"> {
  const guesses: string[] = [];
  const options: Record<string, DraftValue> = {};
  const told = cellOf(node, "riscv,ndev");
  if (told !== undefined && told >= 1 && told <= 1023) options["sources"] = told;
  else guesses.push("sources: the tree does not tell their number; the type's default");
  // One context for each entry; a hart has M alone where none of its entries is S.
  const modes = new Map<FdtNode, "m" | "ms">();
  for (const { controller, specifier } of interruptsOf(index, node)) {
    if (specifier[0] === SEIP) modes.set(controller, "ms");
    else if (!modes.has(controller)) modes.set(controller, "m");
  }
  const list = [...modes.values()];
  if (list.includes("m")) options["contexts"] = list;
  return { options, guesses };
}
