// Which registers a region has in the host's, and how often its code is taken to use them.
import { describe, expect, test } from "bun:test";
import { Assembler, isRegister, Reg } from "../../../src/engine/native/assembler.ts";
import type { NativeBlock, NativeOp } from "../../../src/engine/native/blocks.ts";
import { kept, placesFor, type RegisterPlaces } from "../../../src/engine/native/registers.ts";
import { traitsOf } from "../../../src/engine/native/traits.ts";
import { usesOf } from "../../../src/engine/native/uses.ts";
import { createDecoder } from "../../../src/isa/riscv/decode.ts";
import { below, createRandom } from "../../isa/riscv/random.ts";
import { assemble, register } from "../program.ts";

const decoder = createDecoder(new Set(["i", "m"]));

/** Assembly text as blocks, which begin at labels and end where they end. */
function blocksOf(text: string): NativeBlock[] {
  const { bytes, labels } = assemble(0, text);
  const words = new Uint32Array(bytes.buffer);
  const starts = new Set([0, ...Object.values(labels)]);
  const blocks: { at: number; operations: NativeOp[]; end: number; left: boolean }[] = [];
  let ends = true;
  words.forEach((bits, i) => {
    const { instruction, rd, rs1, rs2, imm } = decoder.decode(bits)!;
    const at = i * 4;
    if (ends || starts.has(at)) blocks.push({ at, operations: [], end: at, left: false });
    const block = blocks.at(-1)!;
    const traits = traitsOf(instruction);
    block.operations.push({ at, length: 4, instruction, traits, float: false, rd, rs1, rs2, rs3: 0, rm: 0, imm });
    block.end = at + 4;
    ends = ["branch", "jump", "jumpTo"].includes(instruction.semantics.does);
  });
  return blocks;
}

const usesIn = (text: string, ...names: string[]) => {
  const uses = usesOf(blocksOf(text));
  return names.map((name) => uses[register(name)]);
};

describe("uses", () => {
  test("are counted once without a loop", () => {
    expect(usesIn("add a0, a1, a1\n sd a0, 8(sp)\n lui a2, 1", "a0", "a1", "a2", "sp", "a3")).toEqual([2, 2, 1, 1, 0]);
  });

  test("do not count immediates as registers", () => {
    // Their lowest bits stand where rs2 would.
    expect(usesIn("addi a0, a1, 12\n lw a0, 12(a1)", "a2")).toEqual([0]);
  });

  test("count for more in a loop, and for more in a loop inside it", () => {
    const text = `
        addi a0, a0, 1
      outer:
        addi a1, a1, 1
      inner:
        addi a2, a2, 1
        bnez a3, inner
        addi a4, a4, 1
        bnez a3, outer
        addi a5, a5, 1
    `;
    expect(usesIn(text, "a0", "a1", "a2", "a4", "a5")).toEqual([2, 16, 128, 16, 2]);
  });

  test("have an end, however many loops there are", () => {
    const inner = Array.from({ length: 6 }, (_, i) => `l${i}:\n addi a${i}, zero, 1`);
    const [most] = usesIn(`${inner.join("\n")}\n addi s2, zero, 1\n${"bnez a7, l0\n".repeat(6)}`, "s2");
    expect(most).toBe(64);
  });

  test("do not take a jump back to elsewhere for a loop", () => {
    expect(usesIn("addi a0, zero, 1\n l: addi a1, zero, 1\n bnez a2, -64", "a1")).toEqual([1]);
    expect(usesIn("l: addi a1, zero, 1\n jalr zero, 0(a2)", "a1")).toEqual([1]);
  });
});

const HOST = kept.map(({ reg }) => reg);
/** As they are without uses. */
const usual = placesFor(new Float64Array(32));
const places = (subject: RegisterPlaces) => Array.from({ length: 32 }, (_, n) => subject.of(n));
const KEPT = places(usual).flatMap((place, n) => (isRegister(place) ? [n] : []));

/** Every register has a place that no other has, and all of the host's are taken. */
function expectWhole(subject: RegisterPlaces): void {
  const all = places(subject);
  expect(new Set(all).size).toBe(32);
  expect(isRegister(all[0])).toBe(false);
  expect(all.filter(isRegister).sort()).toEqual([...HOST].sort());
  // What is not exchanged is where it is as a rule.
  const { exchanged } = subject;
  const moved = new Set(exchanged.flatMap((one) => [one.usual, one.instead]));
  expect(moved.size).toBe(2 * exchanged.length);
  all.forEach((place, n) => {
    if (!moved.has(n)) expect(place).toBe(usual.of(n));
  });
  for (const { reg, usual: before, instead } of exchanged) {
    expect([usual.of(before), isRegister(usual.of(instead))]).toEqual([reg, false]);
    expect([subject.of(instead), isRegister(subject.of(before))]).toEqual([reg, false]);
  }
}

