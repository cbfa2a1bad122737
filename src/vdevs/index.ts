/** The single list of built-in vdevs. A new one is a file beside this one and an import and a line below. */
import type { AnyVdev } from "../vdev/registry.ts";
import { aclintMswi, aclintMtimer, aclintSswi, clint } from "./aclint.ts";
import { goldfishRtc } from "./goldfish-rtc.ts";
import { hostPower } from "./host-power.ts";
import { ns16550a } from "./ns16550a.ts";
import { pl011 } from "./pl011.ts";
import { pl031 } from "./pl031.ts";
import { plic } from "./plic.ts";
import { sbiVendor } from "./sbi-vendor.ts";
import { sifiveUart } from "./sifive-uart.ts";
import { sp805 } from "./sp805.ts";
import { stopwatch } from "./stopwatch.ts";
import { syscon } from "./syscon.ts";
import { unimplemented } from "./unimplemented.ts";
import { virtioBlk } from "./virtio-blk.ts";
import { virtioConsole } from "./virtio-console.ts";
import { virtioEmpty } from "./virtio-empty.ts";
import { virtioEntropy } from "./virtio-entropy.ts";

export const builtins: readonly AnyVdev[] = [
  aclintMswi,
  aclintMtimer,
  aclintSswi,
  clint,
  goldfishRtc,
  hostPower,
  ns16550a,
  pl011,
  pl031,
  plic,
  sbiVendor,
  sifiveUart,
  sp805,
  stopwatch,
  syscon,
  unimplemented,
  virtioBlk,
  virtioConsole,
  virtioEmpty,
  virtioEntropy,
];
