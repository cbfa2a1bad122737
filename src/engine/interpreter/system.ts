/**
 * Writes functions for the system instructions that kernels execute all the time, in their plain cases: CSRs that are mere
 * storage, sstatus, returns from traps, calls from U-mode, SFENCE.VMA of one page. Each answers 1 where it did all that there
 * is to do, else 0, and has done nothing; then TypeScript does it. The rules are those of csr-table.ts, trap.ts and hart.ts.
 */
import { csrs, SD, SSTATUS, UXL } from "../../isa/riscv/csr-table.ts";
import { MPP_SHIFT, Status } from "../../isa/riscv/fields.ts";
import {
  CsrSlot,
  HartField,
  MEGAPAGES,
  Privilege,
  REALM_SIZE,
  Remembered,
  SEVERAL_MEGAPAGES,
  TLB_MEGAPAGES,
  TLB_REALMS,
  TLB_TABLE_SIZE,
  TLB_TABLES,
  TlbSet,
} from "../../isa/riscv/hart.ts";
import { Cause } from "../../isa/riscv/trap.ts";
import type { Callable, FunctionWriter, Local } from "../../wasm/function.ts";
import type { ModuleWriter } from "../../wasm/module.ts";
import { at, csrAt, MSTATUS } from "../places.ts";
import { pushMegapageTag, pushRemembered, pushTlbEntry } from "../tlb-code.ts";
import type { InterpreterPlan } from "./contract.ts";
import { OpField } from "./layout.ts";

export interface SystemFunctions {
  /** By the op of any CSR instruction. */
  readonly csr: Callable;
  /** By the op of SFENCE.VMA. */
  readonly fence: Callable;
  /** Leave with the hart's pc at where to go on. */
  readonly sret: Callable;
  readonly mret: Callable;
  /** By its own address. */
  readonly ecall: Callable;
}

const SSTATUS_NUMBER = 0x100;
/** funct3 of a CSR instruction: what it does, and whether the operand is immediate. RISC-V Unpriv §6.1 */
const Funct3 = { operation: 3, write: 1, set: 2, immediate: 4 } as const;
const REGISTER_SHIFT = 3;
const MEGAPAGE_SHIFT = 21n;

type Plan = Pick<InterpreterPlan, "compressed" | "status">;

export function defineSystem(module: ModuleWriter, plan: Plan): SystemFunctions {
  const refresh = defineRefresh(module);
  return {
    csr: defineCsr(module, plan, refresh),
    fence: defineFence(module),
    sret: defineReturn(module, refresh, "sret"),
    mret: defineReturn(module, refresh, "mret"),
    ecall: defineCall(module, refresh),
  };
}

const load32 = (f: FunctionWriter, address: number) => f.i32(0).memory("i32.load", address);
const privilege = (f: FunctionWriter) => load32(f, at(HartField.privilege));

function store32(f: FunctionWriter, address: number, value: () => void): void {
  f.i32(0);
  value();
  f.memory("i32.store", address);
}

/** Answers 0 where the i32 on the stack is not. */
function giveUpIf(f: FunctionWriter): void {
  f.if();
  f.i32(0).op("return").end();
}

/** Pushes the interrupts that are pending and enabled, as pending.ts has them. */
function pending(f: FunctionWriter): void {
  const mip = csrAt(CsrSlot.mip);
  load32(f, mip);
  load32(f, mip + 4).op("i32.or");
  load32(f, csrAt(CsrSlot.mie)).op("i32.and");
}

