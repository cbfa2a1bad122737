/**
 * A window onto pages of a WebAssembly.Memory, in an order of one's own: what is stored there is in the memory as well, and
 * the other way round. Code that is not JavaScript's own can go through it where the memory's pages lie apart.
 */
import { writeSync } from "node:fs";
import { close, ftruncate, isError, MapFlag, memfdCreate, mmap, munmap, Protection } from "./linux.ts";
import { canMap, lay, lift, type MappedRange } from "./mapping.ts";

/** The host's, where there is code of our own. */
const PAGE_SIZE = 4096;
/** Pages that lie in the memfd, and those that are seen: they make up to three mappings of one, and a process has some 65,000. */
const MOST_SHARED = 12_288;
const MOST_SHOWN = 8192;
const READ_WRITE = Protection.read | Protection.write;
const NOTHING = MapFlag.private | MapFlag.anonymous | MapFlag.noReserve;

export class Mirror {
  /** The host's address of the window. */
  readonly address: number;
  readonly #range: MappedRange;
  readonly #size: number;
  readonly #fd: number;
  /** Pages of the range that lie in the memfd by now, and where something is seen in the window. */
  readonly #shared = new Set<number>();
  readonly #shown = new Set<number>();
  #isOpen = true;
  #mayMove = true;
  #isTorn = false;

  private constructor(range: MappedRange, size: number, fd: number, address: number) {
    this.#range = range;
    this.#size = size;
    this.#fd = fd;
    this.address = address;
  }

  /** A window of `size` bytes onto plain memory; `undefined` where the host does not give one. */
  static open(range: MappedRange, size: number): Mirror | undefined {
    if (!canMap()) return undefined;
    const fd = memfdCreate("vmrun-mirror");
    if (isError(fd)) return undefined;
    const address = isError(ftruncate(fd, range.length)) ? -1 : mmap(0, size, Protection.none, NOTHING);
    if (!isError(address)) return new Mirror(range, size, fd, address);
    close(fd);
    return undefined;
  }

  /**
   * Has the page at `page` bytes of the range at `at` bytes of the window, in place of what was there. Answers `false` where
   * the host does not let it, or there would be too many; nothing is there then, or what was.
   */
  show(page: number, at: number): boolean {
    if (page < 0 || page + PAGE_SIZE > this.#range.length || at < 0 || at + PAGE_SIZE > this.#size) {
      throw new RangeError(`a page at ${page} is not to be seen at ${at}`);
    }
    const isTooMany = this.#shown.size === MOST_SHOWN && !this.#shown.has(at);
    if (!this.#isOpen || isTooMany || !this.#share(page)) return false;
    if (!this.#map(at, PAGE_SIZE, READ_WRITE, MapFlag.shared, this.#fd, page)) return false;
    this.#shown.add(at);
    return true;
  }

  /** Pages stay what they are from now on: somebody else has the host's pages themselves. Those that moved can be shown still. */
  keep(): void {
    this.#mayMove = false;
  }

  /** Nothing is to be seen in a part of the window any more. */
  hide(at: number, length: number): void {
    if (at < 0 || at + length > this.#size) throw new RangeError(`${length} bytes at ${at} are not in the window`);
    if (!this.#isOpen || !this.#map(at, length, Protection.none, NOTHING)) return;
    for (let page = at; page < at + length; page += PAGE_SIZE) this.#shown.delete(page);
  }

  /**
   * In place of what was there. A mapping that fails may have unmapped that, and what comes to be there may be anybody's: the
   * window stays as it is from then on.
   */
  #map(at: number, length: number, prot: number, flags: number, fd = -1, offset = 0): boolean {
    if (this.#isTorn) return false;
    this.#isTorn = isError(mmap(this.address + at, length, prot, flags | MapFlag.fixed, fd, offset));
    return !this.#isTorn;
  }

  /** The page stays where it is, and what is in it, but it is the memfd's. */
  #share(page: number): boolean {
    if (this.#shared.has(page)) return true;
    if (!this.#mayMove || this.#shared.size === MOST_SHARED) return false;
    try {
      if (writeSync(this.#fd, this.#bytes(page), 0, PAGE_SIZE, page) !== PAGE_SIZE) return false;
    } catch {
      // The host has no memory for it.
      return false;
    }
    const range = { ...this.#range, offset: this.#range.offset + page, length: PAGE_SIZE };
    if (lay(range, { fd: this.#fd, at: page, shared: true, writable: true }) !== 0) return false;
    this.#shared.add(page);
    return true;
  }

  #bytes(page: number): Uint8Array {
    return new Uint8Array(this.#range.buffer, this.#range.offset + page, PAGE_SIZE);
  }

  /** The memory is plain again, and has what it had; the window is gone. Nobody may go through it any more. */
  release(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    for (const page of this.#shared) {
      const bytes = this.#bytes(page);
      const kept = bytes.slice();
      if (lift({ ...this.#range, offset: this.#range.offset + page, length: PAGE_SIZE }) === 0) bytes.set(kept);
    }
    this.#shared.clear();
    if (!this.#isTorn) munmap(this.address, this.#size);
    close(this.#fd);
  }
}
