/**
 * Gives semantics trees their meaning as x86-64 code. Values are made in a register of the caller's choice; rax, rcx and rdx
 * are free for whatever it takes. The upper halves of 32-bit values are anything.
 */
import { HartField } from "../../isa/riscv/hart.ts";
import type { Expr, Shared } from "../../isa/riscv/semantics.ts";
import type { Opcode } from "../../wasm/opcodes.ts";
import {
  Alu,
  type Assembler,
  Condition,
  inverse,
  isRegister,
  Label,
  type Operand,
  Reg,
  Shift,
  Unary,
} from "./assembler.ts";
import type { NativeOp } from "./blocks.ts";
import { field, float, type RegisterPlaces } from "./registers.ts";
import { areNarrow } from "./traits.ts";

/** What operations on two operands become, by their name without the type. */
const ALU: Readonly<Record<string, Alu>> = { add: Alu.add, sub: Alu.sub, and: Alu.and, or: Alu.or, xor: Alu.xor };
const SHIFTS: Readonly<Record<string, Shift>> = {
  ...{ shl: Shift.shl, shr_u: Shift.shr, shr_s: Shift.sar, rotl: Shift.rol, rotr: Shift.ror },
};
const CONDITIONS: Readonly<Record<string, Condition>> = {
  ...{ eq: Condition.equal, ne: Condition.notEqual },
  ...{ lt_s: Condition.less, ge_s: Condition.notLess, le_s: Condition.notGreater, gt_s: Condition.greater },
  ...{ lt_u: Condition.below, ge_u: Condition.notBelow, le_u: Condition.notAbove, gt_u: Condition.above },
};
/** Values with names, as many as there are inside one another; and one for whoever asks for a place. */
const NAMED = [field(HartField.mail0), field(HartField.mail1), field(HartField.mail2)];

/** A WebAssembly instruction, taken apart; of what it becomes, at most one is there. */
interface Operation {
  readonly wide: boolean;
  readonly name: string;
  readonly alu: Alu | undefined;
  readonly shift: Shift | undefined;
  /** What tells in the flags that it answers 1. */
  readonly condition: Condition | undefined;
}

const operations = new Map<Opcode, Operation>();
function operationOf(opcode: Opcode): Operation {
  let operation = operations.get(opcode);
  if (operation === undefined) {
    const name = opcode.slice(4);
    const condition = name === "eqz" ? Condition.equal : CONDITIONS[name];
    operation = { wide: opcode.startsWith("i64."), name, alu: ALU[name], shift: SHIFTS[name], condition };
    operations.set(opcode, operation);
  }
  return operation;
}

/** Whether this is something that {@link Expressions} can make. */
export function isKnown(e: Expr): boolean {
  switch (e.kind) {
    case "op": {
      const { alu, shift, condition } = operationOf(e.op);
      const known = (alu ?? shift ?? condition) !== undefined || OTHERS.has(e.op);
      return known && e.args.every(isKnown);
    }
    case "mulHigh":
      return e.args.every(isKnown);
    case "choose":
      return [e.condition, e.yes, e.no].every(isKnown);
    case "let":
      return isKnown(e.value) && isKnown(e.body);
    default:
      return true;
  }
}

/** popcnt is not among them: not every processor has it. */
const OTHERS: ReadonlySet<string> = new Set([
  ...["i32.wrap_i64", "i64.extend_i32_s", "i64.extend_i32_u", "i64.extend8_s", "i64.extend16_s"],
  ...["i64.eqz", "i32.eqz", "i64.mul", "i32.mul"],
  ...["i64.clz", "i64.ctz", "i32.clz", "i32.ctz"],
]);

const COMMUTATIVE: ReadonlySet<string> = new Set(
  ["add", "and", "or", "xor", "mul"].flatMap((name) => [`i32.${name}`, `i64.${name}`]),
);

export class Expressions {
  /** The instruction that expressions belong to. */
  operation!: NativeOp;
  /** Whether the instruction's code has written rcx. */
  tookRcx = false;
  readonly #named = new Map<Shared, Operand>();
  /** Registers that hold words, sign-extended, as bits. */
  #narrow = 0;

  /** @param bitManipulation Whether the processor has BMI1 and BMI2. */
  constructor(
    readonly code: Assembler,
    readonly registers: RegisterPlaces,
    readonly bitManipulation: boolean,
  ) {}

