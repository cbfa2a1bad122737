/**
 * The part of a hart's memory where page tables alone decide about an access: RAM that every access passes to, in which PMP
 * permits everything. Generated code walks page tables and fills the TLB there by itself; all else asks mmu.ts.
 */
import { PAGE_SIZE, Pass } from "../../memory/guest-memory.ts";
import { Access } from "./fields.ts";
import { type Hart, HartField, Privilege } from "./hart.ts";
import { check } from "./pmp.ts";

const ALL_PASS = Pass.read | Pass.write | Pass.execute;
const ACCESSES = [Access.load, Access.store, Access.fetch] as const;

interface Range {
  readonly from: number;
  readonly to: number;
}

/** Finds the largest such part and notes it in the hart's block. */
export function findWindow(hart: Hart): void {
  hart.forgetWindow();
  hart.windowKnown = true;
  // Where no entry matches, PMP leaves everything to M-mode and nothing to the others. RISC-V Priv §3.7.1.3
  for (const least of [Privilege.user, Privilege.machine]) {
    let largest: Range | undefined;
    let offset = 0;
    for (const block of hart.memory.blocks) {
      if (block.readOnly || block.passes !== ALL_PASS || block.lost !== undefined) continue;
      const open = openPart(hart, { from: block.at, to: block.at + block.size }, least);
      if (open === undefined || sizeOf(open) <= sizeOf(largest)) continue;
      largest = open;
      offset = block.offset - block.at;
    }
    if (largest !== undefined) return note(hart, largest, offset, least);
  }
}

function note(hart: Hart, { from, to }: Range, offset: number, least: Privilege): void {
  const { data } = hart.memory;
  data.setBigUint64(hart.base + HartField.windowStart, BigInt(from), true);
  data.setBigUint64(hart.base + HartField.windowSize, BigInt(to - from), true);
  hart.setWord(HartField.windowOffset, offset | 0);
  hart.setWord(HartField.windowPrivilege, least);
}

/** The largest run of whole pages that PMP leaves open to this privilege and those above. */
function openPart(hart: Hart, { from, to }: Range, least: Privilege): Range | undefined {
  const { active, low, high } = hart.pmp;
  // Between these, one entry decides for all bytes, or none does.
  const bounds = new Set([from, to]);
  for (let i = 0; i < active; i++) for (const at of [low[i], high[i]]) if (at > from && at < to) bounds.add(at);
  const sorted = [...bounds].sort((a, b) => a - b);
  let largest: Range | undefined;
  let run: Range | undefined;
  for (let i = 0; i + 1 < sorted.length; i++) {
    if (!isOpen(hart, { from: sorted[i], to: sorted[i + 1] }, least)) {
      run = undefined;
      continue;
    }
    // A page that two entries share is none of these.
    const part = { from: roundUp(sorted[i]), to: roundDown(sorted[i + 1]) };
    if (part.to <= part.from) run = undefined;
    else run = run?.to === part.from ? { from: run.from, to: part.to } : part;
    if (sizeOf(run) > sizeOf(largest)) largest = run;
  }
  return largest;
}

function isOpen(hart: Hart, { from, to }: Range, least: Privilege): boolean {
  const { user, supervisor, machine } = Privilege;
  const modes = least === machine ? [machine] : [user, supervisor, machine];
  return modes.every((mode) => ACCESSES.every((access) => check(hart, from, to - from, access, mode)));
}

function sizeOf(range: Range | undefined): number {
  return range === undefined ? 0 : range.to - range.from;
}

function roundUp(address: number): number {
  return Math.ceil(address / PAGE_SIZE) * PAGE_SIZE;
}

function roundDown(address: number): number {
  return Math.floor(address / PAGE_SIZE) * PAGE_SIZE;
}
