// Native code that control is found in again and again is written once more: with idioms fused, and without what nobody reads.
import { describe, expect, test } from "bun:test";
import { Special } from "../../../src/engine/interpreter/layout.ts";
import { nativeText, type WrittenNative } from "../../../src/engine/native/listing.ts";
import { Rig } from "../rig.ts";
import { compare, DATA, hasNative, interpreted, WHY_NOT } from "./native-rig.ts";

if (!hasNative) test.skip(`native code (${WHY_NOT})`, () => {});

/** As machines run: code becomes native once it is hot, and better once it is known to be worth it. */
const patient = new Rig({ threshold: 2, native: true });

/** A function in a loop, so that other code leads to what is refined. Rotations leave words that are dead and loose. */
const program = (rounds: number) => `
    li   s0, ${DATA}
    li   s2, ${rounds}
    li   a1, 0x12345
  again:
    jal  ra, mix
    xor  a3, a3, a1
    addi s2, s2, -1
    bnez s2, again
    j    done
  mix:
    srliw t0, a1, 7
    slliw t1, a1, 25
    or    t0, t0, t1
    srliw t1, a1, 18
    slliw t2, a1, 14
    or    t1, t1, t2
    xor   a1, t0, t1
    sw    a1, 8(s0)
    addw  a1, a1, s2
    slli  t3, s2, 60
    srli  t3, t3, 57
    add   t3, t3, s0
    sd    a1, 64(t3)
    ld    t4, 64(s0)
    add   a4, a4, t4
    ret
  done:
    j done
`;

/** A loop with a way round that is taken every eighth time, and found hot later. */
const loop = (rounds: number) => `
    li   s2, ${rounds}
    li   a1, 0x12345
  again:
    andi a2, s2, 7
    beqz a2, seldom
  on:
    slliw t0, a1, 3
    add   a1, t0, s2
    addi  s2, s2, -1
    bnez  s2, again
    j     done
  seldom:
    mul   a1, a1, s2
    j     on
  done:
    j done
`;

/** All native code that is written from now on. */
function follow(rig: Rig): WrittenNative[] {
  const written: WrittenNative[] = [];
  rig.engine.followTranslation(
    () => {},
    (native) => void written.push(native),
  );
  return written;
}

describe.if(hasNative)("code that is refined", () => {
  /** 20 instructions a round. */
  const ROUNDS = 700_000;
  const MILLIONS = Array.from({ length: 12 }, (_, i) => 1_000_003 + i);

  test("does what it did, wherever a run ends", () => {
    const natives = follow(patient);
    compare((rig) => rig.load(program(ROUNDS)), [100_000, ...MILLIONS, 7, 4_000_000], [interpreted, patient]);
    const written = natives.map((native) => ({ refined: native.place.refined, text: nativeText(native) }));
    const refined = written.filter((one) => one.refined);
    expect(refined.length).toBeGreaterThan(0);
    expect(written.findIndex((one) => one.refined)).toBeGreaterThan(0);
    // Before, a rotation was three instructions.
    expect(refined.some(({ text }) => /\b(ror|rorx) /.test(text))).toBe(true);
    expect(written.filter((one) => !one.refined).some(({ text }) => /\b(ror|rorx) /.test(text))).toBe(false);
  });

  test("is refined once", () => {
    const translated = () => patient.engine.statistics.native!.instructions;
    patient.run(20_000_000);
    const before = translated();
    patient.run(20_000_000);
    expect(translated()).toBe(before);
    interpreted.run(40_000_000);
    expect(patient.state()).toEqual(interpreted.state());
  });

  test("takes over what other regions have of it", () => {
    const written = follow(patient);
    compare((rig) => rig.load(loop(1_500_007)), [200_000, 400_000, 20_000_000], [interpreted, patient]);
    const blocksOf = ({ blocks }: WrittenNative) => blocks.map(({ at }) => at);
    const refined = written.find(({ place }) => place.refined)!;
    const earlier = written.slice(0, written.indexOf(refined)).map(blocksOf);
    // What is seldom was found on its own, and is a part of the loop now.
    expect(earlier.filter((blocks) => blocks.some((at) => blocksOf(refined).includes(at))).length).toBeGreaterThan(1);
    expect(earlier.some((blocks) => blocks.length >= blocksOf(refined).length)).toBe(false);
  });

  test("is a function at a time", () => {
    const written = follow(patient);
    compare((rig) => rig.load(program(ROUNDS)), [30_000_000], [interpreted, patient]);
    const { labels } = patient.load(program(ROUNDS));
    const mix = labels.mix & 0xfff;
    const sides = (wanted: boolean) =>
      written
        .filter(({ place }) => place.refined === wanted)
        .map(({ blocks }) => new Set(blocks.map(({ at }) => at >= mix && at < (labels.done & 0xfff))).size);
    expect(sides(false)).toContain(2);
    expect(new Set(sides(true))).toEqual(new Set([1]));
    expect(sides(true).length).toBeGreaterThan(1);
  });

  test("is left where something better has come to stand in its place", () => {
    const written = follow(patient);
    compare((rig) => rig.load(program(300)), [100_000], [interpreted, patient]);
    const { u16 } = patient.memory;
    const native = patient.engine.regions!.native!;
    const { slots } = written.find(({ blocks }) => blocks.length > 1)!.place;
    const op = native.find(slots[0])!;
    expect(native.refine(slots[0])).toBe(false);
    const other = native.find(slots[1])!;
    const before = u16[other >>> 1];
    u16[other >>> 1] = Special.region;
    expect(native.refine(slots[0])).toBe(false);
    u16[other >>> 1] = before;
    expect(native.refine(slots[0])).toBe(true);
    const better = written.at(-1)!;
    expect(better.place.refined).toBe(true);
    expect(u16[op >>> 1]).toBe(Special.native);
    // It is as good as it gets.
    for (const slot of better.place.slots) native.find(slot);
    expect(native.refine(better.place.slots[0])).toBe(false);
  });
});
