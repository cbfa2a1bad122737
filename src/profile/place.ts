/** Guest physical address space during placement: who has what, who clashes, where there is room. */
import type { Place } from "../diagnostics/diagnostic.ts";

/** A claim on addresses. Bytes. */
export interface Span {
  readonly at: number;
  readonly size: number;
  /** For messages: `vdev uart0`. */
  readonly label: string;
  readonly place: Place | undefined;
}

/** Where things go that name no address. On QEMU's `virt` map both begin where a person would look. */
export interface Window {
  readonly from: number;
  readonly end: number;
}
export const MMIO_WINDOW: Window = { from: 0x1000_0000, end: 0x3000_0000 };
export const RAM_WINDOW: Window = { from: 0x8000_0000, end: 2 ** 40 };

/** No two automatic regions share a page, so that a guest may map them apart. */
export const AUTOMATIC_ALIGN = 4096;

export class AddressMap {
  readonly #claims: Span[] = [];
  readonly #reserved: Span[] = [];

  claim(span: Span): void {
    this.#claims.push(span);
  }

  /** Keeps automatic placement out; explicit addresses may lie here. */
  reserve(span: Span): void {
    this.#reserved.push(span);
  }

  /** Each claim that runs into an earlier one, with the one it meets; in the order of the claims. */
  overlaps(): { later: Span; earlier: Span }[] {
    const order = new Map(this.#claims.map((span, i) => [span, i]));
    const pairs: { later: Span; earlier: Span }[] = [];
    let reach: Span | undefined;
    for (const span of [...this.#claims].sort((a, b) => a.at - b.at)) {
      if (reach && span.at < reach.at + reach.size) {
        const [earlier, later] = order.get(reach)! < order.get(span)! ? [reach, span] : [span, reach];
        pairs.push({ later, earlier });
      }
      if (!reach || span.at + span.size > reach.at + reach.size) reach = span;
    }
    return pairs.sort((a, b) => order.get(a.later)! - order.get(b.later)!);
  }

  /** The lowest free address in the window, or `undefined` where there is no room. */
  find(size: number, align: number, window: Window): number | undefined {
    let at = alignUp(window.from, align);
    for (const span of [...this.#claims, ...this.#reserved].sort((a, b) => a.at - b.at)) {
      if (span.at < at + size && span.at + span.size > at) at = alignUp(span.at + span.size, align);
    }
    return at + size <= window.end ? at : undefined;
  }
}

/** Arithmetic, not bits: addresses go beyond 2^32. */
export function alignUp(value: number, align: number): number {
  return Math.ceil(value / align) * align;
}

/** The alignment of a region that asks for none: its size, rounded up to a power of two. */
export function naturalAlign(size: number): number {
  return 2 ** Math.ceil(Math.log2(size));
}

export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

export function shownSpan({ at, size }: Pick<Span, "at" | "size">): string {
  return `${hex(at)}-${hex(at + size - 1)}`;
}
