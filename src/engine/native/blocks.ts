/**
 * Finds what native code is made from: the blocks of a decoded page that control reaches from an instruction without leaving
 * the page. Everything is read from decoded ops; what was never decoded has never run, and is left out.
 */
import type { Instruction } from "../../isa/riscv/instructions/encoding.ts";
import type { Semantics } from "../../isa/riscv/semantics.ts";
import {
  type Handler,
  handlerNumber,
  handlers,
  OP_SIZE,
  OPS_PER_PAGE,
  OpField,
  Special,
} from "../interpreter/layout.ts";
import { isKnownCsr } from "./csrs.ts";
import { isDivision } from "./divisions.ts";
import { isKnown } from "./expressions.ts";
import { isKnownFloat } from "./floats.ts";
import { type Traits, traitsOf } from "./traits.ts";

/** An instruction. */
export interface NativeOp {
  /** Where it is, from the start of its page. */
  readonly at: number;
  readonly length: number;
  readonly instruction: Instruction;
  readonly traits: Traits;
  /** Needs the floating-point unit to be on. */
  readonly float: boolean;
  readonly rd: number;
  readonly rs1: number;
  readonly rs2: number;
  readonly rs3: number;
  /** Rounding mode, or what it does to a CSR (funct3). */
  readonly rm: number;
  /** For branches and jumps, to be added to `at`; or a CSR's number. */
  readonly imm: number;
}

/** A register that is set to another one's value, or to a number, where the branch goes one way. */
export interface Move {
  readonly at: number;
  readonly rd: number;
  readonly from: number;
  /** If it is set to a number. */
  readonly value: number | undefined;
  readonly taken: boolean;
}

/** A register that is set to what takes some computing: the last of these sets it, and each but the first reads what is so far. */
export interface Computed {
  readonly rd: number;
  readonly steps: readonly NativeOp[];
  readonly taken: boolean;
}

/** What a block's branch chooses; both ways lead to the block's end. */
export interface Choice {
  /** Instructions of the way where the branch is not taken, and of the other one, if only to jump. */
  readonly counts: readonly [number, number];
  readonly moves: readonly Move[];
  readonly computed: Computed | undefined;
  /** All instructions that set registers. */
  readonly operations: readonly NativeOp[];
}

/** A straight line; control may enter at its start, and nowhere else. */
export interface NativeBlock {
  readonly at: number;
  readonly operations: readonly NativeOp[];
  /** Where it ends; the interpreter has to execute what stands there if it is `left`. */
  readonly end: number;
  readonly left: boolean;
  /** What its last instruction, a branch, chooses: both ways are a part of it. */
  readonly choice?: Choice | undefined;
}

/** Instructions that it takes from the budget; some of them may be given back. */
export function countOf({ operations, choice }: Pick<NativeBlock, "operations" | "choice">): number {
  return operations.length + (choice === undefined ? 0 : Math.max(...choice.counts));
}

/** Whether its last instruction is a branch to an address. */
export function branchesTo(operations: readonly NativeOp[], to: number): boolean {
  const { instruction, at, imm } = operations[operations.length - 1];
  return instruction.semantics.does === "branch" && at + imm === to;
}

/** Most instructions that are translated together: what they become has to fit, see `LARGEST` (native-code.ts). */
const LIMIT = 150;
/** Instructions of a block: what is given back of them has to fit where exits say it. */
const LONGEST = 200;
const SINK = 32;
const RETURN_ADDRESS = 1;

/** What becomes of an instruction. */
const Kind = { straight: 0, branch: 1, jump: 2, left: 3, float: 4, csr: 5 } as const;
type Kind = (typeof Kind)[keyof typeof Kind];

const kinds: readonly Kind[] = handlers.map(({ instruction }) =>
  isDivision(instruction) ? Kind.straight : kindOf(instruction.semantics),
);

/** By handler, as they are wanted. */
const TRAITS: (Traits | undefined)[] = [];

function traitsAt(handler: number): Traits {
  const traits = traitsOf(handlers[handler].instruction);
  TRAITS[handler] = traits;
  return traits;
}

function kindOf(semantics: Semantics): Kind {
  switch (semantics.does) {
    case "branch":
      return isKnown(semantics.condition) ? Kind.branch : Kind.left;
    case "jump":
    case "jumpTo":
      return Kind.jump;
    case "float":
      return Kind.float;
    case "service":
      return semantics.service === "csr" ? Kind.csr : Kind.left;
    case "set":
      return isKnown(semantics.value) ? Kind.straight : Kind.left;
    case "setF":
      return isKnown(semantics.bits) ? Kind.straight : Kind.left;
    case "amo":
      return isKnown(semantics.combine) ? Kind.straight : Kind.left;
    default:
      return Kind.straight;
  }
}

