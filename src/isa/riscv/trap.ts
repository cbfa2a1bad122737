/** Traps: taking exceptions and interrupts, and returning from them. RISC-V Priv 20240411 §3.1.6, §3.3.2, §10.1 */
import { Interrupt, MPP_SHIFT, Status } from "./fields.ts";
import { CsrSlot, type Hart, HartField, Privilege } from "./hart.ts";
import { pendingInterrupts } from "./pending.ts";

/** Synchronous exceptions, as xcause has them. §3.1.15 */
export const Cause = {
  fetchMisaligned: 0,
  fetchAccess: 1,
  illegalInstruction: 2,
  breakpoint: 3,
  loadMisaligned: 4,
  loadAccess: 5,
  storeMisaligned: 6,
  storeAccess: 7,
  userEcall: 8,
  supervisorEcall: 9,
  machineEcall: 11,
  fetchPage: 12,
  loadPage: 13,
  storePage: 15,
} as const;

const INTERRUPT_FLAG = 1 << 31;
const TWO_32 = 2 ** 32;

/** Simultaneous interrupts of one mode are taken in this order. §3.1.9 */
const PRIORITY = [
  Interrupt.machineExternal,
  Interrupt.machineSoftware,
  Interrupt.machineTimer,
  Interrupt.supervisorExternal,
  Interrupt.supervisorSoftware,
  Interrupt.supervisorTimer,
];

/**
 * Takes a synchronous exception; `hart.pc` is at the instruction that causes it. `tval` is the address for faults of
 * addresses, the instruction's bits where it is illegal, else 0. §3.1.16
 */
export function raise(hart: Hart, cause: number, tval: bigint): void {
  const delegated = ((hart.csrLow(CsrSlot.medeleg) >>> cause) & 1) !== 0;
  // A trap never goes to a less privileged mode. §3.1.8
  const target = delegated && hart.privilege !== Privilege.machine ? Privilege.supervisor : Privilege.machine;
  enter(hart, target, cause, false);
  hart.setCsr(target === Privilege.machine ? CsrSlot.mtval : CsrSlot.stval, tval);
  hart.trapped += 1;
}

/** Takes the pending interrupt of highest priority, if one is enabled now. */
export function takeInterrupt(hart: Hart): boolean {
  const pending = pendingInterrupts(hart);
  if (pending === 0) return false;
  const status = hart.csrLow(CsrSlot.mstatus);
  const delegated = hart.csrLow(CsrSlot.mideleg);
  const { privilege } = hart;
  // What is destined for M-mode goes before what is delegated. §3.1.9, §10.1.3
  const machineOpen = privilege < Privilege.machine || (status & Status.MIE) !== 0;
  if (machineOpen && interrupt(hart, Privilege.machine, pending & ~delegated)) return true;
  const supervisorOpen =
    privilege < Privilege.supervisor || (privilege === Privilege.supervisor && (status & Status.SIE) !== 0);
  return supervisorOpen && interrupt(hart, Privilege.supervisor, pending & delegated);
}

function interrupt(hart: Hart, target: Privilege, candidates: number): boolean {
  if (candidates === 0) return false;
  for (const number of PRIORITY) {
    if (((candidates >>> number) & 1) === 0) continue;
    enter(hart, target, number, true);
    hart.setCsr(target === Privilege.machine ? CsrSlot.mtval : CsrSlot.stval, 0n);
    return true;
  }
  return false;
}

/** Number of the exception or interrupt that brought the hart to the mode it is in. */
export function lastCause(hart: Hart): number {
  return hart.csrLow(hart.privilege === Privilege.machine ? CsrSlot.mcause : CsrSlot.scause);
}

/** Whether something pending would end a WFI: global enables and delegation do not matter. §3.3.3 */
export function wakes(hart: Hart): boolean {
  return pendingInterrupts(hart) !== 0;
}

/** Whether WFI is legal now: never in U-mode, in S-mode unless TW forbids it. §3.1.6.5, §3.3.3 */
export function mayWait(hart: Hart): boolean {
  const { privilege } = hart;
  if (privilege === Privilege.machine) return true;
  return privilege === Privilege.supervisor && (hart.csrLow(CsrSlot.mstatus) & Status.TW) === 0;
}

