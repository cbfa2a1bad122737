/**
 * What a board wants behind its memory, laid into guest memory: memfds, files, huge pages. Where the host can map nothing,
 * plain memory stands in: it is filled from files and written back to them, and nobody else sees it meanwhile.
 */
import { closeSync, readSync, writeSync } from "node:fs";
import { fail, type Place } from "../diagnostics/diagnostic.ts";
import { fileSize, openBackingFile } from "../host/backing-file.ts";
import { type FaultGuard, faultCount, guardFaults } from "../host/fault-guard.ts";
import { askForTransparent, freeInPool, HUGE_PAGE, layFromPool, pageUse, transparentMode } from "../host/huge-pages.ts";
import { Allocation, errnoName, fallocate, isError } from "../host/linux.ts";
import { canMap, discard, lay, lift, type MappedRange, type MappingSource } from "../host/mapping.ts";
import { createMemfd, shareMemory } from "../host/shared-memory.ts";
import { type Block, type GuestMemory, PAGE_SIZE } from "../memory/guest-memory.ts";
import { type BoardBacking, type BoardMemory, outlastsReset } from "../profile/board.ts";
import type { HostPages } from "../vdev/host.ts";
import type { LogSink } from "./tenant.ts";

type FileBacking = BoardBacking & { readonly kind: "file" };

/** A block with something of the host's in it. */
interface Laid {
  readonly name: string;
  readonly block: Block;
  readonly guard?: FaultGuard;
  /** Bytes that what is laid has now, counted from the block's start; without it, it cannot shrink. */
  readonly present?: () => number;
  /** Its pages are to be huge: how many are is told at the end. */
  readonly huge?: boolean;
  /** A memfd, which others can map from its start. */
  readonly fd?: number;
  /** In a few words, for people. */
  readonly describe: () => string;
  /** Gives everything back to the host. */
  readonly release: () => void;
}

type LaidObject = Pick<Laid, "describe" | "release" | "present" | "fd"> & { readonly startOver: () => void };

export class LaidMemory {
  readonly #memory: GuestMemory;
  readonly #log: LogSink;
  readonly #laid: Laid[] = [];
  #faults = 0;

  /** Throws a `VmrunError` where the host refuses what a block needs; nothing is held then. */
  constructor(board: readonly BoardMemory[], memory: GuestMemory, log: LogSink) {
    this.#memory = memory;
    this.#log = log;
    const special = board.filter(({ backing }) => backing.kind !== "anonymous");
    if (special.length === 0) return;
    const plain = !canMap();
    if (plain) this.#warnOfPlain(special);
    try {
      for (const block of special) {
        const laid = plain ? this.#fill(block) : this.#lay(block);
        if (laid) this.#laid.push(laid);
      }
    } catch (error) {
      this.release();
      throw error;
    }
    this.#faults = faultCount();
  }

  /** Lays pages of the host behind a block that is a device's, not the board's memory. */
  layPages(block: Block, { fd, offset, writable }: HostPages): void {
    const { buffer } = this.#memory.memory;
    const range = { buffer, offset: block.offset, length: block.size };
    // A device has no size of its own.
    const isFile = fileSize(fd) > 0;
    const rest = {
      describe: () => "pages of the host",
      startOver: () => {},
      release: () => {},
      present: () => (isFile ? Math.min(block.size, Math.max(0, fileSize(fd) - offset)) : block.size),
    };
    this.#laid.push(this.#layBlock(block, range, { fd, at: offset, shared: true, writable }, {}, rest));
  }

