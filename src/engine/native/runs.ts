/**
 * Runs: pages of a program that follow each other for the guest, and lie anywhere in its memory. A window of the host shows
 * them in the guest's order, so that a way can be for all of them. They are found where ways often turn out to be for another
 * page, among what the TLB has; and hold until anything of it is forgotten, as ways do.
 */
import {
  CsrSlot,
  HartField,
  REALM_EPOCH,
  REALM_SIZE,
  RESIDENT,
  Realm,
  Remembered,
  rememberedOf,
  TLB_ENTRIES,
  TLB_ENTRY_SIZE,
  TLB_REALMS,
  TLB_TABLE_SIZE,
  TlbFlag,
  TlbSet,
} from "../../isa/riscv/hart.ts";
import type { GuestMemory } from "../../memory/guest-memory.ts";
import { PAGE_SIZE } from "../../memory/guest-memory.ts";
import { FLAGS } from "../tlb-code.ts";
import { Alu, type Assembler, Condition, Label, type Operand, Reg, Shift } from "./assembler.ts";
import { LINEAR } from "./registers.ts";

/** Where pages of guest memory are seen, in an order of ours. */
export interface PageWindow {
  /** The host's address of it. */
  readonly address: number;
  /** Linear-memory offset of the first page that can be shown, and how many bytes from there. */
  readonly start: number;
  readonly length: number;
  /** Has the page at `page` bytes from there at `at` bytes of the window. `false`: it is not there. */
  show(page: number, at: number): boolean;
  /** Has nothing there any more: more can be seen elsewhere. */
  hide(at: number, length: number): void;
}

/**
 * What a run says: the guest's address of the first byte, how many there are, what makes a host's address of the guest's; and
 * when it holds.
 */
const RunField = { start: 0, length: 8, added: 16, epoch: 24 } as const;
const RUN_BITS = 5;
/** An entry's run stands above its flags, in a byte. */
const MOST_RUNS = 256;
const RUN_OF_ENTRY = FLAGS + 1;

/** The window has segments, each for so many pages of the guest's: no run goes beyond. */
const SEGMENT_BITS = 11;
const SEGMENT_PAGES = 1 << SEGMENT_BITS;
const SEGMENTS = 64;
export const WINDOW_SIZE: number = SEGMENTS * SEGMENT_PAGES * PAGE_SIZE;
/** There is something to gain if at least one of so many instructions finds that its way is for another page. */
const SELDOM = 100;
/** Pages that were not shown yet, which make it worth to look again at once. */
const WORTH_MORE = 16;
const MOST_PATIENCE = 63;
/** Pages that are shown at a look: each takes a microsecond or two. */
const MOST_SHOWN = 256;

const SATP_LOW = (RESIDENT + HartField.csr + CsrSlot.satp * 8) >> 2;

interface Segment {
  /** Whose: by address space and number. */
  key: string;
  /** By page: what is shown there; -1. */
  readonly shown: Int32Array;
  /** By what is allowed, by page: the epoch in which the TLB last had it. */
  readonly known: Readonly<Record<Kind, Int32Array>>;
  /** When it was used last; and the runs that were made in it then, by where they begin. */
  epoch: number;
  readonly runs: Readonly<Record<Kind, Map<number, number>>>;
}

/** Which tables of the TLB: by how far they are from the first of all. */
type Kind = 0 | 4;
const KINDS: readonly Kind[] = [0, 4];

export class Runs {
  readonly #view: DataView;
  readonly #segments: Segment[] = [];
  #window: PageWindow | undefined;
  /** Pages of a table, by their addresses: each as its number and the entry's, in one number. */
  readonly #known = new Float64Array(TLB_ENTRIES);
  /** Runs that have been made in the epoch. */
  #count = 0;
  #epoch = -1;
  #shown = 0;
  #seen = 0;
  /** Looks that are let pass, where the last ones found little: pages may be in no order, or go as fast as they come. */
  #patience = 0;
  #passed = 0;

