// The assembler's bytes are what GNU objdump reads as the instruction that was meant.
import { beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  Alu,
  Assembler,
  Condition,
  data,
  inverse,
  isRegister,
  Label,
  memory,
  type Operand,
  Reg,
  Shift,
  Shuffle,
  Unary,
  Vector,
  Xmm,
} from "../../../src/engine/native/assembler.ts";

const objdump = Bun.which("objdump");
const SHAPE = ["-D", "-z", "-b", "binary", "-mi386:x86-64", "-M", "intel", "--no-show-raw-insn"];
/** A return, as one of this processor reads it. */
const knows = objdump !== null && reads(Uint8Array.of(0xc3)).includes("ret");
const HOW_TO_GET_IT = "objdump for x86-64 is not installed: apt-get install binutils-x86-64-linux-gnu";

/** objdump's listing; empty where it does not know the processor. */
function reads(bytes: Uint8Array): string {
  const folder = mkdtempSync(join(tmpdir(), "vmrun-assembler-"));
  try {
    writeFileSync(join(folder, "code"), bytes);
    return Bun.spawnSync([objdump!, ...SHAPE, join(folder, "code")]).stdout.toString();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What a method writes, and what objdump is to say. Distances to data and labels are told as addresses from the first byte. */
interface Case {
  readonly group: string;
  readonly write: (code: Assembler) => void;
  readonly texts: readonly string[];
}

const cases: Case[] = [];
let group = "";
const expectText = (write: (code: Assembler) => void, ...texts: string[]) => void cases.push({ group, write, texts });

// ---- names ----

const NAMES = "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15".split(" ");
const NAMES32 = "eax ecx edx ebx esp ebp esi edi r8d r9d r10d r11d r12d r13d r14d r15d".split(" ");
const NAMES16 = "ax cx dx bx sp bp si di r8w r9w r10w r11w r12w r13w r14w r15w".split(" ");
const NAMES8 = "al cl dl bl spl bpl sil dil r8b r9b r10b r11b r12b r13b r14b r15b".split(" ");
const BY_WIDTH = { 1: NAMES8, 2: NAMES16, 4: NAMES32, 8: NAMES } as const;
const POINTERS = { 1: "BYTE PTR ", 2: "WORD PTR ", 4: "DWORD PTR ", 8: "QWORD PTR " } as const;
type Width = keyof typeof POINTERS;
const WIDTHS = [1, 2, 4, 8] as const;

const hex = (value: number | bigint, bits: 8 | 16 | 32 | 64) => `0x${BigInt.asUintN(bits, BigInt(value)).toString(16)}`;
const distanceText = (distance: number) => `${distance < 0 ? "-" : "+"}0x${Math.abs(distance).toString(16)}`;

/** They cannot be a base alone. */
const needsDistance = (base: Reg) => base === Reg.rbp || base === Reg.r13;
const behind = (base: Reg, distance: number) => (distance === 0 && !needsDistance(base) ? "" : distanceText(distance));

/** Operands in memory that are tried, with what is in the brackets. */
const PLACES: readonly (readonly [Operand, string])[] = [
  ...[0, 8, 127, -128, 128, -129, 0x7654321, -0x7654321].map(
    (distance) => [memory(distance), `[rbp${distanceText(distance)}]`] as const,
  ),
  ...[0, 0x1234, 0x400_0000].map((offset) => [data(offset), `[0x${offset.toString(16)}]`] as const),
];
const REGISTERS = [Reg.rax, Reg.rbx, Reg.rsi, Reg.rdi, Reg.r8, Reg.r12, Reg.r13, Reg.r15];

const named = (operand: Operand, width: Width): string => {
  if (isRegister(operand)) return BY_WIDTH[width][operand];
  return `${POINTERS[width]}${PLACES.find(([place]) => place === operand)![1]}`;
};
const OPERANDS: readonly Operand[] = [...REGISTERS, ...PLACES.map(([place]) => place)];
const BOTH = [
  [true, 8],
  [false, 4],
] as const;

/** Pairs of which one, at least, is a register. */
function pairs(each: (to: Operand, from: Operand) => void): void {
  for (const operand of OPERANDS) {
    for (const reg of [Reg.rcx, Reg.rsi, Reg.r9]) {
      each(reg, operand);
      each(operand, reg);
    }
  }
}

// ---- moves ----

group = "moves";
for (const [wide, width] of BOTH) {
  pairs((to, from) => expectText((a) => a.move(to, from, wide), `mov ${named(to, width)},${named(from, width)}`));
}
expectText((a) => a.move(Reg.rax, Reg.r15), "mov rax,r15");

group = "immediates";
for (const reg of REGISTERS) {
  const [wide, word] = [NAMES[reg], NAMES32[reg]];
  expectText((a) => a.moveImmediate(reg, 0), `xor ${word},${word}`);
  for (const value of [1, 127, 0x80, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]) {
    expectText((a) => a.moveImmediate(reg, value), `mov ${word},${hex(value, 32)}`);
  }
  for (const value of [-1, -128, -(2 ** 31)]) {
    expectText((a) => a.moveImmediate(reg, value), `mov ${wide},${hex(value, 64)}`);
  }
  for (const value of [2 ** 32, -(2 ** 31) - 1, 0x7f12_3456_789an, -(2n ** 63n), 2n ** 64n - 2n, 2n ** 53n + 1n]) {
    expectText((a) => a.moveImmediate(reg, value), `movabs ${wide},${hex(value, 64)}`);
  }
  expectText((a) => a.moveImmediateKeepingFlags(reg, 0), `mov ${word},0x0`);
  expectText((a) => a.moveImmediateKeepingFlags(reg, 0x7fff_ffff), `mov ${word},0x7fffffff`);
}
for (const [place] of PLACES) {
  for (const value of [0, 5, 0x7fff_ffff, -1, -(2 ** 31)]) {
    expectText((a) => a.moveImmediate(place, value), `mov ${named(place, 8)},${hex(value, 64)}`);
    expectText((a) => a.storeWord(place, value), `mov ${named(place, 4)},${hex(value, 32)}`);
  }
}

group = "extending moves";
for (const to of [Reg.rax, Reg.rdi, Reg.r10]) {
  for (const from of OPERANDS) {
    for (const width of [1, 2] as const) {
      expectText((a) => a.moveExtended(to, from, width, true), `movsx ${NAMES[to]},${named(from, width)}`);
      expectText((a) => a.moveExtended(to, from, width, false), `movzx ${NAMES32[to]},${named(from, width)}`);
    }
    expectText((a) => a.moveExtended(to, from, 4, true), `movsxd ${NAMES[to]},${named(from, 4)}`);
    expectText((a) => a.moveExtended(to, from, 4, false), `mov ${NAMES32[to]},${named(from, 4)}`);
  }
}

/** Loads of every width and sign. */
function loads(to: Reg, from: string, write: (code: Assembler, width: Width, signed: boolean) => void): void {
  for (const width of WIDTHS) {
    const place = `${POINTERS[width]}${from}`;
    const [signed, unsigned] =
      width === 8
        ? [`mov ${NAMES[to]}`, `mov ${NAMES[to]}`]
        : [`${width === 4 ? "movsxd" : "movsx"} ${NAMES[to]}`, `${width === 4 ? "mov" : "movzx"} ${NAMES32[to]}`];
    expectText((a) => write(a, width, true), `${signed},${place}`);
    expectText((a) => write(a, width, false), `${unsigned},${place}`);
  }
}

group = "loads and stores at an index";
for (const reg of [Reg.rax, Reg.rbx, Reg.rsi, Reg.rdi, Reg.r9, Reg.r13]) {
  for (const index of [Reg.rax, Reg.rcx, Reg.rdi, Reg.r12]) {
    for (const distance of [0, 8, -0x1_2345, 0x7fff_0000]) {
      const place = `[rbp+${NAMES[index]}*1${distanceText(distance)}]`;
      loads(reg, place, (a, width, signed) => a.loadIndexed(reg, index, distance, width, signed));
      for (const width of WIDTHS) {
        const text = `mov ${POINTERS[width]}${place},${BY_WIDTH[width][reg]}`;
        expectText((a) => a.storeIndexed(index, distance, reg, width), text);
      }
      expectText((a) => a.aluIndexed(Alu.cmp, reg, index, distance), `cmp ${NAMES[reg]},QWORD PTR ${place}`);
      expectText((a) => a.aluIndexed(Alu.add, reg, index, distance, false), `add ${NAMES32[reg]},DWORD PTR ${place}`);
    }
    const place = `[rbp+${NAMES[index]}*1-0x80]`;
    for (const value of [5, 0x1234, 0xffff]) {
      expectText((a) => a.compareHalf(index, -0x80, value), `cmp WORD PTR ${place},${hex(value, 16)}`);
    }
    expectText((a) => a.testIndexed(index, -0x80, 9), `test BYTE PTR ${place},0x9`);
  }
}

for (const [reg, name] of [
  [Reg.rax, "al"],
  [Reg.rdi, "dil"],
  [Reg.r15, "r15b"],
] as const) {
  expectText((a) => a.compareByteImmediate(reg, 48), `cmp ${name},0x30`);
  for (const [place, text] of PLACES) expectText((a) => a.compareByte(reg, place), `cmp ${name},BYTE PTR ${text}`);
}

group = "loads and stores at a host's address";
for (const base of [Reg.rax, Reg.rcx, Reg.rdx]) {
  for (const reg of [Reg.rax, Reg.rdx, Reg.rsi, Reg.rdi, Reg.r8, Reg.r15]) {
    for (const distance of [0, 8, 127]) {
      const place = distance === 0 ? `[${NAMES[base]}]` : `[${NAMES[base]}${distanceText(distance)}]`;
      loads(reg, place, (a, width, signed) => a.loadAt(reg, base, width, signed, distance));
      for (const width of WIDTHS) {
        const text = `mov ${POINTERS[width]}${place},${BY_WIDTH[width][reg]}`;
        expectText((a) => a.storeAt(base, reg, width, distance), text);
      }
    }
    for (const [op, name] of [
      [Alu.cmp, "cmp"],
      [Alu.add, "add"],
    ] as const)
      for (const distance of [0, 8, 127]) {
        const place = distance === 0 ? `[${NAMES[base]}]` : `[${NAMES[base]}${distanceText(distance)}]`;
        for (const width of [2, 4, 8] as const) {
          const text = `${name} ${BY_WIDTH[width][reg]},${POINTERS[width]}${place}`;
          expectText((a) => a.aluAt(op, reg, base, width, distance), text);
        }
      }
  }
  expectText((a) => a.aluAtImmediate(Alu.cmp, base, 16, 0), `cmp QWORD PTR [${NAMES[base]}+0x10],0x0`);
  expectText((a) => a.jumpToAt(base, 8), `jmp QWORD PTR [${NAMES[base]}+0x8]`);
  expectText((a) => a.jumpToAt(base, 0), `jmp QWORD PTR [${NAMES[base]}]`);
}

group = "loads and stores at a host's address and rcx";
for (const base of REGISTERS) {
  for (const reg of [Reg.rax, Reg.rdx, Reg.rsi, Reg.rdi, Reg.r8, Reg.r15]) {
    for (const distance of [0, 8, -8, 127, 128, -2048]) {
      const place = `[${NAMES[base]}+rcx*1${behind(base, distance)}]`;
      loads(reg, place, (a, width, signed) => a.loadSum(reg, base, distance, width, signed));
      for (const width of WIDTHS) {
        const text = `mov ${POINTERS[width]}${place},${BY_WIDTH[width][reg]}`;
        expectText((a) => a.storeSum(base, distance, reg, width), text);
      }
    }
  }
}

group = "addresses";
for (const to of [Reg.rax, Reg.rsi, Reg.r11]) {
  for (const [place, text] of PLACES) expectText((a) => a.addressOf(to, place), `lea ${NAMES[to]},${text}`);
  for (const base of [Reg.rax, Reg.rsp, Reg.rbp, Reg.rdi, Reg.r8, Reg.r12, Reg.r13]) {
    for (const distance of [0, 127, -128, 128, -0x7654321]) {
      const place = `[${NAMES[base]}${distanceText(distance)}]`;
      expectText((a) => a.lea(to, base, distance), `lea ${NAMES[to]},${place}`);
      expectText((a) => a.lea(to, base, distance, false), `lea ${NAMES32[to]},${place}`);
    }
    for (const index of [Reg.rcx, Reg.rbp, Reg.r9, Reg.r12]) {
      for (const scale of [0, 1, 2, 3]) {
        const turned = scale === 0 && needsDistance(base) && !needsDistance(index);
        const [first, second] = turned ? [index, base] : [base, index];
        const place = `[${NAMES[first]}+${NAMES[second]}*${1 << scale}${behind(first, 0)}]`;
        expectText((a) => a.leaSum(to, base, index, scale), `lea ${NAMES[to]},${place}`);
        expectText((a) => a.leaSum(to, base, index, scale, false), `lea ${NAMES32[to]},${place}`);
      }
    }
  }
}
expectText((a) => a.leaSum(Reg.rdx, Reg.rdx, Reg.rbp), "lea rdx,[rdx+rbp*1]");

group = "the stack and strings";
for (const reg of [...REGISTERS, Reg.rbp]) {
  expectText((a) => a.push(reg), `push ${NAMES[reg]}`);
  expectText((a) => a.pop(reg), `pop ${NAMES[reg]}`);
  expectText((a) => a.aluStack(Alu.cmp, reg, 8), `cmp ${NAMES[reg]},QWORD PTR [rsp+0x8]`);
}
for (const [place, text] of PLACES) {
  expectText((a) => a.compareByteImmediate(place, 0), `cmp BYTE PTR ${text},0x0`);
  expectText((a) => a.storeHalf(place, Reg.rcx), `mov WORD PTR ${text},cx`);
  expectText((a) => a.storeHalf(place, Reg.r9), `mov WORD PTR ${text},r9w`);
}
for (const [place, text] of PLACES) expectText((a) => a.push(place), `push QWORD PTR ${text}`);
expectText((a) => a.pushImmediate(1), "push 0x1");
expectText((a) => a.fill(), "rep stos QWORD PTR es:[rdi],rax");

// ---- arithmetic ----

group = "operations of two operands";
for (const [name, op] of Object.entries(Alu)) {
  for (const [wide, width] of BOTH) {
    pairs((to, from) =>
      expectText((a) => a.alu(op, to, from, wide), `${name} ${named(to, width)},${named(from, width)}`),
    );
    for (const to of OPERANDS) {
      if (to === Reg.rax) continue;
      for (const value of [0, 1, -1, 127, -128, 128, -129, 0x7fff_ffff, -(2 ** 31)]) {
        const text = `${name} ${named(to, width)},${hex(value, wide ? 64 : 32)}`;
        expectText((a) => a.aluImmediate(op, to, value, wide), text);
      }
    }
  }
}
expectText((a) => a.aluImmediate(Alu.and, Reg.rax, -4096), "and rax,0xfffffffffffff000");
expectText((a) => a.aluImmediate(Alu.sub, Reg.rax, 1, false), "sub eax,0x1");

group = "comparisons with zero, multiplication, division";
for (const [wide, width] of BOTH) {
  const names = BY_WIDTH[width];
  for (const reg of REGISTERS) {
    expectText((a) => a.test(reg, Reg.rdx, wide), `test ${names[Reg.rdx]},${names[reg]}`);
    expectText((a) => a.test(reg, reg, wide), `test ${names[reg]},${names[reg]}`);
  }
  for (const operand of OPERANDS) {
    for (const [name, op] of Object.entries(Unary)) {
      expectText((a) => a.unary(op, operand, wide), `${name} ${named(operand, width)}`);
    }
    for (const to of [Reg.rax, Reg.r14]) {
      const text = `${names[to]},${named(operand, width)}`;
      expectText((a) => a.multiply(to, operand, wide), `imul ${text}`);
      expectText((a) => a.scan("forward", to, operand, wide), `bsf ${text}`);
      expectText((a) => a.scan("backward", to, operand, wide), `bsr ${text}`);
    }
  }
}
expectText((a) => a.signIntoRdx(), "cqo");
expectText((a) => a.signIntoRdx(false), "cdq");

for (const reg of REGISTERS) {
  expectText((a) => a.multiplyBy(reg, 5), `imul ${NAMES32[reg]},${NAMES32[reg]},0x5`);
  expectText((a) => a.multiplyBy(reg, 127), `imul ${NAMES32[reg]},${NAMES32[reg]},0x7f`);
}

group = "shifts";
for (const [name, op] of Object.entries(Shift)) {
  for (const reg of REGISTERS) {
    for (const [wide, width] of BOTH) {
      const target = BY_WIDTH[width][reg];
      for (const by of [2, 31, ...(wide ? [63] : [])]) {
        expectText((a) => a.shift(op, reg, by, wide), `${name} ${target},0x${by.toString(16)}`);
      }
      expectText((a) => a.shift(op, reg, 0, wide));
      expectText((a) => a.shiftByRcx(op, reg, wide), `${name} ${target},cl`);
    }
  }
}

group = "products of BMI2";
for (const by of OPERANDS)
  for (const high of [Reg.rdx, Reg.rsi, Reg.r8, Reg.r15])
    for (const low of [Reg.rax, Reg.rdi, Reg.r9])
      expectText((a) => a.multiplyInto(high, low, by), `mulx ${NAMES[high]},${NAMES[low]},${named(by, 8)}`);

group = "bits without others, of BMI1";
for (const [wide, width] of BOTH)
  for (const by of OPERANDS)
    for (const to of [Reg.rax, Reg.rsi, Reg.r9])
      for (const without of [Reg.rdx, Reg.rdi, Reg.r13]) {
        const names = BY_WIDTH[width];
        expectText((a) => a.andNot(to, without, by, wide), `andn ${names[to]},${names[without]},${named(by, width)}`);
      }

group = "shifts and rotations of BMI2";
for (const [wide, width] of BOTH) {
  const names = BY_WIDTH[width];
  for (const from of OPERANDS) {
    for (const to of [Reg.rax, Reg.rsi, Reg.r8, Reg.r15]) {
      for (const by of [0, 1, 31, ...(wide ? [63] : [])]) {
        const text = `rorx ${names[to]},${named(from, width)},${hex(by, 8)}`;
        expectText((a) => a.rotateInto(to, from, by, wide), text);
      }
      for (const by of [Reg.rcx, Reg.rdx, Reg.rdi, Reg.r8, Reg.r13]) {
        const text = `${names[to]},${named(from, width)},${names[by]}`;
        expectText((a) => a.shiftInto(Shift.shl, to, from, by, wide), `shlx ${text}`);
        expectText((a) => a.shiftInto(Shift.shr, to, from, by, wide), `shrx ${text}`);
        expectText((a) => a.shiftInto(Shift.sar, to, from, by, wide), `sarx ${text}`);
      }
    }
  }
}

group = "conditions";
/** objdump's names. */
const SUFFIXES = {
  ...{ overflow: "o", below: "b", notBelow: "ae", equal: "e", notEqual: "ne", notAbove: "be", above: "a" },
  ...{ negative: "s", unordered: "p", less: "l", notLess: "ge", notGreater: "le", greater: "g" },
} as const;
for (const [name, condition] of Object.entries(Condition) as [keyof typeof Condition, Condition][]) {
  const suffix = SUFFIXES[name];
  for (const reg of [Reg.rax, Reg.rsi, Reg.rdi, Reg.r13]) {
    const set = [`set${suffix} ${NAMES8[reg]}`, `movzx ${NAMES32[reg]},${NAMES8[reg]}`];
    expectText((a) => a.setIf(condition, reg), ...set);
    expectText((a) => a.setByteIf(condition, reg), set[0]);
  }
  for (const from of OPERANDS) {
    expectText((a) => a.moveIf(condition, Reg.rdi, from), `cmov${suffix} rdi,${named(from, 8)}`);
    expectText((a) => a.moveIf(condition, Reg.r9, from, false), `cmov${suffix} r9d,${named(from, 4)}`);
  }
}

// ---- floating point ----

group = "SSE2 and FMA3";
const SINGLE = 0xf3;
const DOUBLE = 0xf2;
const ARITHMETIC = { sqrt: 0x51, add: 0x58, mul: 0x59, sub: 0x5c, min: 0x5d, div: 0x5e, max: 0x5f } as const;
const { xmm0, xmm1 } = Xmm;
for (const [place, text] of PLACES) {
  const [word, double] = [`DWORD PTR ${text}`, `QWORD PTR ${text}`];
  expectText((a) => a.sse(SINGLE, 0x10, xmm1, place), `movss xmm1,${word}`);
  expectText((a) => a.sse(DOUBLE, 0x10, xmm0, place), `movsd xmm0,${double}`);
  expectText((a) => a.sse(SINGLE, 0x11, xmm0, place), `movss ${word},xmm0`);
  expectText((a) => a.sse(DOUBLE, 0x11, xmm1, place), `movsd ${double},xmm1`);
  for (const [name, opcode] of Object.entries(ARITHMETIC)) {
    expectText((a) => a.sse(SINGLE, opcode, xmm0, place), `${name}ss xmm0,${word}`);
    expectText((a) => a.sse(DOUBLE, opcode, xmm1, place), `${name}sd xmm1,${double}`);
  }
  expectText((a) => a.sse(0, 0x2e, xmm0, place), `ucomiss xmm0,${word}`);
  expectText((a) => a.sse(0x66, 0x2f, xmm0, place), `comisd xmm0,${double}`);
  expectText((a) => a.sse(SINGLE, 0x5a, xmm0, place), `cvtss2sd xmm0,${word}`);
  expectText((a) => a.sse(DOUBLE, 0x5a, xmm0, place), `cvtsd2ss xmm0,${double}`);
  expectText((a) => a.sse(DOUBLE, 0x2a, xmm0, place, true), `cvtsi2sd xmm0,${double}`);
  expectText((a) => a.sse(SINGLE, 0x2a, xmm0, place), `cvtsi2ss xmm0,${word}`);
  expectText((a) => a.sse(SINGLE, 0x2c, Reg.rax, place, true), `cvttss2si rax,${word}`);
  expectText((a) => a.sse(DOUBLE, 0x2d, Reg.r9, place), `cvtsd2si r9d,${double}`);
  expectText((a) => a.loadControl(place), `ldmxcsr ${word}`);
  expectText((a) => a.storeControl(place), `stmxcsr ${word}`);
}
for (const reg of [Reg.rax, Reg.rdi, Reg.r8, Reg.r15]) {
  expectText((a) => a.sse(DOUBLE, 0x2a, xmm0, reg, true), `cvtsi2sd xmm0,${NAMES[reg]}`);
  expectText((a) => a.sse(SINGLE, 0x2a, xmm1, reg), `cvtsi2ss xmm1,${NAMES32[reg]}`);
}
for (const [name, opcode] of Object.entries({ and: 0x54, or: 0x56, xor: 0x57 })) {
  expectText((a) => a.sse(0, opcode, xmm0, xmm1), `${name}ps xmm0,xmm1`);
}
expectText((a) => a.sse(0, 0x2e, xmm0, xmm0), "ucomiss xmm0,xmm0");
expectText((a) => a.sse(0x66, 0x2e, xmm0, xmm1), "ucomisd xmm0,xmm1");
for (const [name, opcode] of Object.entries({ madd: 0xa9, nmadd: 0xad, msub: 0xab, nmsub: 0xaf })) {
  for (const distance of [0, 0x180, -0x80]) {
    const place = `[rbp${distanceText(distance)}]`;
    const double = `vf${name}213sd xmm0,xmm1,QWORD PTR ${place}`;
    expectText((a) => a.fused(opcode, xmm0, xmm1, memory(distance), true), double);
    const single = `vf${name}213ss xmm1,xmm0,DWORD PTR ${place}`;
    expectText((a) => a.fused(opcode, xmm1, xmm0, memory(distance), false), single);
  }
  for (const [to, by, from] of [
    [0, 1, 2],
    [15, 9, 3],
    [7, 8, 14],
  ] as const) {
    expectText((a) => a.fused(opcode, to, by, from, true), `vf${name}213sd xmm${to},xmm${by},xmm${from}`);
    expectText((a) => a.fused(opcode + 0x10, to, by, from, false), `vf${name}231ss xmm${to},xmm${by},xmm${from}`);
  }
}
for (const [to, from] of [
  [2, 15],
  [8, 3],
  [9, 14],
] as const) {
  expectText((a) => a.sse(0, 0x28, to, from), `movaps xmm${to},xmm${from}`);
  expectText((a) => a.sse(DOUBLE, 0x58, to, from), `addsd xmm${to},xmm${from}`);
  expectText((a) => a.sse(0x66, 0x6e, to, from, true), `movq xmm${to},${NAMES[from]}`);
  expectText((a) => a.sse(SINGLE, 0x10, to, memory(8)), `movss xmm${to},DWORD PTR [rbp+0x8]`);
  for (const base of [Reg.rax, Reg.rbx, Reg.r8, Reg.r13, Reg.r15]) {
    const place = (distance: number) => `[${NAMES[base]}+rcx*1${behind(base, distance)}]`;
    expectText((a) => a.sseSum(DOUBLE, 0x10, to, base, 0), `movsd xmm${to},QWORD PTR ${place(0)}`);
    expectText((a) => a.sseSum(SINGLE, 0x11, from, base, -0x800), `movss DWORD PTR ${place(-0x800)},xmm${from}`);
  }
}

group = "vectors";
const VECTORS: Readonly<Record<Exclude<keyof typeof Vector, "mask">, string>> = {
  ...{ xor: "pxor", interleaveBytes: "punpcklbw" },
  ...{ equalBytes: "pcmpeqb", equalHalves: "pcmpeqw", equalWords: "pcmpeqd" },
  ...{ greaterBytes: "pcmpgtb", greaterHalves: "pcmpgtw", greaterWords: "pcmpgtd" },
  ...{ maximumBytes: "pmaxub", maximumHalves: "pmaxuw", maximumWords: "pmaxud" },
};
for (const [to, from] of [
  [0, 1],
  [1, 0],
  [7, 2],
  [3, 6],
] as const) {
  for (const [name, text] of Object.entries(VECTORS) as [keyof typeof VECTORS, string][])
    expectText((a) => a.vector(Vector[name], to, from), `${text} xmm${to},xmm${from}`);
  expectText((a) => a.vector(Vector.mask, to, from), `pmovmskb ${NAMES32[to]},xmm${from}`);
  expectText((a) => a.broadcast(Shuffle.halves, to), `pshuflw xmm${to},xmm${to},0x0`);
  expectText((a) => a.broadcast(Shuffle.words, to), `pshufd xmm${to},xmm${to},0x0`);
}
for (const to of [0, 1, 7, 9]) {
  for (const base of REGISTERS) {
    for (const distance of [0, 4, -16, 127, -129, 0x7f0]) {
      const place = `[${NAMES[base]}+rcx*1${behind(base, distance)}]`;
      expectText((a) => a.loadVector(to, base, distance), `movdqu xmm${to},XMMWORD PTR ${place}`);
    }
  }
}
for (const to of [0, 1, 9]) {
  for (const from of [Reg.rax, Reg.rdi, Reg.r8, Reg.r15])
    expectText((a) => a.sse(0x66, 0x6e, to, from), `movd xmm${to},${NAMES32[from]}`);
}

// ---- control flow ----

group = "control flow";
/** A label that is bound already. */
const labelAt = (at: number) => Object.assign(new Label(), { at });
for (const at of [0, 0x40, 0x8000]) {
  const target = hex(at, 64);
  expectText((a) => a.jump(labelAt(at)), `jmp ${target}`);
  expectText((a) => a.call(labelAt(at)), `call ${target}`);
  for (const [name, condition] of Object.entries(Condition) as [keyof typeof Condition, Condition][]) {
    expectText((a) => a.jumpIf(condition, labelAt(at)), `j${SUFFIXES[name]} ${target}`);
  }
}
for (const reg of REGISTERS) expectText((a) => a.jumpTo(reg), `jmp ${NAMES[reg]}`);
expectText((a) => a.return(), "ret");

// ---- what objdump says ----

/** The texts of a listing by address; what objdump computes of `rip` is put in place of it, and a REX for nothing is left out. */
function disassemble(bytes: Uint8Array): ReadonlyMap<number, string> {
  const lines = new Map<number, string>();
  for (const line of reads(bytes).split("\n")) {
    const [, at, text] = /^\s*([0-9a-f]+):\t(.*)$/.exec(line) ?? [];
    if (at === undefined) continue;
    const absolute = text.replace(/\[rip[+-]0x[0-9a-f]+\](.*?)\s+# (0x[0-9a-f]+)$/, "[$2]$1");
    lines.set(Number.parseInt(at, 16), absolute.replace(/^rex /, "").replace(/\s+/g, " ").trim());
  }
  return lines;
}

if (!knows) test.skip(`every instruction is what objdump reads (${HOW_TO_GET_IT})`, () => {});

describe.if(knows)("every instruction is what objdump reads", () => {
  const said = new Map<Case, string[]>();
  const jumps = new Assembler(new Uint8Array(256));
  let jumpsAt = 0;
  let lines: ReadonlyMap<number, string>;

  beforeAll(() => {
    const code = new Assembler(new Uint8Array(cases.length * 16 + 256));
    const starts = cases.map((one) => {
      const start = code.length;
      one.write(code);
      return start;
    });
    jumpsAt = code.length;
    writeJumps(jumps);
    code.bytes.set(jumps.bytes, jumpsAt);
    lines = disassemble(code.bytes.subarray(0, jumpsAt + jumps.length));
    const addresses = [...lines.keys()];
    let next = 0;
    cases.forEach((one, i) => {
      const end = starts[i + 1] ?? jumpsAt;
      const texts: string[] = [];
      for (; next < addresses.length && addresses[next] < end; next++) texts.push(lines.get(addresses[next])!);
      said.set(one, texts);
    });
  });

  for (const name of new Set(cases.map((one) => one.group))) {
    test(name, () => {
      const own = cases.filter((one) => one.group === name);
      expect(own.map((one) => said.get(one)!.join("; "))).toEqual(own.map(({ texts }) => texts.join("; ")));
    });
  }

  test("labels that are bound behind and ahead, and jumps that are redirected", () => {
    const texts = [...lines].flatMap(([at, text]) => (at >= jumpsAt ? [text] : []));
    const to = (at: number) => hex(jumpsAt + at, 64);
    expect(texts).toEqual([
      `jmp ${to(22)}`,
      `je ${to(22)}`,
      `call ${to(0)}`,
      `jmp ${to(5)}`,
      "nop",
      `jne ${to(0)}`,
      "ret",
    ]);
  });
});

/** 0 jmp ahead; 5 je ahead; 11 call back; 16 jmp, redirected to 5; 21 nop; ahead: 22 jne back; ret. */
function writeJumps(code: Assembler): void {
  const [start, ahead, nowhere] = [new Label(), new Label(), new Label()];
  code.bind(start);
  code.jump(ahead);
  code.jumpIf(Condition.equal, ahead);
  code.call(start);
  code.jump(nowhere);
  code.redirect(code.length - 4, 5);
  code.bytes[code.length++] = 0x90;
  code.bind(ahead);
  code.jumpIf(Condition.notEqual, start);
  code.return();
}

test("conditions are turned around in pairs", () => {
  expect(inverse(Condition.equal)).toBe(Condition.notEqual);
  expect(inverse(Condition.less)).toBe(Condition.notLess);
  expect(inverse(Condition.above)).toBe(Condition.notAbove);
});

test("binding a label changes nothing but the distances to it", () => {
  const code = new Assembler(new Uint8Array(64));
  const label = new Label();
  code.jump(label);
  code.push(Reg.rax);
  expect(label.at).toBe(-1);
  code.bind(label);
  expect([code.length, label.at, ...code.bytes.subarray(0, 6)]).toEqual([6, 6, 0xe9, 1, 0, 0, 0, 0x50]);
});
