// Ways to registers that are accessed again and again: they do what the bus does, and are forgotten in time.
import { describe, expect, test } from "bun:test";
import type { EngineKind } from "../../src/engine/engine.ts";
import { Bus, type BusPolicy, type BusRegion } from "../../src/machine/bus.ts";
import { Beat } from "../../src/machine/heartbeat.ts";
import { Recorder } from "../../src/observe/recorder.ts";
import { registerBank } from "../../src/vdev/bank.ts";
import type { RegionHandler } from "../../src/vdev/region.ts";
import { registerMap } from "../../src/vdev/registers.ts";
import { A0, type RigOptions, rig, TEST, UART, x } from "./rig.ts";

const map = registerMap({
  FIRST: { at: 0, width: 4, reset: 1 },
  OTHER: { at: 0, width: 4, window: "other", reset: 2 },
  WIDE: { at: 8, width: 8, reset: 0x1122_3344_5566_7788n },
});

function makeBus(handler: RegionHandler, policy: Partial<BusPolicy> = {}) {
  const regions: BusRegion[] = [
    { owner: "before", name: "r", at: 0, size: 4, handler: { read: () => 0, write: () => {} } },
    { owner: "it", name: "r", at: 0x1000, size: 16, handler },
  ];
  const beat = new Int32Array(Beat.notes);
  const all = { unclaimed: () => -1, failed: () => -2, promised: () => {}, took: () => {}, nanoseconds: () => 0 };
  return { bus: new Bus(regions, { ...all, ...policy }, beat), beat };
}

describe("a way over the bus", () => {
  test("notes what is under way, reads and writes", () => {
    const bank = registerBank(map);
    const { bus, beat } = makeBus(bank);
    expect(bus.reader(0x1008, 4)!.load()).toBe(0x5566_7788);
    expect([beat[Beat.who], beat[Beat.what]]).toEqual([1, 16]);
    expect(bus.writer(0x100c, 4)!.store(7)).toBe(true);
    expect([beat[Beat.who], beat[Beat.what]]).toEqual([1, 25]);
    expect(bank.registers.WIDE.wide()).toBe(0x7_5566_7788n);
  });

  test("there is none where nobody answers", () => {
    const { bus } = makeBus(registerBank(map));
    expect([bus.reader(0x2000, 4), bus.writer(0x100e, 4)]).toEqual([undefined, undefined]);
  });

  test("holds what a handler throws, and what it should not have answered", () => {
    const wrong: unknown[] = [];
    const promises: unknown[] = [];
    const promise = Promise.resolve();
    const answers: unknown[] = [0xff, 0x100, -1, "7"];
    const handler = {
      read() {
        if (answers.length === 0) throw new Error("empty");
        return answers.shift() as number;
      },
      write: (_: number, __: number, value: number) => {
        if (value === 0) throw new Error("zero");
        return promise as unknown as undefined;
      },
    };
    const { bus } = makeBus(handler, {
      failed: ({ offset, store }, error) => wrong.push([offset, store, (error as Error).message]) - 100,
      promised: (_, given) => void promises.push(given),
    });
    const reader = bus.reader(0x1001, 1)!;
    const values = Array.from({ length: 5 }, () => reader.load());
    expect(values[0]).toBe(0xff);
    expect(values.slice(1).every((value) => value < 0)).toBe(true);
    const writer = bus.writer(0x1001, 1)!;
    expect([writer.store(1), writer.store(0)]).toEqual([true, false]);
    expect(promises).toEqual([promise]);
    expect(wrong).toEqual([
      [1, false, "it answered 256, which is no unsigned number of 8 bits"],
      [1, false, "it answered -1, which is no unsigned number of 8 bits"],
      [1, false, "it answered string, which is no unsigned number of 8 bits"],
      [1, false, "empty"],
      [1, true, "zero"],
    ]);
  });

  test("is forgotten before another window shows, other hooks answer, accesses are timed or somebody else answers", () => {
    const bank = registerBank(map);
    const before: unknown[] = [];
    const { bus } = makeBus(bank, { forget: () => before.push(bank.names.window()) });
    bank.show("other");
    bank.show("other");
    bank.show(undefined);
    expect(before).toEqual([undefined, "other"]);
    bank.behave({ FIRST: { read: () => 5 } });
    expect(before).toHaveLength(3);
    bus.timed = true;
    bus.timed = true;
    expect(before).toHaveLength(4);
    bus.rewire([{ owner: "it", name: "r", at: 0x1000, size: 16, handler: registerBank(map) }]);
    expect(before).toHaveLength(5);
    bank.show("other");
    expect(before).toHaveLength(5);
  });

  test("what went by it is counted when somebody wants to know", () => {
    let bus!: Bus;
    let waiting = 3;
    const settle = () => {
      const count = waiting;
      waiting = 0;
      if (count > 0) bus.repeated(0x1000, 4, count);
    };
    ({ bus } = makeBus(registerBank(map), { settle }));
    expect(bus.exits).toBe(3);
    expect(bus.accessed.map(({ owner }) => owner)).toEqual(["it"]);
    waiting = 2;
    bus.beginAccount();
    expect([bus.accessed.length, bus.exits]).toEqual([0, 5]);
  });
});

