/**
 * The guest's physical RAM and ROM, laid into one WebAssembly.Memory together with engine state.
 *
 * Layout of the linear memory: `[0, reserved)` belongs to the engine (hart state, TLBs: small static offsets are cheap),
 * then the blocks, each on a 64 KiB boundary, then a byte for each page, then `[poolOffset, end)` for the engine's decoded pages.
 */
import { fail } from "../diagnostics/diagnostic.ts";

const WASM_PAGE = 65536;
/** Guest page size: the grain of write tracking. */
export const PAGE_SIZE = 4096;
const MEMORY_LIMIT = 65536 * WASM_PAGE;

/** A block of guest physical memory to lay out. Addresses and sizes in bytes. */
export interface BlockSpec {
  readonly name: string;
  readonly at: number;
  readonly size: number;
  /** ROM: the guest's stores fault; loaders and `restore` still write. */
  readonly readOnly?: boolean;
  /** The memory behind a vdev's region: which of the guest's accesses go to it. All do where this is omitted. */
  readonly passes?: number;
  /** What the host address is to be a multiple of, beyond a page: huge pages need it. */
  readonly align?: number;
}

/** Bits: which of the guest's accesses reach the memory. The others are the vdev's to answer; a fetch faults. */
export const Pass = { read: 1, write: 2, execute: 4 } as const;
export type Pass = (typeof Pass)[keyof typeof Pass];

const PASSES_ALL = Pass.read | Pass.write | Pass.execute;

export interface Block extends BlockSpec {
  /** Where the block lies in the linear memory. */
  readonly offset: number;
  readonly readOnly: boolean;
  /** May change while the guest runs; translations are to be forgotten then. */
  passes: number;
  /** Puts power-on's contents back, where the host has laid something else than plain memory here. */
  startOver?: () => void;
  /** By page, 1 where the host has lost what was there: it is no memory any more. Set by {@link GuestMemory.lose}. */
  lost?: Uint8Array;
}

export interface GuestMemoryOptions {
  /** Bytes at the bottom of the linear memory for the engine. */
  readonly reserved: number;
  /** Bytes at the top of the linear memory for the engine's pool. */
  readonly pool: number;
  /** Blocks are shared with other threads that run this guest: see {@link GuestMemory.shared}. */
  readonly shared?: boolean;
  /** The host address of a buffer's first byte, for blocks that ask for an alignment of it. */
  readonly addressOf?: (buffer: ArrayBufferLike) => number;
}

/** Access by vdevs and loaders: every address is checked, because a fault in a typed array would end the process. */
export interface DmaMemory {
  /** Copies `length` bytes out, or answers `undefined` where any of them is not RAM. */
  read(at: number, length: number): Uint8Array | undefined;
  /** Copies bytes in; `false` (and nothing written) where any of them is not writable RAM. */
  write(at: number, bytes: Uint8Array): boolean;
  /** A window on the bytes, without a copy, for reading; `undefined` where any of them is not RAM. Do not keep it. */
  view(at: number, length: number): Uint8Array | undefined;
  /** A window that will be written; code decoded from these bytes is forgotten first. Do not keep it. */
  mutable(at: number, length: number): Uint8Array | undefined;
  /** The guest runs meanwhile, on other threads: what it may be changing is to be read and written by `Atomics`. */
  readonly shared?: boolean;
}

export class GuestMemory implements DmaMemory {
  readonly memory: WebAssembly.Memory;
  readonly blocks: readonly Block[];
  /** Where the engine's pool starts in the linear memory. */
  readonly poolOffset: number;
  readonly poolSize: number;
  /** Whether the pool is as it was made: zero. An engine that takes it says otherwise. */
  poolIsFresh = true;
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly data: DataView;
  /**
   * Other threads have the guest's memory, too, in linear memories of their own. What is one step for harts must be one for
   * threads, then, and stores of others into code go unnoticed until a fence asks.
   */
  readonly shared: boolean;
  /** One byte per 4 KiB page of the linear memory: not 0 where the engine holds decoded code of that page. */
  readonly codePages: Uint8Array;
  /** Where {@link codePages} lie in the linear memory. */
  readonly codePagesOffset: number;
  /** Set by the engine: told before bytes of a page with decoded code change. `page` indexes {@link codePages}. */
  onCodeWrite: (page: number) => void = () => {};

  constructor(specs: readonly BlockSpec[], options: GuestMemoryOptions) {
    const sorted = [...specs].sort((a, b) => a.at - b.at);
    const room = sorted.reduce((sum, { size, align = 0 }) => sum + roundUp(size + align, WASM_PAGE), 0);
    this.poolSize = roundUp(options.pool, WASM_PAGE);
    this.shared = options.shared ?? false;
    const before = roundUp(options.reserved, WASM_PAGE) + room;
    // One byte in 4096 of all, and so one in 4095 of the rest.
    const marks = roundUp((before + this.poolSize) / (PAGE_SIZE - 1), WASM_PAGE);
    const total = before + marks + this.poolSize;
    this.codePagesOffset = before;
    this.poolOffset = before + marks;
    if (total > MEMORY_LIMIT) {
      fail(
        "memory/too-large",
        `guest memory and engine state need ${total} bytes; one WebAssembly memory holds 4 GiB`,
        {
          hint: "give the board less RAM; 3 GiB fits",
        },
      );
    }
    const pages = total / WASM_PAGE;
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const { buffer } = this.memory;
    this.u8 = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.data = new DataView(buffer);
    this.codePages = new Uint8Array(buffer, this.codePagesOffset, total / PAGE_SIZE);
    // Where the memory lies is known now, and so is what is aligned in it.
    const base = sorted.some(({ align }) => align !== undefined) ? (options.addressOf?.(buffer) ?? 0) : 0;
    let offset = roundUp(options.reserved, WASM_PAGE);
    this.blocks = sorted.map((spec): Block => {
      const { size, align, readOnly = false, passes = PASSES_ALL } = spec;
      const at = align === undefined ? offset : roundUp(base + offset, align) - base;
      offset += roundUp(size + (align ?? 0), WASM_PAGE);
      return { ...spec, offset: at, readOnly, passes };
    });
  }

