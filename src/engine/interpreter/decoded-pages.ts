/**
 * The decoded pages: which guest page has which, filling them op by op, and forgetting what stores make stale.
 *
 * Where other threads have the memory, too, nobody notices all stores. There each decoded page is made from a copy of the
 * guest's, and whether the two are still alike is looked at when the page is next fetched from after a fence: an
 * instruction cache, as the architecture allows it. RISC-V Unpriv 20240411 §6
 */
import type { Decoder } from "../../isa/riscv/decode.ts";
import { writesF } from "../../isa/riscv/semantics.ts";
import type { GuestMemory } from "../../memory/guest-memory.ts";
import { PAGE_SIZE } from "../../memory/guest-memory.ts";
import {
  COUNTER_SHIFT,
  DECODED_PAGE_SIZE,
  ENTRIES_SIZE,
  handlerOf,
  OP_SIZE,
  OPS_PER_PAGE,
  OpField,
  type Reach,
  SITES_SIZE,
  Site,
  Special,
  Straddle,
} from "./layout.ts";

const SINK = 32;
const LAST_HALFWORD = PAGE_SIZE - 2;
/** Stores into a page before its decoded code is dropped as a whole: from then on the page is taken for data. */
const STORES_UNTIL_DATA = 32;

/** `plain`: the op is the same anywhere. `local`: it belongs where it is. `ends`: the straight line ends with it. */
const OpKind = { plain: 0, local: 1, ends: 2 } as const;
type OpKind = (typeof OpKind)[keyof typeof OpKind];

export class DecodedPages {
  /**
   * A decoded page for one instruction at a time that cannot stand in a page of its own: it straddles two pages, or PMP
   * splits its page. Every other op leads back to a fetch.
   */
  readonly scratch: number;
  readonly #first: number;
  readonly #capacity: number;
  #count = 0;
  /** Decoded pages that were in use at any time. Memory beyond is zero, and not worth touching. */
  #touched = 0;
  /** By page of linear memory: offset of its decoded page, or 0. */
  readonly #byPage: Int32Array;
  /** The same, where generated code looks. With copies, it has those alone that were found to be right since the last fence. */
  readonly #fetchable: Int32Array;
  /** Offset of that table. */
  readonly table: number;
  /** The pages that it has, where it may lose them. */
  readonly #offered: number[] = [];
  /** By decoded page: the page of linear memory it belongs to. */
  readonly #pageOf: Int32Array;
  readonly #stores: Uint8Array;
  /** Offset of the first decoded page's copy, or 0 where there are none. */
  readonly #copies: number;
  /** By decoded page: at which fence its copy was found to be right. */
  readonly #checked: Int32Array;
  #fences = 0;
  /** The op in use in the scratch page, and its instruction's bits. */
  #scratchOp: number;
  #scratchBits = 0;
  /** Told when stores into a page have to be noticed from now on, and when every decoded page was let go. */
  onProtect: () => void = () => {};
  onFlush: () => void = () => {};
  /** Told when bytes of a page change that hold decoded code. */
  onChange: (page: number) => void = () => {};
  readonly #known: KnownOps;
  /** Offset of an op's counter: `counters + (op >> 3)`. */
  readonly counters: number;
  /** Offset of the table of {@link Site}s, and of that of native code, by slot. */
  readonly sites: number;
  readonly entries: number;

