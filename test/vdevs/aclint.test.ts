import { describe, expect, test } from "bun:test";
import { cells } from "../../src/fdt/tree.ts";
import { HartInterrupt } from "../../src/vdev/host.ts";
import { assemble, contribution } from "../../src/vdev/testing.ts";
import { aclintMswi, aclintMtimer, aclintSswi, clint } from "../../src/vdevs/aclint.ts";

const { msip, mtip, ssip } = HartInterrupt;
const MTIMECMP = 0x4000;
const MTIME = 0xbff8;
/** Nanoseconds in a tick of the 10 MHz timebase. */
const TICK = 100;

function build(harts = 2) {
  const made = assemble(clint, {}, { harts });
  made.vdev.reset();
  return made;
}

describe("software interrupts", () => {
  test("MSIP of a hart is a wire into that hart", () => {
    const { host, read, write } = build();
    write(4, 4, 0xffff_ffff);
    expect(host.harts.map((hart) => hart.isPending(msip))).toEqual([false, true]);
    expect([read(0, 4), read(4, 4)]).toEqual([0, 1]);
    write(4, 4, 0xffff_fffe);
    expect(host.harts[1]!.isPending(msip)).toBe(false);
  });

  test("harts that the board lacks have none", () => {
    const { host, read, write } = build();
    write(8, 4, 1);
    expect(read(8, 4)).toBe(0);
    expect(host.logged).not.toEqual([]);
  });
});

describe("the timer", () => {
  test("MTIP rises exactly when mtime reaches mtimecmp, and falls when mtimecmp is moved on", () => {
    const { host, write } = build();
    write(MTIMECMP + 8, 8, 1000);
    host.clock.advance(999 * TICK + TICK - 1);
    expect(host.harts[1]!.isPending(mtip)).toBe(false);
    host.clock.advance(1);
    expect(host.harts.map((hart) => hart.isPending(mtip))).toEqual([false, true]);
    write(MTIMECMP + 8, 8, 2000);
    expect(host.harts[1]!.isPending(mtip)).toBe(false);
    host.clock.advance(1000 * TICK);
    expect(host.harts[1]!.isPending(mtip)).toBe(true);
  });

  test("a value in the past is due at once; the comparison is unsigned in 64 bits", () => {
    const { host, write, read64 } = build();
    host.clock.advance(50 * TICK);
    write(MTIMECMP, 8, 50);
    expect(host.harts[0]!.isPending(mtip)).toBe(true);
    write(MTIMECMP, 8, 0xffff_ffff_ffff_ffffn);
    expect(host.harts[0]!.isPending(mtip)).toBe(false);
    expect(host.clock.deadlines).toEqual([]);
    expect(read64(MTIMECMP)).toBe(0xffff_ffff_ffff_ffffn);
    // RISC-V Priv §3.2.1: the sequence by which RV32 software avoids a spurious interrupt.
    write(MTIMECMP, 4, 0xffff_ffff);
    write(MTIMECMP + 4, 4, 0);
    expect(host.harts[0]!.isPending(mtip)).toBe(false);
    write(MTIMECMP, 4, 51);
    host.clock.advance(TICK);
    expect(host.harts[0]!.isPending(mtip)).toBe(true);
  });

  test("mtime counts, and setting it moves the interrupts", () => {
    const { host, read64, write } = build();
    host.clock.advance(123 * TICK);
    expect(read64(MTIME)).toBe(123n);
    write(MTIMECMP, 8, 0x2_0000_0000n);
    write(MTIME + 4, 4, 1);
    expect(read64(MTIME)).toBe(0x1_0000_007bn);
    expect(host.harts[0]!.isPending(mtip)).toBe(false);
    write(MTIME, 8, 0x1_ffff_ffffn);
    host.clock.advance(TICK);
    expect(host.harts[0]!.isPending(mtip)).toBe(true);
    write(MTIME, 8, 0);
    expect(host.harts[0]!.isPending(mtip)).toBe(false);
  });

  test("reset silences everything", () => {
    const { host, vdev, write } = build();
    write(MTIMECMP, 8, 0);
    write(MTIMECMP + 8, 8, 5000);
    write(0, 4, 1);
    vdev.reset();
    expect(host.harts.map(({ pending }) => pending)).toEqual([0, 0]);
    expect(host.clock.deadlines).toEqual([]);
  });
});

test("the ACLINT's parts behave as the CLINT's", () => {
  const mswi = assemble(aclintMswi, {});
  mswi.write(0, 4, 1);
  expect(mswi.host.harts[0]!.isPending(msip)).toBe(true);
  const mtimer = assemble(aclintMtimer, {});
  mtimer.write(0, 8, 10);
  mtimer.host.clock.advance(10 * TICK);
  expect(mtimer.host.harts[0]!.isPending(mtip)).toBe(true);
  expect(mtimer.read64(0x7ff8)).toBe(10n);
  const sswi = assemble(aclintSswi, {}, { harts: 2 });
  sswi.write(4, 4, 1);
  expect(sswi.host.harts.map((hart) => hart.isPending(ssip))).toEqual([false, true]);
  expect(sswi.read(4, 4)).toBe(0);
  // Only the hart takes it back.
  sswi.write(4, 4, 0);
  expect(sswi.host.harts[1]!.isPending(ssip)).toBe(true);
});

test("the device tree wires msip and mtip of each hart", () => {
  const [own] = contribution(clint, {}, 2).bus!;
  expect(cells(own!, "interrupts-extended")).toEqual([1, 3, 1, 7, 2, 3, 2, 7]);
  const [timer] = contribution(aclintMtimer, {}).bus!;
  expect(timer!.name).toBe("mtimer@10007ff8");
  expect(cells(timer!, "reg")).toEqual([0, 0x1000_7ff8, 0, 8, 0, 0x1000_0000, 0, 0x7ff8]);
});
