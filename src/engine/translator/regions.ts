/** The regions of a machine: found when code gets hot, compiled in batches, entered through patched ops, dropped when bytes change. */
import type { Decoder } from "../../isa/riscv/decode.ts";
import { floatHelpersOf } from "../../isa/riscv/float/fast.ts";
import { importSoftFloat } from "../../isa/riscv/float/mail.ts";
import type { GuestMemory } from "../../memory/guest-memory.ts";
import { PAGE_SIZE } from "../../memory/guest-memory.ts";
import { ModuleWriter } from "../../wasm/module.ts";
import type { TranslationStatistics } from "../engine.ts";
import type { DecodedPages } from "../interpreter/decoded-pages.ts";
import type { DeviceCalls } from "../interpreter/device-calls.ts";
import { COUNTER_SHIFT, OP_SIZE, OpField, Special } from "../interpreter/layout.ts";
import type { WrittenNative } from "../native/listing.ts";
import { NativeCode, type NativeHost } from "../native/native-code.ts";
import { FLOAT_PLACES } from "../places.ts";
import { REGION_SIGNATURE } from "./contract.ts";
import { accessOf, DeviceSites, importDevices } from "./device-sites.ts";
import { type Level, writeRegion } from "./emit.ts";
import { FARTHEST, formRegion, type Operation, pageOf, type Region } from "./region.ts";
import type { WrittenRegion } from "./region-text.ts";
import { sharedCode } from "./shared-code.ts";
import { defineProbe, WarmUp } from "./warm-up.ts";

/** Counters are 2 bytes, and hold slots. */
const MAX_REGIONS = 65535;
/** Shorter regions cost more to enter than they gain, unless they are loops. */
const SHORTEST = 4;
/**
 * How large regions get, in instructions, and how deep calls are followed. Small code that follows none is compiled sooner, and
 * not over again in each of its callers.
 */
const REACH = {
  quick: { limit: 100, depth: 0 },
  thorough: { limit: 400, depth: 4 },
} as const;
/** Times that a quick region is found to have used up what it may spend before it is worth a thorough translation. */
const SAMPLES = 20;
/** Runs of the engine after which a batch is compiled though it is not full. */
const PATIENCE = 4;

/** Is told of all code that is written. */
export interface Follower {
  region(written: WrittenRegion): void;
  native?(written: WrittenNative): void;
}

export interface RegionHost {
  readonly memory: GuestMemory;
  readonly pages: DecodedPages;
  readonly decoder: Decoder;
  readonly table: WebAssembly.Table;
  /** What serves floating point exactly: see `importSoftFloat`. */
  readonly softFloat: (operation: number, rounding: number) => void;
  readonly devices: DeviceCalls;
  /** A region is not right any more: who runs it is to leave it. */
  onRetire(): void;
  /** Device sites have been forgotten. */
  onForget(): void;
  /** Regions compiled together: a module costs more than a function. */
  readonly batch: number;
  /** Where quick code is native, what it is made for. */
  readonly native: NativeHost | undefined;
  /** Whether harts have 16-bit instructions. */
  readonly compressed: boolean;
  /** Compile at once, for tests that are to run translated code from its first execution. */
  readonly immediate: boolean;
  /** Linear-memory offset of the page at a virtual address, if it may be executed and relied on; else -1. */
  locate(address: bigint): number;
  /** Who wants to see every region that is written, if anybody does. */
  follower(): Follower | undefined;
}

interface Pending {
  readonly region: Region;
  readonly decodedPages: ReadonlyMap<number, number>;
  /** Where each instruction lies in linear memory. */
  offsetOf(at: number): number;
  readonly installed: Installed;
}

interface Installed {
  readonly level: Level;
  /** The op that leads into it. */
  readonly op: number;
  /** Where its code was executed when it was found. */
  readonly pc: bigint;
  readonly slot: number;
  /** The pages of linear memory that its code is from. */
  readonly pages: readonly number[];
  /** Ops at which its blocks begin; of a thorough region, but those of functions that it calls. */
  readonly blocks: ReadonlySet<number>;
  /** Where its loads and stores lie in linear memory. */
  readonly accesses: Uint32Array;
  /** How many of them its code takes for device sites; -1: it has no code yet. */
  devices: number;
  dead: boolean;
  samples: number;
  /** Was not improved because another region may do. */
  excused: boolean;
}

