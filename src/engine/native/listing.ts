/** Native code as people read it: the guest's code as comments, each instruction above the host's that it became. */
import { disassemble } from "../../isa/riscv/disassemble.ts";
import { HartField } from "../../isa/riscv/hart.ts";
import { floatNames, integerNames } from "../../isa/riscv/register-names.ts";
import {
  Alu,
  Assembler,
  type Condition,
  isData,
  isRegister,
  type Label,
  type Operand,
  offsetOf,
  type Reg,
  Shift,
  Shuffle,
  Sse,
  Unary,
  Vector,
  type Xmm,
} from "./assembler.ts";
import { type BlockPlace, writeBlocks } from "./block-writer.ts";
import type { NativeBlock } from "./blocks.ts";
import type { CommonCode } from "./common-code.ts";
import { field, LINEAR } from "./registers.ts";

/** Blocks that were translated together, and what of the guest they are. */
export interface WrittenNative {
  readonly blocks: readonly NativeBlock[];
  /** Guest address of their page; where in it the one is that was hot. */
  readonly page: bigint;
  readonly entry: number;
  readonly place: BlockPlace;
  /** The 16 or 32 bits of the instruction at a place in the page. */
  bitsOf(at: number): number;
}

/** Bytes that a listing is written to, and thrown away. */
const ROOM = 0x10_0000;

/** Without a newline at the end. */
export function nativeText({ blocks, page, place, bitsOf }: WrittenNative): string {
  const names = new Map<Label, string>();
  const { common } = place;
  for (const name of ["interpret", "spent", "goOn", "goOnRelative", "goOnFrom", "startFloat"] as const)
    names.set(common[name], named(name));
  names.set(common.returns.return, "return");
  const code = new Listing(names, (at) => {
    const address = BigInt.asUintN(64, page + BigInt(at));
    return `0x${address.toString(16)}  ${disassemble(bitsOf(at), address, (bitsOf(at) & 3) === 3 ? 4 : 2)}`;
  });
  // Nothing is where it was: blocks that existed already are looked up.
  const elsewhere = { common: imagined(common), page: { ...place.page, shared: new Map() }, linkTo: () => -1 };
  writeBlocks(code, blocks, { ...place, ...elsewhere });
  return code.lines.join("\n");
}

const named = (name: string) => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** What is taken for a listing is nobody's. */
function imagined(common: CommonCode): CommonCode {
  return { ...common, ways: common.ways.imagined(), loops: common.loops.imagined() };
}

const WIDE = "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15".split(" ");
const LOW = "eax ecx edx ebx esp ebp esi edi r8d r9d r10d r11d r12d r13d r14d r15d".split(" ");
const nameOf = <T extends Readonly<Record<string, number>>>(names: T, value: number): string =>
  Object.keys(names).find((name) => names[name] === value) ?? String(value);
const CONDITIONS: Readonly<Record<number, string>> = {
  ...{
    0: "o",
    2: "b",
    3: "ae",
    4: "e",
    5: "ne",
    6: "be",
    7: "a",
    8: "s",
    10: "p",
    12: "l",
    13: "ge",
    14: "le",
    15: "g",
  },
};
const SSE: Readonly<Record<number, string>> = {
  ...{
    16: "mov",
    17: "mov",
    40: "mova",
    42: "cvtsi2",
    44: "cvtt",
    45: "cvt",
    46: "ucomi",
    47: "comi",
    81: "sqrt",
    84: "and",
  },
  ...{ 86: "or", 87: "xor", 88: "add", 89: "mul", 90: "cvts", 92: "sub", 93: "min", 94: "div", 95: "max" },
};
const VECTORS: Readonly<Record<Vector, string>> = {
  ...{ [Vector.mask]: "pmovmskb", [Vector.xor]: "pxor", [Vector.interleaveBytes]: "punpcklbw" },
  ...{ [Vector.equalBytes]: "pcmpeqb", [Vector.equalHalves]: "pcmpeqw", [Vector.equalWords]: "pcmpeqd" },
  ...{ [Vector.greaterBytes]: "pcmpgtb", [Vector.greaterHalves]: "pcmpgtw", [Vector.greaterWords]: "pcmpgtd" },
  ...{ [Vector.maximumBytes]: "pmaxub", [Vector.maximumHalves]: "pmaxuw", [Vector.maximumWords]: "pmaxud" },
};
const KINDS: Readonly<Record<number, string>> = { 0: "ps", 102: "pd", 242: "sd", 243: "ss" };

