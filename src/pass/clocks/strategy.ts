/** How a controller's registers reach a guest: not at all, through the filter, or as whole pages; and why. */
import type { ClockBlock, ClockController } from "./description.ts";

const PAGE = 4096;

export interface Strategy {
  /** 1: nothing is mapped. 2: everything goes through the filter. 3: whole pages are the guest's, the rest is filtered. */
  readonly number: 1 | 2 | 3;
  /** Whole pages that nothing else lies in, by their offsets in the controller. */
  readonly direct: readonly ClockBlock[];
  /** One sentence for each of the reasons. */
  readonly reasons: readonly string[];
}

/** @param hostOffset Where the controller begins in what the host maps. */
export function strategyOf(controller: ClockController, hostOffset: number): Strategy {
  const { at, blocks, registers } = controller;
  if (at === undefined) return { number: 1, direct: [], reasons: ["nothing is mapped: the clocks are fixed"] };
  const direct: ClockBlock[] = [];
  const reasons: string[] = [];
  for (const { offset, size } of blocks) {
    const span = `${hex(offset)}-${hex(offset + size - 1)}`;
    if ((at - hostOffset) % PAGE !== 0) {
      reasons.push(`${span} is forwarded: guest and host have it at different places of a page`);
      continue;
    }
    const first = Math.ceil((at + offset) / PAGE) * PAGE - at;
    const end = Math.floor((at + offset + size) / PAGE) * PAGE - at;
    if (end <= first) {
      reasons.push(`${span} is forwarded: it is no whole page of ${PAGE}, so others may be in its page`);
      continue;
    }
    direct.push({ offset: first, size: end - first });
    const pages = (end - first) / PAGE;
    reasons.push(
      `${hex(first)}-${hex(end - 1)} is direct: ${pages} whole ${pages === 1 ? "page" : "pages"} of the guest's alone`,
    );
    if (end - first < size) reasons.push(`the rest of ${span} is forwarded: it shares pages with others`);
  }
  const inBlock = (at: number) => blocks.some(({ offset, size }) => at >= offset && at < offset + size);
  const filtered = registers.filter(({ hidden, offset }) => !hidden && !inBlock(offset)).length;
  if (filtered > 0) reasons.push(`${filtered} ${filtered === 1 ? "register is" : "registers are"} filtered by bits`);
  return { number: direct.length > 0 ? 3 : 2, direct, reasons };
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
