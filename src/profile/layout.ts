/** Gives every block of memory and every region its address, and proves that they do not clash. */
import type { Place } from "../diagnostics/diagnostic.ts";
import type { RegionSpec } from "../vdev/descriptor.ts";
import { declaredAccess, type PlacedRegion } from "../vdev/placement.ts";
import { describeMemory } from "./backing.ts";
import type { BoardBacking, BoardMemory, BoardRange } from "./board.ts";
import type { Findings } from "./findings.ts";
import { lookup, shownKey, type TableNode } from "./located.ts";
import {
  AddressMap,
  AUTOMATIC_ALIGN,
  alignUp,
  hex,
  MMIO_WINDOW,
  naturalAlign,
  RAM_WINDOW,
  type Span,
  shownSpan,
} from "./place.ts";
import type { ProfileMemory, ProfileReserve } from "./schema.ts";
import type { DraftVdev } from "./vdevs.ts";

const PAGE = 4096;
/** Huge pages of the guest begin here. */
const RAM_ALIGN = 2 ** 21;
/** RAM and ROM share one WebAssembly.Memory of 4 GiB with the engine's state. */
export const MAX_MEMORY = 3 * 2 ** 30;

export interface DraftMemory {
  readonly name: string;
  readonly node: TableNode;
  readonly profile: ProfileMemory;
  readonly image: string | undefined;
  readonly backing: BoardBacking;
}

export interface DraftReserve extends BoardRange {
  readonly node: TableNode;
  readonly profile: ProfileReserve;
}

export interface Layout {
  /** By ascending address. */
  readonly memory: readonly BoardMemory[];
  readonly regions: ReadonlyMap<string, readonly PlacedRegion[]>;
  /** Profile paths whose address nobody wrote. */
  readonly automatic: readonly string[];
}

export function layOut(
  memory: readonly DraftMemory[],
  vdevs: readonly DraftVdev[],
  reserve: readonly DraftReserve[],
  findings: Findings,
): Layout {
  const layout = new LayoutBuilder(findings);
  for (const range of reserve)
    layout.map.reserve({ ...range, label: `reserve ${range.name}`, place: range.node.place });
  for (const block of memory) layout.explicitMemory(block);
  for (const vdev of vdevs) layout.explicitRegions(vdev);
  layout.reportOverlaps();
  for (const block of memory) layout.automaticMemory(block);
  for (const vdev of vdevs) layout.automaticRegions(vdev);
  layout.checkTotal(memory);
  return {
    memory: [...layout.memory].sort((a, b) => a.at - b.at),
    regions: layout.regions,
    automatic: layout.automatic,
  };
}

class LayoutBuilder {
  readonly map = new AddressMap();
  readonly memory: BoardMemory[] = [];
  readonly regions = new Map<string, PlacedRegion[]>();
  readonly automatic: string[] = [];
  /** What a claim needs, to suggest another place for it. */
  readonly #needs = new Map<Span, { readonly align: number; readonly ram: boolean }>();

  constructor(readonly findings: Findings) {}

  explicitMemory(draft: DraftMemory): void {
    const { name, node, profile } = draft;
    const { at, size } = profile;
    const sizePlace = lookup(node, "size")?.place ?? node.place;
    if (size === 0 || size % PAGE !== 0) {
      const message = `memory ${name} has ${size} bytes, which is not a whole number of 4 KiB pages`;
      const hint = `the next possible size is ${hex(Math.max(PAGE, alignUp(size, PAGE)))}`;
      this.findings.error("profile/misaligned", sizePlace, message, { hint });
    }
    if (at === undefined) return;
    const place = lookup(node, "at")?.place ?? node.place;
    if (this.#claim({ at, size, label: `memory ${name}`, place }, PAGE, true)) this.#addMemory(draft, at);
  }

  automaticMemory(draft: DraftMemory): void {
    const { name, node, profile } = draft;
    if (profile.at !== undefined || profile.size === 0) return;
    const at = this.map.find(profile.size, RAM_ALIGN, RAM_WINDOW);
    if (at === undefined) {
      this.findings.error(
        "profile/no-room",
        node.place,
        `there is no room for memory ${name} of ${hex(profile.size)} bytes`,
      );
      return;
    }
    this.map.claim({ at, size: profile.size, label: `memory ${name}`, place: node.place });
    this.automatic.push(`memory.${name}.at`);
    this.#addMemory(draft, at);
  }

  #addMemory({ name, profile, image, backing }: DraftMemory, at: number): void {
    const { kind, size } = profile;
    this.memory.push({ name, kind, at, size, image, backing, describe: describeMemory(profile, backing) });
  }

