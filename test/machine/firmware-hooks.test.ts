// Vdevs that answer firmware calls, under vmrun's own SBI and under firmware in M-mode.
import { expect, test } from "bun:test";
import * as v from "valibot";
import { defineVdev, type SbiCall, type VdevInstance } from "../../src/vdev/descriptor.ts";
import { boardRig, LIMIT } from "./board-rig.ts";

const VENDOR = 0x0900_0000;

function hook(sbi: NonNullable<VdevInstance["sbi"]>) {
  return defineVdev({
    type: "hook",
    summary: "Answers firmware calls",
    options: v.object({}),
    regions: [],
    hooks: { sbi: [{ first: VENDOR, last: VENDOR + 1 }] },
    create: () => ({ regions: [], reset: () => {}, snapshot: () => null, restore: () => {}, sbi }),
  });
}

const call = (extension: number, fid: number, a0: number) => `
    li a7, ${extension}
    li a6, ${fid}
    li a0, ${a0}
    li a1, 9
    ecall`;
/** Keeps both results in s0 and s1, and powers off by SBI where there is one. */
const SUPERVISOR = (calls: string) => `${calls}
    mv s0, a0
    mv s1, a1
    ${call(8, 0, 0)}
  wait: j wait`;

function supervisor(calls: string, sbi: NonNullable<VdevInstance["sbi"]>, set: string[] = []) {
  const made = boardRig(SUPERVISOR(calls), {
    vdevs: [hook(sbi)],
    profile: '[[vdev]]\ntype = "hook"\nname = "hook0"\n',
    mode: "supervisor",
    set,
  });
  made.machine.run(LIMIT);
  return { ...made, results: [made.machine.harts[0].x(8), made.machine.harts[0].x(9)] };
}

const ALL = 2n ** 64n;

test("under vmrun's own SBI: a call with its arguments, answered in a0 and a1", () => {
  const calls: SbiCall[] = [];
  const { results, machine } = supervisor(call(VENDOR, 3, 7), (given) => {
    calls.push(given);
    return { error: -5n, value: -1n };
  });
  expect(machine.ending).toEqual({ kind: "poweroff" });
  expect(results).toEqual([ALL - 5n, ALL - 1n]);
  expect(calls).toMatchObject([{ hart: 0, extension: VENDOR, function: 3 }]);
  expect(calls[0].args.slice(0, 2)).toEqual([7n, 9n]);
  expect(calls[0].args).toHaveLength(6);
});

test("is announced by the base extension's probe; other extensions are the firmware's", () => {
  const none = () => undefined;
  expect(supervisor(call(0x10, 3, VENDOR + 1), none).results).toEqual([0n, 1n]);
  expect(supervisor(call(0x10, 3, VENDOR + 2), none).results).toEqual([0n, 0n]);
  expect(supervisor(call(0x10, 3, 0x5449_4d45), none).results).toEqual([0n, 1n]);
  // Not answered, and unknown to the firmware: SBI_ERR_NOT_SUPPORTED.
  expect(supervisor(call(VENDOR, 0, 0), none).results[0]).toBe(ALL - 2n);
});

test.each([
  ["fault", ALL - 2n],
  ["ignore", ALL - 1n],
])("a hook that fails, on_fault = %s", (policy, error) => {
  const { results, log } = supervisor(call(VENDOR, 0, 0) + call(VENDOR, 0, 0), () => {
    throw new Error("not today");
  }, [`vdev.hook0.on_fault=${policy}`]);
  expect(results[0]).toBe(error);
  expect(log).toHaveLength(1);
  expect(log[0]).toContain("error hook0: firmware call 0x9000000/0 failed in the vdev: not today, pc 0x");
});

test("a hook that answers nonsense fails, too", () => {
  const { results, log } = supervisor(call(VENDOR, 0, 0), () => ({ error: 0, value: 1 }) as never);
  expect(results[0]).toBe(ALL - 2n);
  expect(log[0]).toContain("the answer is no pair of bigints");
});

test("under firmware in M-mode: hooked calls never reach it, others do", () => {
  const text = `
    la t0, machine
    csrw mtvec, t0
    li t0, -1
    csrw pmpaddr0, t0
    li t0, 31
    csrw pmpcfg0, t0
    li t0, 0x1800
    csrc mstatus, t0
    li t0, 0x800
    csrs mstatus, t0
    la t0, super
    csrw mepc, t0
    mret
  machine:
    addi s11, s11, 1
    csrr s10, mcause
    csrr t6, mepc
    addi t6, t6, 4
    csrw mepc, t6
    mret
  super:
    ${call(VENDOR, 0, 1)}
    mv s0, a0
    ${call(VENDOR + 5, 0, 1)}
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
  wait: j wait`;
  const made = boardRig(text, {
    vdevs: [hook(() => ({ error: 42n, value: 0n }))],
    profile: '[[vdev]]\ntype = "hook"\n',
  });
  made.machine.run(LIMIT);
  expect(made.machine.ending).toEqual({ kind: "poweroff" });
  const [hart] = made.machine.harts;
  // One trap: an environment call from S-mode.
  expect([hart.x(8), hart.x(27), hart.x(26)]).toEqual([42n, 1n, 9n]);
});
