/** What a hart is like when a machine is switched on. */
import { resetCsrs } from "../isa/riscv/csr.ts";
import type { Hart } from "../isa/riscv/hart.ts";
import type { BootPlan } from "./boot/plan.ts";

/** Where harts begin: what of a boot plan they need to know. */
export type HartStart = Pick<BootPlan, "entry" | "fdtAt" | "info" | "mode">;

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
