/**
 * Pre-decoded code: what the decoder writes and the generated interpreter reads.
 *
 * Every executed 4 KiB page of guest memory has a decoded page: one 16-byte op for each of its 2048 halfwords, so that an
 * address becomes an op by a shift and an addition. Two more ops behind the last send a fall-through to the next page.
 */
import type { Instruction } from "../../isa/riscv/instructions/encoding.ts";
import { instructions } from "../../isa/riscv/instructions/table.ts";

export const OP_SIZE = 16;
/** Byte offsets inside an op. Register fields are register numbers times 8, ready to be added to a register file. */
export const OpField = {
  handler: 0,
  rd: 2,
  rs1: 4,
  rs2: 6,
  /** Immediate; for near branches the distance in bytes of ops; for fused multiply-add rs3. */
  imm: 8,
  /** Rounding mode, 1 byte. */
  rm: 12,
  /** Length of the instruction in bytes, 1 byte. */
  length: 13,
  /** The handler of the instruction itself, where `handler` sends execution into a translated region. */
  original: 14,
} as const;

export const OPS_PER_PAGE = 2048;
/** Bytes of a decoded page: its ops, the two that end it, and what {@link Straddle} tells. */
export const DECODED_PAGE_SIZE = (OPS_PER_PAGE + 4) * OP_SIZE;

/**
 * Of the 4-byte instruction that begins in a page's last halfword, by offsets from its op: the decoded page that the second
 * half was on when the op was decoded (4 bytes; 0: it was not), that half's linear-memory offset (4 bytes) and its bits (2
 * bytes), and the instruction's own handler (2 bytes). The op holds if all is still so.
 */
export const Straddle = { page: 48, at: 52, half: 56, handler: 58 } as const;

/** Handlers that stand for no instruction. */
export const Special = {
  /** Not decoded yet. Must be 0: cleared memory means this. */
  undecoded: 0,
  /** Execution ran past the end of the page. */
  pageEnd: 1,
  /** A 4-byte instruction in the last halfword: its second half is on another page. See {@link Straddle}. */
  straddle: 2,
  illegal: 3,
  /** A translated region begins here; its slot is in the op's counter. */
  region: 4,
  /** The same, of native code. */
  native: 5,
} as const;
const SPECIALS = 6;

/** Beside every op, 2 bytes elsewhere: how often control arrived there, or the slot of the region that begins there. */
export const COUNTER_SHIFT = 3;

/**
 * A table of where computed jumps went lately, by a hash of their op: what the translator can guess from. `goals` is a ring
 * of addresses of which `next` is written next; `last` is the one that was written last.
 */
export const Site = { count: 2048, size: 144, shift: 4, op: 0, next: 4, last: 8, goals: 16, ring: 16 } as const;
export const SITES_SIZE = Site.count * Site.size;
/** A table of where native code begins, by slot. */
export const ENTRIES_SIZE = 4 * 2 ** 16;

/** Instructions that have a 16-bit form: their handlers exist for both lengths, so that none has to load its length. */
const SHORT_FORMS = new Set(
  "addi addiw lui andi srli srai slli sub xor or and subw addw add jal jalr beq bne lw ld sw sd fld fsd".split(" "),
);

/** Where a branch goes. `near`: forward on the same page. `back`: backward on the same page. `far`: to any page. */
export type Reach = "near" | "back" | "far";

export interface Handler {
  readonly instruction: Instruction;
  /** 0: not known to the handler, which loads it from the op. */
  readonly length: 0 | 2 | 4;
  readonly reach: Reach;
}

const branches = (i: Instruction) => i.semantics.does === "branch" || i.semantics.does === "jump";

/** Every handler of the interpreter, in the order of their numbers. */
export const handlers: readonly Handler[] = instructions.flatMap((instruction): Handler[] => {
  const short = SHORT_FORMS.has(instruction.name);
  if (instruction.semantics.does === "service") return [{ instruction, length: 0, reach: "near" }];
  const near: Handler[] = [{ instruction, length: 4, reach: "near" }];
  if (short) near.push({ instruction, length: 2, reach: "near" });
  const back = near.map((handler): Handler => ({ ...handler, reach: "back" }));
  return branches(instruction) ? [...near, ...back, { instruction, length: 0, reach: "far" }] : near;
});

export const HANDLER_COUNT = SPECIALS + handlers.length;

const numbers = new Map<string, number>();
handlers.forEach((h, i) => {
  numbers.set(`${h.instruction.name} ${h.length} ${h.reach}`, SPECIALS + i);
});
const byIndex = instructions.map((i) => {
  const number = (length: number, reach: Reach) => numbers.get(`${i.name} ${length} ${reach}`);
  const only = number(0, "near");
  return {
    near4: only ?? number(4, "near") ?? Special.illegal,
    near2: only ?? number(2, "near") ?? Special.illegal,
    back4: number(4, "back"),
    back2: number(2, "back"),
    far: number(0, "far"),
  };
});

/** The handler of an instruction (by table index) of the given length. */
export function handlerOf(index: number, length: 2 | 4, reach: Reach): number {
  const known = byIndex[index];
  const near = length === 2 ? known.near2 : known.near4;
  if (reach === "far") return known.far ?? near;
  if (reach === "back") return (length === 2 ? known.back2 : known.back4) ?? near;
  return near;
}
export const handlerNumber = (position: number): number => SPECIALS + position;