/** As `Hart.refreshMode`. */
function defineRefresh(module: ModuleWriter): Callable {
  const f = module.func({});
  const status = f.local("i32");
  const data = f.local("i32");
  const tlb = f.local("i32");
  const table = (field: number, set: () => void, first: number) =>
    store32(f, at(field), () => {
      f.get(tlb);
      set();
      f.i32(first).op("i32.add").i32(TLB_TABLE_SIZE).op("i32.mul", "i32.add");
    });
  load32(f, MSTATUS).set(status);
  load32(f, at(HartField.tlb)).set(tlb);
  privilege(f).set(data);
  // MPRV lends loads and stores the privilege of MPP. RISC-V Priv §3.1.6.3
  f.get(data).i32(Privilege.machine).op("i32.eq");
  f.get(status).i32(Status.MPRV).op("i32.and").i32(0).op("i32.ne", "i32.and").if();
  f.get(status).i32(MPP_SHIFT).op("i32.shr_u").i32(3).op("i32.and").set(data);
  f.end();
  // Sets have the numbers of their privileges, and the supervisor has two.
  f.get(data).i32(Privilege.supervisor).op("i32.eq");
  f.get(status).i32(Status.SUM).op("i32.and").i32(0).op("i32.ne", "i32.and").if();
  f.i32(TlbSet.supervisorUserAccess).set(data);
  f.end();
  table(HartField.tlbRead, () => f.get(data), 0);
  table(HartField.tlbWrite, () => f.get(data), 4);
  table(HartField.tlbFetch, () => privilege(f), 8);
  return f;
}

/** CSRRW, CSRRS, CSRRC and their immediate forms, on sstatus and on what is mere storage. */
function defineCsr(module: ModuleWriter, plan: Plan, refresh: Callable): Callable {
  const f = module.func({ params: ["i32"], results: ["i32"] });
  const [op] = f.params;
  const number = f.local("i32");
  const funct3 = f.local("i32");
  const place = f.local("i32");
  const operand = f.local("i64");
  const old = f.local("i64");
  const mask = f.local("i64");
  f.get(op).memory("i32.load", OpField.imm).tee(number).i32(8).op("i32.shr_u").i32(3).op("i32.and");
  privilege(f).op("i32.gt_u");
  giveUpIf(f);
  f.get(op).memory("i32.load8_u", OpField.rm).tee(funct3).i32(Funct3.immediate).op("i32.and").if("i64");
  f.get(op).memory("i64.load16_u", OpField.rs1).i64(REGISTER_SHIFT).op("i64.shr_u");
  f.else();
  f.get(op).memory("i32.load16_u", OpField.rs1).memory("i64.load", at(HartField.x));
  f.end().set(operand);
  f.get(funct3).i32(Funct3.operation).op("i32.and").set(funct3);

  f.get(number).i32(SSTATUS_NUMBER).op("i32.eq").if();
  load32(f, MSTATUS).i32(SSTATUS).op("i32.and", "i64.extend_i32_u").i64(UXL).op("i64.or");
  f.i64(SD).i64(0);
  load32(f, MSTATUS).i32(Status.FS).op("i32.and").i32(Status.FS).op("i32.eq", "select", "i64.or").set(old);
  ifWritten(f, op, funct3, () => writeStatus(f, () => next(f, funct3, operand, old), plan, refresh));
  f.else();
  const found = f.block();
  for (const { number: candidate, storage } of csrs) {
    if (storage === undefined) continue;
    f.i32(csrAt(storage.slot)).set(place);
    f.i64(storage.writable(plan.compressed)).set(mask);
    f.get(number).i32(candidate).op("i32.eq").brIf(found);
  }
  f.i32(0).op("return");
  f.end(); // found
  f.get(place).memory("i64.load").set(old);
  ifWritten(f, op, funct3, () => {
    f.get(place);
    next(f, funct3, operand, old);
    f.get(mask).op("i64.and").memory("i64.store");
  });
  f.end();
  f.get(op).memory("i32.load16_u", OpField.rd).get(old).memory("i64.store", at(HartField.x));
  f.i32(1);
  return f;
}

/** CSRRS and CSRRC write nothing by x0, or by an immediate of 0. */
function ifWritten(f: FunctionWriter, op: Local, operation: Local, write: () => void): void {
  f.get(operation).i32(Funct3.write).op("i32.eq");
  f.get(op).memory("i32.load16_u", OpField.rs1).op("i32.or").if();
  write();
  f.end();
}

