// The guest code around the sequences: loads every register, runs one, and prints what has become of everything.

import { Assembler } from "./assembler.ts";
import {
  DUMP_DWORDS,
  Dump,
  FINISHER_PASS,
  HARNESS,
  Private,
  RECORD_DWORDS,
  RECORDS,
  Record,
  SAVE,
  SCRATCH,
  SCRATCH_DWORDS,
  SLOTS,
  TEST_FINISHER,
  UART,
} from "./layout.ts";

const Csr = {
  fcsr: 0x003,
  sscratch: 0x140,
  mstatus: 0x300,
  mtvec: 0x305,
  mscratch: 0x340,
  mepc: 0x341,
  mcause: 0x342,
  mtval: 0x343,
} as const;

const readCsr = (a: Assembler, rd: number, csr: number) => a.emit("csrrs", { rd, rs1: 0, imm: csr });
const writeCsr = (a: Assembler, csr: number, rs1: number) => a.emit("csrrw", { rd: 0, rs1, imm: csr });
const swapCsr = (a: Assembler, csr: number, rd: number) => a.emit("csrrw", { rd, rs1: rd, imm: csr });
const load = (a: Assembler, rd: number, rs1: number, dword: number) => a.emit("ld", { rd, rs1, imm: dword * 8 });
const store = (a: Assembler, rs2: number, rs1: number, dword: number) => a.emit("sd", { rs2, rs1, imm: dword * 8 });
const add = (a: Assembler, rd: number, rs1: number, imm: number) => a.emit("addi", { rd, rs1, imm });

export interface Harness {
  readonly code: Uint8Array;
  /** Where a sequence jumps to at its end. */
  readonly dump: number;
}

/** The harness for a number of sequences, which are taken from the records one after the other. */
export function createHarness(sequences: number): Harness {
  const a = new Assembler(HARNESS);
  const start = a.label();
  const next = a.label();
  const finish = a.label();

  a.to("jal", start, { rd: 0 });
  const handler = a.here;
  countTrapAndSkip(a);

  a.place(start);
  a.address(5, SAVE);
  writeCsr(a, Csr.mscratch, 5);
  a.address(6, RECORDS);
  store(a, 6, 5, Private.next);
  a.address(6, handler);
  writeCsr(a, Csr.mtvec, 6);

  a.place(next);
  a.address(5, SAVE);
  load(a, 31, 5, Private.next);
  a.address(6, RECORDS + sequences * RECORD_DWORDS * 8);
  a.to("beq", finish, { rs1: 31, rs2: 6 });
  enterSequence(a);

  const dump = a.here;
  saveEverything(a);
  print(a);
  a.to("jal", next, { rd: 0 });

  a.place(finish);
  a.emit("lui", { rd: 5, imm: TEST_FINISHER });
  a.emit("lui", { rd: 6, imm: 0x5000 });
  add(a, 6, 6, FINISHER_PASS - 0x5000);
  a.emit("sw", { rs1: 5, rs2: 6, imm: 0 });
  const forever = a.label();
  a.place(forever);
  a.to("jal", forever, { rd: 0 });

  const code = a.finish();
  if (HARNESS + code.length > SLOTS) throw new Error("the harness does not fit before the first slot");
  return { code, dump };
}

/** Loads all state from the record that x31 points to, and goes to its sequence. x5 points to the save area. */
function enterSequence(a: Assembler): void {
  add(a, 7, 31, RECORD_DWORDS * 8);
  store(a, 7, 5, Private.next);
  store(a, 0, 5, Dump.trapHash);
  store(a, 0, 5, Dump.traps);
  a.address(6, SCRATCH);
  // Nothing is to be reserved at the start.
  a.emit("sc.w", { rd: 0, rs1: 6, rs2: 0 });
  for (let i = 0; i < SCRATCH_DWORDS; i++) {
    load(a, 7, 31, Record.scratch + i);
    store(a, 7, 6, i);
  }
  // mstatus: FS = dirty, and MPP = M, so that MRET is a jump that needs no register.
  a.emit("lui", { rd: 7, imm: 0x8000 });
  add(a, 7, 7, -0x800);
  a.emit("csrrs", { rd: 0, rs1: 7, imm: Csr.mstatus });
  writeCsr(a, Csr.sscratch, 0);
  load(a, 7, 31, Record.entry);
  writeCsr(a, Csr.mepc, 7);
  load(a, 7, 31, Record.fcsr);
  writeCsr(a, Csr.fcsr, 7);
  for (let i = 0; i < 32; i++) a.emit("fld", { rd: i, rs1: 31, imm: (Record.f + i) * 8 });
  // The last of these replaces the pointer itself.
  for (let i = 1; i < 32; i++) load(a, i, 31, Record.x + i);
  a.emit("mret");
}

