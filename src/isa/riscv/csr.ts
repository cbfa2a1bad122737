/**
 * Access to control and status registers by the rules of the architecture: existence, privilege, suppressed reads and
 * writes. What each register does stands in csr-table.ts. RISC-V Priv 20240411 §2.1
 */
import { type Csr, type CsrHalves, csrs } from "./csr-table.ts";
import { EnvironmentHigh } from "./fields.ts";
import { CsrSlot, type Hart, HartField, Privilege } from "./hart.ts";
import { armTimer } from "./pending.ts";
import { refreshPmp } from "./pmp.ts";

export { counterEnabled } from "./csr-table.ts";
export { pendingInterrupts, setPending } from "./pending.ts";

/** What a CSR instruction does with its operand. */
export const CsrOperation = { write: 0, set: 1, clear: 2 } as const;
export type CsrOperation = (typeof CsrOperation)[keyof typeof CsrOperation];

const byNumber: (Csr | undefined)[] = new Array(4096).fill(undefined);
for (const csr of csrs) byNumber[csr.number] = csr;

/** The register, if the hart may touch it now. Bits 9:8 of the number are the least privilege. §2.1 */
function find(hart: Hart, number: number): Csr | undefined {
  const csr = byNumber[number];
  if (csr === undefined || hart.privilege < ((number >> 8) & 3)) return undefined;
  return csr.accessible === undefined || csr.accessible(hart) ? csr : undefined;
}

/** Whether there is such a register, on this hart or on one with other extensions. */
export function isCsr(number: number): boolean {
  return byNumber[number] !== undefined;
}

/** Bits 11:10 of the number both set: read-only. §2.1 */
function readOnly(number: number): boolean {
  return number >> 10 === 3;
}

/** A CSR's value, or `undefined` where reading it is an illegal instruction. */
export function readCsr(hart: Hart, number: number): bigint | undefined {
  return find(hart, number)?.read(hart);
}

/** Writes a CSR; `false` where that is an illegal instruction. */
export function writeCsr(hart: Hart, number: number, value: bigint): boolean {
  const csr = find(hart, number);
  if (csr === undefined || readOnly(number)) return false;
  csr.write?.(hart, BigInt.asUintN(64, value));
  return true;
}

/**
 * One CSR instruction. `reads` is false for CSRRW[I] with rd = x0, `writes` for CSRRS/C with rs1 = x0 and CSRRSI/CI with an
 * immediate of 0. Answers the old value, or `undefined` for an illegal instruction. RISC-V Unpriv 20240411 §6.1
 */
export function accessCsr(
  hart: Hart,
  number: number,
  operation: CsrOperation,
  operand: bigint,
  reads: boolean,
  writes: boolean,
): bigint | undefined {
  const csr = find(hart, number);
  if (csr === undefined || (writes && readOnly(number))) return undefined;
  const old = reads || operation !== CsrOperation.write ? csr.read(hart) : 0n;
  if (writes && csr.write !== undefined) {
    const base = operation === CsrOperation.write ? 0n : (csr.modifies?.(hart) ?? old);
    const next = operation === CsrOperation.clear ? base & ~operand : base | operand;
    csr.write(hart, BigInt.asUintN(64, next));
  }
  return old;
}

/** The halves of a register that has a quick way and may be accessed now; `undefined` for any other. */
export function csrHalves(hart: Hart, number: number): CsrHalves | undefined {
  return byNumber[number]?.halves && find(hart, number)?.halves;
}

/** The name that an assembler knows; a number in hexadecimal for a register that does not exist here. */
export function csrName(number: number): string {
  return byNumber[number]?.name ?? `0x${number.toString(16)}`;
}

/** The number of a register by its name. */
export function csrNumber(name: string): number {
  const csr = csrs.find((candidate) => candidate.name === name);
  if (csr === undefined) throw new RangeError(`no CSR is called ${name}`);
  return csr.number;
}

/**
 * Puts the CSRs and the privilege into the state of power-on. Interrupt lines stay as devices drive them.
 * RISC-V Priv §3.4
 */
export function resetCsrs(hart: Hart): void {
  const lines = hart.csrHigh(CsrSlot.mip);
  for (let slot = 0; slot < CsrSlot.pmpcfg + 2; slot++) hart.setCsr(slot, 0n);
  hart.setCsrHigh(CsrSlot.mip, lines);
  hart.setCsr(CsrSlot.stimecmp, 0xffff_ffff_ffff_ffffn);
  // A platform with Svadu alone updates A and D from the start; with Svade beside it, software has to ask.
  if (hart.has("svadu") && !hart.has("svade")) hart.setCsrHigh(CsrSlot.menvcfg, EnvironmentHigh.ADUE);
  hart.setWord(HartField.fflags, 0);
  hart.setWord(HartField.frm, 0);
  hart.reservation = -1;
  hart.privilege = Privilege.machine;
  armTimer(hart);
  rederive(hart);
}

/** Brings everything that is computed from the CSRs into line with them: after a reset or a restored snapshot. */
export function rederive(hart: Hart): void {
  refreshPmp(hart);
  hart.flushTlb();
  hart.refreshMode();
  hart.demandAttention();
}