  /** Bytes that they take, and behind them the count of ways that were for another page (4 bytes). */
  static readonly size = (MOST_RUNS << RUN_BITS) + 8;
  static readonly misses = MOST_RUNS << RUN_BITS;

  /** @param data The memory that runs are in. */
  constructor(
    readonly memory: GuestMemory,
    data: Uint8Array,
    readonly open: (() => PageWindow | undefined) | undefined,
  ) {
    this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  /** Asked behind so many instructions: finds runs if that is worth it. No native code may be running. */
  look(instructions: number): void {
    const { misses } = this;
    const isWorthIt = (misses - this.#seen) >>> 0 >= instructions / SELDOM;
    this.#seen = misses;
    if (!isWorthIt) this.#patience = 0;
    else if (this.#passed < this.#patience) this.#passed++;
    else {
      this.#passed = 0;
      this.find();
      this.#patience = this.#shown >= WORTH_MORE ? 0 : Math.min(2 * this.#patience + 1, MOST_PATIENCE);
    }
  }

  /** How many ways have been found to be for another page, or for none yet, in all. */
  get misses(): number {
    return this.#view.getUint32(Runs.misses, true);
  }

  /** Finds runs for the hart that is resident. No native code may be running. Answers how many. */
  find(): number {
    if (this.open === undefined) return 0;
    this.#window ??= this.open();
    if (this.#window === undefined) return 0;
    const { i32 } = this.memory;
    const tlb = i32[(RESIDENT + HartField.tlb) >> 2];
    const realm = tlb + TLB_REALMS + Realm.others * REALM_SIZE;
    const epoch = i32[(realm + REALM_EPOCH) >> 2];
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#count = 0;
    }
    this.#shown = 0;
    const before = this.#count;
    for (const kind of KINDS) {
      const table = tlb + (kind + TlbSet.user) * TLB_TABLE_SIZE;
      const count = this.#findKnown(table, realm, this.#window);
      this.#show(this.#window, kind, count, table, realm);
      this.#enter(this.#window, kind, count, table);
    }
    return this.#count - before;
  }

  /** Finds pages of a table that lie in the window's memory and may be remembered. */
  #findKnown(table: number, realm: number, { start, length }: PageWindow): number {
    const { i32, u8 } = this.memory;
    let count = 0;
    for (let index = 0; index < TLB_ENTRIES; index++) {
      const entry = table + index * TLB_ENTRY_SIZE;
      const low = i32[entry >> 2];
      const high = i32[(entry >> 2) + 1];
      // Programs have the lower half of all addresses.
      if (high < 0 || (u8[entry + FLAGS] & TlbFlag.wide) !== 0) continue;
      const at = this.#placeOf(entry) - start;
      if (at < 0 || at + PAGE_SIZE > length || u8[realm + rememberedOf(low, high)] === Remembered.never) continue;
      this.#known[count++] = (high * 2 ** 20 + (low >>> 12)) * TLB_ENTRIES + index;
    }
    this.#known.subarray(0, count).sort();
    return count;
  }

  /** Where an entry's page lies in linear memory. */
  #placeOf(entry: number): number {
    const { i32 } = this.memory;
    return (i32[entry >> 2] + i32[(entry >> 2) + 2]) >>> 0;
  }

  /** Has known pages shown where they belong. */
  #show(window: PageWindow, kind: Kind, count: number, table: number, realm: number): void {
    const { u8, i32 } = this.memory;
    let number = -1;
    let segment: Segment | undefined;
    for (const known of this.#known.subarray(0, count)) {
      const page = Math.floor(known / TLB_ENTRIES);
      if (Math.floor(page / SEGMENT_PAGES) !== number) {
        number = Math.floor(page / SEGMENT_PAGES);
        segment = this.#segmentOf(number);
      }
      if (segment === undefined) continue;
      const place = page % SEGMENT_PAGES;
      const entry = table + (known % TLB_ENTRIES) * TLB_ENTRY_SIZE;
      const at = this.#placeOf(entry) - window.start;
      if (segment.shown[place] !== at) {
        segment.shown[place] = segment.known[0][place] = segment.known[4][place] = NEVER;
        if (++this.#shown > MOST_SHOWN) return;
        const to = this.#offsetOf(segment, place);
        if (!window.show(at, to) && !(this.#hideOldest(window) && window.show(at, to))) return;
        segment.shown[place] = at;
      }
      segment.known[kind][place] = this.#epoch;
      u8[realm + rememberedOf(i32[entry >> 2], i32[(entry >> 2) + 1])] = Remembered.yes;
    }
  }

  /** Hides what was not used for longest. Answers `false` if there is nothing. */
  #hideOldest(window: PageWindow): boolean {
    const old = this.#segments.filter(({ epoch, shown }) => epoch !== this.#epoch && shown.some((at) => at !== NEVER));
    if (old.length === 0) return false;
    const oldest = old.reduce((oldest, one) => (one.epoch < oldest.epoch ? one : oldest));
    window.hide(this.#offsetOf(oldest, 0), SEGMENT_PAGES * PAGE_SIZE);
    oldest.shown.fill(NEVER);
    return true;
  }

  /** Where in the window. */
  #offsetOf(segment: Segment, place: number): number {
    return (this.#segments.indexOf(segment) * SEGMENT_PAGES + place) * PAGE_SIZE;
  }

  /** Has the TLB's entries for known pages tell of their runs. */
  #enter(window: PageWindow, kind: Kind, count: number, table: number): void {
    const { u8 } = this.memory;
    let run: { readonly index: number | undefined; readonly end: number } = { index: undefined, end: 0 };
    for (const known of this.#known.subarray(0, count)) {
      const page = Math.floor(known / TLB_ENTRIES);
      if (page >= run.end) run = this.#runAt(window, kind, page);
      if (run.index === undefined) continue;
      const entry = table + (known % TLB_ENTRIES) * TLB_ENTRY_SIZE;
      u8[entry + FLAGS] |= TlbFlag.run;
      u8[entry + RUN_OF_ENTRY] = run.index;
    }
  }

  /**
   * The run with a page, as long as can be: what the TLB had before in this epoch holds still. `index`: `undefined` if there is
   * none; `end`: for which pages that is so.
   */
  #runAt(window: PageWindow, kind: Kind, page: number): { readonly index: number | undefined; readonly end: number } {
    const key = this.#keyOf(Math.floor(page / SEGMENT_PAGES));
    const segment = this.#segments.find((one) => one.key === key);
    const place = page % SEGMENT_PAGES;
    const none = { index: undefined, end: page + 1 };
    if (segment === undefined || segment.known[kind][place] !== this.#epoch) return none;
    const known = segment.known[kind];
    let from = place;
    let to = place + 1;
    while (from > 0 && known[from - 1] === this.#epoch) from--;
    while (to < SEGMENT_PAGES && known[to] === this.#epoch) to++;
    let index = segment.runs[kind].get(from);
    if (to - from < 2 || (index === undefined && this.#count === MOST_RUNS)) return none;
    if (index === undefined) {
      index = this.#count++;
      segment.runs[kind].set(from, index);
    }
    const run = index << RUN_BITS;
    const start = BigInt(page - place + from) * BigInt(PAGE_SIZE);
    const shown = BigInt(window.address + this.#offsetOf(segment, from));
    this.#view.setBigUint64(run + RunField.start, start, true);
    this.#view.setBigUint64(run + RunField.length, BigInt((to - from) * PAGE_SIZE), true);
    this.#view.setBigUint64(run + RunField.added, BigInt.asUintN(64, shown - start), true);
    this.#view.setInt32(run + RunField.epoch, this.#epoch, true);
    return { index, end: page - place + to };
  }

  /** The segment for some pages of the current address space, by their number. `undefined`: all are in use. */
  #segmentOf(number: number): Segment | undefined {
    const key = this.#keyOf(number);
    let segment = this.#segments.find((one) => one.key === key);
    if (segment === undefined && this.#segments.length < SEGMENTS) {
      segment = newSegment(key);
      this.#segments.push(segment);
    }
    // What no run of this epoch is in is nobody's.
    segment ??= this.#segments.reduce((oldest, one) => (one.epoch < oldest.epoch ? one : oldest));
    if (segment.epoch !== this.#epoch) for (const kind of KINDS) segment.runs[kind].clear();
    else if (segment.key !== key) return undefined;
    segment.key = key;
    segment.epoch = this.#epoch;
    return segment;
  }

  #keyOf(number: number): string {
    return `${this.memory.u32[SATP_LOW]} ${number}`;
  }
}

const NEVER = -1;

function newSegment(key: string): Segment {
  const pages = () => new Int32Array(SEGMENT_PAGES).fill(NEVER);
  return { key, shown: pages(), known: { 0: pages(), 4: pages() }, epoch: NEVER, runs: { 0: new Map(), 4: new Map() } };
}

/** What a way's miss finds where {@link writeRun} is. */
export interface RunPlace {
  /** Where runs are, and the epoch that is in force. */
  readonly runs: Operand;
  readonly epoch: Operand;
  /** Distances from a way: where it says its start, and the room for a page. */
  readonly start: number;
  readonly room: number;
}

/**
 * With an entry in rax, its page's address in rdx and a way in rcx: has the run's start in the way, what is added in rax, and
 * how far from the start accesses may begin in rdx; and goes on. Where the run does not hold, goes to `otherwise` with all as
 * it was.
 */
export function writeRun(code: Assembler, { runs, epoch, start, room }: RunPlace, otherwise: Label): void {
  const none = new Label();
  code.push(Reg.rax);
  code.push(Reg.rsi);
  code.loadIndexed(Reg.rax, Reg.rax, LINEAR + RUN_OF_ENTRY, 1, false);
  code.shift(Shift.shl, Reg.rax, RUN_BITS, false);
  code.move(Reg.rsi, Reg.rdx);
  code.addressOf(Reg.rdx, runs);
  code.alu(Alu.add, Reg.rax, Reg.rdx);
  code.move(Reg.rdx, Reg.rsi);
  code.loadAt(Reg.rsi, Reg.rax, 4, false, RunField.epoch);
  code.alu(Alu.cmp, Reg.rsi, epoch, false);
  code.jumpIf(Condition.notEqual, none);
  // Whatever stands there now, it is for this page.
  code.move(Reg.rsi, Reg.rdx);
  code.aluAt(Alu.sub, Reg.rsi, Reg.rax, 8, RunField.start);
  code.aluAt(Alu.cmp, Reg.rsi, Reg.rax, 8, RunField.length);
  code.jumpIf(Condition.notBelow, none);
  code.loadAt(Reg.rdx, Reg.rax, 8, false, RunField.start);
  code.storeAt(Reg.rcx, Reg.rdx, 8, start);
  code.loadAt(Reg.rdx, Reg.rcx, 2, false, room);
  code.aluImmediate(Alu.sub, Reg.rdx, PAGE_SIZE);
  code.loadAt(Reg.rsi, Reg.rax, 8, false, RunField.length);
  code.alu(Alu.add, Reg.rdx, Reg.rsi);
  code.loadAt(Reg.rax, Reg.rax, 8, false, RunField.added);
  code.pop(Reg.rsi);
  code.lea(Reg.rsp, Reg.rsp, 8);
  const found = new Label();
  code.jump(found);
  code.bind(none);
  code.pop(Reg.rsi);
  code.pop(Reg.rax);
  code.jump(otherwise);
  code.bind(found);
}
