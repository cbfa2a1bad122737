/** Harts on an interpreter with a little RAM and ROM, one device, and nothing else of a machine. */
import type { EnginePort, RunReason } from "../../src/engine/engine.ts";
import { KNOWN_SIZE } from "../../src/engine/interpreter/decoded-pages.ts";
import { Interpreter } from "../../src/engine/interpreter/interpreter.ts";
import { DECODED_PAGE_SIZE } from "../../src/engine/interpreter/layout.ts";
import { csrNumber, readCsr, resetCsrs, writeCsr } from "../../src/isa/riscv/csr.ts";
import { CsrSlot, ENGINE_RESERVED, type Hart, type Privilege } from "../../src/isa/riscv/hart.ts";
import { nativeHost } from "../../src/machine/native-host.ts";
import { GuestMemory } from "../../src/memory/guest-memory.ts";
import { assemble, type Program, register } from "./program.ts";

export const RAM = 0x8000_0000;
export const RAM_SIZE = 0x40_0000;
export const ROM = 0x1000;
/** Where {@link Rig} answers as a device. */
export const DEVICE = 0x1000_0000;
export const DEVICE_SIZE = 0x1000;

const EXTENSIONS = "i m a f d c zicsr zifencei zicntr zba zbb zbs zicbom zicboz sstc svadu".split(" ");

export interface RigOptions {
  readonly harts?: number;
  /** Decoded pages that the pool holds, the one for straddling instructions included. */
  readonly decodedPages?: number;
  /** As if other threads had the memory, too. */
  readonly shared?: boolean;
  /** As the engine's: 1 runs translated code from its first execution. */
  readonly threshold?: number;
  /** Quick code is native, where the host has a processor for it; and may go through a window onto the memory. */
  readonly native?: boolean;
  readonly window?: boolean;
}

/** A device access as the port saw it. */
export type Exit = readonly ["load" | "store", offset: number, width: number, value: number];

export class Rig {
  readonly memory: GuestMemory;
  readonly engine: Interpreter;
  exits: Exit[] = [];
  /** What loads from the device give. */
  onLoad: (offset: number, width: number) => number = () => 0;
  onStore: (offset: number, width: number, value: number) => boolean = () => true;
  now = 0;