/** A decoded page, as the finder needs it. */
export interface DecodedPage {
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly i32: Int32Array;
  /** Where its ops begin. */
  readonly ops: number;
  /** Whether the host's processor has FMA3. */
  readonly fusedMultiplyAdd: boolean;
  /** Decodes from this op on, if that is wanted. */
  decode?(op: number): void;
  /** Whether native code that begins at this op is to give way. */
  takes?(op: number): boolean;
}

/** The blocks that begin with the one at `entry`, by ascending address. Empty where the entry is not for native code. */
export function findBlocks(page: DecodedPage, entry: number): readonly NativeBlock[] {
  const finder = new BlockFinder(page);
  finder.find(entry);
  return finder.blocks();
}

/** The same function's blocks as the one at `entry`, of those that are reached from there or from `others`. */
export function findFunction(page: DecodedPage, entry: number, others: readonly number[]): readonly NativeBlock[] {
  const finder = new BlockFinder(page);
  finder.find(entry);
  for (const other of others) finder.find(other);
  return withinFunction(finder.blocks(), entry);
}

/** Those that lead to each other, but for calls. */
function withinFunction(blocks: readonly NativeBlock[], entry: number): readonly NativeBlock[] {
  const neighbours = new Map<number, number[]>(blocks.map(({ at }) => [at, []]));
  for (const { at, operations, end, left } of blocks) {
    for (const next of successorsOf(operations, end, left)) {
      if (!neighbours.has(next)) continue;
      neighbours.get(next)!.push(at);
      neighbours.get(at)!.push(next);
    }
  }
  const reached = new Set([entry]);
  for (const at of reached) for (const next of neighbours.get(at) ?? []) reached.add(next);
  return blocks.filter(({ at }) => reached.has(at));
}

/** Where control goes from a block's end, calls and exits aside. */
export function successorsOf(operations: readonly NativeOp[], end: number, left: boolean): readonly number[] {
  const last = operations[operations.length - 1];
  const calls = last.rd === RETURN_ADDRESS;
  switch (last.instruction.semantics.does) {
    case "branch":
      return [last.at + last.imm, end];
    case "jump":
      return [calls ? end : last.at + last.imm];
    case "jumpTo":
      return calls ? [end] : [];
    default:
      // What the interpreter carries out is a part of it, too.
      return [left ? end + 4 : end];
  }
}

/** By halfword: 1 where a block begins, 2 where an instruction was reached. The latest finder has it. */
const MARKS = new Uint8Array(OPS_PER_PAGE);

class BlockFinder {
  readonly #marks = MARKS.fill(0);
  /** Where blocks begin, in the order in which they were found. */
  readonly #starts: number[] = [];
  #count = 0;

  constructor(readonly page: DecodedPage) {}

  find(entry: number): void {
    const marks = this.#marks;
    const queue = [entry];
    this.#begin(entry);
    for (let i = 0; i < queue.length && this.#count < LIMIT; i++) {
      for (let at = queue[i]; at < 4096 && this.#count < LIMIT; ) {
        if ((marks[at >>> 1] & 2) !== 0) break;
        const handler = this.#handlerAt(at);
        if (handler < 0) break;
        if (at !== queue[i] && this.#isEntered(at)) {
          // If it gives way, a block begins there still.
          this.#want(at, queue);
          break;
        }
        const kind = this.#kind(at, handler);
        const op = this.page.ops + at * (OP_SIZE / 2);
        const following = at + this.page.u8[op + OpField.length];
        if (kind === Kind.left) {
          // The interpreter comes back behind it.
          this.#want(following, queue);
          break;
        }
        marks[at >>> 1] |= 2;
        this.#count++;
        if (kind === Kind.jump) {
          const { does } = handlers[handler].instruction.semantics;
          const calls = this.page.u16[(op + OpField.rd) >>> 1] >>> 3 === RETURN_ADDRESS;
          if (does === "jump") this.#goTo(at + this.#distance(op, handler), calls, queue);
          // So does who was called.
          if (calls) this.#want(following, queue);
          break;
        }
        if (kind === Kind.branch) {
          this.#want(at + this.#distance(op, handler), queue);
          this.#want(following, queue);
          break;
        }
        at = following;
      }
    }
  }

