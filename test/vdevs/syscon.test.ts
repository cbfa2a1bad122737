import { expect, test } from "bun:test";
import { strings, u32 } from "../../src/fdt/tree.ts";
import { assemble, contribution } from "../../src/vdev/testing.ts";
import { syscon } from "../../src/vdevs/syscon.ts";

test("commands ask the machine for power-off, reboot and failure", () => {
  const { host, write, read } = assemble(syscon, {});
  write(0, 4, 0x5555);
  write(0, 4, 0x7777);
  write(0, 4, 0x002a_3333);
  write(0, 2, 0x5555);
  expect(host.powerRequests).toEqual([
    { action: "poweroff" },
    { action: "reboot" },
    { action: "fail", code: 42 },
    { action: "poweroff" },
  ]);
  expect(read(0, 4)).toBe(0);
  expect(host.logged).toEqual([]);
});

test("anything else does nothing and is told", () => {
  const { host, write } = assemble(syscon, {});
  write(0, 4, 0x1234);
  write(0, 1, 0x55);
  write(4, 4, 0x5555);
  expect(host.powerRequests).toEqual([]);
  expect(host.logged).not.toEqual([]);
});

test("the device tree lets a syscon driver do the same", () => {
  const { bus, root } = contribution(syscon, {});
  const [own] = bus!;
  expect(strings(own!, "compatible")).toEqual(["sifive,test1", "sifive,test0", "syscon"]);
  expect(root!.map((made) => [made.name, u32(made, "regmap"), u32(made, "offset"), u32(made, "value")])).toEqual([
    ["poweroff", u32(own!, "phandle"), 0, 0x5555],
    ["reboot", u32(own!, "phandle"), 0, 0x7777],
  ]);
});
