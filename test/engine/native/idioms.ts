// Random lines of assembly that native code fuses, or must not: idioms over few registers, with whatever comes in between.
import { below, chance, pick, type Random } from "../../isa/riscv/random.ts";

const WIDE = (
  "add sub xor or and sll srl sra slt sltu mul mulhu sh1add sh3add sh2add.uw andn orn xnor max minu rol ror " +
  "bset bext"
).split(" ");
const WORDS = "addw subw sllw srlw sraw mulw divw remuw rolw rorw".split(" ");
const UNARY = "sext.b sext.h zext.h clz clzw ctzw orc.b rev8 mv".split(" ");
const WITH_IMMEDIATE = "addi addiw addiw andi ori xori slti sltiu".split(" ");
const SHIFTS = "slli srli srai rori bexti".split(" ");
const WORD_SHIFTS = "slliw srliw sraiw roriw".split(" ");
const UPPER = [0, 1, 0x7ffff, 0x80000, 0xfffff, 0x12345];
const IMMEDIATES = [0, 0, 1, -1, 255, 2047, -2048];

export class Idioms {
  constructor(
    readonly random: Random,
    readonly registers: readonly string[],
  ) {}

  /** Now and then x0. */
  readonly one = (): string => (chance(this.random, 0.04) ? "zero" : pick(this.random, this.registers));

  #immediate(): number {
    return chance(this.random, 0.5) ? pick(this.random, IMMEDIATES) : below(this.random, 4096) - 2048;
  }

  /** One instruction that computes something. */
  filler(): string {
    const { random, one } = this;
    const kinds = [
      () => `${pick(random, WIDE)} ${one()}, ${one()}, ${one()}`,
      () => `${pick(random, WORDS)} ${one()}, ${one()}, ${one()}`,
      () => `${pick(random, WORDS)} ${one()}, ${one()}, ${one()}`,
      () => `${pick(random, UNARY)} ${one()}, ${one()}`,
      () => `${pick(random, WITH_IMMEDIATE)} ${one()}, ${one()}, ${this.#immediate()}`,
      () => `${pick(random, SHIFTS)} ${one()}, ${one()}, ${below(random, 64)}`,
      () => `${pick(random, WORD_SHIFTS)} ${one()}, ${one()}, ${below(random, 32)}`,
      () => `addi ${one()}, zero, ${this.#immediate()}`,
      () => `lui ${one()}, ${pick(random, UPPER)}`,
    ];
    return pick(random, kinds)();
  }

  /** A few instructions that may be one. Often they overwrite what they read, and sometimes they only look the part. */
  idiom(): string[] {
    const { random } = this;
    const source = this.one();
    const own = chance(random, 0.4);
    const place = () => (own && chance(random, 0.7) ? source : this.one());
    const [first, second] = [place(), place()];
    const to = chance(random, 0.5) ? pick(random, [first, second, source]) : this.one();
    const kinds = [
      () => this.#rotation(source, first, second, to),
      () => this.#rotation(source, first, second, to),
      () => this.#scaled(source, first, to),
      () => this.#scaled(source, first, to),
      () => this.#twice(source, first, second, to),
      () => this.#withoutUpper(source, first, to),
      () => this.#withoutUpper(source, first, to),
      () => this.#without(source, first, to),
      () => this.#inARow(source),
      () => this.#twoParts(first, to),
    ];
    return pick(random, kinds)();
  }

  /** By which something is shifted; as a rule, it is right. */
  #by(right: number, least: number, most: number): number {
    return chance(this.random, 0.9) ? right : least + below(this.random, most - least);
  }

  #rotation(source: string, first: string, second: string, to: string): string[] {
    const { random } = this;
    const word = chance(random, 0.6);
    const bits = word ? 32 : 64;
    const by = 1 + below(random, bits - 1);
    const w = word ? "w" : "";
    const other = chance(random, 0.9) ? source : this.one();
    const shifts = [
      `srli${w} ${first}, ${source}, ${by}`,
      `slli${w} ${second}, ${other}, ${this.#by(bits - by, 0, bits)}`,
    ];
    const operands = chance(random, 0.5) ? `${first}, ${second}` : `${second}, ${first}`;
    if (chance(random, 0.5)) shifts.reverse();
    return [...shifts, `${pick(random, ["or", "xor", "add", "addw"])} ${to}, ${operands}`];
  }

  #without(source: string, first: string, to: string): string[] {
    const other = this.one();
    const operands = chance(this.random, 0.5) ? `${first}, ${other}` : `${other}, ${first}`;
    return [`xori ${first}, ${source}, ${chance(this.random, 0.9) ? -1 : -2}`, `and ${to}, ${operands}`];
  }

  #sum(to: string, index: string, base: string): string {
    return `add ${to}, ${chance(this.random, 0.5) ? `${index}, ${base}` : `${base}, ${index}`}`;
  }

  #scaled(source: string, first: string, to: string): string[] {
    const { random } = this;
    const shift = pick(random, ["slli", "slli", "slli.uw"]);
    return [`${shift} ${first}, ${source}, ${below(random, 5)}`, this.#sum(to, first, this.one())];
  }

  /** 12 times something, for example: as 8 times and 4 times. */
  #twice(source: string, first: string, second: string, to: string): string[] {
    const { random } = this;
    const [one, other] = [1 + below(random, 3), 1 + below(random, 4)];
    // The second may be of something else.
    const change = chance(random, 0.2) ? [`addi ${source}, ${source}, 1`] : [];
    return [
      `slli ${first}, ${source}, ${one}`,
      ...change,
      `slli ${second}, ${source}, ${other}`,
      this.#sum(to, first, second),
    ];
  }

  #withoutUpper(source: string, first: string, to: string): string[] {
    const { random } = this;
    const kinds = [
      () => [32, "srli", this.#by(32, 0, 64)],
      () => [32, "srli", 29 + below(random, 5)],
      () => [48, "srli", this.#by(48, 0, 64)],
      () => [48, "srai", this.#by(48, 0, 64)],
      () => [56, "srai", this.#by(56, 0, 64)],
      () => [32, "srai", 32],
    ];
    const [up, shift, down] = pick(random, kinds)();
    return [`slli ${first}, ${source}, ${up}`, `${shift} ${to}, ${first}, ${down}`];
  }

  /** What compilers make of an index that is an `unsigned`. */
  #inARow(register: string): string[] {
    return [
      `slli ${register}, ${register}, 32`,
      `srli ${register}, ${register}, ${28 + below(this.random, 5)}`,
      this.#sum(register, register, this.one()),
    ];
  }

  #twoParts(first: string, to: string): string[] {
    const { random } = this;
    const upper = pick(random, UPPER);
    const low = this.#immediate();
    return pick(random, [
      [`lui ${first}, ${upper}`, `addi ${to}, ${first}, ${low}`],
      [`lui ${first}, ${upper}`, `addiw ${to}, ${first}, ${low}`],
      [`auipc ${first}, ${upper}`, `addi ${to}, ${first}, ${low}`],
    ]);
  }

  /** Idioms, and what `between` makes in between. */
  lines(count: number, between: () => string): string[] {
    const lines: string[] = [];
    while (lines.length < count) {
      for (const line of this.idiom()) {
        lines.push(line);
        while (chance(this.random, 0.3)) lines.push(between());
      }
    }
    return lines;
  }
}