  /** Linear-memory offset of `[at, at + length)`, or -1 where that is not wholly inside one block. */
  locate(at: number, length: number): number {
    return this.#within(this.#below(at), at, length);
  }

  /** As `locate`, or -1 where the guest's access does not pass to the memory. */
  locateFor(access: Pass, at: number, length: number): number {
    const block = this.#below(at);
    return block !== undefined && (block.passes & access) !== 0 ? this.#within(block, at, length) : -1;
  }

  /** The block that holds guest physical address `at`. */
  blockAt(at: number): Block | undefined {
    const block = this.#below(at);
    return block !== undefined && at < block.at + block.size ? block : undefined;
  }

  /** The last block that begins at or below `at`. As many blocks as a board may have, the search is short. */
  #below(at: number): Block | undefined {
    const { blocks } = this;
    let low = 0;
    let high = blocks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (blocks[middle].at <= at) low = middle + 1;
      else high = middle;
    }
    return blocks[low - 1];
  }

  view(at: number, length: number): Uint8Array | undefined {
    const offset = this.locateFor(Pass.read, at, length);
    return offset < 0 ? undefined : this.u8.subarray(offset, offset + length);
  }

  mutable(at: number, length: number): Uint8Array | undefined {
    if (this.blockAt(at)?.readOnly) return undefined;
    const offset = this.locateFor(Pass.write, at, length);
    return offset < 0 ? undefined : this.#window(offset, length);
  }

  /** The contents of one block, by offset in it, whatever the guest may do there: for the block's owner. */
  contents(block: Block): DmaMemory {
    const within = (at: number, length: number) =>
      Number.isSafeInteger(at) && Number.isSafeInteger(length) && at >= 0 && length >= 0 && at + length <= block.size;
    const view = (at: number, length: number) =>
      within(at, length) ? this.u8.subarray(block.offset + at, block.offset + at + length) : undefined;
    const mutable = (at: number, length: number) =>
      within(at, length) ? this.#window(block.offset + at, length) : undefined;
    return {
      view,
      mutable,
      read: (at, length) => view(at, length)?.slice(),
      write(at, bytes) {
        const target = mutable(at, bytes.length);
        target?.set(bytes);
        return target !== undefined;
      },
    };
  }

  read(at: number, length: number): Uint8Array | undefined {
    return this.view(at, length)?.slice();
  }

  write(at: number, bytes: Uint8Array): boolean {
    const target = this.mutable(at, bytes.length);
    target?.set(bytes);
    return target !== undefined;
  }

  /** Loads an image, into ROM too. Used before the guest runs. */
  load(at: number, bytes: Uint8Array): boolean {
    const target = this.toLoad(at, bytes.length);
    target?.set(bytes);
    return target !== undefined;
  }

  /** As {@link mutable}, of ROM too, and before the guest runs. */
  toLoad(at: number, length: number): Uint8Array | undefined {
    const offset = this.locate(at, length);
    if (offset < 0) return undefined;
    this.#announce(offset, length);
    return this.u8.subarray(offset, offset + length);
  }

  /** Gives every block its contents of power-on: zeroes, unless the host has laid something else here. */
  clear(): void {
    for (const block of this.blocks) {
      this.#announce(block.offset, block.size);
      if (block.startOver) block.startOver();
      else this.u8.fill(0, block.offset, block.offset + block.size);
    }
  }

  /** `size` bytes from `from` on of a block are gone: whoever touches their pages finds no memory. Translations are to be forgotten. */
  lose(block: Block, from: number, size: number): void {
    block.lost ??= new Uint8Array(Math.ceil(block.size / PAGE_SIZE));
    block.lost.fill(1, Math.floor(from / PAGE_SIZE), Math.ceil((from + size) / PAGE_SIZE));
    this.#announce(block.offset + from, size);
  }

  #within(block: Block | undefined, at: number, length: number): number {
    if (block === undefined) return -1;
    const inside = at - block.at;
    if (!(length >= 0 && inside + length <= block.size)) return -1;
    return block.lost !== undefined && touches(block.lost, inside, length) ? -1 : block.offset + inside;
  }

  /** A window that will be written: decoded code is forgotten. */
  #window(offset: number, length: number): Uint8Array {
    this.#announce(offset, length);
    return this.u8.subarray(offset, offset + length);
  }

  #announce(offset: number, length: number): void {
    if (length === 0) return;
    const last = (offset + length - 1) >>> 12;
    for (let page = offset >>> 12; page <= last; page++) if (this.codePages[page] !== 0) this.onCodeWrite(page);
  }
}

/** Whether one of the pages that `[from, from + length)` lies in is marked. */
function touches(pages: Uint8Array, from: number, length: number): boolean {
  const end = Math.ceil((from + length) / PAGE_SIZE);
  for (let page = Math.floor(from / PAGE_SIZE); page < end; page++) if (pages[page] !== 0) return true;
  return false;
}

function roundUp(value: number, grain: number): number {
  return Math.ceil(value / grain) * grain;
}
