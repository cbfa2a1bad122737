/**
 * Loads and stores that go to devices again and again. Their code does not leave the region where the TLB has no page, as
 * all others do: it calls the port's way, at a precise state, and goes on behind.
 */
import { HartField } from "../../isa/riscv/hart.ts";
import type { Semantics, Width } from "../../isa/riscv/semantics.ts";
import { PAGE_SIZE } from "../../memory/guest-memory.ts";
import type { Callable, FunctionWriter, Local } from "../../wasm/function.ts";
import type { ModuleWriter } from "../../wasm/module.ts";
import { DeviceStatus } from "../interpreter/device-ways.ts";
import { at } from "../places.ts";
import type { Operation } from "./region.ts";

/** What the code of a region calls: see `DeviceCalls`. */
export interface DeviceImports {
  readonly load: Callable;
  readonly store: Callable;
}

export function importDevices(module: ModuleWriter): DeviceImports {
  return {
    load: module.importFunction("env", "deviceLoad", { params: ["i32", "i32", "i32"], results: ["i32"] }),
    store: module.importFunction("env", "deviceStore", { params: ["i32", "i32", "i32", "i32"], results: ["i32"] }),
  };
}

/** Which they are, by where the instruction lies in linear memory. */
export class DeviceSites {
  readonly #offsets = new Set<number>();

  has(offset: number): boolean {
    return this.#offsets.has(offset);
  }

  /** How many of them are sites. */
  among(offsets: Uint32Array): number {
    return offsets.reduce((count, offset) => (this.has(offset) ? count + 1 : count), 0);
  }

  /** `false`: it was known. */
  add(offset: number): boolean {
    if (this.#offsets.has(offset)) return false;
    this.#offsets.add(offset);
    return true;
  }

  /** Those on a page of linear memory. */
  on(page: number): number[] {
    return [...this.#offsets].filter((offset) => Math.floor(offset / PAGE_SIZE) === page);
  }

  /** Forgets those on a page, where other instructions may be now; `false` where there are none. */
  forget(page: number): boolean {
    const { size } = this.#offsets;
    for (const offset of this.on(page)) this.#offsets.delete(offset);
    return this.#offsets.size < size;
  }
}

export type Access = Extract<Semantics, { does: "load" | "store" }>;

/** The load or store that an operation is; `undefined` for all others. */
export function accessOf({ instruction: { semantics } }: Operation): Access | undefined {
  return semantics.does === "load" || semantics.does === "store" ? semantics : undefined;
}

/** What the code of such an access needs of the region around it. */
export interface DeviceSite {
  readonly f: FunctionWriter;
  readonly calls: DeviceImports;
  readonly access: Access;
  /** Instructions left before the block, and those of the block behind this one. */
  readonly budget: Local;
  readonly behind: number;
  /** Where it goes, in the guest. */
  readonly address: Local;
  /** Pushes the address of an instruction: this one, or the next. */
  pushPc(next: boolean): void;
  /** Pushes what is stored: the low word, or all of it. */
  pushValue(width: Width): void;
  /** The load has its value: it lies at an offset of memory. */
  take(offset: number): void;
  /** The interpreter is to execute the instruction. */
  leaveAt(): void;
  /** Leaves to where `pc` says. */
  leaveTo(pushPc: () => void): void;
}

/** Makes the access. Where the code goes on behind, a loaded value is in mail0. */
export function writeDeviceAccess(site: DeviceSite): void {
  const { f, calls, access, budget, behind, address } = site;
  const { does, width } = access;
  f.i32(0).get(budget);
  if (behind !== 0) f.i32(behind).op("i32.add");
  f.memory("i32.store", at(HartField.budget));
  f.i32(0);
  site.pushPc(false);
  f.memory("i64.store", at(HartField.pc));
  if (does === "store" && width === 8) {
    f.i32(0);
    site.pushValue(8);
    f.memory("i64.store", at(HartField.mail1));
  }
  f.get(address).op("i32.wrap_i64").get(address).i64(32).op("i64.shr_u", "i32.wrap_i64").i32(width);
  if (does === "load") f.call(calls.load);
  else {
    if (width === 8) f.i32(0);
    else site.pushValue(4);
    if (width < 4) f.i32(width === 1 ? 0xff : 0xffff).op("i32.and");
    f.call(calls.store);
  }
  const status = f.local("i32", "status");
  f.tee(status).ifUnlikely();
  f.get(status).i32(DeviceStatus.unknown).op("i32.eq").if();
  site.leaveAt();
  f.end();
  // It is over. What is left to be spent may be less than it was.
  f.i32(0).memory("i32.load", at(HartField.budget)).set(budget);
  f.get(status).i32(DeviceStatus.disturbed).op("i32.eq").if();
  if (does === "load") site.take(at(HartField.mail0));
  site.leaveTo(() => site.pushPc(true));
  f.end();
  // A trap has been taken.
  site.leaveTo(() => f.i32(0).memory("i64.load", at(HartField.pc)));
  f.end();
}
