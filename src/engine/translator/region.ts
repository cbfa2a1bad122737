/**
 * Finds the region of guest code that hot code belongs to: its blocks, what follows what, and which pages it relies on.
 * Calls are followed as if their callees stood in their place, so that a return is a jump whose target is known; jumps to
 * computed addresses are followed to where they have gone before.
 */
import type { Decoder } from "../../isa/riscv/decode.ts";
import type { Instruction } from "../../isa/riscv/instructions/encoding.ts";
import { instructions } from "../../isa/riscv/instructions/table.ts";
import type { GuestMemory } from "../../memory/guest-memory.ts";
import { PAGE_SIZE } from "../../memory/guest-memory.ts";

/** An instruction of a region. */
export interface Operation {
  /** Address, relative to the page that the region's entry is on. */
  readonly at: number;
  readonly length: 2 | 4;
  readonly instruction: Instruction;
  readonly rd: number;
  readonly rs1: number;
  readonly rs2: number;
  readonly rs3: number;
  readonly rm: number;
  readonly imm: number;
}

/** Where a block's control goes: to another block of the region, or out of it to an address. */
export type Edge = Block | number;

/** A straight line of instructions. The last one may be a branch or jump, for which the edges stand. */
export interface Block {
  readonly at: number;
  readonly operations: Operation[];
  /** After the last instruction, or where its condition does not hold. Absent after a jump. */
  next: Edge | undefined;
  /** Where the branch or jump goes. */
  taken: Edge | undefined;
  /** Where the jump to a computed address may be found to go; anywhere else when it is none of these. */
  readonly guesses: Block[];
  /** Calls that were followed to get here. */
  readonly depth: number;
  /** The instruction behind the block is not for the translator: the interpreter has to execute it. */
  stop: number | undefined;
  /** Position in reverse postorder (flow.ts). */
  order: number;
}

export interface Region {
  readonly entry: Block;
  readonly blocks: readonly Block[];
  /** Pages relied on besides the entry's, by number relative to it. */
  readonly pages: ReadonlySet<number>;
  readonly instructions: number;
}

export interface RegionSource {
  readonly memory: GuestMemory;
  readonly decoder: Decoder;
  /** Most instructions that a region may have. */
  readonly limit: number;
  /** Calls followed inside one another. */
  readonly depth: number;
  /** Linear-memory offset of a page, by its number relative to the entry's; -1 where it cannot be relied on. */
  resolve(page: number): number;
  /** Whether code at `at` is worth following: code that never ran is not. */
  follow(at: number): boolean;
  /** Where the computed jump at `at` has gone before; `undefined` where the interpreter is to carry it out and find out. */
  targets(at: number): readonly number[] | undefined;
}

const RETURN_ADDRESS = 1;
/** What lies farther away, in bytes, cannot be named relative to a region's page. */
export const FARTHEST = 2 ** 30;

const AUIPC = instructions.find(({ name }) => name === "auipc")!;
const JAL = instructions.find(({ name }) => name === "jal")!;

/** The calls that were followed to get somewhere, and the blocks found there. */
interface Context {
  readonly depth: number;
  readonly callee: number;
  readonly returnTo: number;
  readonly parent: Context | undefined;
  readonly leaders: Set<number>;
  readonly reached: Set<number>;
  readonly blocks: Map<number, Block>;
  /** Contexts of calls from here, by return address and callee. */
  readonly calls: Map<string, Context>;
  /** Where the callee's calls of itself return to. */
  readonly recursions: Leader[];
}

/** A place where a block begins. */
interface Leader {
  readonly at: number;
  readonly context: Context;
}

export function formRegion(source: RegionSource, entry: number): Region | undefined {
  return new RegionFinder(source, entry).find();
}

class RegionFinder {
  readonly #decoded = new Map<number, Operation | undefined>();
  readonly #pages = new Map<number, number>();
  readonly #used = new Set<number>();
  readonly #blocks: Block[] = [];
  readonly #root: Context;
  /** Where recursive calls that were just found return to. */
  readonly #returns: Leader[] = [];
  #instructions = 0;

  constructor(
    readonly source: RegionSource,
    readonly entry: number,
  ) {
    this.#root = context(0, entry, 0, undefined);
  }