const ENGINES = ["interpreter", "translator", "forced", "native"] as const satisfies readonly EngineKind[];
const END = "li t0, 0x5555\nli t1, 0x100000\nsw t0, 0(t1)\nstay: j stay";

describe.each(ENGINES)("on the %s", (engine) => {
  const run = (text: string, options: RigOptions = {}) => {
    const made = rig(`${text}\n${END}`, { ...options, engine });
    expect(made.machine.run(10_000_000)).toBe("ended");
    return made;
  };

  test("a register under a window is told from the one over it, access by access", () => {
    let recorder!: Recorder;
    const made = run(
      `li s0, ${UART}
       li s1, 300
       li a0, 0
       li a2, 0x83
       li a3, 3
       again: li s2, 5
       sb a2, 3(s0)
       # DLL: 12 at first, then what was written.
       five: lbu a1, 0(s0)
       add a0, a0, a1
       sb s2, 0(s0)
       addi s2, s2, -1
       bnez s2, five
       sb a3, 3(s0)
       lbu a1, 0(s0)
       add a0, a0, a1
       lbu a1, 7(s0)
       addi a1, a1, 1
       sb a1, 7(s0)
       addi s1, s1, -1
       bnez s1, again`,
      {
        observe: (board, registry) => {
          recorder = new Recorder(board, registry);
          return recorder;
        },
      },
    );
    expect(x(made, A0)).toBe(BigInt(300 * (5 + 4 + 3 + 2) + 12 + 299));
    const exits = recorder.exits();
    const count = (register: string, kind: "read" | "write") => exits.count({ vdev: "uart0", register, kind });
    expect(["DLL", "RBR", "SCR"].map((register) => count(register, "read"))).toEqual([1500, 300, 300]);
    expect(["DLL", "THR", "SCR", "LCR"].map((register) => count(register, "write"))).toEqual([1500, 0, 300, 600]);
    expect(made.machine.bus.exits).toBe(exits.count({ kind: "read" }) + exits.count({ kind: "write" }));
  });

  test("a vdev that is asked again and again is asked each time, and may fail at any", () => {
    const seen: number[] = [];
    const made = run(
      `la t0, trap
       csrw mtvec, t0
       li s0, ${TEST}
       li s1, 3000
       li a0, 0
       li a2, 0
       again: lw a1, 4(s0)
       add a0, a0, a1
       addi s1, s1, -1
       bnez s1, again
       j over
       .org 0x80000400
       trap: addi a2, a2, 1
       csrr t0, mepc
       addi t0, t0, 4
       csrw mepc, t0
       li a1, 0
       mret
       over: nop`,
      {
        vdev: {
          read(offset) {
            seen.push(offset);
            if (seen.length % 1000 === 999) throw new Error("no");
            return seen.length;
          },
        },
      },
    );
    expect(seen).toHaveLength(3000);
    expect(x(made, 12)).toBe(3n);
    expect(x(made, A0)).toBe(BigInt((3000 * 3001) / 2 - 999 - 1999 - 2999));
    expect(made.seen.log.filter((line) => line.startsWith("error"))).toHaveLength(1);
  });
});
