// System instructions in WebAssembly beside those of csr.ts and trap.ts: the same, or nothing.
import { beforeEach, expect, test } from "bun:test";
import { OpField } from "../../../src/engine/interpreter/layout.ts";
import { defineSystem } from "../../../src/engine/interpreter/system.ts";
import { accessCsr, type CsrOperation } from "../../../src/isa/riscv/csr.ts";
import { csrs, SSTATUS, statusWritable } from "../../../src/isa/riscv/csr-table.ts";
import { Status } from "../../../src/isa/riscv/fields.ts";
import {
  CsrSlot,
  type Hart,
  HartField,
  Privilege,
  REALM_EPOCH,
  REALM_SIZE,
  RESIDENT,
  Realm,
  Remembered,
  TLB_LOCAL,
  TLB_REALMS,
  TlbFlag,
} from "../../../src/isa/riscv/hart.ts";
import { mayFence } from "../../../src/isa/riscv/mmu.ts";
import { Cause, mret, raise, sret } from "../../../src/isa/riscv/trap.ts";
import { ModuleWriter } from "../../../src/wasm/module.ts";
import { Chance, EXTENSIONS, makeHart, memory } from "../../isa/riscv/privileged.ts";

const BLOCK = 0x400;
const OP = memory.poolOffset;
const ROUNDS = 20_000;
const SINK = 32;

interface Exports {
  csr(op: number): number;
  fence(op: number): number;
  sret(): number;
  mret(): number;
  ecall(pc: bigint): number;
}

function instantiate(hart: Hart): Exports {
  const module = new ModuleWriter();
  const pages = memory.memory.buffer.byteLength / 65536;
  module.importMemory("env", "memory", pages, pages);
  const plan = { compressed: hart.has("c"), status: statusWritable(hart, SSTATUS) };
  for (const [name, f] of Object.entries(defineSystem(module, plan))) module.export(name, f);
  const compiled = new WebAssembly.Module(module.finish());
  return new WebAssembly.Instance(compiled, { env: { memory: memory.memory } }).exports as unknown as Exports;
}

let hart: Hart;
let chance: Chance;
let wasm: Exports;

function use(options: Parameters<typeof makeHart>[0] = {}): void {
  ({ hart } = makeHart(options));
  hart.makeResident(undefined);
  wasm = instantiate(hart);
}

beforeEach(() => {
  chance = new Chance(1964);
  use();
});

const block = () => memory.u8.slice(RESIDENT, RESIDENT + BLOCK);

/** Any state of registers, privilege and CSRs; what is pending only sometimes. */
function randomState(): void {
  for (let i = 1; i < 32; i++) hart.setX(i, chance.below(3) === 0 ? BigInt(chance.below(256)) : chance.wide());
  for (let slot = 0; slot < CsrSlot.stimecmp; slot++) if (slot !== CsrSlot.mip) hart.setCsr(slot, chance.wide());
  const rare = Status.TVM | Status.TSR | Status.MPRV | Status.MXR;
  const status = chance.word() & (chance.below(4) === 0 ? -1 : ~rare);
  hart.setCsr(
    CsrSlot.mstatus,
    BigInt.asUintN(32, BigInt((status & Status.MPP) === 2 << 11 ? status | Status.MPP : status)),
  );
  hart.setCsr(CsrSlot.mip, chance.below(4) === 0 ? chance.wide() : 0n);
  hart.pc = chance.wide() & ~1n;
  hart.privilege = chance.pick([Privilege.user, Privilege.supervisor, Privilege.supervisor, Privilege.machine]);
  hart.setWord(HartField.attention, 0);
  hart.refreshMode();
}

/** Does the same twice from one state: in WebAssembly, and where that did it, by `reference`. Answers whether it did. */
function compare(what: object, run: () => number, reference: () => boolean): boolean {
  const before = block();
  const done = run() === 1;
  const after = block();
  if (!done) expect({ ...what, same: Buffer.compare(before, after) === 0 }).toEqual({ ...what, same: true });
  else {
    memory.u8.set(before, RESIDENT);
    expect({ ...what, legal: reference() }).toEqual({ ...what, legal: true });
    // What is meant for x0 goes where nobody looks.
    memory.data.setBigUint64(RESIDENT + HartField.sink, 0n, true);
    after.fill(0, HartField.sink, HartField.sink + 8);
    const differs = after.findIndex((byte, i) => byte !== memory.u8[RESIDENT + i]);
    expect({ ...what, differs: differs.toString(16) }).toEqual({ ...what, differs: "-1" });
    expect(hart.word(HartField.attention)).toBe(0);
  }
  return done;
}

function csrInstruction(number: number): boolean {
  const funct3 = chance.pick([1, 2, 3, 5, 6, 7]);
  const [rd, rs1] = [chance.below(32), chance.below(3) === 0 ? 0 : chance.below(32)];
  memory.u8.fill(0, OP, OP + 16);
  memory.i32[(OP + OpField.imm) >> 2] = number;
  memory.u8[OP + OpField.rm] = funct3;
  memory.u16[(OP + OpField.rd) >> 1] = (rd === 0 ? SINK : rd) * 8;
  memory.u16[(OP + OpField.rs1) >> 1] = rs1 * 8;
  const { privilege } = hart;
  return compare(
    { number: number.toString(16), funct3, rd, rs1, privilege },
    () => wasm.csr(OP),
    () => {
      const operation = ((funct3 & 3) - 1) as CsrOperation;
      const operand = funct3 & 4 ? BigInt(rs1) : hart.x(rs1);
      const old = accessCsr(
        hart,
        number,
        operation,
        operand,
        operation !== 0 || rd !== 0,
        operation === 0 || rs1 !== 0,
      );
      if (old !== undefined) hart.setX(rd, BigInt.asUintN(64, old));
      return old !== undefined;
    },
  );
}

