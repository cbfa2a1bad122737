/**
 * The single list of built-in vdevs, each by its type. Their modules are loaded when a board has one: a board has few, and
 * loading all would take longer than making its tree. A new vdev is a file beside this one and a line below.
 */
import type { AnyVdev } from "../vdev/registry.ts";

export const catalogue: Readonly<Record<string, () => AnyVdev>> = {
  "aclint-mswi": () => aclint().aclintMswi,
  "aclint-mtimer": () => aclint().aclintMtimer,
  "aclint-sswi": () => aclint().aclintSswi,
  clint: () => aclint().clint,
  "goldfish-rtc": () => (require("./goldfish-rtc.ts") as typeof import("./goldfish-rtc.ts")).goldfishRtc,
  "host-power": () => (require("./host-power.ts") as typeof import("./host-power.ts")).hostPower,
  ns16550a: () => (require("./ns16550a.ts") as typeof import("./ns16550a.ts")).ns16550a,
  pl011: () => (require("./pl011.ts") as typeof import("./pl011.ts")).pl011,
  pl031: () => (require("./pl031.ts") as typeof import("./pl031.ts")).pl031,
  plic: () => (require("./plic.ts") as typeof import("./plic.ts")).plic,
  "sbi-vendor": () => (require("./sbi-vendor.ts") as typeof import("./sbi-vendor.ts")).sbiVendor,
  "sifive-uart": () => (require("./sifive-uart.ts") as typeof import("./sifive-uart.ts")).sifiveUart,
  sp805: () => (require("./sp805.ts") as typeof import("./sp805.ts")).sp805,
  stopwatch: () => (require("./stopwatch.ts") as typeof import("./stopwatch.ts")).stopwatch,
  "syscon-power": () => (require("./syscon.ts") as typeof import("./syscon.ts")).syscon,
  unimplemented: () => (require("./unimplemented.ts") as typeof import("./unimplemented.ts")).unimplemented,
  "virtio-blk": () => (require("./virtio-blk.ts") as typeof import("./virtio-blk.ts")).virtioBlk,
  "virtio-console": () => (require("./virtio-console.ts") as typeof import("./virtio-console.ts")).virtioConsole,
  "virtio-empty": () => (require("./virtio-empty.ts") as typeof import("./virtio-empty.ts")).virtioEmpty,
  "virtio-entropy": () => (require("./virtio-entropy.ts") as typeof import("./virtio-entropy.ts")).virtioEntropy,
};

const aclint = () => require("./aclint.ts") as typeof import("./aclint.ts");
