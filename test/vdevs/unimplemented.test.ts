import { describe, expect, test } from "bun:test";
import { strings } from "../../src/fdt/tree.ts";
import { BusError } from "../../src/vdev/errors.ts";
import { registerMap } from "../../src/vdev/registers.ts";
import { assemble, contribution } from "../../src/vdev/testing.ts";
import { unimplemented } from "../../src/vdevs/unimplemented.ts";

const guest = { hart: 0, pc: 0xffff_ffff_8000_1234n };

test("it draws a register map of what it saw", () => {
  const { vdev, read, write } = assemble(unimplemented, {}, { guest });
  read(0x0, 4);
  read(0x0, 4);
  write(0x10, 4, 0x8000_0000);
  write(0x10, 4, 0x0000_0003);
  read(0x10, 4);
  write(0x20, 1, 0x7f);
  expect(vdev.status!()).toEqual({
    accesses: 6,
    offsets: 3,
    "accesses beyond what is recorded": 0,
    registers: `const registers = registerMap({
  // 2 reads, 0 writes, first from 0xffffffff80001234
  R000: { at: 0x000, width: 4, access: "r" },
  // 1 reads, 2 writes, bits written 0x80000003, first from 0xffffffff80001234
  R010: { at: 0x010, width: 4 },
  // 0 reads, 1 writes, bits written 0x7f, first from 0xffffffff80001234
  R020: { at: 0x020, width: 1, access: "w" },
});`,
  });
});

test("the map is one that can be used, whatever the guest does", () => {
  const { vdev, read } = assemble(unimplemented, {});
  for (const [offset, width] of [
    [0, 2],
    [0, 4],
    [1, 1],
    [2, 4],
    [5, 4],
    [6, 2],
    [8, 1],
    [9, 2],
  ] as const) {
    read(offset, width);
  }
  const source = vdev.status!()["registers"] as string;
  const map = new Function("registerMap", `${source}\nreturn registers;`)(registerMap) as Record<string, object>;
  expect(Object.keys(map)).toEqual(["R000", "R005", "R006", "R008", "R009"]);
});

describe("it answers", () => {
  test("zeroes by default", () => {
    expect(assemble(unimplemented, {}).read(0, 4)).toBe(0);
  });

  test("ones", () => {
    const { read } = assemble(unimplemented, { answer: "ones" });
    expect([read(0, 1), read(0, 2), read(0, 4)]).toEqual([0xff, 0xffff, 0xffff_ffff]);
  });

  test("bus errors, and notes the access all the same", () => {
    const { vdev, read, write } = assemble(unimplemented, { answer: "fault" });
    expect(() => read(0, 4)).toThrow(BusError);
    expect(() => write(4, 4, 1)).toThrow(BusError);
    expect(vdev.status!()["offsets"]).toBe(2);
  });
});

test("a guest that sweeps a large region does not fill memory", () => {
  const { vdev, read } = assemble(unimplemented, { size: "64KiB" });
  for (let offset = 0; offset < 0x1_0000; offset += 4) read(offset, 4);
  expect(vdev.status!()).toMatchObject({ accesses: 16384, offsets: 1024, "accesses beyond what is recorded": 15360 });
});

test("at the end it reports, if there is anything to report", () => {
  const idle = assemble(unimplemented, {});
  idle.vdev.terminate!();
  expect(idle.host.logged).toEqual([]);
  const used = assemble(unimplemented, {});
  used.read(8, 4);
  used.vdev.reset();
  used.vdev.terminate!();
  expect(used.host.logged[0]!.message).toContain('R008: { at: 0x008, width: 4, access: "r" }');
});

test("a node comes with `compatible` alone", () => {
  expect(contribution(unimplemented, {})).toEqual({});
  const [own] = contribution(unimplemented, { compatible: ["acme,eth-2", "acme,eth"] }).bus!;
  expect(strings(own!, "compatible")).toEqual(["acme,eth-2", "acme,eth"]);
});
