import { expect, test } from "bun:test";
import * as v from "valibot";
import { VmrunError } from "../../src/diagnostics/diagnostic.ts";
import { defineVdev } from "../../src/vdev/descriptor.ts";
import { createRegistry, nearestName } from "../../src/vdev/registry.ts";

function sample<const Type extends string>(type: Type, abi?: 1) {
  return defineVdev({
    type,
    summary: "for this test",
    options: v.object({ host: v.optional(v.string(), "null") }),
    regions: [],
    ...(abi === undefined ? {} : { abi }),
    create: () => ({ regions: [], reset() {}, snapshot: () => null, restore() {} }),
  });
}

function codeOf(action: () => unknown): string | undefined {
  try {
    action();
  } catch (error) {
    if (error instanceof VmrunError) return error.diagnostics[0]!.code;
    throw error;
  }
  return undefined;
}

test("finds descriptors by type, in order", () => {
  const uart = sample("uart");
  const registry = createRegistry([uart, sample("rtc")]);
  expect(registry.get("uart")).toBe(uart);
  expect(registry.get("constructor")).toBeUndefined();
  expect(registry.types()).toEqual(["uart", "rtc"]);
});

test("more descriptors make another registry", () => {
  const registry = createRegistry([sample("uart")]);
  expect(registry.with([sample("rtc", 1)]).types()).toEqual(["uart", "rtc"]);
  expect(registry.types()).toEqual(["uart"]);
  expect(codeOf(() => registry.with([sample("uart")]))).toBe("vdev/duplicate-type");
});

test("refuses duplicates, other ABIs and malformed types", () => {
  expect(codeOf(() => createRegistry([sample("uart"), sample("uart")]))).toBe("vdev/duplicate-type");
  expect(codeOf(() => createRegistry([{ ...sample("uart"), abi: 2 as 1 }]))).toBe("vdev/abi");
  for (const type of ["", "UART", "9uart", "a b"]) {
    expect(codeOf(() => createRegistry([sample(type)]))).toBe("vdev/type");
  }
});

test("suggests the nearest type, or nothing where none is near", () => {
  const registry = createRegistry([sample("ns16550a"), sample("plic"), sample("virtio-blk")]);
  expect(registry.nearest("ns16550")).toBe("ns16550a");
  expect(registry.nearest("pilc")).toBe("plic");
  expect(registry.nearest("PLIC")).toBe("plic");
  expect(registry.nearest("virtio_blk")).toBe("virtio-blk");
  expect(registry.nearest("framebuffer")).toBeUndefined();
  expect(nearestName("x".repeat(1_000_000), ["y".repeat(1_000_000)])).toBeUndefined();
});
