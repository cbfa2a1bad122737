// Instructions whose own page is stored into, until its decoded code is let go as a whole: they still end as they should.
import { describe, expect, test } from "bun:test";
import type { EngineKind } from "../../src/engine/engine.ts";
import type { VdevHost } from "../../src/vdev/host.ts";
import { RAM, rig, TEST } from "./rig.ts";

const ENGINES = ["interpreter", "translator", "forced", "native"] as const satisfies readonly EngineKind[];
const END = "li t0, 0x5555\nli t1, 0x100000\nsw t0, 0(t1)\nstay: j stay";
/** On the page of the code. */
const WORD = RAM + 0xf00;

describe.each(ENGINES)("on the %s", (engine) => {
  const run = (text: string, options: Parameters<typeof rig>[1] = {}) => {
    const { machine } = rig(`${text}\n${END}`, { ...options, engine });
    expect(machine.run(100_000)).toBe("ended");
    const [hart] = machine.harts;
    return { sum: hart.x(10), zero: hart.x(0), left: hart.x(18) };
  };
  const again = (body: string) => `li s0, ${WORD}\nli s1, 3\nli s2, 100\nli a0, 0
    again: ${body}
    add a0, a0, a1
    add a0, a0, zero
    addi s2, s2, -1
    bnez s2, again`;

  test("atomic ones", () => {
    // 0, 3, 6 and so on.
    const sum = 3n * ((99n * 100n) / 2n);
    expect(run(again("amoadd.d a1, s1, (s0)"))).toEqual({ sum, zero: 0n, left: 0n });
  });

  test("conditional stores", () => {
    const body = "lr.d a2, (s0)\naddi a2, a2, 1\nsc.d a1, a2, (s0)\nadd a1, a1, a2";
    expect(run(again(body))).toEqual({ sum: (100n * 101n) / 2n, zero: 0n, left: 0n });
  });

  test("loads from a device that stores there itself", () => {
    let host!: VdevHost;
    let reads = 0;
    const vdev = {
      create: (its: VdevHost) => {
        host = its;
      },
      read: () => {
        host.memory.write(WORD, Uint8Array.of(1));
        return ++reads;
      },
    };
    const body = `li a2, ${TEST}\nlw a1, 0(a2)`;
    expect(run(again(body), { vdev })).toEqual({ sum: (100n * 101n) / 2n, zero: 0n, left: 0n });
    expect(reads).toBe(100);
  });
});
