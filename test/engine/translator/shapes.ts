/**
 * Random programs with shapes that translated code has trouble with: nested loops, branches that merge, calls and recursion,
 * jumps through tables, words and doublewords in turns, accesses around the border of a page.
 */
import { below, pick, type Random } from "../../isa/riscv/random.ts";

/** Registers that anything may happen to, and those that hold words most of the time. */
const ANY = "t0 t1 t2 a0 a1 a2 a3 a4 a5".split(" ");
const INTS = ANY.slice(0, 4);
/** Counters of loops, by depth; nothing else writes them. */
const COUNTERS = ["s2", "s3", "s4"];
/** A place in memory near the border of a page. */
const BASE = "s0";

const WIDE = "add sub xor or and sll srl sra slt sltu mul mulhu divu rem sh1add andn max minu rol".split(" ");
const WORDS = "addw subw sllw srlw sraw mulw divw remuw rolw".split(" ");
const IMMEDIATE = "addi xori ori andi slti sltiu addiw".split(" ");
const SHIFTS = ["slli 63", "srli 63", "srai 63", "slliw 31", "srliw 31", "sraiw 31", "rori 63"];
const UNARY = "sext.b sext.h zext.h clz ctzw cpop".split(" ");
const BRANCHES = "beq bne blt bge bltu bgeu".split(" ");
const LOADS = "lb lbu lh lhu lw lwu ld".split(" ");
const STORES = "sb sh sw sd".split(" ");
const FUNCTIONS = 3;

/** Assembly source. It ends in a loop at `done`, and keeps to the KiB around what `s0` points to, and to the stack. */
export function randomProgram(random: Random): string {
  return new Shapes(random).write();
}

class Shapes {
  readonly #lines: string[] = [];
  /** What doublewords are made of and from: in some programs, words are nothing to them. */
  readonly #wide: readonly string[];
  #labels = 0;
  #function = 0;

  constructor(readonly random: Random) {
    this.#wide = this.#below(2) === 0 ? ANY : ANY.slice(INTS.length);
  }

