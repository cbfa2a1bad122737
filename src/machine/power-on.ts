/** What memory and harts are like when a machine is switched on. */
import { resetCsrs } from "../isa/riscv/csr.ts";
import type { Hart } from "../isa/riscv/hart.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import type { BootPlan } from "./boot/plan.ts";

/** Where harts begin: what of a boot plan they need to know. */
export type HartStart = Pick<BootPlan, "entry" | "fdtAt" | "info" | "mode">;

/** That alone, for harts on threads of their own: it is copied to each. */
export function startOf({ entry, fdtAt, info, mode }: BootPlan): HartStart {
  return { entry, fdtAt, info, mode };
}

/**
 * Memory is all zeroes: fresh pages of the host stay untouched, which is what makes starting quick. But for what lies in
 * files and is shared: there, what a program expects to be zero is made so. Throws where an image is had no more.
 */
export function layImages({ clears, loads }: BootPlan, memory: GuestMemory): void {
  for (const { at, size } of clears) {
    if (memory.blockAt(at)?.startOver) memory.load(at, new Uint8Array(size));
  }
  for (const { at, contents } of loads) {
    const target = memory.toLoad(at, contents.size);
    if (target) contents.read(0, target);
  }
}

export function resetHart(hart: Hart): void {
  for (let i = 0; i < 32; i++) {
    hart.setX(i, 0n);
    hart.setF(i, 0n);
  }
  resetCsrs(hart);
}

/** Where firmware begins, in M-mode, with what it is told. */
export function enterFirmware(hart: Hart, { entry, fdtAt, info = 0 }: HartStart): void {
  hart.pc = BigInt(entry);
  hart.setX(10, BigInt(hart.index));
  hart.setX(11, BigInt(fdtAt));
  hart.setX(12, BigInt(info));
}