/** Pushes what is to be written. */
function next(f: FunctionWriter, operation: Local, operand: Local, old: Local): void {
  f.get(operation).i32(Funct3.write).op("i32.eq").if("i64");
  f.get(operand);
  f.else();
  f.get(old).get(operand).op("i64.or");
  f.get(old).get(operand).i64(-1).op("i64.xor", "i64.and");
  f.get(operation).i32(Funct3.set).op("i32.eq", "select");
  f.end();
}

/** As csr-table.ts writes sstatus. */
function writeStatus(f: FunctionWriter, value: () => void, { status }: Plan, refresh: Callable): void {
  const changed = f.local("i32");
  value();
  f.op("i32.wrap_i64");
  load32(f, MSTATUS).op("i32.xor").i32(status).op("i32.and").set(changed);
  // The TLB has pages by MXR.
  f.get(changed).i32(Status.MXR).op("i32.and");
  giveUpIf(f);
  // An interrupt may be taken now.
  f.get(changed).i32(Status.SIE).op("i32.and").if();
  pending(f);
  giveUpIf(f);
  f.end();
  store32(f, MSTATUS, () => load32(f, MSTATUS).get(changed).op("i32.xor"));
  f.get(changed).i32(Status.SUM).op("i32.and").if();
  f.call(refresh).end();
}

/** As `Hart.flushTlbPage`, where the page is a part of nothing larger, and nobody remembers it elsewhere. */
function defineFence(module: ModuleWriter): Callable {
  const f = module.func({ params: ["i32"], results: ["i32"] });
  const [op] = f.params;
  const address = f.local("i64");
  const tlb = f.local("i32");
  const mark = f.local("i32");
  const entry = f.local("i32");
  const table = f.local("i32");
  f.get(op).memory("i32.load16_u", OpField.rs1).tee(entry).op("i32.eqz");
  giveUpIf(f);
  requireSupervisor(f, Status.TVM);
  f.get(entry).memory("i64.load", at(HartField.x)).set(address);
  load32(f, at(HartField.tlb)).tee(tlb);
  f.get(address)
    .i64(MEGAPAGE_SHIFT)
    .op("i64.shr_u", "i32.wrap_i64")
    .i32(MEGAPAGES - 1)
    .op("i32.and", "i32.add");
  f.memory("i32.load8_u", TLB_MEGAPAGES).tee(mark);
  pushMegapageTag(f, address);
  f.op("i32.eq").get(mark).i32(SEVERAL_MEGAPAGES).op("i32.eq", "i32.or");
  load32(f, at(HartField.gigapages)).op("i32.or");
  giveUpIf(f);
  pushRemembered(f, address);
  f.get(tlb).op("i32.add").tee(mark).memory("i32.load8_u", TLB_REALMS);
  f.get(mark)
    .memory("i32.load8_u", TLB_REALMS + REALM_SIZE)
    .op("i32.or")
    .i32(Remembered.yes)
    .op("i32.and");
  giveUpIf(f);
  store32(f, at(HartField.epoch), () => load32(f, at(HartField.epoch)).i32(1).op("i32.add"));
  pushTlbEntry(f, address, () => f.get(tlb));
  f.set(entry);
  const tables = f.loop();
  load32(f, at(HartField.tlbEmpty)).get(table).op("i32.shr_u").i32(1).op("i32.and", "i32.eqz").if();
  f.get(entry).i64(-1).memory("i64.store").end();
  f.get(entry).i32(TLB_TABLE_SIZE).op("i32.add").set(entry);
  f.get(table).i32(1).op("i32.add").tee(table).i32(TLB_TABLES).op("i32.ne").brIf(tables);
  f.end();
  f.i32(1);
  return f;
}