  find(): Region | undefined {
    const first = { at: this.entry, context: this.#root };
    this.#findLeaders(first);
    const start = this.#block(first);
    if (start === undefined || start.operations.length === 0) return undefined;
    return { entry: start, blocks: this.#blocks, pages: this.#used, instructions: this.#instructions };
  }

  /** Walks everything reachable within the limit, breadth first, and notes where blocks begin. */
  #findLeaders(entry: Leader): void {
    const queue: Leader[] = [entry];
    let budget = this.source.limit;
    for (let i = 0; i < queue.length && budget > 0; i++) {
      const { at: start, context } = queue[i];
      if (context.leaders.has(start)) continue;
      context.leaders.add(start);
      let before: Operation | undefined;
      for (let at = start; ; ) {
        const operation = this.#decodeBehind(before, at);
        if (operation === undefined || budget-- <= 0 || context.reached.has(at)) break;
        context.reached.add(at);
        const { does } = operation.instruction.semantics;
        const following = at + operation.length;
        if (does === "service") break;
        if (does === "branch") {
          this.#want(queue, { at: at + operation.imm, context });
          this.#want(queue, { at: following, context });
          break;
        }
        if (does === "jump" || does === "jumpTo") {
          for (const target of this.#jumpTargets(operation, context)) this.#want(queue, target);
          for (const returning of this.#returns.splice(0)) this.#want(queue, returning);
          break;
        }
        if (pageOf(following) !== pageOf(at)) {
          // Entering another page is an edge, which can ask whether that page is still the same.
          this.#want(queue, { at: following, context });
          break;
        }
        before = operation;
        at = following;
      }
    }
  }

  #want(queue: Leader[], leader: Leader): void {
    if (this.source.follow(leader.at)) queue.push(leader);
  }

  /** Where a jump may continue inside the region. */
  #jumpTargets(operation: Operation, context: Context): readonly Leader[] {
    const { at, length, imm, rd, rs1, instruction } = operation;
    if (instruction.semantics.does === "jump") return this.#target(context, at + imm, rd, at + length);
    if (rd === 0 && rs1 === RETURN_ADDRESS && imm === 0) {
      const { parent, returnTo, recursions } = context;
      return parent ? [{ at: returnTo, context: parent }, ...recursions] : recursions;
    }
    const goals = this.source.targets(at) ?? [];
    return goals.flatMap((target) => this.#target(context, target, rd, at + length));
  }

  /** A jump to a computed address, other than a return, of which the interpreter has to see more. */
  #isUnexplored({ at, rd, rs1, imm }: Operation): boolean {
    const isReturn = rd === 0 && rs1 === RETURN_ADDRESS && imm === 0;
    return !isReturn && this.source.targets(at) === undefined;
  }

  #target(context: Context, at: number, rd: number, returnTo: number): readonly Leader[] {
    if (rd !== RETURN_ADDRESS) return [{ at, context }];
    // A recursive call is a jump back to where the callee began. The guest's stack knows how deep it is, and nobody else.
    for (let c: Context | undefined = context; c !== undefined; c = c.parent) {
      if (c.callee !== at) continue;
      this.#noteRecursion(c, { at: returnTo, context });
      return [{ at, context: c }];
    }
    const called = this.#call(context, at, returnTo);
    return called ? [{ at, context: called }] : [];
  }

