/** `[[reserve]]` entries that lie in RAM: what the guest hears of them (Linux binding reserved-memory.yaml, DTSpec v0.4 §3.5, §5.3). */
import type { BoardMemory, BoardReserve } from "./board.ts";
import type { Findings } from "./findings.ts";
import type { DraftReserve } from "./layout.ts";
import { lookup } from "./located.ts";
import { reservePhandle } from "./phandle.ts";
import { shownSpan } from "./place.ts";

/** Keys that say how the guest hears of it. */
const FOR_RAM = ["compatible", "no_map", "reusable", "memreserve", "fdt"] as const;

/** @param memory What is known of it: `undefined` where a block is wrong, and nothing about its ranges can be said. */
export function resolveReserve(
  drafts: readonly DraftReserve[],
  memory: readonly BoardMemory[] | undefined,
  findings: Findings,
): BoardReserve[] {
  const ram = memory?.filter(({ kind }) => kind === "ram") ?? [];
  const inRam: DraftReserve[] = [];
  return drafts.map((draft, i) => {
    const { name, at, size, node, profile } = draft;
    const range = { name, at, size };
    const block = ram.find((each) => at < each.at + each.size && each.at < at + size);
    if (!block) {
      const key = FOR_RAM.find((each) => profile[each] !== undefined && profile[each] !== false);
      if (memory && key) {
        const message = `reserve ${name} (${shownSpan(range)}) is not in RAM, and so the guest hears nothing of it`;
        findings.error("profile/reserve", lookup(node, key)?.place, message, { hint: `leave out ${key}` });
      }
      return range;
    }
    const place = lookup(node, "at")?.place ?? node.place;
    if (at < block.at || at + size > block.at + block.size) {
      const message = `reserve ${name} (${shownSpan(range)}) reaches out of memory ${block.name} (${shownSpan(block)})`;
      findings.error("profile/reserve", place, message);
    }
    const twin = inRam.find((other) => at < other.at + other.size && other.at < at + size);
    if (twin) {
      const message = `reserve ${name} (${shownSpan(range)}) overlaps reserve ${twin.name} (${shownSpan(twin)})`;
      const related = [{ place: twin.node.place, message: `reserve ${twin.name} is here` }];
      findings.error("profile/overlap", place, message, { related });
    }
    inRam.push(draft);
    checkWays(draft, findings);
    const { compatible, no_map: noMap, reusable, memreserve, fdt } = profile;
    const as = memreserve ? "entry" : "node";
    return { ...range, guest: { as, phandle: reservePhandle(i), compatible, noMap, reusable, fdt } };
  });
}

function checkWays({ name, node, profile }: DraftReserve, findings: Findings): void {
  const { no_map: noMap, reusable, memreserve, compatible, fdt } = profile;
  if (noMap && reusable) {
    const message = `reserve ${name}: what is not mapped cannot be reused: no_map or reusable`;
    findings.error("profile/reserve", lookup(node, "reusable")?.place, message);
  }
  if (memreserve && (noMap || reusable || compatible || fdt)) {
    const message = `reserve ${name}: an entry of the memory reservation block says nothing but where it is`;
    findings.error("profile/reserve", lookup(node, "memreserve")?.place, message, {
      hint: "leave out memreserve, for a node that can say more",
    });
  }
}
