/** The single list of built-in vdevs. A new one is a file beside this one and an import and a line below. */
import type { AnyVdev } from "../vdev/registry.ts";
import { aclintMswi, aclintMtimer, aclintSswi, clint } from "./aclint.ts";
import { goldfishRtc } from "./goldfish-rtc.ts";
import { ns16550a } from "./ns16550a.ts";
import { plic } from "./plic.ts";
import { sifiveUart } from "./sifive-uart.ts";
import { syscon } from "./syscon.ts";
import { virtioBlk } from "./virtio-blk.ts";
import { virtioConsole } from "./virtio-console.ts";
import { virtioEntropy } from "./virtio-entropy.ts";

export const builtins: readonly AnyVdev[] = [
  aclintMswi,
  aclintMtimer,
  aclintSswi,
  clint,
  goldfishRtc,
  ns16550a,
  plic,
  sifiveUart,
  syscon,
  virtioBlk,
  virtioConsole,
  virtioEntropy,
];
