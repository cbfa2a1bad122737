// Loads and stores that translated code makes by a call instead of leaving: whatever a device does meanwhile, a guest sees
// the same on every engine, to the instruction.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import * as v from "valibot";
import type { EngineKind } from "../../src/engine/engine.ts";
import { defineVdev } from "../../src/vdev/descriptor.ts";
import type { VdevHost } from "../../src/vdev/host.ts";
import { boardRig } from "./board-rig.ts";
import { fingerprint, POWER, RAM, type RigOptions, rig, TEST, UART } from "./rig.ts";

const END = `li t0, 0x5555
  li t1, ${POWER}
  sw t0, 0(t1)
stay: j stay`;
setDefaultTimeout(60_000);
/** Enough instructions that the translator begins in the middle. */
const LONG = 1_000_000;
const SLICE = 50_000;

/** What a guest's program comes to, and how many device sites were translated. */
async function run(engine: EngineKind, text: string, options: RigOptions) {
  const made = rig(`${text}\n${END}`, { ...options, engine });
  const sites = new Set<number>();
  made.machine.followTranslation(({ place }) => {
    for (const at of place.devices?.at ?? []) sites.add(at);
  });
  let progress = made.machine.run(SLICE);
  while (progress === "ran") {
    // Modules are compiled meanwhile.
    if (engine === "portable") await Bun.sleep(1);
    progress = made.machine.run(SLICE);
  }
  return { progress, sites: sites.size, print: fingerprint(made), log: made.seen.log, made };
}

/** `sites`: how many the program has that are hot. Forced translation takes those as well that come now and then. */
async function expectTheSame(text: string, options: () => RigOptions, sites: number) {
  const { made, ...expected } = await run("interpreter", text, options());
  expect(expected.progress).toBe("ended");
  for (const engine of ["portable", "forced", "native", "translator"] as const) {
    const { made: _, ...found } = await run(engine, text, options());
    expect([engine, found]).toEqual([engine, { ...expected, sites: found.sites }]);
    // Native code has none; what is hot for longer than these programs are gets other code.
    if (engine === "portable" || engine === "forced") expect(found.sites, engine).toBeGreaterThanOrEqual(sites);
  }
  return made;
}

/** Traps are counted in s11, and go on behind the instruction. */
const WITH_TRAPS = `
  la t0, trap
  csrw mtvec, t0
  j main
  .org ${RAM + 0x100}
trap: csrr s10, mcause
  addi s11, s11, 1
  blt s10, zero, interrupted
  csrr s10, mtval
  add s9, s9, s10
  csrr s10, mepc
  lhu s8, 0(s10)
  andi s8, s8, 3
  addi s10, s10, 2
  addi s8, s8, -3
  bnez s8, short
  addi s10, s10, 2
short: csrw mepc, s10
  mret
interrupted: li s10, ${TEST}
  sw zero, 0x40(s10)
  mret
main:`;