  write(): string {
    this.#line("j main");
    for (; this.#function < FUNCTIONS; this.#function++) this.#writeFunction();
    this.#lines.push("main:");
    this.#function = 0;
    this.#loop(0, 30, () => {
      this.#block(1);
      this.#line(`li s5, ${this.#below(4)}`, `jal ra, f${this.#below(FUNCTIONS)}`);
      this.#block(1);
    });
    this.#lines.push("done:");
    this.#line("j done");
    return this.#lines.join("\n");
  }

  /** Calls itself `s5` times, and functions that come later. */
  #writeFunction(): void {
    const number = this.#function;
    const end = this.#label();
    this.#lines.push(`f${number}:`);
    this.#line("addi sp, sp, -32", "sd ra, 8(sp)", "sd s3, 16(sp)", "sd s4, 24(sp)");
    this.#block(1);
    this.#line(`beqz s5, ${end}`, "addi s5, s5, -1", `jal ra, f${number}`);
    this.#block(1);
    if (this.#below(2) === 0 && number + 1 < FUNCTIONS) this.#line(`jal ra, f${number + 1}`);
    this.#lines.push(`${end}:`);
    this.#block(1);
    this.#line("ld ra, 8(sp)", "ld s3, 16(sp)", "ld s4, 24(sp)", "addi sp, sp, 32", "ret");
  }

  #block(depth: number): void {
    for (let left = 2 + this.#below(4); left > 0; left--) {
      const shape = this.#below(8);
      if (shape === 0 && depth < COUNTERS.length) this.#loop(depth, 2 + this.#below(5), () => this.#block(depth + 1));
      else if (shape === 1) this.#branch(depth);
      else if (shape === 2) this.#switch();
      else for (let n = 1 + this.#below(6); n > 0; n--) this.#instruction();
    }
  }

  #loop(depth: number, times: number, body: () => void): void {
    const again = this.#label();
    const counter = COUNTERS[depth];
    this.#line(`li ${counter}, ${times}`);
    this.#lines.push(`${again}:`);
    body();
    this.#line(`${this.#of(["addi", "addiw"])} ${counter}, ${counter}, -1`, `bnez ${counter}, ${again}`);
  }

  #branch(depth: number): void {
    const [otherwise, end] = [this.#label(), this.#label()];
    const subjects = this.#of([INTS, this.#wide]);
    this.#line(`${this.#of(BRANCHES)} ${this.#of(subjects)}, ${this.#of([...subjects, "zero"])}, ${otherwise}`);
    for (let n = this.#below(4); n > 0; n--) this.#instruction();
    if (this.#below(2) === 0) this.#line(`j ${end}`);
    this.#lines.push(`${otherwise}:`);
    if (depth < COUNTERS.length && this.#below(3) === 0) this.#block(depth + 1);
    else this.#instruction();
    this.#lines.push(`${end}:`);
  }

  /** A jump into a table of jumps. */
  #switch(): void {
    const size = this.#of([2, 4, 8]);
    const cases = Array.from({ length: size }, () => this.#label());
    const end = this.#label();
    this.#line(`andi t5, ${this.#of(ANY)}, ${size - 1}`, "slli t5, t5, 3", "auipc t6, 0", "add t6, t6, t5");
    this.#line("jalr zero, 12(t6)");
    for (const label of cases) this.#line(`j ${label}`, "nop");
    for (const label of cases) {
      this.#lines.push(`${label}:`);
      for (let n = this.#below(3); n >= 0; n--) this.#instruction();
      this.#line(`j ${end}`);
    }
    this.#lines.push(`${end}:`);
  }

  #instruction(): void {
    const [rd, rs1, rs2] = [this.#of([...this.#wide, "zero"]), this.#of(this.#wide), this.#of(this.#wide)];
    const offset = 8 * (this.#below(32) - 16) + (this.#below(4) === 0 ? this.#below(8) : 0);
    const shift = this.#of(SHIFTS).split(" ");
    const small = this.#below(3) === 0 ? 0 : this.#below(4096) - 2048;
    const word = () => this.#of(INTS);
    const ints = [
      () => `${this.#of(WORDS)} ${word()}, ${word()}, ${word()}`,
      () => `${this.#of(["addiw", "andi", "ori", "slliw"])} ${word()}, ${word()}, ${this.#below(31)}`,
      () => `${this.#of(["and", "or", "xor", "slt", "sltu"])} ${word()}, ${word()}, ${word()}`,
      () => `lui ${word()}, ${this.#below(2 ** 20)}`,
      () => `srai ${word()}, ${word()}, ${this.#below(64)}`,
      () => `mv ${word()}, ${word()}`,
      () => `${this.#of(LOADS.slice(0, 6))} ${word()}, ${offset}(${BASE})`,
      () => `${this.#of(STORES)} ${word()}, ${offset}(${BASE})`,
    ];
    if (this.#below(3) > 0) return this.#line(this.#of(ints)());
    const kinds = [
      () => `${this.#of(WIDE)} ${rd}, ${rs1}, ${rs2}`,
      () => `${this.#of(WORDS)} ${rd}, ${rs1}, ${rs2}`,
      () => `${this.#of(WORDS)} ${rd}, ${rs1}, ${rs2}`,
      () => `${this.#of(IMMEDIATE)} ${rd}, ${rs1}, ${small}`,
      () => `${shift[0]} ${rd}, ${rs1}, ${this.#below(Number(shift[1]) + 1)}`,
      () => `${this.#of(UNARY)} ${rd}, ${rs1}`,
      () => `lui ${rd}, ${this.#below(2 ** 20)}`,
      () => `${this.#of(LOADS)} ${rd}, ${offset}(${BASE})`,
      () => `${this.#of(LOADS)} ${rd}, ${offset}(${BASE})`,
      () => `${this.#of(STORES)} ${rs1}, ${offset}(${BASE})`,
      () => `amoadd.w ${rd}, ${rs1}, (s1)`,
      () => `mv ${rd}, ${rs1}`,
    ];
    this.#line(this.#of(kinds)());
  }

  #label(): string {
    return `l${this.#labels++}`;
  }

  #line(...lines: readonly string[]): void {
    for (const line of lines) this.#lines.push(`  ${line}`);
  }

  #of<T>(values: readonly T[]): T {
    return pick(this.random, values);
  }

  #below(limit: number): number {
    return below(this.random, limit);
  }
}