export class Regions {
  readonly statistics: TranslationStatistics = {
    regions: 0,
    live: 0,
    thorough: 0,
    modules: 0,
    bytes: 0,
    failed: 0,
    instructions: 0,
    forming: 0,
    writing: 0,
    installing: 0,
  };
  readonly #host: RegionHost;
  #pending: Pending[] = [];
  /** Runs since the first of them. */
  #age = 0;
  readonly #compiled: { readonly batch: readonly Pending[]; readonly module: WebAssembly.Module }[] = [];
  /** By page of linear memory: the regions with code from it. */
  readonly #byPage = new Map<number, Set<Installed>>();
  readonly #bySlot = new Map<number, Installed>();
  /** By op: thorough regions that cover it. */
  readonly #covered = new Map<number, number>();
  readonly #warmUp: WarmUp;
  /** Ops whose regions are waiting to be compiled, or installed. */
  readonly #awaited = new Set<number>();
  readonly #devices = new DeviceSites();
  readonly native: NativeCode | undefined;
  readonly #free: number[] = [];
  #slots = 0;

  constructor(host: RegionHost) {
    this.#host = host;
    this.#warmUp = new WarmUp(host.memory);
    if (host.native !== undefined) {
      const slots = { take: () => this.#takeSlot(), give: (slot: number) => void this.#free.push(slot) };
      this.native = new NativeCode(
        host.memory,
        host.pages,
        host.native,
        slots,
        host.compressed,
        () => host.follower()?.native,
      );
    }
    host.pages.onChange = (page) => {
      this.#drop(page);
      if (this.#devices.forget(page)) host.onForget();
    };
  }

  /** The op at `pc` is hot: a region is to begin there. */
  consider(op: number, pc: bigint): void {
    const { memory, immediate } = this.#host;
    const handler = memory.u16[op >>> 1];
    const known = handler === Special.region || handler === Special.native;
    if (op < memory.poolOffset || known || this.#awaited.has(op)) return;
    if (this.native !== undefined) this.#translateNatively(this.native, op, pc);
    else this.#translate(op, pc, immediate ? "thorough" : "quick");
  }

  #translateNatively(native: NativeCode, op: number, pc: bigint): void {
    const { pages, immediate } = this.#host;
    // The scratch page belongs to no page.
    if (pages.pageOfOp(op).page === undefined) return;
    if (native.isFull) native.clear();
    native.translate(op, pc, immediate);
    this.#replaceDevices(op);
  }

  /** New native code on the op's page leaves devices to the interpreter, too. */
  #replaceDevices(op: number): void {
    for (const offset of this.#devices.on(this.#host.pages.pageOfOp(op).page)) this.#replaceAt(offset);
  }

  #takeSlot(): number | undefined {
    return this.#free.pop() ?? (this.#slots < MAX_REGIONS ? this.#slots++ : undefined);
  }

  /**
   * So many instructions were executed, and the run ended in this slot's region for want of budget: where that happens often,
   * time is spent. Answers what it is.
   */
  sample(slot: number, instructions: number): Level | "native" | undefined {
    this.native?.settle();
    this.native?.runs.look(instructions);
    const installed = this.#bySlot.get(slot);
    if (installed === undefined) return this.native && this.#findNative(this.native, slot);
    this.#improve(installed);
    return installed.level;
  }

  #findNative(native: NativeCode, slot: number): "native" | undefined {
    const op = native.find(slot);
    if (op === undefined) return undefined;
    if (native.refine(slot)) this.#replaceDevices(op);
    return "native";
  }

  /** Has a thorough region made in place of native code. */
  #replaceNative(op: number, pc: bigint): void {
    if (!this.#awaited.has(op) && this.#isStill(op, pc)) this.#translate(op, pc, "thorough");
  }

  #improve(installed: Installed): void {
    if (installed.level === "thorough" || ++installed.samples < SAMPLES) return;
    installed.samples = 0;
    // Another one that it is a part of may be under way, and make it superfluous.
    if (!installed.excused && this.#covered.has(installed.op)) installed.excused = true;
    else this.#renew(installed, "thorough");
  }

  /** Translates a region again. */
  #renew(installed: Installed, level: Level): void {
    const { op, pc } = installed;
    if (!this.#isStill(op, pc)) return;
    // Once: until the better code is there, this one goes on being found.
    installed.samples = Number.NEGATIVE_INFINITY;
    this.#translate(op, pc, level);
  }