  #noteRecursion({ recursions }: Context, returning: Leader): void {
    // What is returned to in several contexts is found in the first.
    if (recursions.some(({ at }) => at === returning.at)) return;
    recursions.push(returning);
    this.#returns.push(returning);
  }

  #call(parent: Context, callee: number, returnTo: number): Context | undefined {
    if (parent.depth === this.source.depth) return undefined;
    // A computed call has several callees.
    const key = `${returnTo} ${callee}`;
    let called = parent.calls.get(key);
    if (called === undefined) {
      called = context(parent.depth + 1, callee, returnTo, parent);
      parent.calls.set(key, called);
    }
    return called;
  }

  /** The block that begins at a leader, with everything that follows; `undefined` where none was found worth it. */
  #block({ at: start, context }: Leader): Block | undefined {
    const known = context.blocks.get(start);
    if (known !== undefined) return known;
    if (!context.leaders.has(start) || this.#decode(start) === undefined) return undefined;
    const operations: Operation[] = [];
    const block: Block = {
      at: start,
      operations,
      next: undefined,
      taken: undefined,
      guesses: [],
      depth: context.depth,
      stop: undefined,
      order: -1,
    };
    context.blocks.set(start, block);
    this.#blocks.push(block);
    const edge = (target: Leader): Edge => this.#block(target) ?? target.at;
    for (let at = start; ; ) {
      if (at !== start && context.leaders.has(at)) {
        block.next = edge({ at, context });
        return block;
      }
      const operation = this.#decodeBehind(operations.at(-1), at);
      if (operation === undefined || !context.reached.has(at)) {
        block.next = at;
        return block;
      }
      const { does } = operation.instruction.semantics;
      if (does === "service" || (does === "jumpTo" && this.#isUnexplored(operation))) {
        block.stop = at;
        return block;
      }
      this.#instructions++;
      operations.push(operation);
      this.#used.add(pageOf(at));
      const following = at + operation.length;
      if (does === "branch") {
        block.taken = edge({ at: at + operation.imm, context });
        block.next = edge({ at: following, context });
        return block;
      }
      if (does === "jump") {
        const [target] = this.#jumpTargets(operation, context);
        block.taken = target ? edge(target) : at + operation.imm;
        return block;
      }
      if (does === "jumpTo") {
        for (const target of this.#jumpTargets(operation, context)) {
          const guess = this.#block(target);
          if (guess !== undefined) block.guesses.push(guess);
        }
        return block;
      }
      if (pageOf(following) !== pageOf(at)) {
        block.next = edge({ at: following, context });
        return block;
      }
      at = following;
    }
  }

  /**
   * A computed jump right behind the AUIPC that computes its target, as assemblers write far calls and jumps, goes where a
   * JAL would: from here on it is one.
   */
  #decodeBehind(before: Operation | undefined, at: number): Operation | undefined {
    const operation = this.#decode(at);
    if (operation?.instruction.semantics.does !== "jumpTo") return operation;
    if (before?.instruction !== AUIPC || before.rd !== operation.rs1 || before.rd === 0) return operation;
    const { length, rd, rs1, rs2, rs3, rm } = operation;
    const target = before.at + before.imm + operation.imm;
    if (Math.abs(target) >= FARTHEST) return operation;
    return { at, length, instruction: JAL, rd, rs1, rs2, rs3, rm, imm: (target & -2) - at };
  }

  #decode(at: number): Operation | undefined {
    const known = this.#decoded.get(at);
    if (known !== undefined || this.#decoded.has(at)) return known;
    const operation = this.#read(at);
    this.#decoded.set(at, operation);
    return operation;
  }

  #read(at: number): Operation | undefined {
    const { memory, decoder } = this.source;
    const page = pageOf(at);
    const within = at - page * PAGE_SIZE;
    const base = this.#page(page);
    if (base < 0) return undefined;
    const low = memory.u16[(base + within) >>> 1];
    const short = (low & 3) !== 3;
    // What straddles two pages is left to the interpreter.
    if (!short && within === PAGE_SIZE - 2) return undefined;
    const bits = short ? decoder.expand(low) : low | (memory.u16[(base + within + 2) >>> 1] << 16);
    const decoded = decoder.decode(bits);
    if (decoded === undefined) return undefined;
    const { instruction, rd, rs1, rs2, rs3, rm, imm } = decoded;
    return { at, length: short ? 2 : 4, instruction, rd, rs1, rs2, rs3, rm, imm };
  }

  #page(page: number): number {
    let base = this.#pages.get(page);
    if (base === undefined) {
      base = this.source.resolve(page);
      this.#pages.set(page, base);
    }
    return base;
  }
}

function context(depth: number, callee: number, returnTo: number, parent: Context | undefined): Context {
  return {
    depth,
    callee,
    returnTo,
    parent,
    leaders: new Set(),
    reached: new Set(),
    blocks: new Map(),
    calls: new Map(),
    recursions: [],
  };
}

export function pageOf(at: number): number {
  return Math.floor(at / PAGE_SIZE);
}

export function isBlock(edge: Edge | undefined): edge is Block {
  return typeof edge === "object";
}

/** One for each edge: a block that is both taken and next is there twice. */
export function successors(block: Block): Block[] {
  const targets = [...block.guesses];
  if (isBlock(block.taken)) targets.push(block.taken);
  if (isBlock(block.next)) targets.push(block.next);
  return targets;
}