class Listing extends Assembler {
  readonly lines: string[] = [];
  #names = 0;

  constructor(
    readonly names: Map<Label, string>,
    readonly textOf: (at: number) => string,
  ) {
    super(new Uint8Array(ROOM));
  }

  override remark(at: number): void {
    this.lines.push(`;; ${this.textOf(at)}`);
  }

  #line(text: string): void {
    this.lines.push(`  ${text}`);
  }

  #label(label: Label): string {
    let name = this.names.get(label);
    if (name === undefined) {
      name = `l${++this.#names}`;
      this.names.set(label, name);
    }
    return name;
  }

  #operand(operand: Operand, wide = true): string {
    if (isRegister(operand)) return (wide ? WIDE : LOW)[operand];
    return isData(operand)
      ? `[data + ${hex(offsetOf(operand))}]`
      : `[${PLACES.get(operand) ?? hex(offsetOf(operand))}]`;
  }

  #at(base: Reg, distance: number): string {
    return distance === 0 ? `[${WIDE[base]}]` : `[${WIDE[base]} + ${distance}]`;
  }

  #linear(index: Reg, distance: number): string {
    const behind = distance - LINEAR;
    return behind === 0 ? `[memory + ${WIDE[index]}]` : `[memory + ${WIDE[index]} + ${behind}]`;
  }

  override bind(label: Label): void {
    this.lines.push(`${this.#label(label)}:`);
    super.bind(label);
  }

  override move(to: Operand, from: Operand, wide = true): void {
    this.#line(`mov ${this.#operand(to, wide)}, ${this.#operand(from, wide)}`);
    super.move(to, from, wide);
  }

  override moveImmediate(to: Operand, value: number | bigint): void {
    this.#line(`mov ${this.#operand(to)}, ${value}`);
    super.moveImmediate(to, value);
  }

  override moveImmediateKeepingFlags(to: Reg, value: number): void {
    this.#line(`mov ${LOW[to]}, ${value}`);
    super.moveImmediateKeepingFlags(to, value);
  }

  override storeWord(to: Operand, value: number): void {
    this.#line(`mov dword ${this.#operand(to)}, ${value}`);
    super.storeWord(to, value);
  }

  override moveExtended(to: Reg, from: Operand, width: 1 | 2 | 4, signed: boolean): void {
    this.#line(`mov${signed ? "s" : "z"}x ${WIDE[to]}, ${width * 8} of ${this.#operand(from)}`);
    super.moveExtended(to, from, width, signed);
  }

  override loadIndexed(to: Reg, index: Reg, distance: number, width: 1 | 2 | 4 | 8, signed: boolean): void {
    this.#line(`${loadOf(width, signed)} ${WIDE[to]}, ${this.#linear(index, distance)}`);
    super.loadIndexed(to, index, distance, width, signed);
  }

  override storeIndexed(index: Reg, distance: number, from: Reg, width: 1 | 2 | 4 | 8): void {
    this.#line(`mov${width * 8} ${this.#linear(index, distance)}, ${WIDE[from]}`);
    super.storeIndexed(index, distance, from, width);
  }

  override loadAt(to: Reg, base: Reg, width: 1 | 2 | 4 | 8, signed: boolean, distance = 0): void {
    this.#line(`${loadOf(width, signed)} ${WIDE[to]}, ${this.#at(base, distance)}`);
    super.loadAt(to, base, width, signed, distance);
  }

  override storeAt(base: Reg, from: Reg, width: 1 | 2 | 4 | 8, distance = 0): void {
    this.#line(`mov${width * 8} ${this.#at(base, distance)}, ${WIDE[from]}`);
    super.storeAt(base, from, width, distance);
  }

  override aluAt(op: Alu, reg: Reg, base: Reg, width: 2 | 4 | 8, distance = 0): void {
    this.#line(`${nameOf(Alu, op)}${width * 8} ${WIDE[reg]}, ${this.#at(base, distance)}`);
    super.aluAt(op, reg, base, width, distance);
  }

  #sum(base: Reg, distance: number): string {
    return distance === 0 ? `[${WIDE[base]} + rcx]` : `[${WIDE[base]} + rcx + ${distance}]`;
  }

  override loadSum(to: Reg, base: Reg, distance: number, width: 1 | 2 | 4 | 8, signed: boolean): void {
    this.#line(`${loadOf(width, signed)} ${WIDE[to]}, ${this.#sum(base, distance)}`);
    super.loadSum(to, base, distance, width, signed);
  }

  override storeSum(base: Reg, distance: number, from: Reg, width: 1 | 2 | 4 | 8): void {
    this.#line(`mov${width * 8} ${this.#sum(base, distance)}, ${WIDE[from]}`);
    super.storeSum(base, distance, from, width);
  }

  override addressOf(to: Reg, operand: Operand): void {
    this.#line(`lea ${WIDE[to]}, ${this.#operand(operand)}`);
    super.addressOf(to, operand);
  }

  override lea(to: Reg, base: Reg, distance: number, wide = true): void {
    this.#line(`lea ${(wide ? WIDE : LOW)[to]}, ${this.#at(base, distance)}`);
    super.lea(to, base, distance, wide);
  }

  override leaSum(to: Reg, base: Reg, index: Reg, scale = 0, wide = true): void {
    const times = scale === 0 ? "" : ` * ${1 << scale}`;
    this.#line(`lea ${(wide ? WIDE : LOW)[to]}, [${WIDE[base]} + ${WIDE[index]}${times}]`);
    super.leaSum(to, base, index, scale, wide);
  }

  override push(operand: Operand): void {
    this.#line(`push ${this.#operand(operand)}`);
    super.push(operand);
  }

  override return(): void {
    this.#line("ret");
    super.return();
  }

  override aluStack(op: Alu, reg: Reg, distance: number): void {
    this.#line(`${nameOf(Alu, op)} ${WIDE[reg]}, [rsp + ${distance}]`);
    super.aluStack(op, reg, distance);
  }

  override pop(reg: Reg): void {
    this.#line(`pop ${WIDE[reg]}`);
    super.pop(reg);
  }

  override alu(op: Alu, to: Operand, from: Operand, wide = true): void {
    this.#line(`${nameOf(Alu, op)} ${this.#operand(to, wide)}, ${this.#operand(from, wide)}`);
    super.alu(op, to, from, wide);
  }

  override aluImmediate(op: Alu, to: Operand, value: number, wide = true): void {
    const size = isRegister(to) ? "" : wide ? "qword " : "dword ";
    this.#line(`${nameOf(Alu, op)} ${size}${this.#operand(to, wide)}, ${value}`);
    super.aluImmediate(op, to, value, wide);
  }

  override aluIndexed(op: Alu, to: Reg, index: Reg, distance: number, wide = true): void {
    this.#line(`${nameOf(Alu, op)} ${(wide ? WIDE : LOW)[to]}, ${this.#linear(index, distance)}`);
    super.aluIndexed(op, to, index, distance, wide);
  }

  override test(a: Reg, b: Reg, wide = true): void {
    this.#line(`test ${this.#operand(a, wide)}, ${this.#operand(b, wide)}`);
    super.test(a, b, wide);
  }

  override unary(op: Unary, operand: Operand, wide = true): void {
    this.#line(`${nameOf(Unary, op)} ${this.#operand(operand, wide)}`);
    super.unary(op, operand, wide);
  }

  override multiply(to: Reg, by: Operand, wide = true): void {
    this.#line(`imul ${this.#operand(to, wide)}, ${this.#operand(by, wide)}`);
    super.multiply(to, by, wide);
  }

  override compareByte(reg: Reg, operand: Operand): void {
    this.#line(`cmp byte ${WIDE[reg]}, ${this.#operand(operand)}`);
    super.compareByte(reg, operand);
  }

  override compareByteImmediate(operand: Operand, value: number): void {
    this.#line(`cmp byte ${this.#operand(operand)}, ${value}`);
    super.compareByteImmediate(operand, value);
  }

  override storeHalf(to: Operand, from: Reg): void {
    this.#line(`mov16 ${this.#operand(to)}, ${WIDE[from]}`);
    super.storeHalf(to, from);
  }

  override signIntoRdx(wide = true): void {
    this.#line(wide ? "cqo" : "cdq");
    super.signIntoRdx(wide);
  }

  override shift(op: Shift, reg: Reg, by: number, wide = true): void {
    if (by !== 0) this.#line(`${nameOf(Shift, op)} ${this.#operand(reg, wide)}, ${by}`);
    super.shift(op, reg, by, wide);
  }

  override shiftByRcx(op: Shift, reg: Reg, wide = true): void {
    this.#line(`${nameOf(Shift, op)} ${this.#operand(reg, wide)}, cl`);
    super.shiftByRcx(op, reg, wide);
  }

  override rotateInto(to: Reg, from: Operand, by: number, wide = true): void {
    this.#line(`rorx ${this.#operand(to, wide)}, ${this.#operand(from, wide)}, ${by}`);
    super.rotateInto(to, from, by, wide);
  }

  override andNot(to: Reg, without: Reg, by: Operand, wide = true): void {
    this.#line(`andn ${[to, without, by].map((operand) => this.#operand(operand, wide)).join(", ")}`);
    super.andNot(to, without, by, wide);
  }

  override multiplyInto(high: Reg, low: Reg, by: Operand): void {
    this.#line(`mulx ${[high, low, by].map((operand) => this.#operand(operand)).join(", ")}`);
    super.multiplyInto(high, low, by);
  }

  override shiftInto(op: Shift, to: Reg, from: Operand, by: Reg, wide = true): void {
    const names = [to, from, by].map((operand) => this.#operand(operand, wide));
    this.#line(`${nameOf(Shift, op)}x ${names.join(", ")}`);
    super.shiftInto(op, to, from, by, wide);
  }

  override scan(direction: "forward" | "backward", to: Reg, from: Operand, wide = true): void {
    this.#line(`bs${direction === "forward" ? "f" : "r"} ${this.#operand(to, wide)}, ${this.#operand(from, wide)}`);
    super.scan(direction, to, from, wide);
  }

  override moveIf(condition: Condition, to: Reg, from: Operand, wide = true): void {
    this.#line(`cmov${CONDITIONS[condition]} ${this.#operand(to, wide)}, ${this.#operand(from, wide)}`);
    super.moveIf(condition, to, from, wide);
  }

  override setIf(condition: Condition, to: Reg): void {
    this.#line(`set${CONDITIONS[condition]} ${WIDE[to]}`);
    super.setIf(condition, to);
  }

  override setByteIf(condition: Condition, to: Reg): void {
    this.#line(`set${CONDITIONS[condition]} byte ${WIDE[to]}`);
    super.setByteIf(condition, to);
  }

  override sse(prefix: number, opcode: number, reg: Xmm | Reg, operand: Xmm | Operand, wide = false): void {
    // Integers come from and go to integer registers.
    const first = opcode === Sse.truncate || opcode === Sse.toInteger ? this.#operand(reg, wide) : `xmm${reg}`;
    const second =
      opcode === Sse.fromInteger || opcode === Sse.moveBits ? this.#operand(operand, wide) : this.#float(operand);
    const [to, from] = opcode === Sse.store ? [second, first] : [first, second];
    this.#line(`${opcode === Sse.moveBits ? (wide ? "movq" : "movd") : SSE[opcode] + KINDS[prefix]} ${to}, ${from}`);
    super.sse(prefix, opcode, reg, operand, wide);
  }

  #float(operand: Xmm | Operand): string {
    return isRegister(operand) ? `xmm${operand}` : this.#operand(operand);
  }

  override sseSum(prefix: number, opcode: number, reg: Xmm, base: Reg, distance: number): void {
    const [to, from] = [`xmm${reg}`, this.#sum(base, distance)];
    this.#line(`mov${KINDS[prefix]} ${opcode === Sse.store ? `${from}, ${to}` : `${to}, ${from}`}`);
    super.sseSum(prefix, opcode, reg, base, distance);
  }

  override multiplyBy(to: Reg, value: number): void {
    this.#line(`imul ${LOW[to]}, ${LOW[to]}, ${value}`);
    super.multiplyBy(to, value);
  }

  override loadVector(to: Xmm, base: Reg, distance: number): void {
    this.#line(`movdqu xmm${to}, ${this.#sum(base, distance)}`);
    super.loadVector(to, base, distance);
  }

  override vector(op: Vector, to: Xmm | Reg, from: Xmm): void {
    this.#line(`${VECTORS[op]} ${op === Vector.mask ? LOW[to] : `xmm${to}`}, xmm${from}`);
    super.vector(op, to, from);
  }

  override broadcast(prefix: Shuffle, reg: Xmm): void {
    this.#line(`pshuf${prefix === Shuffle.halves ? "lw" : "d"} xmm${reg}, xmm${reg}, 0`);
    super.broadcast(prefix, reg);
  }

  override fused(opcode: number, to: Xmm, by: Xmm, operand: Xmm | Operand, double: boolean): void {
    const [order, first] = opcode < 0xb0 ? [213, 0xa9] : [231, 0xb9];
    const name = ["madd", "msub", "nmadd", "nmsub"][(opcode - first) / 2];
    this.#line(`vf${name}${order}${double ? "sd" : "ss"} xmm${to}, xmm${by}, ${this.#float(operand)}`);
    super.fused(opcode, to, by, operand, double);
  }

  override loadControl(from: Operand): void {
    this.#line(`ldmxcsr ${this.#operand(from)}`);
    super.loadControl(from);
  }

  override jump(label: Label): void {
    this.#line(`jmp ${this.#label(label)}`);
    super.jump(label);
  }

  override jumpIf(condition: Condition, label: Label): void {
    this.#line(`j${CONDITIONS[condition]} ${this.#label(label)}`);
    super.jumpIf(condition, label);
  }

  override jumpThrough(operand: Operand): void {
    this.#line(`jmp ${this.#operand(operand)}`);
    super.jumpThrough(operand);
  }

  override call(label: Label): void {
    this.#line(`call ${this.#label(label)}`);
    super.call(label);
  }
}

function loadOf(width: number, signed: boolean): string {
  return width === 8 ? "mov64" : `mov${signed ? "s" : "z"}x${width * 8}`;
}

function hex(offset: number): string {
  return offset < 0 ? `-0x${(-offset).toString(16)}` : `0x${offset.toString(16)}`;
}

/** What lies where in the resident hart. */
const PLACES: ReadonlyMap<Operand, string> = new Map([
  ...Object.entries(HartField).map(([name, offset]): [Operand, string] => [field(offset), name]),
  ...integerNames.map((name, i): [Operand, string] => [field(HartField.x + i * 8), name]),
  ...floatNames.map((name, i): [Operand, string] => [field(HartField.f + i * 8), name]),
  ...floatNames.map((name, i): [Operand, string] => [field(HartField.f + i * 8 + 4), `upper ${name}`]),
]);