  /** What RAM other processes can map as well, by its address. */
  fds(): ReadonlyMap<number, number> {
    return new Map(this.#laid.flatMap(({ block, fd }) => (fd === undefined ? [] : [[block.at, fd] as const])));
  }

  /** Whether the host may have taken pages away since the last {@link contain}. Cheap. */
  get disturbed(): boolean {
    return this.#laid.length > 0 && faultCount() !== this.#faults;
  }

  /** Makes what the host has lost no memory any more, and says so. `true` where translations are to be forgotten. */
  contain(): boolean {
    this.#faults = faultCount();
    let changed = false;
    for (const laid of this.#laid) {
      const pages = laid.guard?.lost();
      if (pages?.length === 0) continue;
      changed = true;
      this.#lose(laid, pages);
    }
    return changed;
  }

  /** How each block lies, in a few words: for people. */
  status(): { readonly name: string; readonly text: string }[] {
    return this.#laid.map(({ name, describe }) => ({ name, text: describe() }));
  }

  /** Gives everything back to the host; what was laid reads as zeroes then. */
  release(): void {
    for (const laid of this.#laid.splice(0)) {
      if (laid.huge) this.#log("info", `memory ${laid.name}`, laid.describe());
      laid.guard?.release();
      laid.block.startOver = undefined;
      laid.release();
    }
  }

  #lose({ name, block, guard, present }: Laid, pages: readonly number[] | undefined): void {
    const there = present?.() ?? block.size;
    if (there < block.size) {
      this.#memory.lose(block, there, block.size - there);
      const now = there === 0 ? "it is empty now" : `${there} of its ${block.size} bytes are left`;
      this.#log(
        "error",
        `memory ${name}`,
        `what lies behind it was cut short, ${now}; accesses beyond fault from here on`,
      );
    }
    const others = pages?.filter((page) => page < there);
    if (others === undefined && there === block.size) this.#memory.lose(block, 0, block.size);
    for (const page of others ?? []) this.#memory.lose(block, page, PAGE_SIZE);
    if (others === undefined ? there === block.size : others.length > 0) {
      const what = others === undefined ? "it" : `${others.length} of its pages`;
      const message = `the host had no room for ${what} (is the disk full?); accesses there fault from here on`;
      this.#log("error", `memory ${name}`, message);
    }
    guard!.clear();
  }

  #warnOfPlain(blocks: readonly BoardMemory[]): void {
    const names = blocks.map(({ name }) => name).join(", ");
    const kept = blocks.some((block) => block.backing.kind === "file" && outlastsReset(block));
    const shared = blocks.some(({ backing }) => backing.kind === "memfd" && backing.share !== undefined);
    const notes = [
      kept && "files are written when the guest ends",
      shared && "what is shared is this guest's alone",
    ].filter(Boolean);
    const message = `this host cannot map memory: ${names} ${blocks.length > 1 ? "are" : "is"} plain memory`;
    this.#log("warn", "memory", [message, ...notes].join("; "));
  }

  #lay(block: BoardMemory): Laid | undefined {
    const { backing, name, size } = block;
    switch (backing.kind) {
      case "anonymous":
        return undefined;
      case "memfd": {
        const place = { path: `memory.${name}.backing` };
        if (backing.share === undefined) return this.#layMemfd(block, createMemfd(name, size, place), place);
        const shared = shareMemory(backing.share, size, { path: `memory.${name}.share` });
        const how = `shared as "${backing.share}"`;
        return this.#layObject(block, shared.fd, { shared: true, at: 0 }, place, {
          fd: shared.fd,
          describe: () => how,
          startOver: () => {},
          release: () => shared.close(),
        });
      }
      case "file":
        return this.#layFile(block, backing);
      case "huge":
        return this.#layHuge(block, backing.fallback);
    }
  }

  #layMemfd(block: BoardMemory, fd: number, place: Place): Laid {
    return this.#layObject(block, fd, { shared: true, at: 0 }, place, {
      fd,
      describe: () => "a memfd",
      startOver: () => void fallocate(fd, Allocation.punchHole | Allocation.keepSize, 0, block.size),
      release: () => closeSync(fd),
    });
  }

  #layFile(block: BoardMemory, { file, at, private: isPrivate }: FileBacking): Laid {
    const place = { path: `memory.${block.name}.file` };
    const fd = openBackingFile(file, { at, size: block.size, writable: !isPrivate, place });
    const range = this.#range(block);
    return this.#layObject(block, fd, { shared: !isPrivate, at }, place, {
      describe: () => (isPrivate ? `a private copy of ${file}` : file),
      // Private pages go back to the host, and the file shows again.
      startOver: isPrivate ? () => void discard(range) : () => {},
      release: () => closeSync(fd),
      present: () => Math.min(block.size, Math.max(0, fileSize(fd) - at)),
    });
  }

  #layObject(
    spec: BoardMemory,
    fd: number,
    { shared, at }: { readonly shared: boolean; readonly at: number },
    place: Place,
    rest: LaidObject,
  ): Laid {
    return this.#layBlock(this.#block(spec), this.#range(spec), { fd, at, shared, writable: true }, place, rest);
  }

  #layBlock(block: Block, range: MappedRange, source: MappingSource, place: Place, rest: LaidObject): Laid {
    const failed = lay(range, source);
    if (isError(failed)) {
      rest.release();
      fail("memory/map", `the host does not map it into guest memory: ${errnoName(failed)}`, { place });
    }
    const guard = guardFaults(range, PAGE_SIZE);
    const release = () => {
      lift(range);
      rest.release();
    };
    if (guard === undefined) {
      release();
      fail("memory/guard", "this host cannot keep a guest safe from what happens to mapped memory", {
        place,
        hint: "VMRUN_PLAIN_MEMORY=1 makes it plain memory",
      });
    }
    block.startOver = () => {
      // What was lost may be there again; else it is lost again at the next access.
      if (block.lost !== undefined && !isError(lay(range, source))) {
        block.lost = undefined;
        guard.clear();
      }
      rest.startOver();
    };
    return { name: block.name, block, guard, present: rest.present, fd: rest.fd, describe: rest.describe, release };
  }

  #layHuge(spec: BoardMemory, fallback: boolean): Laid {
    const { name, size } = spec;
    const range = this.#range(spec);
    const block = this.#block(spec);
    const fd = layFromPool(name, range);
    if (!isError(fd)) {
      const guard = guardFaults(range, HUGE_PAGE);
      block.startOver = () => void fallocate(fd, Allocation.punchHole | Allocation.keepSize, 0, size);
      const release = () => {
        lift(range);
        closeSync(fd);
      };
      return { name, block, guard, huge: true, describe: () => this.#given(range, "of the host's pool"), release };
    }
    const why = `the host's pool has ${freeInPool()} free huge pages of the ${size / HUGE_PAGE} that memory ${name} takes`;
    if (!fallback) {
      fail("memory/huge", why, {
        place: { path: `memory.${name}.backing` },
        hint: "sysctl vm.nr_hugepages=N makes the pool larger; fallback = true does with other pages",
      });
    }
    block.startOver = () => void discard(range);
    const transparent = askForTransparent(range);
    const then = transparent ? "it asks for transparent ones" : `transparent ones are off, so it has ordinary ones`;
    this.#log("warn", `memory ${name}`, `${why}; ${then}`);
    const describe = () => (transparent ? this.#given(range, "transparent") : `ordinary pages (${transparentMode()})`);
    return { name, block, huge: transparent, describe, release: () => void lift(range) };
  }

  #given(range: MappedRange, kind: string): string {
    const { resident, huge } = pageUse(range);
    const mib = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`;
    return `${mib(huge)} of ${mib(resident)} in use lie in huge pages (${kind})`;
  }

  /** Plain memory in place of what cannot be mapped: files are read now and at a reset, and written at the end. */
  #fill(spec: BoardMemory): Laid | undefined {
    const { backing, name, size } = spec;
    if (backing.kind !== "file") {
      if (!outlastsReset(spec)) return undefined;
      this.#block(spec).startOver = () => {};
      return { name, block: this.#block(spec), describe: () => "plain memory", release: () => {} };
    }
    const writable = !backing.private;
    const place = { path: `memory.${name}.file` };
    const fd = openBackingFile(backing.file, { at: backing.at, size, writable, place });
    const block = this.#block(spec);
    const bytes = this.#memory.u8.subarray(block.offset, block.offset + size);
    const read = () => void transfer(readSync, fd, bytes, backing.at);
    read();
    block.startOver = writable ? () => {} : read;
    const release = () => {
      if (writable && !transfer(writeSync, fd, bytes, backing.at)) {
        this.#log(
          "error",
          `memory ${name}`,
          `${backing.file} could not be written: it does not hold what the guest left`,
        );
      }
      closeSync(fd);
    };
    return { name, block, describe: () => `plain memory, from ${backing.file}`, release };
  }

  #block({ at }: BoardMemory): Block {
    return this.#memory.blockAt(at)!;
  }

  #range(spec: BoardMemory): MappedRange {
    return { buffer: this.#memory.memory.buffer, offset: this.#block(spec).offset, length: spec.size };
  }
}

type Step = (fd: number, bytes: Uint8Array, from: number, length: number, position: number) => number;

/** All of the bytes, or `false` with as many as the host took. */
function transfer(step: Step, fd: number, bytes: Uint8Array, at: number): boolean {
  try {
    for (let done = 0; done < bytes.length; ) {
      const count = step(fd, bytes, done, Math.min(bytes.length - done, 1 << 26), at + done);
      if (count === 0) return false;
      done += count;
    }
    return true;
  } catch {
    return false;
  }
}
