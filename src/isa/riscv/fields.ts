/** Bits of the privileged CSRs that more than one file needs. Those of 64-bit registers are given by half. */

/** mstatus, low half; sstatus shows some of them. RISC-V Priv 20240411 §3.1.6 */
export const Status = {
  SIE: 1 << 1,
  MIE: 1 << 3,
  SPIE: 1 << 5,
  MPIE: 1 << 7,
  SPP: 1 << 8,
  MPP: 3 << 11,
  FS: 3 << 13,
  MPRV: 1 << 17,
  SUM: 1 << 18,
  MXR: 1 << 19,
  TVM: 1 << 20,
  TW: 1 << 21,
  TSR: 1 << 22,
} as const;

/** Where MPP stands in mstatus. */
export const MPP_SHIFT = 11;

/** Interrupt numbers: bit positions in mip, mie and mideleg, and causes. RISC-V Priv §3.1.9 */
export const Interrupt = {
  supervisorSoftware: 1,
  machineSoftware: 3,
  supervisorTimer: 5,
  machineTimer: 7,
  supervisorExternal: 9,
  machineExternal: 11,
} as const;

/** The interrupts that belong to S-mode: those that can be delegated, and no others. RISC-V Priv §3.1.8 */
export const SUPERVISOR_INTERRUPTS =
  (1 << Interrupt.supervisorSoftware) | (1 << Interrupt.supervisorTimer) | (1 << Interrupt.supervisorExternal);
export const MACHINE_INTERRUPTS =
  (1 << Interrupt.machineSoftware) | (1 << Interrupt.machineTimer) | (1 << Interrupt.machineExternal);

/** menvcfg and senvcfg, low half. RISC-V Priv §3.1.18, §10.1.10 */
export const Environment = { FIOM: 1 << 0, CBIE: 3 << 4, CBCFE: 1 << 6, CBZE: 1 << 7 } as const;
/** menvcfg, high half. */
export const EnvironmentHigh = { ADUE: 1 << 29, STCE: 1 << 31 } as const;

/** mcounteren, scounteren and mcountinhibit. RISC-V Priv §3.1.11 */
export const Counter = { cycle: 0, time: 1, instret: 2 } as const;

/** What an access is for: mmu.ts and pmp.ts judge by it. */
export const Access = { load: 0, store: 1, fetch: 2 } as const;
export type Access = (typeof Access)[keyof typeof Access];
