/** The interpreter as an engine: runs harts one at a time in generated WebAssembly and serves what that cannot do. */
import { accessCsr, CsrOperation, csrHalves, isCsr, pendingInterrupts, setPending } from "../../isa/riscv/csr.ts";
import { type CsrHalves, SSTATUS, statusWritable } from "../../isa/riscv/csr-table.ts";
import { createDecoder } from "../../isa/riscv/decode.ts";
import { Access } from "../../isa/riscv/fields.ts";
import { softFloat } from "../../isa/riscv/float/mail.ts";
import {
  CsrSlot,
  Hart,
  type HartConfig,
  HartField,
  Privilege,
  RESIDENT,
  TLB_ENTRIES,
  TLB_ENTRY_SIZE,
} from "../../isa/riscv/hart.ts";
import { CacheOperation, mayFence, mayManageCache, translate, walk } from "../../isa/riscv/mmu.ts";
import { Cause, mayWait, mret, raise, sret, takeInterrupt, wakes } from "../../isa/riscv/trap.ts";
import { type GuestMemory, PAGE_SIZE, Pass } from "../../memory/guest-memory.ts";
import type { Engine, EnginePort, EngineStatistics } from "../engine.ts";
import { RunReason } from "../engine.ts";
import type { WrittenNative } from "../native/listing.ts";
import type { NativeHost } from "../native/native-code.ts";
import { FLOAT_PLACES } from "../places.ts";
import { Leaving } from "../translator/contract.ts";
import type { WrittenRegion } from "../translator/region-text.ts";
import type { Follower, Regions } from "../translator/regions.ts";
import { type InterpreterImports, Status, services } from "./contract.ts";
import { DecodedPages } from "./decoded-pages.ts";
import { DeviceStatus } from "./device-ways.ts";
import { MemoryAccess } from "./memory-access.ts";
import { interpreterModule, type ModuleStore } from "./module.ts";

const word = (field: number) => (RESIDENT + field) >> 2;
const BUDGET = word(HartField.budget);
const ATTENTION = word(HartField.attention);
const PC = word(HartField.pc);
const MAIL = word(HartField.mail0);
const TLB_FETCH = word(HartField.tlbFetch);
const VALUE = word(HartField.mail1);
const LEAVING = word(HartField.mail3);
const IN_PAGE = PAGE_SIZE - 1;
const SYSTEM_LENGTH = 4;
const SATP = 0x180;
const ASID = 0xffff;
/** The bits of a value, by its width; no register of 8 bytes has a way of its own. */
const VALUES = [0, 0xff, 0xffff, 0, -1, 0, 0, 0, 0];
/** Instructions after which it is asked where they were spent; and before it is asked again. */
export const SAMPLE = 200_000;
/** Accesses by one instruction to one register in a run that make it a device site, see device-sites.ts. */
const HOT_SITE = 64;
/** Arrivals that make native code worth it: to make it takes as long as two or three hundred executions by the interpreter. */
const NATIVE_THRESHOLD = 200;
/** Nothing is translated before this many times the threshold's instructions: what ends so soon would never see it. */
const EARLIEST = { wasm: 1400, native: 300 } as const;
/** Regions compiled together: a module costs more than a function. */
const BATCH = 16;

export interface InterpreterOptions {
  /** Arrivals at an instruction that make a translated region worth it; 0 or absent: nothing is translated. */
  readonly threshold?: number;
  /** Makes room for native code, if this host has a processor that we know; asked when something is hot. */
  readonly native?: ((memory: GuestMemory) => NativeHost | undefined) | undefined;
  /** Where the generated interpreter is kept from one process to the next. */
  readonly store?: ModuleStore;
}

