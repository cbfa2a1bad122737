/**
 * Memory for machine code that is made while we run. It is mapped twice: where it is written it cannot be executed, and
 * where it is executed it cannot be written.
 */
import { CFunction, type Pointer, toArrayBuffer } from "bun:ffi";
import { mayHaveCode } from "./jit-policy.ts";
import { close, ftruncate, isError, MapFlag, memfdCreate, mmap, munmap, Protection } from "./linux.ts";

export interface CodeSpace {
  /** Where code is written. */
  readonly bytes: Uint8Array;
  /** What lies behind it, for data. */
  readonly data: Uint8Array;
  /** The host's address of the first byte, as code sees it. */
  readonly address: number;
  /** What begins at an offset, as a function of one 32-bit integer that answers one. It keeps the space. */
  functionAt(offset: number): (argument: number) => number;
}

const READ_WRITE = Protection.read | Protection.write;
/** What of a process's memory may be an address: 47 bits. */
const USER_SPACE = 2 ** 47;

interface Mappings {
  readonly executed: number;
  readonly written: number;
  readonly size: number;
  readonly data: number;
}

const unused = new FinalizationRegistry(({ executed, written, size, data }: Mappings) => {
  munmap(executed, size + data);
  munmap(written, size);
});

/**
 * Room for `size` bytes of code for this host's processor, with `data` bytes behind it that code may read and write; both
 * are multiples of its page size, and taken from the host as they are used. `undefined` where the host has none to give, or
 * {@link mayHaveCode} says no.
 */
export function createCodeSpace(arch: NodeJS.Architecture, size: number, data: number): CodeSpace | undefined {
  if (!mayHaveCode(arch)) return undefined;
  const fd = memfdCreate("vmrun-code");
  if (isError(fd)) return undefined;
  try {
    if (isError(ftruncate(fd, size))) return undefined;
    const written = mmap(0, size, READ_WRITE, MapFlag.shared, fd);
    if (isError(written)) return undefined;
    const executed = mmap(0, size + data, READ_WRITE, MapFlag.private | MapFlag.anonymous | MapFlag.noReserve);
    const usable =
      !isError(executed) &&
      executed < USER_SPACE &&
      !isError(mmap(executed, size, Protection.read | Protection.execute, MapFlag.shared | MapFlag.fixed, fd));
    if (usable) return open({ executed, written, size, data });
    munmap(written, size);
    if (!isError(executed)) munmap(executed, size + data);
    return undefined;
  } finally {
    close(fd);
  }
}

function open(mappings: Mappings): CodeSpace {
  const space: CodeSpace = {
    bytes: viewOf(mappings.written, mappings.size),
    data: viewOf(mappings.executed + mappings.size, mappings.data),
    address: mappings.executed,
    functionAt(offset) {
      const ptr = (mappings.executed + offset) as Pointer;
      const call = CFunction({ ptr, args: ["i32"], returns: "i32" }) as unknown as (argument: number) => number;
      keepers.set(call, space);
      return call;
    },
  };
  unused.register(space, mappings);
  return space;
}

const viewOf = (address: number, size: number) => new Uint8Array(toArrayBuffer(address as Pointer, 0, size));

/** As long as a function can be called, its code is there. */
const keepers = new WeakMap<(argument: number) => number, CodeSpace>();
