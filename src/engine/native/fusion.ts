/**
 * Instructions that compute together what one computes: rotations, scaled indices, words without their signs, bits but for
 * those of another register, constants and addresses in two parts (RISC-V Unpriv §2.2 and §28 name most of them). The last
 * instruction of each is replaced by the one that says it all. What the earlier ones computed is often not needed then, see
 * `liveness.ts`.
 */
import type { Instruction } from "../../isa/riscv/instructions/encoding.ts";
import { instructionNamed as named } from "../../isa/riscv/instructions/table.ts";
import type { NativeOp } from "./blocks.ts";
import { traitsOf } from "./traits.ts";

const RORI = named("rori");
const RORIW = named("roriw");
const SLLI_UW = named("slli.uw");
const ZEXT_H = named("zext.h");
const SEXT_B = named("sext.b");
const SEXT_H = named("sext.h");
const LUI = named("lui");
const AUIPC = named("auipc");
const SLLI = named("slli");
const SRLI = named("srli");
const SLLIW = named("slliw");
const SRLIW = named("srliw");
const ADDIW = named("addiw");
const ADD = named("add");
const ADDI = named("addi");
const XORI = named("xori");
const ANDN = named("andn");
/** By how far the index is shifted. */
const SCALED = [undefined, named("sh1add"), named("sh2add"), named("sh3add")];
const SCALED_WORDS = [named("add.uw"), named("sh1add.uw"), named("sh2add.uw"), named("sh3add.uw")];

/** Instructions that such a sequence may begin with. */
const FIRST: ReadonlySet<Instruction> = new Set([SLLI, SRLI, SLLIW, SRLIW, LUI, AUIPC, SLLI_UW, XORI]);

/** What set a register, where that may be the beginning of something. */
interface Setter {
  readonly operation: NativeOp;
  readonly index: number;
  /** Of the register that it read, and of the one that it set. */
  readonly version: number;
  readonly own: number;
  /** Something has read what it set. */
  read: boolean;
}

export interface Fused {
  readonly operations: readonly NativeOp[];
  /** Positions of instructions that must not be carried out: those that took their place read what these would have set. */
  readonly folded: ReadonlySet<number>;
}

export function fuse(operations: readonly NativeOp[]): Fused {
  for (const operation of operations)
    if (FIRST.has(operation.instruction) || isMove(operation)) return new Fusion().fuse(operations);
  return { operations, folded: NONE };
}

/** `c.mv rd, rs2`. */
const isMove = ({ instruction, rs1 }: NativeOp): boolean => instruction === ADD && rs1 === 0;

const NONE: ReadonlySet<number> = new Set();

class Fusion {
  readonly #versions = new Int32Array(32);
  readonly #setters: (Setter | undefined)[] = new Array<Setter | undefined>(32).fill(undefined);
  readonly #folded = new Set<number>();

  fuse(operations: readonly NativeOp[]): Fused {
    const fused = operations.map((operation, index) => {
      const instead = this.#instead(operation) ?? operation;
      this.#note(instead, index);
      return instead;
    });
    return { operations: fused, folded: this.#folded };
  }

  #note(operation: NativeOp, index: number): void {
    const { instruction, traits, rd, rs1, rs2 } = operation;
    const { readsX1, readsX2, writesX } = traits;
    const version = this.#versions[rs1];
    if (readsX1) this.#read(rs1);
    if (readsX2) this.#read(rs2);
    if (!writesX || rd === 0) return;
    const own = ++this.#versions[rd];
    this.#setters[rd] = FIRST.has(instruction) ? { operation, index, version, own, read: false } : undefined;
  }

