// Native code that control is found in again and again is written once more: with idioms fused, and without what nobody reads.
import { describe, expect, test } from "bun:test";
import { Special } from "../../../src/engine/interpreter/layout.ts";
import { nativeText } from "../../../src/engine/native/listing.ts";
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

describe.if(hasNative)("code that is refined", () => {
  /** 20 instructions a round. */
  const ROUNDS = 700_000;
  const MILLIONS = Array.from({ length: 12 }, (_, i) => 1_000_003 + i);

  test("does what it did, wherever a run ends", () => {
    const written: { readonly refined: boolean; readonly text: string }[] = [];
    patient.engine.followTranslation(
      () => {},
      (native) => void written.push({ refined: native.place.refined, text: nativeText(native) }),
    );
    compare((rig) => rig.load(program(ROUNDS)), [100_000, ...MILLIONS, 7, 4_000_000], [interpreted, patient]);
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

  test("is left where something better has come to stand in its place", () => {
    const { u16, poolOffset } = patient.memory;
    const native = patient.engine.regions!.native!;
    const [one, other] = [poolOffset, poolOffset + 16];
    const before = u16[other >>> 1];
    const region = { page: 0n, ops: [one, other], entry: one, refined: false, finds: 2 };
    expect(native.isDue(region)).toBe(true);
    u16[other >>> 1] = Special.region;
    expect(native.isDue(region)).toBe(false);
    u16[other >>> 1] = before;
    expect([1, 3].map((finds) => native.isDue({ ...region, finds }))).toEqual([false, false]);
    expect(native.isDue({ ...region, refined: true })).toBe(false);
  });
});