describe("a hot device access", () => {
  const ROUNDS = 250_000;

  test("gives and takes values of every width, to and from every kind of register", async () => {
    const seen: number[] = [];
    const made = await expectTheSame(
      `li t0, 0x6000
       csrs mstatus, t0
       li s0, ${TEST}
       li s1, ${ROUNDS}
       again: lb a0, 0(s0)
       lbu a1, 0(s0)
       lh a2, 2(s0)
       lhu a3, 2(s0)
       lw a4, 4(s0)
       lwu a5, 4(s0)
       ld a6, 8(s0)
       flw fa0, 4(s0)
       fld fa1, 8(s0)
       lw zero, 4(s0)
       add a7, a7, a0
       add a7, a7, a1
       add a7, a7, a2
       add a7, a7, a3
       add a7, a7, a4
       add a7, a7, a5
       add a7, a7, a6
       sb a7, 0(s0)
       sh a7, 2(s0)
       sw a7, 4(s0)
       sd a7, 8(s0)
       fsw fa0, 4(s0)
       fsd fa1, 8(s0)
       ld s0, 0x10(s0)
       addi s1, s1, -1
       bnez s1, again
       addi s2, s0, 0`,
      () => {
        let state = 0x1234_5678;
        const next = () => {
          state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
          return state;
        };
        return {
          vdev: {
            read: (offset, width) => (offset === 0x10 ? TEST : offset === 0x14 ? 0 : next() >>> (32 - 8 * width)),
            write: (offset, width, value) => {
              state = (state ^ value ^ (offset + width)) >>> 0;
              seen.push(value);
            },
          },
        };
      },
      // Those of 8 bytes have no ways.
      12,
    );
    expect(made.machine.harts[0].x(18)).toBe(BigInt(TEST));
    expect(seen.length).toBe(5 * 8 * ROUNDS);
  });

  test("may throw", async () => {
    const made = await expectTheSame(
      `${WITH_TRAPS}
       li s0, ${TEST}
       li s1, ${LONG}
       again: lw a0, 4(s0)
       add a1, a1, a0
       sw a1, 8(s0)
       addi a2, a2, 3
       addi s1, s1, -1
       bnez s1, again`,
      () => {
        let count = 0;
        const sometimes = (every: number) => {
          if (++count % every === 0) throw new Error("not now");
        };
        return {
          vdev: {
            read() {
              sometimes(1009);
              return count;
            },
            write: () => sometimes(1013),
          },
        };
      },
      2,
    );
    expect(made.machine.harts[0].x(27)).toBeGreaterThan(1000n);
  });

  test("may raise an interrupt, which is taken behind it, and lower it", async () => {
    const made = await expectTheSame(
      `${WITH_TRAPS}
       li t0, 0x800
       csrw mie, t0
       csrrsi zero, mstatus, 8
       li s0, ${TEST}
       li s1, ${LONG}
       again: lw a0, 4(s0)
       addi a2, a2, 3
       sw a0, 8(s0)
       addi a3, a3, 1
       addi s1, s1, -1
       bnez s1, again`,
      () => {
        let host!: VdevHost;
        let count = 0;
        const raise = (level: boolean) => host.harts[0]!.setPending(11, level);
        return {
          vdev: {
            create: (given) => {
              host = given;
            },
            read: () => {
              if (++count % 1009 === 0) raise(true);
              return count;
            },
            write: (offset) => {
              if (offset === 0x40) raise(false);
              else if (++count % 1013 === 0) raise(true);
            },
          },
        };
      },
      2,
    );
    expect(made.machine.harts[0].x(27)).toBeGreaterThan(1000n);
  });

  test("knows the time to the instruction, and its timers fire at it", async () => {
    const made = await expectTheSame(
      `${WITH_TRAPS}
       li t0, 0x800
       csrw mie, t0
       csrrsi zero, mstatus, 8
       li s0, ${TEST}
       li s1, ${LONG}
       again: lw a0, 4(s0)
       addi a2, a2, 3
       xor a1, a1, a0
       slli a1, a1, 1
       addi s1, s1, -1
       sw a2, 8(s0)
       csrr a4, instret
       xor a1, a1, a4
       bnez s1, again`,
      () => {
        let host!: VdevHost;
        let timer!: ReturnType<VdevHost["clock"]["timer"]>;
        let count = 0;
        return {
          vdev: {
            create: (given) => {
              host = given;
              timer = host.clock.timer(() => host.harts[0]!.setPending(11, true));
            },
            read: () => Number(BigInt.asUintN(32, BigInt(Math.round(host.clock.now())))),
            write: (offset) => {
              if (offset === 0x40) host.harts[0]!.setPending(11, false);
              else if (++count % 997 === 0) timer.arm(host.clock.now() + (count % 7) * 10);
            },
          },
        };
      },
      2,
    );
    expect(made.machine.harts[0].x(27)).toBeGreaterThan(600n);
  });

  test("may end the machine", async () => {
    const made = await expectTheSame(
      `li s0, ${TEST}
       li a1, 0
       again: sw a0, 4(s0)
       addi a0, a0, 1
       addi a1, a1, 2
       lw a2, 8(s0)
       addi a3, a3, 1
       j again`,
      () => {
        let host!: VdevHost;
        return {
          vdev: {
            create: (given) => {
              host = given;
            },
            write: (_, __, value) => {
              if (value === 1_500_000) host.power({ action: "poweroff" });
            },
          },
        };
      },
      2,
    );
    expect([made.machine.harts[0].x(10), made.machine.harts[0].x(11)]).toEqual([1_500_000n, 3_000_000n]);
  });

  test("may change the code behind it", async () => {
    const changed = RAM + 0x204;
    const made = await expectTheSame(
      `li s0, ${TEST}
       li s1, ${LONG}
       j again
       .org ${changed - 4}
       again: sw s1, 4(s0)
       # By turns an addition of 1 and of 2.
       addi a1, a1, 1
       addi a2, a2, 1
       addi s1, s1, -1
       bnez s1, again`,
      () => {
        let host!: VdevHost;
        let count = 0;
        return {
          vdev: {
            create: (given) => {
              host = given;
            },
            write: () => {
              count++;
              if (count % 100_003 !== 0) return;
              const one = host.memory.read(changed, 4)!;
              one[2] ^= 0x30;
              host.memory.write(changed, one);
            },
          },
        };
      },
      1,
    );
    expect(made.machine.harts[0].x(11)).toBeGreaterThan(BigInt(LONG));
  });

  test("goes elsewhere at times: to RAM, where nothing is, to odd addresses, across pages", async () => {
    const made = await expectTheSame(
      `${WITH_TRAPS}
       li s0, ${TEST}
       li s1, ${LONG}
       li s4, ${RAM + 0x1_0000}
       # Where to go in each round: a table of 8 addresses.
       li s5, ${RAM + 0x2_0000}
       sd s0, 0(s5)
       sd s0, 8(s5)
       sd s4, 16(s5)
       sd s0, 24(s5)
       addi t0, s4, 1
       sd t0, 32(s5)
       addi t0, s0, 1
       sd t0, 40(s5)
       li t0, 0xffe
       add t1, s4, t0
       sd t1, 48(s5)
       li t1, 0x30000000
       sd t1, 56(s5)
       again: andi t0, s1, 7
       srli t1, s1, 4
       andi t1, t1, 63
       sltiu t1, t1, 1
       # One round in 64 goes elsewhere, or often in the last part.
       sltiu t2, s1, 2000
       or t1, t1, t2
       sub t1, zero, t1
       and t0, t0, t1
       slli t0, t0, 3
       add t0, t0, s5
       ld s6, 0(t0)
       lw a0, 0(s6)
       add a1, a1, a0
       sw a1, 4(s6)
       sh a1, 0(s6)
       addi s1, s1, -1
       bnez s1, again`,
      () => {
        let sum = 0;
        return {
          vdev: {
            read: () => sum,
            write: (offset, width, value) => {
              sum = (sum * 3 + offset + width + value) >>> 0;
            },
          },
        };
      },
      3,
    );
    expect(made.machine.harts[0].x(27)).toBeGreaterThan(5000n);
  });

  test("may change memory that the code has at hand", async () => {
    await expectTheSame(
      `${WITH_TRAPS}
       li s0, ${TEST}
       li s7, ${RAM + 0x3_0000}
       li s1, ${LONG}
       again: sw s1, 4(s0)
       lw a0, 0(s7)
       add a1, a1, a0
       sw a1, 0(s7)
       addi s1, s1, -1
       bnez s1, again`,
      () => {
        let host!: VdevHost;
        let count = 0;
        return {
          vdev: {
            create: (given) => {
              host = given;
            },
            write: () => {
              if (++count % 1009 === 0) host.memory.write(RAM + 0x3_0000, Uint8Array.of(count, 1, 2, 3));
            },
          },
        };
      },
      1,
    );
  });

  test("may change what is memory", async () => {
    const page = 4096;
    /** A store to its register lets reads of its memory through, or answers them by itself. */
    const switching = defineVdev({
      type: "switching",
      summary: "memory that comes and goes",
      options: v.object({}),
      regions: [
        { name: "regs", size: page },
        { name: "mem", size: page, access: { read: "memory", write: "memory" } },
      ],
      create(host) {
        let count = 0;
        const mem = () => host.region("mem");
        const turn = () => {
          if (++count % 997 === 0) mem().setAccess({ read: count % 2 === 0 ? "memory" : "trap" });
        };
        return {
          regions: [
            { read: () => count, write: turn },
            { read: () => count, write: () => {} },
          ],
          reset: () => mem().data.setUint32(0, 7, true),
          snapshot: () => null,
          restore: () => {},
        };
      },
    });
    const outcomes = [];
    for (const engine of ["interpreter", "translator", "portable", "forced", "native"] as const) {
      const { machine } = boardRig(
        `li s0, ${TEST}
         li s2, ${TEST + page}
         li s1, ${LONG}
         li a1, 0
         again: sw s1, 4(s0)
         lw a0, 0(s2)
         add a1, a1, a0
         slli a2, a1, 1
         xor a1, a1, a2
         addi s1, s1, -1
         bnez s1, again
         ${END}`,
        {
          engine,
          vdevs: [switching],
          profile: `[[vdev]]\ntype = "switching"\nname = "it"\nat = { regs = ${TEST}, mem = ${TEST + page} }\n`,
        },
      );
      while (machine.run(SLICE) === "ran") if (engine === "translator") await Bun.sleep(1);
      outcomes.push([machine.ending, machine.instructions, machine.bus.exits, machine.harts[0].x(11)]);
    }
    expect(outcomes[1]).toEqual(outcomes[0]);
    expect(outcomes[2]).toEqual(outcomes[0]);
  });

  test("is two harts' affair", async () => {
    await expectTheSame(
      `csrr s3, mhartid
       li s0, ${TEST}
       li s1, ${LONG}
       again: lw a0, 4(s0)
       add a1, a1, a0
       sw s3, 8(s0)
       addi s1, s1, -1
       bnez s1, again
       bnez s3, wait
       j done
       wait: wfi
       j wait
       done: nop`,
      () => {
        let sum = 0;
        return {
          set: ["cpu.harts=2"],
          vdev: {
            read: () => sum,
            write: (_, __, value) => {
              sum = (sum * 5 + value + 1) >>> 0;
            },
          },
        };
      },
      2,
    );
  });

  test("of a UART prints what is printed elsewhere", async () => {
    const made = await expectTheSame(
      `li s0, ${UART}
       li s1, ${LONG}
       again: lbu a0, 5(s0)
       andi a0, a0, 0x20
       beqz a0, again
       andi a1, s1, 0x3f
       addi a1, a1, 0x40
       sb a1, 0(s0)
       addi s1, s1, -1
       bnez s1, again`,
      () => ({}),
      2,
    );
    expect(made.seen.output.length).toBeGreaterThan(600_000);
  });
});
