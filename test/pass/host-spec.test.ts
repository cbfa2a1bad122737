// Names of host objects: what each kind takes, and what is none.
import { expect, test } from "bun:test";
import { parseHostSpec } from "../../src/pass/host-spec.ts";

test.each([
  ["devmem:0x0402_0000", { kind: "devmem", at: 0x402_0000 }],
  ["devmem:4096", { kind: "devmem", at: 4096 }],
  ["uio:emmc", { kind: "uio", name: "emmc" }],
  ["uio:0", { kind: "uio", name: "0" }],
  ["vfio:01:00.0", { kind: "vfio", address: "0000:01:00.0" }],
  ["vfio:0001:0A:1f.7", { kind: "vfio", address: "0001:0a:1f.7" }],
  ["shm:model-1", { kind: "shm", name: "model-1" }],
  ["file:a b", { kind: "file", path: "a b" }],
] as const)("%s", (text, spec) => {
  expect(parseHostSpec(text)).toEqual(spec);
});

test.each([
  ...["", "uio", "uio:", "uio:../x", "uio:a/b", "devmem:x", "devmem:-1", "devmem:0xffffffffffffffff", "vfio:1:0.0"],
  ...["vfio:01:20.0", "vfio:01:00.8", "shm:/x", "shm:..", "shm:a/../b", "file:", "file:\0", "mem:0"],
])("%p is none", (text) => {
  expect(parseHostSpec(text)).toBeUndefined();
});