  constructor(
    readonly memory: GuestMemory,
    readonly decoder: Decoder,
    translating = false,
  ) {
    const sitesSize = translating ? SITES_SIZE + ENTRIES_SIZE : 0;
    const pages = memory.u8.length / PAGE_SIZE;
    const tables = sitesSize + pages * 4 + KNOWN_SIZE;
    this.scratch = memory.poolOffset;
    this.#first = memory.poolOffset + DECODED_PAGE_SIZE;
    // Each decoded page has its counters in the pool, too.
    const each = (DECODED_PAGE_SIZE * 9) / 8 + (memory.shared ? PAGE_SIZE : 0);
    this.#capacity = Math.floor((memory.poolSize - tables) / each) - 1;
    this.sites = memory.poolOffset + memory.poolSize - sitesSize;
    this.entries = this.sites + SITES_SIZE;
    const counters = this.#first + this.#capacity * DECODED_PAGE_SIZE;
    this.counters = counters - (memory.poolOffset >>> COUNTER_SHIFT);
    this.table = this.sites - pages * 4;
    this.#fetchable = new Int32Array(memory.memory.buffer, this.table, pages);
    this.#known = new KnownOps(memory.i32, this.table - KNOWN_SIZE);
    this.#byPage = memory.shared ? new Int32Array(pages) : this.#fetchable;
    this.#pageOf = new Int32Array(this.#capacity);
    // Behind the counters, of which the scratch page has some as well.
    const copies = counters + (((this.#capacity + 1) * DECODED_PAGE_SIZE) >> COUNTER_SHIFT);
    this.#copies = memory.shared ? (copies + 3) & ~3 : 0;
    this.#checked = new Int32Array(memory.shared ? this.#capacity : 0);
    this.#stores = new Uint8Array(pages);
    if (!memory.poolIsFresh) {
      this.#touched = this.#capacity;
      this.#fetchable.fill(0);
      this.#known.clear();
      memory.codePages.fill(0);
    }
    memory.poolIsFresh = false;
    this.#scratchOp = this.scratch;
    this.#end(this.scratch, 0);
    memory.onCodeWrite = (page) => this.#release(page);
  }

  /** The decoded page of the page that holds linear-memory offset `offset`, made when there is none. */
  of(offset: number): number {
    const page = offset >>> 12;
    const known = this.#byPage[page];
    if (known !== 0) {
      if (this.#copies !== 0) this.#check(known >>> 0, page);
      return known >>> 0;
    }
    if (this.#count === this.#capacity) this.flush();
    const ops = this.#first + this.#count * DECODED_PAGE_SIZE;
    this.#pageOf[this.#count++] = page;
    this.#byPage[page] = ops;
    if (this.#count <= this.#touched) this.#clear(ops);
    else {
      this.#touched = this.#count;
      this.#end(ops, OPS_PER_PAGE);
    }
    if (this.#copies !== 0) this.#copy(ops, page);
    return ops;
  }

  /** What was stored before is to be seen by every fetch from now on: no page may be relied on before it was asked for by {@link of}. */
  fence(): void {
    this.#fences = (this.#fences + 1) | 0;
    for (const page of this.#offered.splice(0)) this.#fetchable[page] = 0;
  }

  /** Where the bytes lie that a decoded page is made from. */
  bytesOf(ops: number): number {
    const index = this.#indexOf(ops);
    return this.#copies === 0 ? this.#pageOf[index] * PAGE_SIZE : this.#copies + index * PAGE_SIZE;
  }

  #indexOf(op: number): number {
    return Math.floor((op - this.#first) / DECODED_PAGE_SIZE);
  }

  #copy(ops: number, page: number): void {
    const from = page * PAGE_SIZE;
    this.memory.u8.copyWithin(this.bytesOf(ops), from, from + PAGE_SIZE);
    this.#offer(ops, page);
  }

  /** The copy is right, as far as anybody has to know before the next fence. */
  #offer(ops: number, page: number): void {
    this.#checked[this.#indexOf(ops)] = this.#fences;
    this.#fetchable[page] = ops;
    this.#offered.push(page);
  }

  /** Forgets the page if its bytes have changed since they were copied. */
  #check(ops: number, page: number): void {
    const index = this.#indexOf(ops);
    if (this.#checked[index] === this.#fences) return;
    const { i32 } = this.memory;
    const copy = this.bytesOf(ops) >>> 2;
    const now = (page * PAGE_SIZE) >>> 2;
    for (let i = 0; i < PAGE_SIZE / 4; i++) {
      if (i32[copy + i] === i32[now + i]) continue;
      this.#release(page);
      return this.#copy(ops, page);
    }
    this.#offer(ops, page);
  }

  /** Decodes from this op on, to the end of the straight line. */
  decodeFrom(op: number): void {
    const { memory } = this;
    const { ops, page } = this.pageOfOp(op);
    this.protect(page);
    const base = this.bytesOf(ops);
    for (let at = (op - ops) >> 3; at < PAGE_SIZE; ) {
      const target = ops + (at << 3);
      if (memory.u16[target >>> 1] !== Special.undecoded) return;
      const low = memory.u16[(base + at) >>> 1];
      const short = (low & 3) !== 3;
      if (!short && at === LAST_HALFWORD) {
        memory.u16[(target + OpField.original) >>> 1] = Special.straddle;
        memory.u16[target >>> 1] = Special.straddle;
        memory.i32[(target + Straddle.page) >>> 2] = 0;
        return;
      }
      const length = short ? 2 : 4;
      const bits = short ? low : low | (memory.u16[(base + at + 2) >>> 1] << 16);
      if (!this.#known.write(target, bits, short)) {
        const kind = this.#write(target, short ? this.decoder.expand(low) : bits, length, at);
        if (kind === OpKind.ends) return;
        if (kind === OpKind.plain) this.#known.note(target, bits, short);
      }
      at += length;
    }
  }

  /** Has stores into a page of linear memory noticed from now on. */
  protect(page: number): void {
    if (this.memory.codePages[page] !== 0 || this.#copies !== 0) return;
    this.memory.codePages[page] = 1;
    this.#stores[page] = 0;
    this.onProtect();
  }

  /** Whether another page can be decoded without letting all go. */
  get hasRoom(): boolean {
    return this.#count < this.#capacity;
  }

  /** Puts one instruction into the scratch page, at its place `at` in a page. `bits` holds 16 of them or 32. */
  decodeAlone(bits: number, at: number): void {
    this.memory.u16[this.#scratchOp >>> 1] = Special.pageEnd;
    this.#scratchOp = this.scratch + (at << 3);
    this.#scratchBits = bits;
    const short = (bits & 3) !== 3;
    this.#write(this.#scratchOp, short ? this.decoder.expand(bits & 0xffff) : bits, short ? 2 : 4, at);
  }

  /** Decodes the instruction that straddles the pages at linear-memory offsets `first` and `second`, for as long as both stay. */
  decodeStraddling(first: number, second: number): void {
    const { u16, i32 } = this.memory;
    const ops = this.#byPage[first >>> 12] >>> 0;
    const op = ops + (LAST_HALFWORD << 3);
    if (ops === 0 || u16[op >>> 1] !== Special.straddle) return;
    // Making room would let the very pages go.
    if (this.#byPage[second >>> 12] === 0 && !this.hasRoom) return;
    const half = u16[second >>> 1];
    this.#write(op, u16[(this.bytesOf(ops) + LAST_HALFWORD) >>> 1] | (half << 16), 4, LAST_HALFWORD);
    u16[(op + Straddle.handler) >>> 1] = u16[op >>> 1];
    u16[(op + Straddle.half) >>> 1] = half;
    i32[(op + Straddle.at) >>> 2] = second;
    i32[(op + Straddle.page) >>> 2] = this.of(second);
    u16[(op + OpField.original) >>> 1] = Special.straddle;
    u16[op >>> 1] = Special.straddle;
  }

  /** The instruction behind an op: its own 16 or 32 bits, not the expanded form. */
  bitsOf(op: number): number {
    if (op < this.#first) return this.#scratchBits;
    const { ops } = this.pageOfOp(op);
    const within = (op - ops) >> 3;
    const at = this.bytesOf(ops) + within;
    const { u16 } = this.memory;
    const low = u16[at >>> 1];
    return (low & 3) !== 3 ? low : low | (u16[(within === LAST_HALFWORD ? op + Straddle.half : at + 2) >>> 1] << 16);
  }

  /** The guest is about to store into a page with decoded code: forgets the ops that the bytes belong to. */
  noteStore(offset: number, width: number): void {
    const page = offset >>> 12;
    this.onChange(page);
    if (++this.#stores[page] >= STORES_UNTIL_DATA) return this.#release(page);
    const ops = this.#byPage[page] >>> 0;
    const within = offset & (PAGE_SIZE - 1);
    // A 4-byte instruction that starts one halfword earlier holds the first byte, too.
    const first = Math.max(0, (within & ~1) - 2);
    const last = Math.min(PAGE_SIZE - 1, within + width - 1);
    for (let at = first; at <= last; at += 2) this.#forget(ops + (at << 3));
  }

  /** Where the computed jump at an op went lately. */
  targetsOf(op: number): bigint[] {
    const { data, i32 } = this.memory;
    const site = this.sites + ((op >>> Site.shift) & (Site.count - 1)) * Site.size;
    if (op < 0 || i32[(site + Site.op) >>> 2] >>> 0 !== op) return [];
    const goals = new Set<bigint>();
    for (let i = 0; i < Site.ring; i++) goals.add(data.getBigUint64(site + Site.goals + i * 8, true));
    goals.delete(0n);
    return [...goals];
  }

  /** An op that was found hot has to become so anew. */
  forgetArrivals(op: number): void {
    this.memory.u16[(this.counters + (op >>> COUNTER_SHIFT)) >>> 1] = 0;
  }

  /** The decoded page that holds an op, and the page of linear memory that it was decoded from. */
  pageOfOp(op: number): { readonly ops: number; readonly page: number } {
    const index = this.#indexOf(op);
    return { ops: this.#first + index * DECODED_PAGE_SIZE, page: this.#pageOf[index] };
  }

  /** Lets every decoded page go. */
  flush(): void {
    for (let i = 0; i < this.#count; i++) {
      const page = this.#pageOf[i];
      this.#byPage[page] = 0;
      this.memory.codePages[page] = 0;
    }
    this.#count = 0;
    for (const page of this.#offered.splice(0)) this.#fetchable[page] = 0;
    this.onFlush();
  }

  /** Forgets a page's ops but not its place, since a hart may be executing there. */
  #release(page: number): void {
    this.onChange(page);
    this.memory.codePages[page] = 0;
    if (this.#byPage[page] !== 0) this.#clear(this.#byPage[page] >>> 0);
  }

  /** The op has to be decoded anew. Its operands stay: the instruction that caused it may need them yet. */
  #forget(op: number): void {
    const { u16 } = this.memory;
    u16[op >>> 1] = Special.undecoded;
    // Where a region is left to the interpreter, this is what counts.
    u16[(op + OpField.original) >>> 1] = Special.undecoded;
  }

  #clear(ops: number): void {
    const { u8 } = this.memory;
    for (let op = ops; op < ops + DECODED_PAGE_SIZE; op += OP_SIZE) this.#forget(op);
    const counters = this.counters + (ops >>> COUNTER_SHIFT);
    u8.fill(0, counters, counters + (DECODED_PAGE_SIZE >> COUNTER_SHIFT));
    this.#end(ops, OPS_PER_PAGE);
  }

  /** Ends a decoded page: from op number `from` on, execution leaves it. */
  #end(ops: number, from: number): void {
    for (let i = from; i < OPS_PER_PAGE + 2; i++) this.memory.u16[(ops + i * OP_SIZE) >>> 1] = Special.pageEnd;
  }

  /** Writes one op. */
  #write(target: number, bits: number, length: 2 | 4, at: number): OpKind {
    const { u8, u16, i32 } = this.memory;
    u8[target + OpField.length] = length;
    const decoded = this.decoder.decode(bits);
    if (decoded === undefined) {
      u16[(target + OpField.original) >>> 1] = Special.illegal;
      u16[target >>> 1] = Special.illegal;
      return OpKind.ends;
    }
    const { does } = decoded.instruction.semantics;
    let reach: Reach = "near";
    let immediate = decoded.imm;
    if (does === "branch" || does === "jump") {
      const destination = at + decoded.imm;
      const samePage = target >= this.#first && destination >= 0 && destination < PAGE_SIZE;
      reach = !samePage ? "far" : decoded.imm <= 0 ? "back" : "near";
      if (samePage) immediate = decoded.imm << 3;
    } else if (does === "float" && decoded.instruction.semantics.operands === 3) immediate = decoded.rs3 * 8;
    u16[(target + OpField.rd) >>> 1] =
      (decoded.rd === 0 && !writesF(decoded.instruction.semantics) ? SINK : decoded.rd) * 8;
    u16[(target + OpField.rs1) >>> 1] = decoded.rs1 * 8;
    u16[(target + OpField.rs2) >>> 1] = decoded.rs2 * 8;
    i32[(target + OpField.imm) >>> 2] = immediate;
    u8[target + OpField.rm] = decoded.rm;
    // Last, so that an op is never seen half written.
    const handler = handlerOf(decoded.index, length, reach);
    u16[(target + OpField.original) >>> 1] = handler;
    u16[target >>> 1] = handler;
    if (does === "jump" || does === "jumpTo") return OpKind.ends;
    return does === "branch" ? OpKind.local : OpKind.plain;
  }
}

const WORDS = OP_SIZE / 4;
/** Every encoding of 16 bits has a place of its own, those of 32 bits share these. */
const SHORT = 1 << 16;
const LONG_BITS = 12;
const LONG = 1 << LONG_BITS;
const PLACES = SHORT + LONG;
/** Bytes of a pool that are for what is known. Few of them are used, and the host gives such memory page by page. */
export const KNOWN_SIZE = (PLACES * WORDS + LONG) * 4;

/**
 * Ops of instructions that are the same wherever they stand, as they were written last. A program has many instructions and
 * few different ones: most are found here, which takes a fraction of the time that decoding does before it is compiled.
 */
class KnownOps {
  readonly #i32: Int32Array;
  readonly #words: Int32Array;
  /** By place behind the short ones: whose it is. */
  readonly #owners: Int32Array;

  /**
   * @param i32 Memory that ops lie in.
   * @param at Where it has its own, which is zero: bytes, a multiple of 4.
   */
  constructor(i32: Int32Array, at: number) {
    this.#i32 = i32;
    this.#words = i32.subarray(at >>> 2, (at >>> 2) + PLACES * WORDS);
    this.#owners = i32.subarray((at >>> 2) + PLACES * WORDS, (at + KNOWN_SIZE) >>> 2);
  }

  /** It knows nothing any more. */
  clear(): void {
    this.#words.fill(0);
    this.#owners.fill(0);
  }

  /** Writes the op of this encoding to where it belongs. Answers `false` where that is not known. */
  write(op: number, bits: number, short: boolean): boolean {
    const from = placeOf(bits, short) * WORDS;
    const words = this.#words;
    if (words[from] === 0 || (!short && this.#owners[from / WORDS - SHORT] !== bits)) return false;
    const i32 = this.#i32;
    const to = op >>> 2;
    i32[to + 1] = words[from + 1];
    i32[to + 2] = words[from + 2];
    i32[to + 3] = words[from + 3];
    // Last, so that an op is never seen half written: it has the handler.
    i32[to] = words[from];
    return true;
  }

  /** The op there is what this encoding comes to anywhere. */
  note(op: number, bits: number, short: boolean): void {
    const place = placeOf(bits, short);
    const from = op >>> 2;
    const to = place * WORDS;
    // One by one: a view of four words costs more than they do.
    for (let i = 0; i < WORDS; i++) this.#words[to + i] = this.#i32[from + i];
    if (!short) this.#owners[place - SHORT] = bits;
  }
}

function placeOf(bits: number, short: boolean): number {
  return short ? bits : SHORT + (Math.imul(bits, 0x9e37_79b1) >>> (32 - LONG_BITS));
}