  explicitRegions(vdev: DraftVdev): void {
    const { name, node, regions } = vdev;
    this.regions.set(name, []);
    // Where it says so itself there is no text to point at but its table.
    const at = lookup(node, "at");
    const atPlace = at?.place ?? node.place;
    if (vdev.at === undefined) return;
    if (regions.length === 0) {
      this.findings.error("profile/region", atPlace, `${vdev.label} has no region of addresses`, { hint: "remove at" });
      return;
    }
    if (typeof vdev.at === "object") {
      const names = regions.map((region) => region.name);
      for (const key of Object.keys(vdev.at).filter((key) => !names.includes(key))) {
        const place = at?.kind === "table" ? at.entries.get(key)?.key : atPlace;
        this.findings.error("profile/unknown-key", place, `${vdev.label} has no region ${shownKey(key)}`, {
          hint: `it has: ${names.join(", ")}`,
        });
      }
    }
    for (const [i, spec] of regions.entries()) {
      const { name: region, size } = spec;
      const align = alignOf(spec);
      const address = addressOf(vdev, i);
      if (address === undefined) continue;
      const label = regions.length > 1 ? `region ${region} of ${vdev.label}` : vdev.label;
      const place = lookup(at, region)?.place ?? atPlace;
      if (!this.#claim({ at: address, size, label, place }, align, false)) continue;
      this.regions.get(name)!.push(placed(spec, address));
    }
  }

  automaticRegions(vdev: DraftVdev): void {
    const { name, node, regions } = vdev;
    const placedRegions = this.regions.get(name)!;
    for (const [i, spec] of regions.entries()) {
      const { size } = spec;
      const align = alignOf(spec);
      if (addressOf(vdev, i) !== undefined) continue;
      const at = this.map.find(size, Math.max(align, AUTOMATIC_ALIGN), MMIO_WINDOW);
      if (at === undefined) {
        const message = `there is no room for ${vdev.label}: ${hex(size)} bytes in ${shownSpan(windowSpan())}`;
        this.findings.error("profile/no-room", node.place, message, { hint: "give it an address with at" });
        return;
      }
      this.map.claim({ at, size, label: vdev.label, place: node.place });
      placedRegions.splice(i, 0, placed(spec, at));
      const path = `${vdev.table}.${name}.at`;
      if (!this.automatic.includes(path) && vdev.at === undefined) this.automatic.push(path);
    }
  }

  reportOverlaps(): void {
    for (const { later, earlier } of this.map.overlaps()) {
      const { align, ram } = this.#needs.get(later)!;
      const free = this.map.find(later.size, align, ram ? RAM_WINDOW : MMIO_WINDOW);
      const message = `${later.label} (${shownSpan(later)}) overlaps ${earlier.label} (${shownSpan(earlier)})`;
      this.findings.error("profile/overlap", later.place, message, {
        related: [{ place: earlier.place ?? {}, message: `${earlier.label} is here` }],
        hint: free === undefined ? undefined : `${hex(free)} is free; without at, a free address is chosen`,
      });
    }
  }

  checkTotal(memory: readonly DraftMemory[]): void {
    const backed = [...this.regions.values()].flat().filter(({ access }) => access !== undefined);
    const sizes = [...memory.map(({ profile }) => profile.size), ...backed.map(({ size }) => size)];
    const total = sizes.reduce((sum, size) => sum + size, 0);
    if (total <= MAX_MEMORY || memory.length === 0) return;
    const largest = memory.reduce((a, b) => (b.profile.size > a.profile.size ? b : a));
    const place: Place = lookup(largest.node, "size")?.place ?? largest.node.place;
    const gib = Math.round((total / 2 ** 30) * 100) / 100;
    this.findings.error(
      "profile/too-much-memory",
      place,
      `the board has ${gib} GiB of memory; at most 3 GiB are possible`,
    );
  }

  /** Whether the address can be; an overlap is reported later, when all claims are known. */
  #claim(span: Span, align: number, ram: boolean): boolean {
    const { at, size, label, place } = span;
    if (at % align !== 0) {
      const below = at - (at % align);
      this.findings.error(
        "profile/misaligned",
        place,
        `${label} is at ${hex(at)}, which is not a multiple of ${hex(align)}`,
        {
          hint: `the nearest possible addresses are ${hex(below)} and ${hex(below + align)}`,
        },
      );
    }
    if (at + size > Number.MAX_SAFE_INTEGER) {
      this.findings.error("profile/range", place, `${label} of ${hex(size)} bytes at ${hex(at)} ends beyond 2^53`);
      return false;
    }
    if (size > 0) {
      this.map.claim(span);
      this.#needs.set(span, { align: Math.max(align, AUTOMATIC_ALIGN), ram });
    }
    return true;
  }
}

function alignOf({ size, align = naturalAlign(size), access }: RegionSpec): number {
  return declaredAccess(access) ? Math.max(align, PAGE) : align;
}

function placed({ name, size, access }: RegionSpec, at: number): PlacedRegion {
  const declared = declaredAccess(access);
  return { name, at, size, ...(declared && { access: declared }) };
}

/** What is said of one region's address: a bare one is that of the first. */
function addressOf({ at, regions }: DraftVdev, index: number): number | undefined {
  if (typeof at === "number") return index === 0 ? at : undefined;
  const name = regions[index]!.name;
  return at && Object.hasOwn(at, name) ? at[name] : undefined;
}

function windowSpan() {
  return { at: MMIO_WINDOW.from, size: MMIO_WINDOW.end - MMIO_WINDOW.from };
}