  /** Whether the op is what is executed at `pc`: another program may run there now. */
  #isStill(op: number, pc: bigint): boolean {
    const page = this.#host.locate(pc & ~BigInt(PAGE_SIZE - 1));
    return page >= 0 && page >>> 12 === this.#host.pages.pageOfOp(op).page;
  }

  /** The load or store there in linear memory goes to a device again and again. */
  noteDevice(offset: number): void {
    if (!this.#devices.add(offset)) return;
    for (const installed of [...(this.#byPage.get(Math.floor(offset / PAGE_SIZE)) ?? [])]) {
      if (installed.accesses.includes(offset)) this.#reconsider(installed);
    }
    this.#replaceAt(offset);
  }

  /** Native code leaves every access to a device to the interpreter: where that happens often, other code is better. */
  #replaceAt(offset: number): void {
    if (this.native === undefined || this.#host.immediate) return;
    for (const { op, pc } of this.native.placesWith(offset)) this.#replaceNative(op, pc);
  }

  /** Translates a region again if it has come to have more device sites, and is not about to be replaced anyway. */
  #reconsider(installed: Installed): void {
    const { level, samples, accesses, devices, dead } = installed;
    if (dead || devices < 0 || !this.#isEntered(installed) || samples === Number.NEGATIVE_INFINITY) return;
    if (this.#devices.among(accesses) <= devices) return;
    this.#renew(installed, level);
    // Each round until then costs as much as the rest of a loop.
    this.#age = PATIENCE;
  }

  /** Whether its op leads into it. */
  #isEntered({ op, slot }: Installed): boolean {
    const { memory } = this.#host;
    return memory.u16[op >>> 1] === Special.region && memory.u16[this.#counter(op)] === slot;
  }

  /** Where the op's counter is, in halfwords. */
  #counter(op: number): number {
    return (this.#host.pages.counters + (op >>> COUNTER_SHIFT)) >>> 1;
  }

  #translate(op: number, pc: bigint, level: Level): void {
    const { memory, pages, decoder, immediate } = this.#host;
    const from = pages.pageOfOp(op);
    // The scratch page belongs to no page.
    if (from.page === undefined) return;
    // Hot at its first arrival, or on a page that turns out to have changed: the op has to know its instruction before it
    // leads elsewhere.
    pages.of(from.page * PAGE_SIZE);
    if (memory.u16[op >>> 1] === Special.undecoded) pages.decodeFrom(op);
    const base = pc & ~BigInt(PAGE_SIZE - 1);
    const started = performance.now();
    const linear = new Map<number, number>();
    const decodedPages = new Map<number, number>();
    const resolve = (page: number): number => {
      const offset =
        page === 0 ? from.page * PAGE_SIZE : this.#host.locate(BigInt.asUintN(64, base + BigInt(page * PAGE_SIZE)));
      if (offset < 0 || !pages.hasRoom) return -1;
      linear.set(page, offset);
      const ops = pages.of(offset);
      decodedPages.set(page, ops);
      return pages.bytesOf(ops);
    };
    const opOf = (at: number): number => {
      const page = pageOf(at);
      if (!decodedPages.has(page) && resolve(page) < 0) return -1;
      return opIn(decodedPages, at);
    };
    const follow = (at: number): boolean => {
      const next = opOf(at);
      if (next < 0 || immediate) return next >= 0;
      const handler = memory.u16[next >>> 1];
      return handler !== Special.undecoded && (level === "thorough" || handler !== Special.region || next === op);
    };
    const targets = (at: number): number[] | undefined => {
      const known = pages.targetsOf(opOf(at));
      // Quick code guesses nothing, but leaves it to the interpreter to find out, once.
      if (level === "quick") return known.length > 0 ? [] : undefined;
      return known.flatMap((target) => {
        const relative = Number(BigInt.asIntN(64, target - base));
        return Math.abs(relative) < FARTHEST ? [relative] : [];
      });
    };
    const region = formRegion({ memory, decoder, ...REACH[level], resolve, follow, targets }, Number(pc - base));
    this.statistics.forming += performance.now() - started;
    if (region === undefined || (region.instructions < SHORTEST && !goesRound(region))) return;
    // Native code has the host's own flags, which WebAssembly cannot ask for.
    if (this.native !== undefined && region.blocks.some(({ operations }) => operations.some(isFloat))) return;
    const slot = this.#takeSlot();
    if (slot === undefined) return;
    const relied = [...region.pages].map((page) => linear.get(page)! >>> 12);
    const own = region.blocks.filter(({ depth }) => level === "quick" || depth === 0);
    const blocks = new Set(own.map(({ at }) => opIn(decodedPages, at)));
    const offsetOf = (at: number) => linear.get(pageOf(at))! + (at - pageOf(at) * PAGE_SIZE);
    const accesses = accessesOf(region, offsetOf);
    const installed: Installed = {
      ...{ level, op, pc, slot, pages: relied, blocks, accesses },
      ...{ devices: -1, dead: false, samples: 0, excused: false },
    };
    if (level === "thorough") for (const block of blocks) this.#covered.set(block, (this.#covered.get(block) ?? 0) + 1);
    this.#bySlot.set(slot, installed);
    for (const page of relied) this.#relyOn(page, installed);
    this.#pending.push({ region, decodedPages, offsetOf, installed });
    this.#awaited.add(op);
    if (this.#pending.length >= this.#host.batch) this.#compile();
    // What is worth the effort is worth having soon.
    else if (level === "thorough") this.#age = PATIENCE;
  }

  /**
   * Installs what has been compiled, and has what is waiting compiled: at once, or beside the guest's run (a module
   * compiled on this thread would wait for the optimizing compiler, which may be busy for long).
   */
  settle(): void {
    this.#warmUp.look();
    this.native?.settle();
    for (const { batch, module } of this.#compiled.splice(0)) this.#install(batch, module);
    const due = this.#pending.length >= this.#host.batch || ++this.#age >= PATIENCE;
    if (due && this.#pending.length > 0) this.#compile();
  }

  #compile(): void {
    const batch = this.#pending.filter(({ installed }) => !installed.dead);
    this.#pending = [];
    this.#age = 0;
    if (batch.length === 0) return;
    const started = performance.now();
    const bytes = this.#writeModule(batch).finish();
    this.statistics.modules++;
    this.statistics.bytes += bytes.length;
    if (this.#host.immediate) this.#install(batch, new WebAssembly.Module(bytes));
    else {
      // A module of ours that does not compile is a bug; the guest goes on without it.
      const failed = () => {
        this.statistics.failed++;
        this.#forget(batch);
      };
      WebAssembly.compile(bytes).then((module) => this.#compiled.push({ batch, module }), failed);
    }
    this.statistics.writing += performance.now() - started;
  }

  #install(batch: readonly Pending[], module: WebAssembly.Module): void {
    const started = performance.now();
    const { memory, table, softFloat, devices, immediate } = this.#host;
    const instance = new WebAssembly.Instance(module, {
      env: {
        ...{ memory: memory.memory, regions: table, float: softFloat },
        ...{ deviceLoad: devices.load, deviceStore: devices.store },
      },
    });
    if (immediate) this.#leadInto(batch, instance);
    else {
      const names = batch.map((_, i) => `r${i}`).filter((_, i) => !batch[i].installed.dead);
      this.#warmUp.start(instance, names, () => this.#leadInto(batch, instance));
    }
    this.statistics.installing += performance.now() - started;
  }

  /** From now on the regions are entered. */
  #leadInto(batch: readonly Pending[], instance: WebAssembly.Instance): void {
    const { memory, table } = this.#host;
    batch.forEach(({ region, installed }, i) => {
      if (installed.dead) return;
      this.#awaited.delete(installed.op);
      const { op, slot } = installed;
      const counter = this.#counter(op);
      if (memory.u16[op >>> 1] === Special.region) this.#retire(this.#bySlot.get(memory.u16[counter])!);
      else this.native?.giveUp(op);
      if (slot >= table.length) table.grow(Math.max(1024, slot + 1 - table.length));
      table.set(slot, instance.exports[`r${i}`] as CallableFunction);
      memory.u16[counter] = slot;
      memory.u16[(op + OpField.handler) >>> 1] = Special.region;
      this.statistics.instructions += region.instructions;
      this.statistics.regions++;
      this.statistics.live++;
      if (installed.level === "thorough") {
        this.statistics.thorough++;
        this.#supersede(installed);
      }
      this.#reconsider(installed);
    });
  }

  /**
   * Lets quick regions go that lead through where a better one begins: control could go round in them for ever. They become
   * hot again, and then lead there.
   */
  #supersede({ op }: Installed): void {
    for (const other of [...this.#bySlot.values()]) {
      if (other.level === "quick" && other.op !== op && other.blocks.has(op)) this.#retire(other);
    }
  }

  #uncover(blocks: ReadonlySet<number>): void {
    for (const block of blocks) {
      const others = this.#covered.get(block)! - 1;
      if (others > 0) this.#covered.set(block, others);
      else this.#covered.delete(block);
    }
  }

  #forget(batch: readonly Pending[]): void {
    for (const { installed } of batch) if (!installed.dead) this.#retire(installed);
  }

  /** The slot is free again, and nothing leads there any more. */
  #retire(installed: Installed): void {
    const { slot, op } = installed;
    const { memory, table } = this.#host;
    installed.dead = true;
    if (!this.#isEntered(installed)) this.#awaited.delete(op);
    this.#host.onRetire();
    if (installed.level === "thorough") this.#uncover(installed.blocks);
    for (const page of installed.pages) this.#byPage.get(page)?.delete(installed);
    this.#bySlot.delete(slot);
    this.#free.push(slot);
    if (!this.#isEntered(installed)) return;
    memory.u16[op >>> 1] = memory.u16[(op + OpField.original) >>> 1];
    memory.u16[this.#counter(op)] = 0;
    table.set(slot, null);
    this.statistics.live--;
  }

  /** Drops every region. */
  clear(): void {
    this.native?.clear();
    for (const page of [...this.#byPage.keys()]) this.#drop(page);
  }

  #writeModule(batch: readonly Pending[]): ModuleWriter {
    const { memory, pages } = this.#host;
    const memoryPages = memory.memory.buffer.byteLength / 65536;
    const module = new ModuleWriter();
    module.importMemory("env", "memory", memoryPages, memoryPages);
    module.importTable("env", "regions", 0);
    // In the same module, where the compiler may put them in place of the calls. Imports stand before functions.
    const usesFloat = batch.some(({ region }) => region.blocks.some(({ operations }) => operations.some(isFloat)));
    const floatHelper = usesFloat
      ? floatHelpersOf(module, FLOAT_PLACES, importSoftFloat(module, "env", "float"))
      : () => unexpected();
    const usesDevices = batch.some(({ installed: { accesses } }) => this.#devices.among(accesses) > 0);
    const calls = usesDevices ? importDevices(module) : undefined;
    const shared = sharedCode(module, pages.counters);
    batch.forEach(({ region, decodedPages, offsetOf, installed }, i) => {
      const { slot, level, pc, accesses } = installed;
      const f = module.func(REGION_SIGNATURE, `r${i}`);
      const devices = calls && { at: this.#sitesIn(region, offsetOf), calls };
      installed.devices = this.#devices.among(accesses);
      const parallel = memory.shared;
      const place = { decodedPages, slot, level, shared, floatHelper, devices, parallel };
      writeRegion(f, region, place);
      this.#host.follower()?.region({
        region,
        place,
        page: pc & ~BigInt(PAGE_SIZE - 1),
        bitsOf: (at) => pages.bitsOf(opIn(decodedPages, at)),
      });
    });
    if (!this.#host.immediate) defineProbe(module);
    return module;
  }

  /** Addresses of the device sites in a region. */
  #sitesIn({ blocks }: Region, offsetOf: (at: number) => number): ReadonlySet<number> {
    const operations = blocks.flatMap((block) => block.operations);
    return new Set(operations.flatMap(({ at }) => (this.#devices.has(offsetOf(at)) ? [at] : [])));
  }

  #relyOn(page: number, installed: Installed): void {
    const known = this.#byPage.get(page);
    if (known) known.add(installed);
    else this.#byPage.set(page, new Set([installed]));
    this.#host.pages.protect(page);
  }

  /** Bytes of the page change: no region may rely on them. */
  #drop(page: number): void {
    this.native?.drop(page);
    const gone = this.#byPage.get(page);
    if (gone === undefined) return;
    this.#byPage.delete(page);
    for (const installed of gone) this.#retire(installed);
  }
}

/** The op at an address relative to a region's page, where that has a decoded page. */
function opIn(decodedPages: ReadonlyMap<number, number>, at: number): number {
  const page = pageOf(at);
  return decodedPages.get(page)! + (at - page * PAGE_SIZE) * (OP_SIZE / 2);
}

/** Whether control may come back to where the region begins without leaving it. */
function goesRound({ entry, blocks }: Region): boolean {
  return blocks.some(({ next, taken, guesses }) => next === entry || taken === entry || guesses.includes(entry));
}

/** Where the loads and stores of a region lie. */
function accessesOf({ blocks }: Region, offsetOf: (at: number) => number): Uint32Array {
  const offsets = new Set<number>();
  for (const { operations } of blocks) for (const one of operations) if (accessOf(one)) offsets.add(offsetOf(one.at));
  return Uint32Array.from(offsets);
}

function isFloat({ instruction }: Operation): boolean {
  return instruction.semantics.does === "float";
}

function unexpected(): never {
  throw new Error("a floating-point helper is wanted by a module without floating point");
}