  constructor({
    harts = 1,
    decodedPages = 64,
    shared,
    threshold = 0,
    native = false,
    window = false,
  }: RigOptions = {}) {
    this.memory = new GuestMemory(
      [
        { name: "ram", at: RAM, size: RAM_SIZE },
        { name: "rom", at: ROM, size: 0x2000, readOnly: true },
      ],
      {
        reserved: ENGINE_RESERVED,
        pool: threshold > 0 ? 0x80_0000 : KNOWN_SIZE + decodedPages * DECODED_PAGE_SIZE,
        shared,
      },
    );
    const config = { extensions: new Set(EXTENSIONS), mmu: "sv57", pmp: 16, harts } as const;
    this.engine = new Interpreter(this.memory, config, this.#port(), {
      threshold,
      native: native ? (memory) => nativeHost(memory, window ? () => {} : undefined) : undefined,
    });
    this.reset();
  }

  #port(): EnginePort {
    const inside = (address: number) => address >= DEVICE && address < DEVICE + DEVICE_SIZE;
    return {
      load: (address, width) => {
        if (!inside(address)) return -1;
        const value = this.onLoad(address - DEVICE, width);
        this.exits.push(["load", address - DEVICE, width, value]);
        return value;
      },
      store: (address, width, value) => {
        if (!inside(address)) return false;
        this.exits.push(["store", address - DEVICE, width, value]);
        return this.onStore(address - DEVICE, width, value);
      },
      time: () => this.now,
      setTimer: () => {},
    };
  }

  /** As at power-on, with empty memory and the device as it was at first. */
  reset(): void {
    this.memory.clear();
    this.engine.reset();
    this.exits = [];
    this.onLoad = () => 0;
    this.onStore = () => true;
    this.now = 0;
    for (const hart of this.engine.harts) {
      for (let i = 0; i < 32; i++) {
        hart.setX(i, 0n);
        hart.setF(i, 0n);
      }
      hart.setCsrHigh(CsrSlot.mip, 0);
      hart.retired = 0;
      hart.trapped = 0;
      resetCsrs(hart);
      hart.pc = BigInt(RAM);
    }
  }

  get hart(): Hart {
    return this.engine.harts[0];
  }

  /** Puts a program where it belongs; the first hart starts at its beginning. */
  load(text: string, at = RAM): Program {
    const program = assemble(at, text);
    this.memory.load(at, program.bytes);
    this.hart.pc = BigInt(at);
    return program;
  }

  run(budget: number, hart = 0): RunReason {
    return this.engine.run(hart, budget);
  }

  /** Runs until the hart is at `address`; fails where it does not get there in `limit` instructions. */
  runTo(address: number, limit = 100_000, hart = 0): void {
    for (let i = 0; i < limit; i++) {
      if (this.engine.harts[hart].pc === BigInt(address)) return;
      this.engine.run(hart, 1);
    }
    throw new Error(`the hart is at 0x${this.engine.harts[hart].pc.toString(16)}, not at 0x${address.toString(16)}`);
  }

  /** A register by its ABI name. */
  x(name: string, hart = 0): bigint {
    return this.engine.harts[hart].x(register(name));
  }

  csr(name: string, hart = 0): bigint {
    const subject = this.engine.harts[hart];
    const before = subject.privilege;
    subject.privilege = 3;
    const value = readCsr(subject, csrNumber(name));
    subject.privilege = before;
    if (value === undefined) throw new Error(`${name} cannot be read`);
    return value;
  }

  setCsr(name: string, value: bigint, hart = 0): void {
    const subject = this.engine.harts[hart];
    const before = subject.privilege;
    subject.privilege = 3;
    const written = writeCsr(subject, csrNumber(name), value);
    this.enter(before, hart);
    if (!written) throw new Error(`${name} cannot be written`);
  }

  enter(privilege: Privilege, hart = 0): void {
    this.engine.harts[hart].privilege = privilege;
    this.engine.harts[hart].refreshMode();
  }

  /** Everything architectural about a hart, and the contents of RAM. */
  state(hart = 0): object {
    const subject = this.engine.harts[hart];
    return {
      pc: subject.pc,
      x: Array.from({ length: 32 }, (_, i) => subject.x(i)),
      f: Array.from({ length: 32 }, (_, i) => subject.f(i)),
      csrs: Array.from({ length: CsrSlot.pmpcfg + 2 }, (_, i) => subject.csr(i)),
      privilege: subject.privilege,
      retired: subject.retired,
      trapped: subject.trapped,
      ram: Bun.hash(this.memory.view(RAM, RAM_SIZE)!),
    };
  }
}

/** Flags of page table entries. RISC-V Priv §10.3.1 */
export const Pte = { V: 1, R: 2, W: 4, X: 8, U: 16, G: 32, A: 64, D: 128 } as const;
export const PTE_RWX = Pte.V | Pte.R | Pte.W | Pte.X | Pte.A | Pte.D;

/** Sv39 page tables that grow as pages are mapped. */
export class PageTables {
  #next: number;
  readonly root: number;

  constructor(
    readonly memory: GuestMemory,
    readonly at = RAM + RAM_SIZE - 0x4_0000,
  ) {
    this.root = at;
    this.#next = at + 0x1000;
  }

  get satp(): bigint {
    return (8n << 60n) | BigInt(this.root / 4096);
  }

  map(virtual: number, physical: number, flags: number): void {
    let table = this.root;
    for (const level of [2, 1]) {
      const at = table + (Math.floor(virtual / 2 ** (12 + 9 * level)) & 511) * 8;
      const entry = this.#entry(at);
      if ((entry & 1n) === 0n) {
        this.#setEntry(at, (BigInt(this.#next / 4096) << 10n) | 1n);
        table = this.#next;
        this.#next += 0x1000;
      } else table = Number(entry >> 10n) * 4096;
    }
    this.#setEntry(this.entryAt(virtual, table), (BigInt(physical / 4096) << 10n) | BigInt(flags));
  }

  /** The address of the entry for a page that has its tables. */
  entryOf(virtual: number): number {
    let table = this.root;
    for (const level of [2, 1]) {
      table = Number(this.#entry(table + (Math.floor(virtual / 2 ** (12 + 9 * level)) & 511) * 8) >> 10n) * 4096;
    }
    return this.entryAt(virtual, table);
  }

  private entryAt(virtual: number, table: number): number {
    return table + (Math.floor(virtual / 4096) & 511) * 8;
  }

  #entry(at: number): bigint {
    return this.memory.data.getBigUint64(this.memory.locate(at, 8), true);
  }

  #setEntry(at: number, value: bigint): void {
    this.memory.data.setBigUint64(this.memory.locate(at, 8), value, true);
  }
}