export class Interpreter implements Engine {
  readonly harts: readonly Hart[];
  readonly #memory: GuestMemory;
  readonly #port: EnginePort;
  readonly #pages: DecodedPages;
  readonly #access: MemoryAccess;
  readonly #enter: () => void;
  readonly #softFloat: (operation: number, rounding: number) => void;
  readonly #found = { interpreter: 0, quick: 0, thorough: 0 };
  readonly #asked = { fetch: 0, load: 0, store: 0, atomic: 0, decode: 0, service: 0 };
  /** Translated code, from when the first is wanted. */
  regions: Regions | undefined;
  readonly #createRegions: () => Regions;
  /** Instructions before which nothing is translated. */
  readonly #earliest: number;
  readonly #translates: boolean;
  #follower: Follower | undefined;
  #resident: Hart | undefined;
  /** Instructions until generated code is left for a sample, at the latest; and since the last one. */
  #stretch = SAMPLE;
  #unsampled = 0;
  /** Instructions the current run may spend, has spent before entering generated code, and had left on entering. */
  #limit = 0;
  #spent = 0;
  #entered = 0;
  #running = false;
  /** Instructions of all harts, in runs that have ended. */
  #finished = 0;
  #reason: RunReason = RunReason.budget;
  #stop = false;

  constructor(
    memory: GuestMemory,
    config: HartConfig & { readonly harts: number },
    port: EnginePort,
    options: InterpreterOptions = {},
  ) {
    this.#memory = memory;
    this.#port = port;
    this.harts = Array.from({ length: config.harts }, (_, index) => {
      const hart = new Hart(index, memory, config, port);
      // The instruction that asks has been counted already, and has not retired yet.
      const current = () => (hart === this.#resident && this.#running ? this.executed - 1 : 0);
      hart.instret = () => hart.retired + current() - hart.trapped;
      return hart;
    });
    const { threshold = 0, store, native } = options;
    this.#translates = threshold > 0;
    this.#earliest = threshold > 1 ? threshold * EARLIEST[native === undefined ? "wasm" : "native"] : 0;
    this.#softFloat = softFloat(memory.data, FLOAT_PLACES);
    const decoder = createDecoder(withBase(config.extensions));
    this.#pages = new DecodedPages(memory, decoder, threshold > 0);
    this.#pages.onProtect = () => {
      for (const hart of this.harts) hart.flushTlbWrites();
      this.#access.ways.disturb();
    };
    this.#pages.onFlush = () => {
      for (const hart of this.harts) hart.flushTlbFetches();
      this.regions?.clear();
    };
    this.#access = new MemoryAccess(memory, port, this.#pages, threshold === 1 ? 1 : HOT_SITE);
    if (this.#translates) this.#access.ways.onHot = () => this.#noteDeviceSite();
    const { scratch, counters, sites, entries, table: decodedPages } = this.#pages;
    const { codePagesOffset: codePages } = memory;
    const memoryPages = memory.memory.buffer.byteLength / 65536;
    const table = new WebAssembly.Table({ element: "anyfunc", initial: threshold > 0 ? 1024 : 0 });
    const places = { scratch, counters, sites, entries, codePages, decodedPages };
    const status = statusWritable(this.harts[0], SSTATUS);
    const compressed = config.extensions.has("c");
    const arrivals = native === undefined ? threshold : Math.min(threshold, NATIVE_THRESHOLD);
    const plan = { memoryPages, ...places, compressed, status, threshold: arrivals, parallel: memory.shared };
    const module = interpreterModule(plan, store);
    const { exports } = new WebAssembly.Instance(module, {
      env: { memory: memory.memory, regions: table, ...this.#imports() },
    });
    this.#enter = exports.run as () => void;
    this.#createRegions = () => {
      const { Regions } = require("../translator/regions.ts") as typeof import("../translator/regions.ts");
      const { deviceCalls } = require("./device-calls.ts") as typeof import("./device-calls.ts");
      const immediate = threshold === 1;
      return new Regions({
        memory,
        pages: this.#pages,
        decoder,
        table,
        softFloat: this.#softFloat,
        devices: deviceCalls(memory, this.#access, () => this.#attend()),
        onRetire: () => this.#access.ways.disturb(),
        onForget: () => this.#access.ways.cool(),
        ...{ native: native?.(memory), compressed },
        batch: immediate ? 1 : BATCH,
        immediate,
        locate: (address) => this.#locateCode(address),
        follower: () => this.#follower,
      });
    };
  }

  run(index: number, budget: number): RunReason {
    const hart = this.harts[index];
    hart.makeResident(this.#resident);
    this.#resident = hart;
    this.#access.hart = hart;
    this.#limit = budget;
    this.#spent = 0;
    this.#entered = 0;
    this.#running = true;
    this.#reason = RunReason.budget;
    const { i32 } = this.#memory;
    i32[BUDGET] = 0;
    // A level that rose while the hart rested has to be seen, whoever drove it.
    i32[ATTENTION] = 1;
    while (this.#spent < this.#limit && this.#reason === RunReason.budget) {
      if (i32[ATTENTION] !== 0) {
        i32[ATTENTION] = 0;
        if (this.#stop) {
          this.#reason = RunReason.stop;
          break;
        }
        if (takeInterrupt(hart)) this.#port.interrupted?.(index);
      }
      this.#entered = Math.min(this.#limit - this.#spent, this.#stretch);
      i32[BUDGET] = this.#entered;
      i32[LEAVING] = Leaving.moved;
      this.#enter();
      this.#spent += this.#entered - i32[BUDGET];
      this.#unsampled += this.#entered - i32[BUDGET];
      if (i32[BUDGET] <= 0 && this.#unsampled >= SAMPLE) this.#sample();
      this.#entered = 0;
      i32[BUDGET] = 0;
    }
    this.#stop = false;
    this.#running = false;
    this.settle();
    this.regions?.settle();
    hart.retired += this.#spent;
    this.#finished += this.#spent;
    return this.#reason;
  }

  /** The budget of a sample is used up: where? */
  #sample(): void {
    const how = this.#memory.i32[LEAVING];
    const spent = this.#unsampled;
    const level = how > Leaving.interpret ? this.regions?.sample(Leaving.slotOf(how), spent) : undefined;
    this.#found[level === "native" ? "quick" : (level ?? "interpreter")] += this.#unsampled / SAMPLE;
    this.#unsampled = 0;
    // Good code is left alone, some of it until the run ends: taken up again elsewhere, it would be found hot there, too.
    this.#stretch = level === "thorough" ? Number.POSITIVE_INFINITY : level === "native" ? 16 * SAMPLE : SAMPLE;
  }

  get executed(): number {
    return this.#spent + this.#entered - this.#memory.i32[BUDGET] * (this.#running ? 1 : 0);
  }

  get statistics(): EngineStatistics {
    const { loads, stores } = this.#access.ways;
    const asked = { ...this.#asked, load: this.#asked.load + loads, store: this.#asked.store + stores };
    return {
      translation: this.regions?.statistics,
      native: this.regions?.native?.statistics,
      found: this.#found,
      asked,
    };
  }

  followTranslation(region: (written: WrittenRegion) => void, native?: (written: WrittenNative) => void): boolean {
    this.#follower = { region, native };
    return this.#translates;
  }

  shorten(budget: number): void {
    if (!this.#running) return;
    this.#limit = Math.min(this.#limit, this.executed + budget);
    this.#cut(budget);
  }

  requestStop(): void {
    this.#stop = true;
    this.#resident?.demandAttention();
    this.#attend();
  }

  setPending(hart: number, bit: number, level: boolean): void {
    setPending(this.harts[hart], bit, level);
  }

  wakes(hart: number): boolean {
    return wakes(this.harts[hart]);
  }

  flushTranslations(): void {
    for (const hart of this.harts) {
      hart.flushTlb();
      hart.forgetWindow();
    }
    // The page being executed may be one of them: generated code is left, and fetches anew.
    this.#resident?.demandAttention();
    this.#attend();
  }

  settle(): void {
    this.#access.ways.settle();
  }

  forgetWays(): void {
    this.#access.ways.forget();
  }

  /** FENCE.I on behalf of whoever stores elsewhere: fetches from now on see what was stored. May be called during `run`. */
  fenceFetches(): void {
    this.#pages.fence();
    for (const hart of this.harts) hart.flushTlbFetches();
    this.#resident?.demandAttention();
    this.#attend();
  }

  reset(): void {
    this.#pages.flush();
    for (const hart of this.harts) {
      hart.flushTlb();
      hart.forgetWindow();
    }
  }

  /** The load or store at `pc` goes to a device again and again. Answers whether regions were told. */
  #noteDeviceSite(): boolean {
    const { i32 } = this.#memory;
    const low = i32[PC];
    const entry = (i32[TLB_FETCH] + ((low >>> 12) & (TLB_ENTRIES - 1)) * TLB_ENTRY_SIZE) >> 2;
    if (this.regions === undefined || i32[entry] !== (low & ~IN_PAGE) || i32[entry + 1] !== i32[PC + 1]) return false;
    const { page } = this.#pages.pageOfOp(i32[entry + 2] >>> 0);
    this.regions.noteDevice(page * PAGE_SIZE + (low & IN_PAGE));
    return true;
  }

  /** Leaves generated code after at most `budget` more instructions. */
  #cut(budget: number): void {
    const { i32 } = this.#memory;
    const excess = i32[BUDGET] - budget;
    if (excess <= 0) return;
    i32[BUDGET] -= excess;
    this.#entered -= excess;
    this.#access.ways.disturb();
  }

  /** What demands attention is looked at between entries of generated code: ends the current one. */
  #attend(): void {
    if (this.#memory.i32[ATTENTION] !== 0) this.#cut(0);
  }

  #imports(): InterpreterImports {
    const access = this.#access;
    const asked = this.#asked;
    const { ways } = access;
    const { i32 } = this.#memory;
    const load = ways.loader((status) => status);
    const store = ways.storer((status) => status);
    const finished = (done: boolean) => {
      this.#attend();
      ways.calm();
      return done ? Status.next : Status.moved;
    };
    return {
      fetch: () => {
        asked.fetch++;
        return this.#fetch();
      },
      decode: (op) => {
        asked.decode++;
        this.#pages.decodeFrom(op >>> 0);
      },
      straddle: () => this.#straddle(),
      load: (width) => {
        const status = load(i32[MAIL], i32[MAIL + 1], width);
        if (status === DeviceStatus.done) return Status.next;
        if (status !== DeviceStatus.unknown) return finished(status === DeviceStatus.disturbed || access.fault(false));
        asked.load++;
        return finished(access.load(width));
      },
      store: (width) => {
        const status = store(i32[MAIL], i32[MAIL + 1], width, i32[VALUE] & VALUES[width]);
        if (status === DeviceStatus.done) return Status.next;
        if (status !== DeviceStatus.unknown) return finished(status === DeviceStatus.disturbed || access.fault(true));
        asked.store++;
        return finished(access.store(width));
      },
      locate: (width, kind) => {
        asked.atomic++;
        return finished(access.locate(width, kind));
      },
      service: (service, op) => {
        asked.service++;
        const status = this.#serve(services[service], this.#pages.bitsOf(op >>> 0));
        this.#attend();
        return status;
      },
      hot: (op) => {
        // What ends so soon would pay for a translation and never see it.
        if (this.#finished < this.#earliest) return this.#pages.forgetArrivals(op >>> 0);
        this.regions ??= this.#createRegions();
        this.regions.consider(op >>> 0, this.#resident!.pc);
      },
      native: (entry) => this.regions!.native!.run(entry),
      float: this.#softFloat,
    };
  }

  #fetch(): number {
    const { i32 } = this.#memory;
    // A jump has spent the last instruction: what its target does comes after whatever wants attention.
    if (i32[BUDGET] <= 0) return Status.exit;
    const low = i32[PC];
    const high = i32[PC + 1];
    const offset = this.#access.fetch(low, high, this.#resident!.pc);
    if (offset < 0) return this.#chargeTrap();
    if (!walk.cacheable) return this.#fetchAlone(offset + (low & IN_PAGE));
    const ops = this.#pages.of(offset);
    this.#access.fillFetch(low, high, ops);
    i32[MAIL] = ops;
    return Status.next;
  }

  /** PMP splits the page, so every instruction has to be fetched by itself. `at` is its offset in linear memory. */
  #fetchAlone(at: number): number {
    const { i32, u16 } = this.#memory;
    const low = u16[at >>> 1];
    if ((low & 3) === 3) return this.#straddle();
    this.#pages.decodeAlone(low, at & IN_PAGE);
    i32[MAIL] = this.#pages.scratch;
    return Status.next;
  }

  /** Fetches the two halves of the 4-byte instruction at `pc`, each by its own right, into the scratch page. */
  #straddle(): number {
    const hart = this.#resident!;
    const { i32, u16 } = this.#memory;
    const { pc } = hart;
    const low = i32[PC];
    const high = i32[PC + 1];
    const next = (low + 2) | 0;
    const nextHigh = (high + (next === 0 ? 1 : 0)) | 0;
    const first = this.#access.fetch(low, high, pc);
    if (first < 0) return this.#chargeTrap();
    const lasts = walk.cacheable;
    const second = this.#access.fetch(next, nextHigh, BigInt.asUintN(64, pc + 2n));
    if (second < 0) return this.#chargeTrap();
    const at = low & IN_PAGE;
    const bits = u16[(first + at) >>> 1] | (u16[(second + (next & IN_PAGE)) >>> 1] << 16);
    if (lasts && walk.cacheable && first !== second) this.#pages.decodeStraddling(first, second);
    this.#pages.decodeAlone(bits, at);
    i32[MAIL] = this.#pages.scratch;
    return Status.next;
  }

