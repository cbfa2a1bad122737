/**
 * Which interrupts are pending. The bits that software writes and the lines that devices drive are kept apart, for a bit
 * of mip is the OR of the two and a read-modify-write must not copy the one into the other. RISC-V Priv 20240411 §3.1.9
 */
import { EnvironmentHigh, Interrupt, MACHINE_INTERRUPTS, SUPERVISOR_INTERRUPTS } from "./fields.ts";
import { CsrSlot, type Hart } from "./hart.ts";

const SSIP = 1 << Interrupt.supervisorSoftware;
const STIP = 1 << Interrupt.supervisorTimer;
/** SSIP is an event that software clears, not a level: it has no line. */
const LINES = (MACHINE_INTERRUPTS | SUPERVISOR_INTERRUPTS) & ~SSIP;
const EXACT_TICKS = 2n ** 53n;

/** Whether the bit is a level that is driven from outside; else it is an event, which software clears. */
export function isLevel(bit: number): boolean {
  return ((LINES >>> bit) & 1) !== 0;
}

/** mip & mie: what would end a WFI. Hot. */
export function pendingInterrupts(hart: Hart): number {
  return (hart.csrLow(CsrSlot.mip) | hart.csrHigh(CsrSlot.mip)) & hart.csrLow(CsrSlot.mie);
}

/** Drives an interrupt input of the hart; for SSIP, sets or clears the bit as an inter-processor interrupt does. */
export function setPending(hart: Hart, bit: number, level: boolean): void {
  const mask = 1 << bit;
  if (mask === SSIP) {
    const software = hart.csrLow(CsrSlot.mip);
    hart.setCsrLow(CsrSlot.mip, level ? software | mask : software & ~mask);
  } else if (mask & LINES) {
    const lines = hart.csrHigh(CsrSlot.mip);
    hart.setCsrHigh(CsrSlot.mip, level ? lines | mask : lines & ~mask);
  }
  if (level) hart.demandAttention();
}

/** mip as a program reads it. */
export function readPending(hart: Hart): number {
  // A timer that is due shows at once, also before the machine has come round to driving its line.
  if (ownsTimer(hart) && (hart.csrHigh(CsrSlot.mip) & STIP) === 0 && hart.port.time() >= deadline(hart)) {
    setPending(hart, Interrupt.supervisorTimer, true);
  }
  return hart.csrLow(CsrSlot.mip) | hart.csrHigh(CsrSlot.mip);
}

/** The bits of mip that M-mode may write. Under Sstc, STIP belongs to the timer. RISC-V Priv §11.1 */
export function writablePending(hart: Hart): number {
  return ownsTimer(hart) ? SUPERVISOR_INTERRUPTS & ~STIP : SUPERVISOR_INTERRUPTS;
}

/** Whether stimecmp, and not software, decides STIP: menvcfg.STCE. */
export function ownsTimer(hart: Hart): boolean {
  return (hart.csrHigh(CsrSlot.menvcfg) & EnvironmentHigh.STCE) !== 0;
}

/** Brings STIP and the machine's timer into line with stimecmp and menvcfg.STCE after either changed. */
export function armTimer(hart: Hart): void {
  const ticks = ownsTimer(hart) ? deadline(hart) : Number.POSITIVE_INFINITY;
  if (ownsTimer(hart)) hart.setCsrLow(CsrSlot.mip, hart.csrLow(CsrSlot.mip) & ~STIP);
  setPending(hart, Interrupt.supervisorTimer, hart.port.time() >= ticks);
  hart.port.setTimer(hart.index, ticks);
}

/** stimecmp as a number; what lies beyond every reachable time is never. */
function deadline(hart: Hart): number {
  const value = hart.csr(CsrSlot.stimecmp);
  return value < EXACT_TICKS ? Number(value) : Number.POSITIVE_INFINITY;
}