test.each([
  ["with everything", {}],
  ["without C, floating point and paging", { extensions: new Set(["i", "zicsr"]), mmu: "none" }],
  ["with paging alone", { extensions: new Set(EXTENSIONS.filter((e) => e !== "f" && e !== "d")) }],
] as const)("CSR instructions, on a hart %s", (_, options) => {
  use(options);
  const done = new Map<string, number>();
  const numbers = csrs.map(({ number }) => number);
  const usual = csrs.filter(({ name, storage }) => storage !== undefined || name === "sstatus");
  for (let i = 0; i < ROUNDS; i++) {
    randomState();
    const number = chance.below(10) === 0 ? chance.pick(numbers) : chance.pick(usual).number;
    const { name } = csrs.find((csr) => csr.number === number)!;
    if (csrInstruction(number)) done.set(name, (done.get(name) ?? 0) + 1);
  }
  expect([...done.keys()].sort()).toEqual(usual.map(({ name }) => name).sort());
  for (const count of done.values()) expect(count).toBeGreaterThan(100);
});

test("a number that no register has is TypeScript's", () => {
  const known = new Set(csrs.map(({ number }) => number));
  hart.privilege = Privilege.machine;
  for (let number = 0; number < 4096; number++) if (!known.has(number)) expect(csrInstruction(number)).toBe(false);
});

test.each([
  ["sret", () => sret(hart)],
  ["mret", () => mret(hart)],
] as const)("%s", (name, reference) => {
  let done = 0;
  for (let i = 0; i < ROUNDS; i++) {
    randomState();
    if (compare({ privilege: hart.privilege }, () => wasm[name](), reference)) done++;
  }
  expect(done).toBeGreaterThan(ROUNDS / 10);
});

test("a call from U-mode", () => {
  let done = 0;
  for (let i = 0; i < ROUNDS; i++) {
    randomState();
    const { pc } = hart;
    const reference = () => {
      const before = hart.privilege;
      raise(hart, Cause.userEcall, 0n);
      return before === Privilege.user;
    };
    if (compare({ privilege: hart.privilege }, () => wasm.ecall(BigInt.asIntN(64, pc)), reference)) done++;
  }
  expect(done).toBeGreaterThan(ROUNDS / 20);
});

/** Upper halves of addresses that have their marks in common: of programs, and of kernels with 3, 4 and 5 levels. */
const HIGH_HALVES = [0, 2, 0xffff_ffd6 | 0, 0xffff_af80 | 0, 0xff60_0000 | 0];

test("a fence for one page", () => {
  const tlb = hart.word(HartField.tlb);
  const tables = () => memory.u8.slice(tlb, tlb + TLB_LOCAL);
  let done = 0;
  for (let i = 0; i < 300; i++) {
    hart.flushTlb();
    randomState();
    const high = chance.pick(HIGH_HALVES);
    const page = BigInt(chance.below(64)) << 12n;
    const address = BigInt.asUintN(64, (BigInt(high) << 32n) | page);
    for (const field of [HartField.tlbRead, HartField.tlbWrite, HartField.tlbFetch]) {
      if (chance.below(3) === 0) continue;
      const table = hart.word(field);
      hart.noteFill(table, false);
      for (let entry = 0; entry < 64; entry++) {
        memory.data.setBigUint64(table + entry * 16, BigInt(entry) << 12n, true);
        memory.i32[(table + entry * 16 + 12) >> 2] = chance.pick([0, 0, TlbFlag.megapage]);
      }
    }
    // A mark may speak for several megapages.
    for (let n = chance.below(3); n > 0; n--) hart.noteSuperpage(Number(page), chance.pick(HIGH_HALVES), 1);
    if (chance.below(16) === 0) hart.noteSuperpage(Number(page), 0, 2);
    for (const realm of Object.values(Realm)) {
      const marks = tlb + TLB_REALMS + realm * REALM_SIZE;
      if (chance.below(4) === 0) memory.u8.fill(chance.pick(Object.values(Remembered)), marks, marks + REALM_EPOCH);
    }
    const rs1 = chance.below(32);
    if (rs1 !== 0) hart.setX(rs1, address | BigInt(chance.below(4096)));
    memory.u16[(OP + OpField.rs1) >> 1] = rs1 * 8;
    const before = tables();
    const reference = () => {
      const after = tables();
      memory.u8.set(before, tlb);
      if (!mayFence(hart) || rs1 === 0) return false;
      hart.flushTlbPage(Number(page), high);
      return Buffer.compare(after, tables()) === 0;
    };
    if (compare({ rs1, page, privilege: hart.privilege }, () => wasm.fence(OP), reference)) done++;
    else expect(Buffer.compare(before, tables())).toBe(0);
  }
  expect(done).toBeGreaterThan(100);
});