  /** Where the page at a virtual address lies, if it can be executed and needs no asking again; else -1. */
  #locateCode(address: bigint): number {
    const low = Number(BigInt.asIntN(32, address));
    const high = Number(BigInt.asIntN(32, address >> 32n));
    if (translate(this.#resident!, low, high, Access.fetch, 2, "looks") !== 0 || !walk.cacheable) return -1;
    return this.#memory.locateFor(Pass.execute, walk.physical, PAGE_SIZE);
  }

  /** A fetch that traps spends one instruction, so that a guest whose handler faults cannot hold the machine. */
  #chargeTrap(): number {
    this.#memory.i32[BUDGET]--;
    return this.#memory.i32[BUDGET] <= 0 ? Status.exit : Status.moved;
  }

  #serve(service: (typeof services)[number], bits: number): number {
    const hart = this.#resident!;
    const legal = (done: boolean) => (done ? Status.moved : this.#illegal(bits));
    switch (service) {
      case "illegal":
        this.#port.unsupported?.(hart.index, "instruction", bits >>> 0);
        return this.#illegal(bits);
      case "csr":
        return this.#csr(hart, bits);
      case "ecall":
        if (hart.privilege !== Privilege.supervisor || !this.#port.sbi?.(hart.index)) {
          raise(hart, Cause.userEcall + hart.privilege, 0n);
        }
        return Status.moved;
      case "ebreak":
        raise(hart, Cause.breakpoint, hart.pc);
        return Status.moved;
      case "mret":
        return legal(mret(hart));
      case "sret":
        return legal(sret(hart));
      case "wfi":
        return this.#wait(hart, bits);
      case "sfence.vma":
        return this.#fence(hart, bits);
      case "cbo.inval":
        return mayManageCache(hart, CacheOperation.invalidate) ? Status.next : this.#illegal(bits);
      case "cbo.clean":
      case "cbo.flush":
        return mayManageCache(hart, CacheOperation.clean) ? Status.next : this.#illegal(bits);
      case "fence.i":
        this.#pages.fence();
        hart.flushTlbFetches();
        this.#skip(hart);
        return Status.moved;
    }
  }

