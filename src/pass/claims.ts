/**
 * Who has what of the host. A claim is a file in this user's runtime folder, locked for as long as its owner lives: the
 * kernel lets go of the lock however the owner ends, and what is left of a claim without an owner is nobody's.
 */
import { closeSync, constants, openSync, readdirSync, readFileSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { fail } from "../diagnostics/diagnostic.ts";
import { flock, isError, Lock } from "../host/linux.ts";
import { runtimeFolder } from "../host/runtime-folder.ts";

/** Something that can have an owner: addresses of a space, or all of what has a name. */
export interface Resource {
  /** `mem` for physical addresses, else what it is: `uio0`, `vfio-group 12`. */
  readonly space: string;
  /** First and last; all of it when omitted. */
  readonly from?: number;
  readonly to?: number;
}

export interface ClaimRequest {
  readonly resources: readonly Resource[];
  /** For the refusal of others: the machine and its part, `board/emmc`. */
  readonly owner: string;
  readonly dma: boolean;
  readonly override: boolean;
}

export interface Claim {
  /** Runs `act` while nobody else who claims of the same user does. */
  exclusively<T>(act: () => T): T;
  release(): void;
}

interface Record {
  readonly resources: readonly Resource[];
  readonly owner: string;
  readonly pid: number;
  readonly dma: boolean;
}

const SUFFIX = ".claim";
/** ms. */
const PATIENCE = 2000;
let serial = 0;

/** Throws a `VmrunError` that names the present owner. */
export function claim(what: string, request: ClaimRequest): Claim {
  const folder = runtimeFolder();
  const { resources, owner, dma, override } = request;
  return locked(join(folder, "claims.lock"), () => {
    for (const other of present(folder)) {
      if (!meet(other.resources, resources)) continue;
      if (override && !dma && !other.dma) continue;
      const device = other.dma || dma;
      fail("pass/owned", `${what} belongs to ${other.owner} (process ${other.pid})`, {
        hint: device
          ? "a device that does DMA has one owner: end that one first"
          : "end that one first, or set override = true if the two may really share it",
      });
    }
    const path = join(folder, `${process.pid}-${serial++}${SUFFIX}`);
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
    flock(fd, Lock.exclusive | Lock.nonBlocking);
    writeSync(fd, JSON.stringify({ resources, owner, pid: process.pid, dma } satisfies Record));
    const registers = openLock(join(folder, "registers.lock"));
    let held = true;
    return {
      exclusively: (act) => holding(registers, act),
      release() {
        if (!held) return;
        held = false;
        remove(path);
        closeSync(fd);
        closeSync(registers);
      },
    };
  });
}

/** The claims whose owners live; the others' files are taken away. */
function present(folder: string): Record[] {
  return readdirSync(folder).flatMap((name) => {
    if (!name.endsWith(SUFFIX)) return [];
    const path = join(folder, name);
    let fd: number;
    try {
      fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    } catch {
      return [];
    }
    try {
      if (!isError(flock(fd, Lock.shared | Lock.nonBlocking))) {
        remove(path);
        return [];
      }
      const record: unknown = JSON.parse(readFileSync(fd, "utf8"));
      return isRecord(record) ? [record] : [];
    } catch {
      return [];
    } finally {
      closeSync(fd);
    }
  });
}

/** This user's own files; what is none of ours claims nothing. */
function isRecord(value: unknown): value is Record {
  const { resources, owner, pid } = (value ?? {}) as Partial<Record>;
  return Array.isArray(resources) && typeof owner === "string" && typeof pid === "number";
}

function meet(some: readonly Resource[], others: readonly Resource[]): boolean {
  return some.some((a) => others.some((b) => a.space === b.space && first(a) <= last(b) && first(b) <= last(a)));
}

const first = ({ from = 0 }: Resource) => from;
const last = ({ to = Number.MAX_SAFE_INTEGER }: Resource) => to;

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Somebody else was quicker.
  }
}

function locked<T>(path: string, act: () => T): T {
  const fd = openLock(path);
  try {
    return holding(fd, act);
  } finally {
    closeSync(fd);
  }
}

function openLock(path: string): number {
  return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
}

/** Waits for its turn: whoever has the lock does so for microseconds, unless he was stopped meanwhile. */
function holding<T>(fd: number, act: () => T): T {
  const deadline = Date.now() + PATIENCE;
  while (isError(flock(fd, Lock.exclusive | Lock.nonBlocking))) {
    if (Date.now() > deadline) fail("pass/locked", "another process keeps the lock on hardware that is passed through");
    Bun.sleepSync(0.05);
  }
  try {
    return act();
  } finally {
    flock(fd, Lock.unlock);
  }
}