  /** What becomes of an instruction, by its handler's position in the table. */
  #kind(at: number, handler: number): Kind {
    const kind = kinds[handler];
    if (kind !== Kind.float && kind !== Kind.csr) return kind;
    const { semantics } = handlers[handler].instruction;
    const { u8, u16, i32, ops, fusedMultiplyAdd } = this.page;
    const op = ops + at * (OP_SIZE / 2);
    const rm = u8[op + OpField.rm];
    if (kind === Kind.csr) {
      const isKnown = isKnownCsr(i32[(op + OpField.imm) >>> 2], rm, u16[(op + OpField.rs1) >>> 1] >>> 3);
      return isKnown ? Kind.straight : Kind.left;
    }
    return semantics.does === "float" && isKnownFloat(semantics, rm, fusedMultiplyAdd) ? Kind.straight : Kind.left;
  }

  /** Who is called and has code of its own keeps it: another function is better off with other registers. */
  #goTo(at: number, calls: boolean, queue: number[]): void {
    if (!calls || at < 0 || at >= 4096 || !this.#isEntered(at)) this.#want(at, queue);
  }

  #want(at: number, queue: number[]): void {
    if (at < 0 || at >= 4096 || (this.#marks[at >>> 1] & 1) !== 0) return;
    if (this.#handlerAt(at) < 0 || this.#stays(at)) return;
    this.#begin(at);
    queue.push(at);
  }

  #begin(at: number): void {
    if ((this.#marks[at >>> 1] & 1) === 0) this.#starts.push(at);
    this.#marks[at >>> 1] |= 1;
  }

  /** Whether translated code begins there. */
  #isEntered(at: number): boolean {
    const handler = this.page.u16[this.#op(at) >>> 1];
    return handler === Special.native || handler === Special.region;
  }

  /** Whether it stays. */
  #stays(at: number): boolean {
    return this.#isEntered(at) && this.page.takes?.(this.#op(at)) !== true;
  }

  #op(at: number): number {
    return this.page.ops + at * (OP_SIZE / 2);
  }

  /** The instruction's own handler, by its position in the table; -1: there is none, or it is not for native code. */
  #handlerAt(at: number): number {
    const { u16, ops, decode } = this.page;
    const op = ops + at * (OP_SIZE / 2);
    if (decode !== undefined && u16[op >>> 1] === Special.undecoded) decode(op);
    const number = u16[(op + OpField.original) >>> 1];
    return number < handlerNumber(0) ? -1 : number - handlerNumber(0);
  }

  /** How far a branch or jump goes, in bytes. */
  #distance(op: number, handler: number): number {
    const imm = this.page.i32[(op + OpField.imm) >>> 2];
    return handlers[handler].reach === "far" ? imm : imm >> 3;
  }

  blocks(): NativeBlock[] {
    const found: NativeBlock[] = [];
    for (const at of this.#starts.sort((a, b) => a - b)) if (this.#marks[at >>> 1] === 3) found.push(this.#block(at));
    return found;
  }

  #block(start: number): NativeBlock {
    const marks = this.#marks;
    const operations: NativeOp[] = [];
    for (let at = start; ; ) {
      if (at >= 4096 || operations.length === LONGEST) return { at: start, operations, end: at, left: false };
      // Where another block begins, this one goes on; what was not reached may be for the interpreter.
      if (at !== start && (marks[at >>> 1] & 1) !== 0) return { at: start, operations, end: at, left: false };
      if ((marks[at >>> 1] & 2) === 0) return { at: start, operations, end: at, left: this.#isLeft(at) };
      const handler = this.#handlerAt(at);
      const operation = this.#operation(at, handlers[handler], handler);
      operations.push(operation);
      at += operation.length;
      if (this.#kind(operation.at, handler) !== Kind.straight) return { at: start, operations, end: at, left: false };
    }
  }

  /** Whether only the interpreter can carry out what stands there, or finds out what that is. */
  #isLeft(at: number): boolean {
    const handler = this.#handlerAt(at);
    return handler < 0 || this.#kind(at, handler) === Kind.left;
  }

  #operation(at: number, { instruction }: Handler, handler: number): NativeOp {
    const { u8, u16, i32, ops } = this.page;
    const op = ops + at * (OP_SIZE / 2);
    const { semantics, extension } = instruction;
    const rd = u16[(op + OpField.rd) >>> 1] >>> 3;
    const goes = semantics.does === "branch" || semantics.does === "jump";
    return {
      at,
      length: u8[op + OpField.length],
      instruction,
      traits: TRAITS[handler] ?? traitsAt(handler),
      float: extension === "f" || extension === "d",
      rd: rd === SINK ? 0 : rd,
      rs1: u16[(op + OpField.rs1) >>> 1] >>> 3,
      rs2: u16[(op + OpField.rs2) >>> 1] >>> 3,
      rs3: semantics.does === "float" ? i32[(op + OpField.imm) >>> 2] >>> 3 : 0,
      rm: u8[op + OpField.rm],
      imm: goes ? this.#distance(op, handler) : i32[(op + OpField.imm) >>> 2],
    };
  }
}