  /**
   * Names of the last instruction are forgotten.
   * @param narrow Registers that hold words, sign-extended, as bits.
   */
  start(operation: NativeOp, narrow = 0): void {
    this.operation = operation;
    this.#narrow = narrow;
    this.tookRcx = false;
    if (this.#named.size > 0) this.#named.clear();
  }

  /** Names the value in a register. Answers where it is kept. */
  name(variable: Shared, value: Reg): Operand {
    const place = NAMED[this.#named.size];
    this.code.move(place, value);
    this.#named.set(variable, place);
    return place;
  }

  /** Names the value in a register that nothing takes: for expressions that are plain. */
  nameRegister(variable: Shared, value: Reg): void {
    this.#named.set(variable, value);
  }

  /** Whether an expression is one operation on what is there already, which takes no register but the one that it is made in. */
  isPlain(e: Expr): boolean {
    const isThere = ({ kind }: Expr) => kind === "x" || kind === "shared";
    return isThere(e) || (e.kind === "op" && operationOf(e.op).alu !== undefined && e.args.every(isThere));
  }

  /**
   * Sets the instruction's rd to the value of an expression.
   * @param loose The upper half may be anything.
   */
  set(value: Expr, loose = false): void {
    const { rd } = this.operation;
    if (rd === 0) return;
    const home = this.registers.of(rd);
    const made = this.#turned(loose && value.kind === "op" && value.op === "i64.extend_i32_s" ? value.args[0] : value);
    if (isRegister(home)) {
      if (this.#mayBuildIn(made)) return this.into(home, made);
    } else if (this.#setMemory(home, made)) return;
    this.into(Reg.rax, made);
    this.code.move(home, Reg.rax);
  }

  /** The same in the other order where it is the second operand that rd holds: it can be made there then. */
  #turned(e: Expr): Expr {
    if (e.kind !== "op") return e;
    const [a, b] = e.args;
    if (e.op === "i64.extend_i32_s") {
      const word = this.#turned(a);
      return word === a ? e : { ...e, args: [word] };
    }
    if (!COMMUTATIVE.has(e.op) || this.operand(b) !== this.registers.of(this.operation.rd)) return e;
    return this.#readsRd(a) ? e : { ...e, args: [b, a] };
  }

  /** Sets a register that lies in memory with one instruction, if there is one. */
  #setMemory(home: Operand, value: Expr): boolean {
    const { code } = this;
    const constant = this.#constant(value);
    if (constant !== undefined) {
      code.moveImmediate(home, constant);
      return true;
    }
    if (value.kind !== "op") return false;
    const { wide, alu: op } = operationOf(value.op);
    const [a, b] = value.args;
    if (!wide || op === undefined) return false;
    if (op === Alu.add && this.#constant(a) === 0) {
      const from = this.operand(b);
      if (from === undefined || !isRegister(from)) return this.#setMemory(home, b);
      code.move(home, from);
      return true;
    }
    if (op === Alu.add && this.#constant(b) === 0) {
      const from = this.operand(a);
      if (from === undefined || !isRegister(from)) return false;
      code.move(home, from);
      return true;
    }
    const by = this.#constant(b) ?? this.operand(b);
    if (by === undefined || this.operand(a) !== home) return false;
    if (this.#constant(b) !== undefined) code.aluImmediate(op, home, by);
    else if (isRegister(by)) code.alu(op, home, by);
    else return false;
    return true;
  }

  /** Whether nothing of an expression reads rd but what is read first. */
  #mayBuildIn(e: Expr): boolean {
    if (e.kind === "op" && e.op === "i64.add" && scaleOf(e.args[0]) !== undefined) return true;
    if (e.kind === "op" && e.op === "i64.add" && this.#constant(e.args[0]) === 0) return true;
    // What is compared has been read when the answer is written.
    if (e.kind === "op" && e.op === "i64.extend_i32_u" && isFlag(e.args[0])) return true;
    if (e.kind === "op" && e.op === "i64.and" && this.#withoutBitsOf(e.args[0], e.args[1]) !== undefined) return true;
    let first = e;
    while (first.kind === "op") {
      const { args } = first;
      for (let i = 1; i < args.length; i++) if (this.#readsRd(args[i])) return false;
      first = args[0];
    }
    return first.kind === "mulHigh" || !composed(first);
  }

  #readsRd(e: Expr): boolean {
    switch (e.kind) {
      case "x":
        return this.#number(e.field) === this.operation.rd;
      case "op":
      case "mulHigh":
        return e.args.some((arg) => this.#readsRd(arg));
      case "choose":
      case "let":
        return true;
      default:
        return false;
    }
  }

  #number(name: "rs1" | "rs2" | "rs3"): number {
    return this.operation[name];
  }

  /** Where an expression's value is already; `undefined`: it has to be made. */
  operand(e: Expr): Operand | undefined {
    if (e.kind === "x") return this.registers.of(this.#number(e.field));
    if (e.kind === "f") return float(this.#number(e.field));
    if (e.kind === "shared") return this.#named.get(e);
    // The low half is where the whole is.
    if (e.kind === "op" && e.op === "i32.wrap_i64") return this.operand(e.args[0]);
    return undefined;
  }

  /** The value of an expression that is the same each time, if it fits 32 bits, sign-extended. */
  #constant(e: Expr): number | undefined {
    if (e.kind === "imm") return this.operation.imm;
    if (e.kind === "x") return this.#number(e.field) === 0 ? 0 : undefined;
    if (e.kind === "constant") return BigInt.asIntN(32, e.value) === e.value ? Number(e.value) : undefined;
    if (e.kind === "op" && e.op === "i32.wrap_i64") {
      const value = this.#constant(e.args[0]);
      return value === undefined ? undefined : value | 0;
    }
    return undefined;
  }

  /** Makes the value of an expression in `to`, which is not rcx or rdx. */
  into(to: Reg, e: Expr): void {
    const { code } = this;
    const constant = this.#constant(e);
    if (constant !== undefined) return code.moveImmediate(to, constant);
    const operand = this.operand(e);
    if (operand !== undefined) {
      if (operand !== to) code.move(to, operand);
      return;
    }
    switch (e.kind) {
      case "constant":
        return code.moveImmediate(to, e.value);
      case "pc":
        return this.#address(to, this.operation.at);
      case "op":
        return this.#operation(to, operationOf(e.op), e.args);
      case "mulHigh":
        return this.#wideProduct(to, e.args[0], e.args[1], e.signed ? Unary.imul : Unary.mul);
      case "choose":
        return this.#choose(to, e);
      case "let":
        this.into(Reg.rax, e.value);
        this.name(e.variable, Reg.rax);
        return this.into(to, e.body);
    }
  }

  #operation(to: Reg, { wide, name, alu, shift, condition }: Operation, args: readonly Expr[]): void {
    const [a, b] = args;
    if (alu !== undefined) return this.#alu(to, alu, wide, a, b);
    if (shift !== undefined) return this.#shift(to, shift, wide, a, b);
    if (condition !== undefined) return this.#flag(to, wide, condition, args);
    return this.#other(to, wide, name, args);
  }

  /** `to` = 0 or 1. Where all is there to be compared, what takes it is zeroed on its own, so that nobody waits for its upper bits. */
  #flag(to: Reg, wide: boolean, condition: Condition, args: readonly Expr[]): void {
    const { code } = this;
    const [a, b] = args;
    const left = this.operand(a);
    const isAlone = b === undefined || this.#constant(b) !== undefined;
    const right = isAlone ? undefined : this.operand(b);
    const isThere = left !== undefined && (isAlone || (right !== undefined && (isRegister(left) || isRegister(right))));
    if (!isThere) return code.setIf(this.#compare(wide, condition, args), to);
    const isCompared = args.some((arg) => this.operand(arg) === to);
    if (!isCompared) code.moveImmediate(to, 0);
    const answer = this.#compare(wide, condition, args);
    if (isCompared) code.moveImmediateKeepingFlags(to, 0);
    code.setByteIf(answer, to);
  }

  #alu(to: Reg, op: Alu, wide: boolean, a: Expr, b: Expr): void {
    const { code } = this;
    const constant = this.#constant(b);
    const without = op === Alu.and ? this.#withoutBitsOf(a, b) : undefined;
    if (without !== undefined) {
      if (!isRegister(without)) code.move(Reg.rdx, without);
      return code.andNot(to, isRegister(without) ? without : Reg.rdx, this.operand(a)!, wide);
    }
    // To move a register or to load a constant is to add to zero.
    if (op === Alu.add && this.#constant(a) === 0) return this.into(to, b);
    if (op === Alu.add && a.kind === "pc" && constant !== undefined) {
      const distance = this.operation.at + constant;
      if (distance === (distance | 0)) return this.#address(to, distance);
    }
    const left = this.operand(a);
    const inRegister = left !== undefined && isRegister(left) && left !== to;
    if (constant !== undefined) {
      if (op === Alu.add && inRegister) {
        if (constant === 0) return code.move(to, left);
        return code.lea(to, left, constant, wide);
      }
      this.into(to, a);
      if (constant !== 0 || op === Alu.and) code.aluImmediate(op, to, constant, wide);
      return;
    }
    const right = this.operand(b);
    const scale = op === Alu.add && right !== undefined ? scaleOf(a) : undefined;
    if (scale !== undefined) return this.#scaledSum(to, a, scale, right!);
    if (right !== undefined) {
      if (op === Alu.add && inRegister && isRegister(right)) return code.leaSum(to, left, right, 0, wide);
      this.into(to, a);
      return code.alu(op, to, right, wide);
    }
    this.#both(to, a, b);
    code.alu(op, to, Reg.rcx, wide);
  }

  /** Where the bits are that `a & b` lacks of `a`, if that is one instruction; else `undefined`. */
  #withoutBitsOf(a: Expr, b: Expr): Operand | undefined {
    if (!this.bitManipulation || b.kind !== "op" || b.op !== "i64.xor" || this.operand(a) === undefined)
      return undefined;
    return this.#constant(b.args[1]) === -1 ? this.operand(b.args[0]) : undefined;
  }

  /** `to` = an index, shifted, and what it is added to. */
  #scaledSum(to: Reg, shifted: Expr, scale: number, right: Operand): void {
    const { code } = this;
    const index = (shifted as Extract<Expr, { kind: "op" }>).args[0];
    let place = this.operand(index);
    if (place === undefined || !isRegister(place)) {
      this.into(Reg.rax, index);
      place = Reg.rax;
    }
    if (!isRegister(right)) code.move(Reg.rdx, right);
    code.leaSum(to, isRegister(right) ? right : Reg.rdx, place, scale);
  }

  /** Makes two values that both take some making: in `to` and rcx. */
  #both(to: Reg, a: Expr, b: Expr): void {
    const { code } = this;
    this.tookRcx = true;
    this.into(Reg.rax, b);
    if (this.operand(a) === undefined) {
      code.push(Reg.rax);
      this.into(to, a);
      code.pop(Reg.rcx);
    } else {
      code.move(Reg.rcx, Reg.rax);
      this.into(to, a);
    }
  }

  #shift(to: Reg, op: Shift, wide: boolean, a: Expr, b: Expr): void {
    const { code } = this;
    const constant = this.#constant(b);
    const from = this.operand(a);
    if (constant !== undefined) {
      const by = constant & (wide ? 63 : 31);
      if (op === Shift.ror && this.bitManipulation && from !== undefined) return code.rotateInto(to, from, by, wide);
      this.into(to, a);
      return code.shift(op, to, by, wide);
    }
    const by = this.operand(b);
    if (this.bitManipulation && op !== Shift.rol && op !== Shift.ror && from !== undefined && by !== undefined) {
      if (!isRegister(by)) code.move(Reg.rdx, by);
      return code.shiftInto(op, to, from, isRegister(by) ? by : Reg.rdx, wide);
    }
    this.tookRcx = true;
    if (by === undefined) this.#both(to, a, b);
    else {
      this.into(to, a);
      code.move(Reg.rcx, by);
    }
    code.shiftByRcx(op, to, wide);
  }

