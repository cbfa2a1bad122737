/**
 * Finds the region of guest code that hot code belongs to: its blocks, what follows what, and which pages it relies on.
 * Calls are followed as if their callees stood in their place, so that a return is a jump whose target is known.
 */
import type { Decoder } from "../../isa/riscv/decode.ts";
import type { Instruction } from "../../isa/riscv/instructions/encoding.ts";
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
export type Edge = Block | { readonly exit: number };

/** A straight line of instructions. The last one may be a branch or jump, for which the edges stand. */
export interface Block {
  readonly at: number;
  readonly operations: Operation[];
  /** After the last instruction, or where its condition does not hold. Absent after an unconditional jump. */
  next?: Edge;
  /** Where the branch or jump goes. */
  taken?: Edge;
  /** The jump at the end returns from a followed call to `taken`, if the register says so. */
  returns?: boolean;
  /** The instruction behind the block is not for the translator: the interpreter has to execute it. */
  stop?: number;
}

export interface Region {
  readonly entry: Block;
  readonly blocks: readonly Block[];
  /** Pages relied on besides the entry's, by number relative to it, with the offsets of their guest memory. */
  readonly pages: ReadonlyMap<number, number>;
  readonly instructions: number;
}

export interface RegionSource {
  readonly memory: GuestMemory;
  readonly decoder: Decoder;
  /** Linear-memory offset of a page, by its number relative to the entry's; -1 where it cannot be relied on. */
  resolve(page: number): number;
}

const MAX_INSTRUCTIONS = 800;
const MAX_CALL_DEPTH = 4;
const RETURN_ADDRESS = 1;

/** The calls that were followed to get somewhere. */
interface Context {
  readonly id: number;
  readonly depth: number;
  readonly returnTo: number;
  readonly parent: Context | undefined;
}

/** A place where a block begins. */
interface Leader {
  readonly at: number;
  readonly context: Context | undefined;
}

export function formRegion(source: RegionSource, entry: number): Region | undefined {
  return new RegionFinder(source).find(entry);
}

class RegionFinder {
  readonly #decoded = new Map<number, Operation | undefined>();
  readonly #pages = new Map<number, number>();
  readonly #blocks = new Map<string, Block>();
  readonly #leaders = new Set<string>();
  readonly #contexts = new Map<string, Context>();
  #instructions = 0;

  constructor(readonly source: RegionSource) {}

  find(entry: number): Region | undefined {
    const first = { at: entry, context: undefined };
    this.#findLeaders(first);
    this.#instructions = 0;
    const start = this.#block(first);
    if (start === undefined || start.operations.length === 0) return undefined;
    return {
      entry: start,
      blocks: [...this.#blocks.values()],
      pages: this.#pages,
      instructions: this.#instructions,
    };
  }

  /** Walks everything reachable within the limit, breadth first, and notes where blocks begin. */
  #findLeaders(entry: Leader): void {
    const queue: Leader[] = [entry];
    const reached = new Set<string>();
    let budget = MAX_INSTRUCTIONS;
    for (let leader = queue.shift(); leader !== undefined; leader = queue.shift()) {
      const key = keyOf(leader);
      if (this.#leaders.has(key)) continue;
      if (budget <= 0) continue;
      this.#leaders.add(key);
      let { at } = leader;
      for (;;) {
        const operation = this.#decode(at);
        if (operation === undefined || budget-- <= 0) break;
        const here = `${at}:${leader.context?.id ?? 0}`;
        if (reached.has(here)) break;
        reached.add(here);
        const { does } = operation.instruction.semantics;
        const following = at + operation.length;
        if (does === "service") break;
        if (does === "branch") {
          queue.push({ at: at + operation.imm, context: leader.context });
          queue.push({ at: following, context: leader.context });
          break;
        }
        if (does === "jump" || does === "jumpTo") {
          const target = this.#jumpTarget(operation, leader.context);
          if (target) queue.push(target);
          break;
        }
        if (pageOf(following) !== pageOf(at)) {
          // Entering another page is an edge, which can ask whether that page is still the same.
          queue.push({ at: following, context: leader.context });
          break;
        }
        at = following;
      }
    }
  }

  /** Where a jump continues inside the region, if that can be told. */
  #jumpTarget(operation: Operation, context: Context | undefined): Leader | undefined {
    const following = operation.at + operation.length;
    if (operation.instruction.semantics.does === "jump") {
      const at = operation.at + operation.imm;
      if (operation.rd !== RETURN_ADDRESS) return { at, context };
      const called = this.#call(context, following);
      return called && { at, context: called };
    }
    const isReturn = operation.rd === 0 && operation.rs1 === RETURN_ADDRESS && operation.imm === 0;
    return isReturn && context ? { at: context.returnTo, context: context.parent } : undefined;
  }

  #call(parent: Context | undefined, returnTo: number): Context | undefined {
    const depth = (parent?.depth ?? 0) + 1;
    if (depth > MAX_CALL_DEPTH) return undefined;
    const key = `${parent?.id ?? 0}:${returnTo}`;
    let context = this.#contexts.get(key);
    if (context === undefined) {
      context = { id: this.#contexts.size + 1, depth, returnTo, parent };
      this.#contexts.set(key, context);
    }
    return context;
  }

  /** The block that begins at a leader, with everything that follows; `undefined` where none was found worth it. */
  #block(leader: Leader): Block | undefined {
    const key = keyOf(leader);
    const known = this.#blocks.get(key);
    if (known !== undefined) return known;
    if (!this.#leaders.has(key) || this.#decode(leader.at) === undefined) return undefined;
    const block: Block = { at: leader.at, operations: [] };
    this.#blocks.set(key, block);
    const { context } = leader;
    const edge = (target: Leader): Edge => this.#block(target) ?? { exit: target.at };
    for (let at = leader.at; ; ) {
      if (at !== leader.at && this.#leaders.has(keyOf({ at, context }))) {
        block.next = edge({ at, context });
        return block;
      }
      const operation = this.#decode(at);
      if (operation === undefined || this.#instructions > 2 * MAX_INSTRUCTIONS) {
        block.next = { exit: at };
        return block;
      }
      const { does } = operation.instruction.semantics;
      if (does === "service") {
        block.stop = at;
        return block;
      }
      this.#instructions++;
      block.operations.push(operation);
      const following = at + operation.length;
      if (does === "branch") {
        block.taken = edge({ at: at + operation.imm, context });
        block.next = edge({ at: following, context });
        return block;
      }
      if (does === "jump" || does === "jumpTo") {
        const target = this.#jumpTarget(operation, context);
        if (target) block.taken = edge(target);
        else if (does === "jump") block.taken = { exit: at + operation.imm };
        block.returns = does === "jumpTo" && target !== undefined;
        return block;
      }
      if (pageOf(following) !== pageOf(at)) {
        block.next = edge({ at: following, context });
        return block;
      }
      at = following;
    }
  }

  #decode(at: number): Operation | undefined {
    if (this.#decoded.has(at)) return this.#decoded.get(at);
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
    const low = memory.u16[(base + within) >> 1];
    const short = (low & 3) !== 3;
    // What straddles two pages is left to the interpreter.
    if (!short && within === PAGE_SIZE - 2) return undefined;
    const bits = short ? decoder.expand(low) : low | (memory.u16[(base + within + 2) >> 1] << 16);
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

export function pageOf(at: number): number {
  return Math.floor(at / PAGE_SIZE);
}

function keyOf({ at, context }: Leader): string {
  return `${at}:${context?.id ?? 0}`;
}

export function isBlock(edge: Edge): edge is Block {
  return "operations" in edge;
}