  #read(register: number): void {
    const setter = this.#setters[register];
    if (setter !== undefined) setter.read = true;
  }

  #setter(register: number, instruction: Instruction): Setter | undefined {
    const setter = this.#setters[register];
    return setter?.operation.instruction === instruction ? setter : undefined;
  }

  /**
   * Whether the register that the setter read holds the same still, or would if an instruction had not taken its place that
   * was only there to be fused, too. That one is folded then; `rd` is what the fused instruction sets, `other` what it
   * reads beside.
   */
  #reaches({ operation: { rs1 }, version }: Setter, rd: number, other = 0): boolean {
    if (this.#versions[rs1] === version) return true;
    if (rs1 === other) return false;
    const last = this.#setters[rs1];
    if (last === undefined || last.read || last.operation.rs1 !== rs1 || last.version !== version) return false;
    if (rd !== rs1 || this.#versions[rs1] !== last.own) return false;
    this.#folded.add(last.index);
    return true;
  }

  #instead(operation: NativeOp): NativeOp | undefined {
    switch (operation.instruction.name) {
      case "or":
      case "xor":
      case "addw":
        return this.#rotation(operation);
      case "add":
        // What is known of one way to move a register is not found out for the other.
        if (isMove(operation)) return become(operation, ADDI, operation.rs2, 0, 0);
        return this.#rotation(operation) ?? this.#scaled(operation);
      case "and":
        return (
          this.#without(operation, operation.rs1, operation.rs2) ??
          this.#without(operation, operation.rs2, operation.rs1)
        );
      case "srli":
        return this.#withoutUpper(operation);
      case "srai":
        return this.#withSign(operation);
      case "addi":
      case "addiw":
        return this.#twoParts(operation);
      default:
        return undefined;
    }
  }

  /** What is shifted out on one side comes in on the other. */
  #rotation(operation: NativeOp): NativeOp | undefined {
    const { rs1, rs2, instruction } = operation;
    const wide = instruction.name === "addw" ? undefined : this.#rotated(operation, rs1, rs2, false);
    return wide ?? this.#rotated(operation, rs1, rs2, true);
  }

  #rotated(operation: NativeOp, a: number, b: number, word: boolean): NativeOp | undefined {
    const [right, left] = word ? [SRLIW, SLLIW] : [SRLI, SLLI];
    const down = this.#setter(a, right) ?? this.#setter(b, right);
    const up = this.#setter(a, left) ?? this.#setter(b, left);
    if (down === undefined || up === undefined) return undefined;
    const { rs1, imm } = down.operation;
    // Of the same value.
    if (up.operation.rs1 !== rs1 || up.version !== down.version) return undefined;
    if (imm === 0 || imm + up.operation.imm !== (word ? 32 : 64)) return undefined;
    if (!this.#reaches(down, operation.rd)) return undefined;
    return become(operation, word ? RORIW : RORI, rs1, 0, imm);
  }

  /** An index times 2, 4 or 8. */
  #scaled(operation: NativeOp): NativeOp | undefined {
    const { rs1, rs2 } = operation;
    return rs1 === rs2 ? undefined : (this.#plus(operation, rs1, rs2) ?? this.#plus(operation, rs2, rs1));
  }

  #plus(operation: NativeOp, index: number, rs2: number): NativeOp | undefined {
    const plain = this.#setter(index, SLLI);
    const setter = plain ?? this.#setter(index, SLLI_UW);
    if (setter === undefined) return undefined;
    const { imm, rs1 } = setter.operation;
    const instruction = (plain ? SCALED : SCALED_WORDS)[imm];
    if (instruction === undefined) return undefined;
    return this.#reaches(setter, operation.rd, rs2) ? become(operation, instruction, rs1, rs2, 0) : undefined;
  }

  /** `not`, of whose bits those of another register are wanted. */
  #without(operation: NativeOp, rs1: number, inverted: number): NativeOp | undefined {
    const not = this.#setter(inverted, XORI);
    if (not === undefined || not.operation.imm !== -1 || rs1 === inverted) return undefined;
    if (!this.#reaches(not, operation.rd, rs1)) return undefined;
    return become(operation, ANDN, rs1, not.operation.rs1, 0);
  }

  #withoutUpper(operation: NativeOp): NativeOp | undefined {
    const up = this.#setter(operation.rs1, SLLI);
    if (up === undefined) return undefined;
    const { rs1, imm } = up.operation;
    const { imm: down } = operation;
    if (imm === 48 && down === 48)
      return this.#reaches(up, operation.rd) ? become(operation, ZEXT_H, rs1, 0, 0) : undefined;
    if (imm !== 32 || down > 32 || down === 0 || !this.#reaches(up, operation.rd)) return undefined;
    return become(operation, SLLI_UW, rs1, 0, 32 - down);
  }

  #withSign(operation: NativeOp): NativeOp | undefined {
    const up = this.#setter(operation.rs1, SLLI);
    if (up === undefined) return undefined;
    const { rs1, imm } = up.operation;
    if (imm !== operation.imm || (imm !== 48 && imm !== 56) || !this.#reaches(up, operation.rd)) return undefined;
    return become(operation, imm === 48 ? SEXT_H : SEXT_B, rs1, 0, 0);
  }

  /** A constant, or an address relative to this one. */
  #twoParts(operation: NativeOp): NativeOp | undefined {
    const { instruction, rs1, imm, at } = operation;
    const upper = this.#setter(rs1, LUI);
    if (upper !== undefined) {
      const sum = upper.operation.imm + imm;
      const value = instruction === ADDIW ? sum | 0 : sum;
      return value === (value | 0) ? become(operation, LUI, 0, 0, value) : undefined;
    }
    const base = instruction === ADDIW ? undefined : this.#setter(rs1, AUIPC);
    if (base === undefined) return undefined;
    const distance = base.operation.imm + imm + base.operation.at - at;
    return distance === (distance | 0) ? become(operation, AUIPC, 0, 0, distance) : undefined;
  }
}

function become(operation: NativeOp, instruction: Instruction, rs1: number, rs2: number, imm: number): NativeOp {
  return { ...operation, instruction, traits: traitsOf(instruction), rs1, rs2, imm };
}