  #other(to: Reg, wide: boolean, name: string, args: readonly Expr[]): void {
    const { code } = this;
    const [a, b] = args;
    switch (name) {
      case "wrap_i64":
        return this.into(to, a);
      case "extend_i32_s":
      case "extend_i32_u": {
        const from = this.operand(a) ?? this.#copied(a);
        if (from === undefined) this.into(to, a);
        if (isFlag(a) || this.#isPositive(a)) return;
        return code.moveExtended(to, from ?? to, 4, name === "extend_i32_s");
      }
      case "extend8_s":
      case "extend16_s": {
        const from = this.operand(a);
        if (from === undefined) this.into(to, a);
        return code.moveExtended(to, from ?? to, name === "extend8_s" ? 1 : 2, true);
      }
      case "mul": {
        const by = this.operand(b);
        if (by === undefined) this.#both(to, a, b);
        else this.into(to, a);
        return code.multiply(to, by ?? Reg.rcx, wide);
      }
      case "clz":
      case "ctz":
        return this.#count(to, name, wide, a);
      default:
        throw new Error(`no code for ${name}`);
    }
  }

  /** `to` = an address relative to the page. */
  #address(to: Reg, distance: number): void {
    const { code } = this;
    code.move(to, field(HartField.nativePage));
    if (distance !== 0) code.aluImmediate(Alu.add, to, distance);
  }

  /** Where a word is that nothing is added to. */
  #copied(e: Expr): Operand | undefined {
    if (e.kind !== "op" || e.op !== "i32.add" || this.#constant(e.args[1]) !== 0) return undefined;
    return this.operand(e.args[0]);
  }

  /** Whether a word is shifted to the right, so that nothing is in the bits above it, nor in its sign. */
  #isPositive(e: Expr): boolean {
    return e.kind === "op" && e.op === "i32.shr_u" && ((this.#constant(e.args[1]) ?? 0) & 31) !== 0;
  }

  /** Zeroes from the top or from the bottom; all of them where there is nothing else. */
  #count(to: Reg, name: "clz" | "ctz", wide: boolean, a: Expr): void {
    const { code } = this;
    const bits = wide ? 64 : 32;
    this.tookRcx = true;
    this.into(Reg.rax, a);
    if (name === "ctz") {
      code.scan("forward", Reg.rax, Reg.rax, wide);
      code.moveImmediateKeepingFlags(Reg.rcx, bits);
      code.moveIf(Condition.equal, Reg.rax, Reg.rcx);
    } else {
      code.scan("backward", Reg.rax, Reg.rax, wide);
      code.moveImmediateKeepingFlags(Reg.rcx, bits * 2 - 1);
      code.moveIf(Condition.equal, Reg.rax, Reg.rcx);
      code.aluImmediate(Alu.xor, Reg.rax, bits - 1);
    }
    if (to !== Reg.rax) code.move(to, Reg.rax);
  }

  #wideProduct(to: Reg, a: Expr, b: Expr, op: Unary): void {
    const { code } = this;
    this.into(Reg.rax, a);
    code.unary(op, this.operand(b)!);
    code.move(to, Reg.rdx);
  }

  #choose(to: Reg, { condition, yes, no }: Extract<Expr, { kind: "choose" }>): void {
    const { code } = this;
    const otherwise = new Label();
    const end = new Label();
    code.jumpIf(inverse(this.condition(condition)), otherwise);
    this.into(Reg.rax, yes);
    code.jump(end);
    code.bind(otherwise);
    this.into(Reg.rax, no);
    code.bind(end);
    if (to !== Reg.rax) code.move(to, Reg.rax);
  }

  /** Leaves in the flags whether an expression (i32) is not 0; answers the condition that says so. */
  condition(e: Expr): Condition {
    if (e.kind === "op") {
      const { wide, condition } = operationOf(e.op);
      if (condition !== undefined) return this.#compare(wide, condition, e.args);
    }
    this.into(Reg.rax, e);
    this.code.test(Reg.rax, Reg.rax, false);
    return Condition.notEqual;
  }

  /** One operand is compared with 0. Answers the condition. */
  #compare(isWide: boolean, condition: Condition, args: readonly Expr[]): Condition {
    const { code } = this;
    const [a, b] = args;
    const wide = isWide && !(this.#narrow !== 0 && areNarrow(args, this.operation, this.#narrow));
    const constant = args.length === 1 ? 0 : this.#constant(b);
    let left = this.operand(a);
    if (constant !== undefined) {
      if (left === undefined) this.into(Reg.rax, a);
      left ??= Reg.rax;
      if (constant === 0 && isRegister(left)) code.test(left, left, wide);
      else code.aluImmediate(Alu.cmp, left, constant, wide);
      return condition;
    }
    let right = this.operand(b);
    if (right === undefined) {
      this.#both(Reg.rax, a, b);
      left = Reg.rax;
      right = Reg.rcx;
    } else if (left === undefined || (!isRegister(left) && !isRegister(right))) {
      this.into(Reg.rax, a);
      left = Reg.rax;
    }
    code.alu(Alu.cmp, left, right, wide);
    return condition;
  }
}

/** Whether it is 0 or 1, in all bits. */
function isFlag(e: Expr): boolean {
  if (e.kind !== "op") return false;
  return operationOf(e.op).condition !== undefined;
}

/** By how much an expression shifts, where an address may. */
function scaleOf(e: Expr): number | undefined {
  if (e.kind !== "op" || e.op !== "i64.shl" || e.args[1].kind !== "constant") return undefined;
  const by = Number(e.args[1].value);
  return by <= 3 ? by : undefined;
}

function composed(e: Expr): boolean {
  return e.kind === "choose" || e.kind === "let";
}