describe("places", () => {
  test("are the usual ones for code without a loop", () => {
    const text = Array.from({ length: 20 }, () => "add s2, s3, s4").join("\n");
    expect(placesFor(usesOf(blocksOf(text)))).toBe(usual);
    expect(usual.exchanged).toEqual([]);
    expectWhole(usual);
  });

  test("are the usual ones for a loop that uses those", () => {
    expect(placesFor(usesOf(blocksOf("again: add a0, a1, a2\n addi a3, a3, -1\n bnez a3, again")))).toBe(usual);
  });

  test("are in the host's for what a loop uses most", () => {
    const loop = `again:\n ${"add s2, s2, s3\n add s2, s2, a0\n".repeat(4)} addi a0, a0, -1\n bnez a0, again`;
    const subject = placesFor(usesOf(blocksOf(loop)));
    const [s2, s3, a0, s4] = ["s2", "s3", "a0", "s4"].map((name) => isRegister(subject.of(register(name))));
    expect({ s2, s3, a0, s4 }).toEqual({ s2: true, s3: true, a0: true, s4: false });
    expect(subject.exchanged.map(({ instead }) => instead)).toEqual([register("s2"), register("s3")]);
    expectWhole(subject);
  });

  test("are exchanged for those that are used least", () => {
    const uses = new Float64Array(32).fill(0);
    for (const n of KEPT) uses[n] = 1000;
    uses[10] = 3;
    uses[20] = 500;
    uses[21] = 400;
    expect(placesFor(uses).exchanged).toEqual([{ reg: usual.of(10), usual: 10, instead: 20 }]);
  });

  test("are all exchanged where only others are used", () => {
    const uses = new Float64Array(32).map((_, n) => (KEPT.includes(n) ? 0 : 100));
    const subject = placesFor(uses);
    expect(subject.exchanged.length).toBe(HOST.length);
    expect(subject.exchanged.some(({ instead }) => instead === 0)).toBe(false);
    expectWhole(subject);
  });

  test("are never lost, whatever the uses are", () => {
    const random = createRandom(0x9e6);
    for (let round = 0; round < 200; round++) {
      expectWhole(placesFor(new Float64Array(32).map(() => below(random, 1 + below(random, 200)))));
    }
  });

  test("are come to and gone from by the same moves, the other way round", () => {
    const uses = new Float64Array(32).map((_, n) => (KEPT.includes(n) ? n : 100 + n));
    const { exchanged } = placesFor(uses);
    const subject = placesFor(uses);
    expect(subject.exchanged).toEqual(exchanged);
    // The host's registers and the memory that moves go between, as they are carried out.
    const state = new Map<number, string>();
    places(usual).forEach((place, n) => {
      state.set(place, `x${n}`);
    });
    const before = new Map(state);
    class Moves extends Assembler {
      override move(to: number, from: number): void {
        // One of the two is a register.
        expect(isRegister(to) || isRegister(from)).toBe(true);
        state.set(to, state.get(from)!);
      }
    }
    const moves = new Moves(new Uint8Array());
    subject.write(moves, false);
    for (let n = 0; n < 32; n++) {
      if (isRegister(subject.of(n))) expect(state.get(subject.of(n))).toBe(`x${n}`);
      // Those that went have their homes in memory, up to date.
      if (exchanged.some(({ usual: gone }) => gone === n)) expect(state.get(subject.of(n))).toBe(`x${n}`);
    }
    // A new value in every register, wherever that is now.
    for (let n = 0; n < 32; n++) state.set(subject.of(n), `y${n}`);
    subject.write(moves, true);
    for (let n = 0; n < 32; n++) expect(state.get(usual.of(n))).toBe(`y${n}`);
    expect([...before.keys()].every((place) => state.has(place))).toBe(true);
  });

  test("do not take what native code needs for itself", () => {
    for (const reg of [Reg.rax, Reg.rcx, Reg.rdx, Reg.rsp, Reg.rbp, Reg.r15]) expect(HOST).not.toContain(reg);
  });
});
