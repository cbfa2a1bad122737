/** Keeps the text of translated regions that contain given addresses, for people who want to see what became of their code. */
import { nativeText, type WrittenNative } from "../native/listing.ts";
import type { Operation } from "./region.ts";
import { regionText, type WrittenRegion } from "./region-text.ts";

/** Regions kept: the newest. A guest may have code translated again and again. */
const MOST = 16;

type Place = Pick<Operation, "at"> & { readonly length: number };

export class RegionWatch {
  readonly #addresses: readonly bigint[];
  readonly #met = new Set<bigint>();
  /** By where they begin, the newest last: a region that is translated anew takes the place of the old one. */
  readonly #texts = new Map<bigint, string>();
  #dropped = 0;

  /** Watches code at these guest addresses: virtual ones, where paging is on. */
  constructor(addresses: readonly bigint[]) {
    this.#addresses = addresses;
  }

  /** A region was written. */
  note(written: WrittenRegion): void {
    const { region, place, page } = written;
    const operations = region.blocks.flatMap((block) => block.operations);
    if (!this.#meets(page, operations)) return;
    const size = `${region.instructions} instructions in ${region.blocks.length} blocks`;
    this.#keep(page, region.entry.at, `${place.level}: ${size}\n${regionText(written)}`);
  }

  /** Native code was. */
  noteNative(written: WrittenNative): void {
    const { blocks, page, entry } = written;
    const operations = blocks.flatMap((block) => block.operations);
    if (!this.#meets(page, operations)) return;
    const size = `${operations.length} instructions in ${blocks.length} blocks`;
    this.#keep(page, entry, `native: ${size}\n${nativeText(written)}`);
  }

  /** Whether somebody wants to see one of them. */
  #meets(page: bigint, operations: readonly Place[]): boolean {
    const met = this.#addresses.filter((address) => operations.some((operation) => covers(page, operation, address)));
    for (const address of met) this.#met.add(address);
    return met.length > 0;
  }

  #keep(page: bigint, at: number, text: string): void {
    const entry = BigInt.asUintN(64, page + BigInt(at));
    this.#texts.delete(entry);
    this.#texts.set(entry, `region at ${hex(entry)}, ${text}\n`);
    if (this.#texts.size <= MOST) return;
    const [oldest] = this.#texts.keys();
    this.#texts.delete(oldest);
    this.#dropped++;
  }

  /** The regions, and which addresses none contained. Ends with a newline. */
  report(): string {
    const parts = [...this.#texts.values()];
    if (this.#dropped > 0) parts.unshift(`${this.#dropped} older regions are not shown\n`);
    const unmet = this.#addresses.filter((address) => !this.#met.has(address));
    if (unmet.length > 0) {
      const why = "it did not run often enough, or is none that translated code executes";
      parts.push(`nothing was translated at ${unmet.map(hex).join(", ")}: ${why}\n`);
    }
    return parts.join("\n");
  }
}

function covers(page: bigint, { at, length }: Place, address: bigint): boolean {
  const behind = BigInt.asUintN(64, address - page - BigInt(at));
  return behind < BigInt(length);
}

function hex(address: bigint): string {
  return `0x${address.toString(16)}`;
}