  #illegal(bits: number): number {
    raise(this.#resident!, Cause.illegalInstruction, BigInt(bits >>> 0));
    return Status.moved;
  }

  /** CSRRW, CSRRS, CSRRC and their immediate forms. RISC-V Unpriv §7.1 */
  #csr(hart: Hart, bits: number): number {
    const operation = (((bits >>> 12) & 3) - 1) as CsrOperation;
    const source = (bits >>> 15) & 31;
    const rd = (bits >>> 7) & 31;
    const halves = csrHalves(hart, bits >>> 20);
    if (halves !== undefined) {
      this.#csrInHalves(hart, halves, operation, bits);
      return Status.next;
    }
    const operand = bits & 0x4000 ? BigInt(source) : hart.x(source);
    const write = operation === 0;
    const old = accessCsr(hart, bits >>> 20, operation, operand, !write || rd !== 0, write || source !== 0);
    if (old === undefined) {
      const number = bits >>> 20;
      if (isCsr(number) || this.#port.unsupported?.(hart.index, "register", number) !== "ignore") {
        return this.#illegal(bits);
      }
      hart.setX(rd, 0n);
      return Status.next;
    }
    hart.setX(rd, BigInt.asUintN(64, old));
    if (bits >>> 20 !== SATP) return Status.next;
    // The next instruction is fetched through the new page tables; Linux relies on its faulting.
    this.#skip(hart);
    return Status.moved;
  }

  /** As `accessCsr`, for the registers that are read and written most. */
  #csrInHalves(hart: Hart, halves: CsrHalves, operation: CsrOperation, bits: number): void {
    const { i32 } = this.#memory;
    const rd = (bits >>> 7) & 31;
    const source = (bits >>> 15) & 31;
    const immediate = (bits & 0x4000) !== 0;
    const operandLow = immediate ? source : i32[word(HartField.x) + source * 2];
    const operandHigh = immediate ? 0 : i32[word(HartField.x) + source * 2 + 1];
    const low = halves.low(hart);
    const high = halves.high(hart);
    if (operation === CsrOperation.write) halves.write(hart, operandLow, operandHigh);
    else if (source !== 0) {
      if (operation === CsrOperation.set) halves.write(hart, low | operandLow, high | operandHigh);
      else halves.write(hart, low & ~operandLow, high & ~operandHigh);
    }
    if (rd === 0) return;
    i32[word(HartField.x) + rd * 2] = low;
    i32[word(HartField.x) + rd * 2 + 1] = high;
  }

  #wait(hart: Hart, bits: number): number {
    if (!mayWait(hart)) return this.#illegal(bits);
    if (pendingInterrupts(hart) !== 0) return Status.next;
    this.#skip(hart);
    this.#reason = RunReason.wfi;
    return Status.exit;
  }

  /** SFENCE.VMA: for one page where rs1 is not x0, for one address space where rs2 is not x0. RISC-V Priv §10.2.1 */
  #fence(hart: Hart, bits: number): number {
    if (!mayFence(hart)) return this.#illegal(bits);
    const page = (bits >>> 15) & 31;
    const space = (bits >>> 20) & 31;
    const { i32 } = this.#memory;
    if (page !== 0) hart.flushTlbPage(i32[word(HartField.x) + page * 2], i32[word(HartField.x) + page * 2 + 1]);
    else if (space === 0) hart.flushTlb();
    // No space but the current one has translations here.
    else if ((i32[word(HartField.x) + space * 2] & ASID) === ((hart.csrHigh(CsrSlot.satp) >>> 12) & ASID)) {
      hart.flushAddressSpace();
    }
    // The page being executed may be mapped elsewhere now: fetch it anew.
    this.#skip(hart);
    return Status.moved;
  }

  #skip(hart: Hart): void {
    hart.pc = BigInt.asUintN(64, hart.pc + BigInt(SYSTEM_LENGTH));
  }
}

/** What every RV64 machine here has, whatever the board's ISA string names. */
function withBase(extensions: ReadonlySet<string>): ReadonlySet<string> {
  return new Set([...extensions, "i", "zicsr", "zifencei"]);
}