/** Gives up in U-mode, and in S-mode where this bit of mstatus keeps the instruction from it. */
function requireSupervisor(f: FunctionWriter, forbids: number): void {
  privilege(f).op("i32.eqz");
  privilege(f).i32(Privilege.supervisor).op("i32.eq");
  load32(f, MSTATUS).i32(forbids).op("i32.and").i32(0).op("i32.ne", "i32.and", "i32.or");
  giveUpIf(f);
}

/** As `sret` and `mret` of trap.ts. RISC-V Priv §3.3.2 */
function defineReturn(module: ModuleWriter, refresh: Callable, which: "sret" | "mret"): Callable {
  const f = module.func({ results: ["i32"] });
  const status = f.local("i32");
  const to = f.local("i32");
  const [enabled, earlier, before, epc] =
    which === "sret"
      ? [Status.SIE, Status.SPIE, Status.SPP, CsrSlot.sepc]
      : [Status.MIE, Status.MPIE, Status.MPP, CsrSlot.mepc];
  if (which === "sret") requireSupervisor(f, Status.TSR);
  else {
    privilege(f).i32(Privilege.machine).op("i32.ne");
    giveUpIf(f);
  }
  // One that was held back may be taken now.
  pending(f);
  giveUpIf(f);
  load32(f, MSTATUS).tee(status);
  f.i32(before).op("i32.and");
  f.i32(which === "sret" ? Math.log2(Status.SPP) : MPP_SHIFT)
    .op("i32.shr_u")
    .set(to);
  store32(f, MSTATUS, () => {
    f.get(status)
      .i32(~(enabled | before))
      .op("i32.and")
      .i32(earlier)
      .op("i32.or");
    f.i32(enabled).i32(0).get(status).i32(earlier).op("i32.and", "select", "i32.or");
    f.i32(-1).i32(~Status.MPRV).get(to).i32(Privilege.machine).op("i32.eq", "select", "i32.and");
  });
  store32(f, at(HartField.privilege), () => f.get(to));
  f.i32(0).i32(0).memory("i64.load", csrAt(epc)).memory("i64.store", at(HartField.pc));
  f.call(refresh).i32(1);
  return f;
}

/** ECALL in U-mode, where S-mode gets it: as `raise` of trap.ts. */
function defineCall(module: ModuleWriter, refresh: Callable): Callable {
  const f = module.func({ params: ["i64"], results: ["i32"] });
  const [pc] = f.params;
  const status = f.local("i32");
  privilege(f);
  load32(f, csrAt(CsrSlot.medeleg))
    .i32(1 << Cause.userEcall)
    .op("i32.and", "i32.eqz", "i32.or");
  giveUpIf(f);
  const store64 = (address: number, value: () => void) => {
    f.i32(0);
    value();
    f.memory("i64.store", address);
  };
  load32(f, MSTATUS).set(status);
  store32(f, MSTATUS, () => {
    f.get(status)
      .i32(~(Status.SIE | Status.SPIE | Status.SPP))
      .op("i32.and");
    f.i32(Status.SPIE).i32(0).get(status).i32(Status.SIE).op("i32.and", "select", "i32.or");
  });
  store64(csrAt(CsrSlot.sepc), () => f.get(pc));
  store64(csrAt(CsrSlot.scause), () => f.i64(Cause.userEcall));
  store64(csrAt(CsrSlot.stval), () => f.i64(0));
  // BASE, without MODE, which is for interrupts. §3.1.7
  store64(at(HartField.pc), () => f.i32(0).memory("i64.load", csrAt(CsrSlot.stvec)).i64(-4).op("i64.and"));
  store32(f, at(HartField.privilege), () => f.i32(Privilege.supervisor));
  f.i32(0).i32(0).memory("f64.load", at(HartField.trapped)).f64(1).op("f64.add");
  f.memory("f64.store", at(HartField.trapped));
  f.call(refresh).i32(1);
  return f;
}
