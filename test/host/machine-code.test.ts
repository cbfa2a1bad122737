// Memory for machine code: what is written in one place is executed in another, and nowhere both.
import { afterEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { type CodeSpace, createCodeSpace } from "../../src/host/machine-code.ts";
import { addressOf } from "../../src/host/mapping.ts";

const PAGE = 4096;
const create = () => createCodeSpace("x64", 2 * PAGE, PAGE);
const hasSpace = create() !== undefined;

if (!hasSpace) test.skip("code space (this host is not x86-64 Linux, or VMRUN_NO_NATIVE=1)", () => {});

const { VMRUN_NO_NATIVE } = process.env;
afterEach(() => {
  if (VMRUN_NO_NATIVE === undefined) delete process.env.VMRUN_NO_NATIVE;
  else process.env.VMRUN_NO_NATIVE = VMRUN_NO_NATIVE;
});

/** `lea eax, [rdi + n]; ret` */
const adds = (n: number) => [0x8d, 0x47, n, 0xc3];

/** The permissions of the mapping that an address lies in, and of what follows it. */
function permissionsAt(address: number): string[] {
  const maps = readFileSync("/proc/self/maps", "utf8").split("\n");
  const at = maps.findIndex((line) => {
    const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line) ?? [];
    return from !== undefined && Number.parseInt(from, 16) <= address && address < Number.parseInt(to, 16);
  });
  return maps.slice(at, at + 2).map((line) => line.split(" ")[1].slice(0, 3));
}

describe.if(hasSpace)("code space", () => {
  test("what is written can be called, at any offset", () => {
    const { bytes, functionAt } = create()!;
    bytes.set(adds(5));
    bytes.set(adds(7), PAGE + 12);
    expect([functionAt(0)(10), functionAt(PAGE + 12)(10), functionAt(0)(-6)]).toEqual([15, 17, -1]);
  });

  test("a function does what stands there now", () => {
    const { bytes, functionAt } = create()!;
    bytes.set(adds(1));
    const call = functionAt(0);
    expect(call(1)).toBe(2);
    bytes.set(adds(100));
    expect(call(1)).toBe(101);
  });

  test("data lies right behind the code, and is seen from both", () => {
    const { bytes, data, address, functionAt } = create()!;
    expect([bytes.length, data.length, addressOf(data.buffer) - address]).toEqual([2 * PAGE, PAGE, 2 * PAGE]);
    // mov eax, [rip + distance]; add [rip + distance + 4], edi; ret
    const distances = new Uint8Array(Int32Array.of(2 * PAGE - 6, 2 * PAGE - 12 + 4).buffer);
    bytes.set([0x8b, 0x05, ...distances.subarray(0, 4), 0x01, 0x3d, ...distances.subarray(4), 0xc3]);
    const words = new Int32Array(data.buffer, data.byteOffset, 2);
    words.set([1234, 40]);
    expect([functionAt(0)(2), words[1]]).toEqual([1234, 42]);
  });

  test("what is executed cannot be written, and what is written cannot be executed", () => {
    const space = create()!;
    expect(permissionsAt(space.address)).toEqual(["r-x", "rw-"]);
    expect(permissionsAt(addressOf(space.bytes.buffer))[0]).toBe("rw-");
    expect(addressOf(space.bytes.buffer)).not.toBe(space.address);
    expect(permissionsAt(addressOf(space.data.buffer))[0]).toBe("rw-");
  });

  test("an address is one that code can hold in 47 bits", () => {
    const { address } = create()!;
    expect(address % PAGE).toBe(0);
    expect(address).toBeLessThan(2 ** 47);
  });

  test("spaces have nothing to do with each other", () => {
    const [one, other] = [create()!, create()!];
    one.bytes.set(adds(1));
    other.bytes.set(adds(2));
    expect([one.functionAt(0)(0), other.functionAt(0)(0)]).toEqual([1, 2]);
  });

  test("a function keeps its space, and a space that nobody has is let go", async () => {
    // Not held by what the test itself has on its stack.
    const keep = (): { call: (argument: number) => number; kept: WeakRef<CodeSpace> } => {
      const space = create()!;
      space.bytes.set(adds(9));
      return { call: space.functionAt(0), kept: new WeakRef(space) };
    };
    const { call, kept } = keep();
    for (let i = 0; i < 5; i++) {
      await Bun.sleep(1);
      Bun.gc(true);
    }
    expect(kept.deref()).toBeDefined();
    expect(call(1)).toBe(10);
  });

  test("there is none for another processor", () => {
    expect(createCodeSpace("arm64", PAGE, PAGE)).toBeUndefined();
    expect(createCodeSpace("riscv64", PAGE, PAGE)).toBeUndefined();
  });

  test("there is none where the environment says so", () => {
    process.env.VMRUN_NO_NATIVE = "1";
    expect(create()).toBeUndefined();
    process.env.VMRUN_NO_NATIVE = "0";
    expect(create()).toBeDefined();
  });

  test("there is none where the host has no room", () => {
    expect(createCodeSpace("x64", PAGE, 2 ** 50)).toBeUndefined();
  });
});
