import { expect, test } from "bun:test";
import { assemble } from "../../src/vdev/testing.ts";
import { sbiVendor } from "../../src/vdevs/sbi-vendor.ts";

const EXTENSION = 0x0900_0000;

function build(extension = EXTENSION) {
  const { host, vdev } = assemble(sbiVendor, { extension });
  vdev.reset();
  const call = (number: number, ...args: number[]) => {
    const padded = Array.from({ length: 6 }, (_, i) => BigInt.asUintN(64, BigInt(args[i] ?? 0)));
    return vdev.sbi!({ hart: 0, extension: EXTENSION, function: number, args: padded });
  };
  return { host, vdev, call };
}

test("it tells its version and the guest's time", () => {
  const { host, call } = build();
  host.clock.advance(1234);
  expect([call(0), call(1)]).toEqual([
    { error: 0n, value: 1n },
    { error: 0n, value: 1234n },
  ]);
});

test("counters count modulo 2^32 and survive a snapshot", () => {
  const { vdev, call } = build();
  call(2, 3, 5);
  expect(call(2, 3, -6)).toEqual({ error: 0n, value: 0xffff_ffffn });
  const saved = vdev.snapshot();
  vdev.reset();
  expect(call(2, 3, 0)!.value).toBe(0n);
  vdev.restore(saved);
  expect(call(2, 3, 0)!.value).toBe(0xffff_ffffn);
});

test("what it does not have it says so", () => {
  const { call } = build();
  expect(call(2, 16, 1)).toEqual({ error: -3n, value: 0n });
  expect(call(99)).toEqual({ error: -2n, value: 0n });
});

test("another extension is left to the firmware", () => {
  expect(build(EXTENSION + 1).call(0)).toBeUndefined();
});