/** Stacks enables and privilege, records cause and pc, and goes to the handler. §3.1.6.1, §3.1.7 */
function enter(hart: Hart, target: Privilege, cause: number, asynchronous: boolean): void {
  const { i32 } = hart.memory;
  const status = hart.csrLow(CsrSlot.mstatus);
  const from = hart.privilege;
  let epc: number;
  let tvec: number;
  let causeSlot: number;
  if (target === Privilege.machine) {
    const enabled = status & Status.MIE ? Status.MPIE : 0;
    const cleared = status & ~(Status.MIE | Status.MPIE | Status.MPP);
    hart.setCsrLow(CsrSlot.mstatus, cleared | enabled | (from << MPP_SHIFT));
    epc = CsrSlot.mepc;
    tvec = CsrSlot.mtvec;
    causeSlot = CsrSlot.mcause;
  } else {
    const enabled = status & Status.SIE ? Status.SPIE : 0;
    const cleared = status & ~(Status.SIE | Status.SPIE | Status.SPP);
    hart.setCsrLow(CsrSlot.mstatus, cleared | enabled | (from === Privilege.supervisor ? Status.SPP : 0));
    epc = CsrSlot.sepc;
    tvec = CsrSlot.stvec;
    causeSlot = CsrSlot.scause;
  }
  const pc = (hart.base + HartField.pc) >> 2;
  hart.setCsrLow(epc, i32[pc]);
  hart.setCsrHigh(epc, i32[pc + 1]);
  hart.setCsrLow(causeSlot, cause);
  hart.setCsrHigh(causeSlot, asynchronous ? INTERRUPT_FLAG : 0);
  const vector = hart.csrLow(tvec);
  // Vectored mode moves interrupts only; exceptions go to BASE. §3.1.7
  const low = ((vector & ~3) >>> 0) + (asynchronous && vector & 1 ? cause * 4 : 0);
  i32[pc] = low | 0;
  i32[pc + 1] = hart.csrHigh(tvec) + (low >= TWO_32 ? 1 : 0);
  hart.privilege = target;
  hart.refreshMode();
}

/** MRET; `false` where it is an illegal instruction. §3.3.2 */
export function mret(hart: Hart): boolean {
  if (hart.privilege !== Privilege.machine) return false;
  const status = hart.csrLow(CsrSlot.mstatus);
  const to = ((status & Status.MPP) >> MPP_SHIFT) as Privilege;
  let next = status & ~(Status.MIE | Status.MPP);
  if (status & Status.MPIE) next |= Status.MIE;
  next |= Status.MPIE;
  if (to !== Privilege.machine) next &= ~Status.MPRV;
  leave(hart, to, next, CsrSlot.mepc);
  return true;
}

/** SRET; `false` where it is an illegal instruction: in U-mode, and in S-mode under TSR. §3.3.2, §3.1.6.5 */
export function sret(hart: Hart): boolean {
  const status = hart.csrLow(CsrSlot.mstatus);
  const { privilege } = hart;
  if (privilege === Privilege.user) return false;
  if (privilege === Privilege.supervisor && status & Status.TSR) return false;
  let next = status & ~(Status.SIE | Status.SPP | Status.MPRV);
  if (status & Status.SPIE) next |= Status.SIE;
  next |= Status.SPIE;
  leave(hart, status & Status.SPP ? Privilege.supervisor : Privilege.user, next, CsrSlot.sepc);
  return true;
}

function leave(hart: Hart, to: Privilege, status: number, epc: number): void {
  const pc = (hart.base + HartField.pc) >> 2;
  hart.setCsrLow(CsrSlot.mstatus, status);
  hart.memory.i32[pc] = hart.csrLow(epc);
  hart.memory.i32[pc + 1] = hart.csrHigh(epc);
  hart.privilege = to;
  hart.refreshMode();
  // Interrupts that were held back may be enabled again.
  if (pendingInterrupts(hart) !== 0) hart.demandAttention();
}
