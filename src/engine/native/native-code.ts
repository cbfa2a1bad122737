/**
 * The native code of a machine: written as soon as its guest code is hot, block by block, entered through patched ops, linked
 * within its page, and let go with it. Where control is found again and again, it is written once more, refined.
 */
import type { GuestMemory } from "../../memory/guest-memory.ts";
import { PAGE_SIZE } from "../../memory/guest-memory.ts";
import type { NativeStatistics } from "../engine.ts";
import type { DecodedPages } from "../interpreter/decoded-pages.ts";
import { COUNTER_SHIFT, OP_SIZE, OpField, Special } from "../interpreter/layout.ts";
import { Assembler, type Operand } from "./assembler.ts";
import { type WrittenBlock, writeBlocks } from "./block-writer.ts";
import { findBlocks, findFunction, type NativeBlock } from "./blocks.ts";
import { withChoices } from "./choices.ts";
import { type CommonCode, writeCommonCode } from "./common-code.ts";
import { joinLoops } from "./joined-loops.ts";
import type { WrittenNative } from "./listing.ts";
import { type PageWindow, Runs } from "./runs.ts";
import type { PageWays } from "./ways.ts";

/** What native code is made for: the host's processor. */
export interface NativeHost {
  /** Where code is written; whatever stands there can be executed. */
  readonly bytes: Uint8Array;
  /** What lies behind it, for data: `DATA_SIZE` (common-code.ts) at least. */
  readonly data: Uint8Array;
  /** The host's addresses of the first byte of code, and of linear memory. */
  readonly address: number;
  readonly memory: number;
  /** Whether the processor has FMA3. */
  readonly fusedMultiplyAdd: boolean;
  /** Whether it has BMI1 and BMI2. */
  readonly bitManipulation: boolean;
  functionAt(offset: number): (argument: number) => number;
  /** A window of `WINDOW_SIZE` bytes (runs.ts); absent where there can be none. */
  readonly openWindow?: (() => PageWindow | undefined) | undefined;
}

/** A group of blocks that were found together. */
export interface NativeRegion {
  /** Guest address of its page when it was found. */
  readonly page: bigint;
  /** Ops that its blocks begin with. */
  readonly ops: readonly number[];
  /** Its instructions were looked at together, see {@link BlockPlace.refined}. */
  readonly refined: boolean;
  /** Times that control was found in it. */
  finds: number;
}

/** A block of it, by the op that it begins with, and the guest's address of that. */
export interface NativePlace {
  readonly op: number;
  readonly pc: bigint;
}

interface InstalledBlock {
  readonly block: WrittenBlock;
  readonly end: number;
  readonly op: number;
  readonly region: NativeRegion;
}

interface CodeOfPage {
  readonly ways: PageWays;
  /** Ops at which blocks begin. */
  readonly ops: Set<number>;
  /** Those of blocks whose accesses share no ways. */
  readonly apart: Set<number>;
  /** By op: jumps that would like to lead there. */
  readonly open: Map<number, number[]>;
}

/**
 * What the code of one find takes at most. No instruction becomes more than 200 bytes, and with what an exit may have to make
 * up for (a word and a folded instruction for each register, a few that were put off) no more than 2 KiB; none of its blocks,
 * of which there are as many at most, needs more than a KiB to be entered and left with all registers exchanged. Blocks that
 * go to themselves may be there twice, and a third time where they are entered in their middle.
 */
export const LARGEST = 0x18_0000;
/** Ways of one find: no more than instructions, of which there are more than it has for the sake of its last block. */
const MOST_WAYS = 1000;
/** Loops of one find: no more than blocks. */
const MOST_LOOPS = 200;
/** Times that control is found in a region before it is refined: the effort shows where time is spent, and nowhere else. */
const FINDS = 2;
/** Times that the accesses of a block are found on two pages before they get a way each. */
const TIMES_APART = 8;
/** Bytes of an instruction that jumps anywhere, and where its distance stands. */
const JUMP = 0xe9;
const DISTANCE = 1;

export interface SlotPool {
  /** A slot that nothing has; `undefined`: there is none. */
  take(): number | undefined;
  give(slot: number): void;
}

export class NativeCode {
  readonly statistics: NativeStatistics = { instructions: 0, bytes: 0, blocks: 0, writing: 0 };
  /** Runs native code that begins at an offset, for the hart that is resident. */
  readonly run: (entry: number) => number;
  /** Pages of programs that ways are for together. */
  readonly runs: Runs;
  readonly #code: Assembler;
  readonly #common: CommonCode;
  /** The first byte that blocks may have. */
  readonly #start: number;
  /** By slot: where a block is entered, for generated code to read. */
  readonly #entries: Int32Array;
  /** By slot: what is there, and what it belongs to. */
  readonly #blocks: (InstalledBlock | undefined)[] = [];
  /** By page of linear memory. */
  readonly #byPage = new Map<number, CodeOfPage>();
  /** By way that accesses share: the op of their block, and how often the way was of no use. */
  readonly #shared = new Map<Operand, { readonly op: number; times: number }>();