/** Leaves x31 pointing to the save area. */
function saveEverything(a: Assembler): void {
  swapCsr(a, Csr.mscratch, 31);
  for (let i = 1; i < 31; i++) store(a, i, 31, Dump.x + i);
  readCsr(a, 1, Csr.mscratch);
  store(a, 1, 31, Dump.x + 31);
  writeCsr(a, Csr.mscratch, 31);
  for (let i = 0; i < 32; i++) a.emit("fsd", { rs2: i, rs1: 31, imm: (Dump.f + i) * 8 });
  readCsr(a, 1, Csr.fcsr);
  store(a, 1, 31, Dump.fcsr);
  readCsr(a, 1, Csr.sscratch);
  store(a, 1, 31, Dump.sscratch);
  a.address(2, SCRATCH);
  for (let i = 0; i < SCRATCH_DWORDS; i++) {
    load(a, 1, 2, i);
    store(a, 1, 31, Dump.scratch + i);
  }
}

/** Prints the dump that x31 points to: bytes as two hexadecimal digits each, in one line. */
function print(a: Assembler): void {
  const [at, end, uart, byte, shift] = [5, 6, 7, 8, 9];
  const nextByte = a.label();
  const nextDigit = a.label();
  add(a, at, 31, 0);
  add(a, end, at, DUMP_DWORDS * 8);
  a.emit("lui", { rd: uart, imm: UART });
  a.place(nextByte);
  a.emit("lbu", { rd: byte, rs1: at, imm: 0 });
  add(a, shift, 0, 4);
  a.place(nextDigit);
  a.emit("srl", { rd: 10, rs1: byte, rs2: shift });
  a.emit("andi", { rd: 10, rs1: 10, imm: 15 });
  add(a, 10, 10, 0x30);
  // Beyond 9 come letters, 39 characters further on.
  a.emit("sltiu", { rd: 11, rs1: 10, imm: 0x3a });
  add(a, 11, 11, -1);
  a.emit("andi", { rd: 11, rs1: 11, imm: 39 });
  a.emit("add", { rd: 10, rs1: 10, rs2: 11 });
  putCharacter(a, uart, 10);
  add(a, shift, shift, -4);
  a.to("bge", nextDigit, { rs1: shift, rs2: 0 });
  add(a, at, at, 1);
  a.to("bne", nextByte, { rs1: at, rs2: end });
  add(a, 10, 0, 0x0a);
  putCharacter(a, uart, 10);
}

/** Waits until LSR says that the transmitter is empty. */
function putCharacter(a: Assembler, uart: number, character: number): void {
  const wait = a.label();
  a.place(wait);
  a.emit("lbu", { rd: 12, rs1: uart, imm: 5 });
  a.emit("andi", { rd: 12, rs1: 12, imm: 0x20 });
  a.to("beq", wait, { rs1: 12, rs2: 0 });
  a.emit("sb", { rs1: uart, rs2: character, imm: 0 });
}

/** The trap handler: counts, adds cause, value and place to a hash, and returns behind the instruction. */
function countTrapAndSkip(a: Assembler): void {
  swapCsr(a, Csr.mscratch, 31);
  store(a, 30, 31, Private.first);
  store(a, 29, 31, Private.second);
  load(a, 30, 31, Dump.traps);
  add(a, 30, 30, 1);
  store(a, 30, 31, Dump.traps);
  load(a, 30, 31, Dump.trapHash);
  const mix = () => {
    a.emit("xor", { rd: 30, rs1: 30, rs2: 29 });
    a.emit("slli", { rd: 29, rs1: 30, imm: 5 });
    a.emit("sub", { rd: 30, rs1: 29, rs2: 30 });
  };
  const withoutValue = a.label();
  // QEMU 7.2 calls a misaligned AMO a misaligned load, cause 4, where RISC-V Priv §3.1.15 has 6: take them for the same.
  // All other causes that happen here have this bit.
  readCsr(a, 29, Csr.mcause);
  a.emit("ori", { rd: 29, rs1: 29, imm: 2 });
  mix();
  // What a breakpoint leaves in mtval, its address or 0, is free. RISC-V Priv §3.1.16
  readCsr(a, 29, Csr.mcause);
  add(a, 29, 29, -3);
  a.to("beq", withoutValue, { rs1: 29, rs2: 0 });
  readCsr(a, 29, Csr.mtval);
  mix();
  a.place(withoutValue);
  readCsr(a, 29, Csr.mepc);
  mix();
  store(a, 30, 31, Dump.trapHash);
  // Two bytes further, or four where the low bits are 11.
  readCsr(a, 29, Csr.mepc);
  a.emit("lhu", { rd: 30, rs1: 29, imm: 0 });
  a.emit("andi", { rd: 30, rs1: 30, imm: 3 });
  a.emit("sltiu", { rd: 30, rs1: 30, imm: 3 });
  a.emit("slli", { rd: 30, rs1: 30, imm: 1 });
  a.emit("sub", { rd: 29, rs1: 29, rs2: 30 });
  add(a, 29, 29, 4);
  writeCsr(a, Csr.mepc, 29);
  load(a, 30, 31, Private.first);
  load(a, 29, 31, Private.second);
  swapCsr(a, Csr.mscratch, 31);
  a.emit("mret");
}