  constructor(
    readonly memory: GuestMemory,
    readonly pages: DecodedPages,
    readonly host: NativeHost,
    readonly slots: SlotPool,
    /** Whether harts have 16-bit instructions. */
    readonly compressed: boolean,
    /** Who wants to see all code that is written, if anybody does. */
    readonly follower: () => ((written: WrittenNative) => void) | undefined,
  ) {
    this.#code = new Assembler(host.bytes);
    this.#common = writeCommonCode(this.#code, {
      memory: host.memory,
      code: host.address,
      data: host.bytes.length,
      memoryOfData: host.data,
      counters: pages.counters,
      entries: pages.entries,
      codePages: memory.codePagesOffset,
    });
    this.#start = this.#code.length;
    this.runs = new Runs(memory, this.#common.ways.runs, host.openWindow);
    this.#entries = new Int32Array(memory.memory.buffer, pages.entries, 1 << 16);
    this.run = host.functionAt(this.#common.enter);
  }

  /** Whether there is no room for more code. */
  get isFull(): boolean {
    const { ways, loops } = this.#common;
    return this.#code.length + LARGEST > this.host.bytes.length || ways.isFull(MOST_WAYS) || loops.isFull(MOST_LOOPS);
  }

  /**
   * Translates what control reaches from the op at `pc`, as far as that is for native code.
   * @param all Code that never ran, too, and all of it refined.
   * @param refines Ops with code that was found to be worth it: what of them is in the same function is refined, too.
   */
  translate(op: number, pc: bigint, all: boolean, refines?: readonly number[]): void {
    const started = performance.now();
    const { u8, u16, i32 } = this.memory;
    const { fusedMultiplyAdd } = this.host;
    const { ops, page } = this.pages.pageOfOp(op);
    const decode = all ? (at: number) => this.pages.decodeFrom(at) : undefined;
    const takes = refines && ((at: number) => this.#givesWay(at));
    const source = { u8, u16, i32, ops, fusedMultiplyAdd, decode, takes };
    const inPage = (one: number) => (one - ops) / (OP_SIZE / 2);
    const entry = inPage(op);
    const found = refines === undefined ? findBlocks(source, entry) : findFunction(source, entry, refines.map(inPage));
    if (found.length === 0) return;
    const refined = all || refines !== undefined;
    const blocks = refined ? withChoices(joinLoops(found), entry) : found;
    if (refines !== undefined) for (const { at } of blocks) this.giveUp(ops + at * (OP_SIZE / 2));
    let slots = this.#slotsFor(blocks);
    if (slots === undefined) {
      this.clear();
      slots = this.#slotsFor(blocks);
      // WebAssembly regions have them all.
      if (slots === undefined) return;
    }
    const start = this.#code.length;
    const opOf = (at: number) => ops + at * (OP_SIZE / 2);
    const known = this.#codeOf(page);
    const place = {
      ...{ common: this.#common, page: known.ways, slots, refined, bitManipulation: this.host.bitManipulation },
      compressed: this.compressed,
      linkTo: (at: number) => this.#linkTo(opOf(at)),
      isApart: (at: number) => known.apart.has(opOf(at)),
    };
    const written = writeBlocks(this.#code, blocks, place);
    this.follower()?.({
      ...{ blocks, page: pc & ~BigInt(PAGE_SIZE - 1), entry, place },
      bitsOf: (at) => this.pages.bitsOf(opOf(at)),
    });
    const region: NativeRegion = {
      ...{ page: pc & ~BigInt(PAGE_SIZE - 1), refined, finds: 0 },
      ops: blocks.map(({ at }) => opOf(at)),
    };
    this.pages.protect(page);
    for (let i = 0; i < blocks.length; i++) {
      const block = written.blocks[i];
      const op = opOf(block.at);
      const slot = slots[i];
      this.#blocks[slot] = { block, end: blocks[i].end, op, region };
      this.#entries[slot] = block.entry;
      known.ops.add(op);
      this.#leadInto(op, slot);
      // So do jumps that have waited for it.
      const waiting = known.open.get(op);
      if (waiting !== undefined) for (const use of waiting) this.#code.redirect(use, block.link);
      for (const way of block.ways) this.#shared.set(way, { op, times: 0 });
    }
    for (const { use, to } of written.open) {
      const waiting = known.open.get(opOf(to));
      if (waiting) waiting.push(use);
      else known.open.set(opOf(to), [use]);
    }
    for (const { operations, choice } of blocks)
      this.statistics.instructions += operations.length + (choice?.operations.length ?? 0);
    this.statistics.bytes += this.#code.length - start;
    this.statistics.blocks += blocks.length;
    this.statistics.writing += performance.now() - started;
  }

  #codeOf(page: number): CodeOfPage {
    let code = this.#byPage.get(page);
    if (code === undefined) {
      code = { ways: this.#common.ways.page(), ops: new Set(), apart: new Set(), open: new Map() };
      this.#byPage.set(page, code);
    }
    return code;
  }

  #slotsFor(blocks: readonly NativeBlock[]): number[] | undefined {
    const slots: number[] = [];
    for (const _ of blocks) {
      const slot = this.slots.take();
      if (slot === undefined) {
        for (const taken of slots) this.slots.give(taken);
        return undefined;
      }
      slots.push(slot);
    }
    return slots;
  }

  /** From now on the op leads to its block. */
  #leadInto(op: number, slot: number): void {
    const { u16 } = this.memory;
    u16[this.#counter(op)] = slot;
    u16[(op + OpField.handler) >>> 1] = Special.native;
  }

  #counter(op: number): number {
    return (this.pages.counters + (op >>> COUNTER_SHIFT)) >>> 1;
  }

  #linkTo(op: number): number {
    const { u16 } = this.memory;
    return u16[op >>> 1] === Special.native ? this.#blocks[u16[this.#counter(op)]]!.block.link : -1;
  }

  /**
   * Gives up regions with accesses that share a way, and are often on two pages that do not follow each other in memory. What
   * takes their place has a way for each.
   */
  settle(): void {
    for (const way of this.#common.ways.takeUseless()) {
      const known = this.#shared.get(way);
      if (known === undefined || ++known.times < TIMES_APART) continue;
      this.#shared.delete(way);
      const { u16 } = this.memory;
      const { op } = known;
      const slot = u16[op >>> 1] === Special.native ? u16[this.#counter(op)] : -1;
      const installed = this.#blocks[slot];
      if (installed === undefined) continue;
      this.#byPage.get(this.pages.pageOfOp(op).page)!.apart.add(op);
      for (const other of installed.region.ops) this.giveUp(other);
    }
  }

  /** Control was found in a slot. Answers the op that leads there, if that is native code. */
  find(slot: number): number | undefined {
    const found = this.#blocks[slot];
    if (found === undefined) return undefined;
    found.region.finds++;
    return found.op;
  }

  /** Has better code written for what control goes through from a slot where it was found, if that is worth it by now. */
  refine(slot: number): boolean {
    const { op, region } = this.#blocks[slot]!;
    if (region.finds < FINDS || this.isFull || !this.#givesWay(op)) return false;
    const within = (op - this.pages.pageOfOp(op).ops) / (OP_SIZE / 2);
    const others = region.ops.filter((other) => this.#givesWay(other));
    this.translate(op, region.page + BigInt(within), false, others);
    return true;
  }

  /** Whether a block is to become a part of what is refined: not where something better has taken the place of others. */
  #givesWay(op: number): boolean {
    const { u16 } = this.memory;
    if (u16[op >>> 1] !== Special.native) return false;
    const { refined, ops } = this.#blocks[u16[this.#counter(op)]]!.region;
    return !refined && !ops.some((other) => u16[other >>> 1] === Special.region);
  }

  /** Blocks with the instruction at an offset of linear memory. */
  placesWith(offset: number): NativePlace[] {
    const page = Math.floor(offset / PAGE_SIZE);
    const within = offset - page * PAGE_SIZE;
    const { u16 } = this.memory;
    const found = [...(this.#byPage.get(page)?.ops ?? [])].map((op) => this.#blocks[u16[this.#counter(op)]]!);
    return found.filter(({ block, end }) => block.at <= within && within < end).map(placeOf);
  }

  /** Something better is to begin at the op: code that would go on in its block takes the way round. */
  giveUp(op: number): void {
    const { u16 } = this.memory;
    if (u16[op >>> 1] !== Special.native) return;
    const slot = u16[this.#counter(op)];
    const { entry, detour, body, bodyDetour } = this.#blocks[slot]!.block;
    this.#divert(entry, detour);
    if (body !== entry) this.#divert(body, bodyDetour);
    this.#release(op, slot);
    this.#common.ways.forget();
    this.#byPage.get(this.pages.pageOfOp(op).page)?.ops.delete(op);
  }

  #divert(from: number, to: number): void {
    this.#code.bytes[from] = JUMP;
    this.#code.redirect(from + DISTANCE, to);
  }

  #release(op: number, slot: number): void {
    const { u16 } = this.memory;
    u16[op >>> 1] = u16[(op + OpField.original) >>> 1];
    u16[this.#counter(op)] = 0;
    this.#blocks[slot] = undefined;
    this.slots.give(slot);
  }

  /** Bytes of the page change: nothing that was made from it is right any more. */
  drop(page: number): void {
    const code = this.#byPage.get(page);
    if (code === undefined) return;
    this.#byPage.delete(page);
    this.#common.ways.forget();
    const { u16 } = this.memory;
    for (const op of code.ops) this.#release(op, u16[this.#counter(op)]);
  }

  /** Lets all code go. None of it may be running. */
  clear(): void {
    for (const page of [...this.#byPage.keys()]) this.drop(page);
    this.#common.ways.clear();
    this.#common.loops.clear();
    this.#shared.clear();
    this.#code.length = this.#start;
  }
}

function placeOf({ block, op, region }: InstalledBlock): NativePlace {
  return { op, pc: BigInt.asUintN(64, region.page + BigInt(block.at)) };
}
