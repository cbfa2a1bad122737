/** Guest memory by what the host has behind it: bandwidth and random access of guest code, and what starting takes. */
import { ftruncateSync, openSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { askForTransparent, pageUse } from "../../src/host/huge-pages.ts";
import { lay, lift, type MappedRange } from "../../src/host/mapping.ts";
import { createMemfd } from "../../src/host/shared-memory.ts";
import { syscall } from "../../src/host/syscall.ts";
import { boot } from "../../src/index.ts";
import type { Guest } from "../../src/machine/guest.ts";
import { assemble } from "../../test/engine/program.ts";
import type { Benchmark, Context, Row } from "../benchmark.ts";
import { compare } from "../statistics.ts";
import { watch } from "../whole/child.ts";
import { benchFirmware, vmrunCommand } from "../whole/contest.ts";

const RAM = 0x8000_0000;
const WINDOW = 0x9000_0000;
/** Beyond every cache, and many pages of the host. */
const SIZE = 64 << 20;
/** Instructions of one measurement; how many of them until the code is of the quickest tier, and how many count. */
const TURN = 2_000_000;
const WARM_UP = 100;
/** Host time, ns, below which nobody asks a part for figures. */
const SHORTEST_PART = 1000;
const TURNS = { full: 60, quick: 20 } as const;

/** Reads the window from end to end, again and again. */
const SEQUENTIAL = `
    li   a0, ${WINDOW}
    li   a1, ${WINDOW + SIZE}
  again:
    mv   t0, a0
  next:
    ld   t1, 0(t0)
    ld   t2, 8(t0)
    ld   t3, 16(t0)
    ld   t4, 24(t0)
    addi t0, t0, 32
    bltu t0, a1, next
    j    again`;

/** Reads and writes words of it in an order without pattern. */
const RANDOM = `
    li   a0, ${WINDOW}
    li   a1, ${SIZE - 8}
    li   a2, 6364136223846793005
    li   t0, 1
  next:
    mul  t0, t0, a2
    addi t0, t0, 1387
    srli t1, t0, 32
    and  t1, t1, a1
    add  t1, t1, a0
    ld   t2, 0(t1)
    add  t2, t2, t0
    sd   t2, 0(t1)
    j    next`;

/** Puts something of the host's into the window, every page of it touched. */
type Backing = (range: MappedRange) => void;

/** The same guest, the same code, the same place: only what lies behind it differs. */
function backings({ folder }: Context): Readonly<Record<string, Backing>> {
  const file = openSync(join(folder, "window.img"), "w+");
  ftruncateSync(file, SIZE);
  const objects = { memfd: createMemfd("bench", SIZE), file };
  const object = (fd: number) => (range: MappedRange) => {
    if (lay(range, { fd, shared: true, writable: true }) < 0) throw new Error("the host maps nothing");
    touch(range);
  };
  return {
    memfd: object(objects.memfd),
    file: object(objects.file),
    huge(range) {
      lift(range);
      askForTransparent(range);
      touch(range);
    },
  };
}

function anonymous(range: MappedRange): void {
  lift(range);
  touch(range);
}

function touch({ buffer, offset, length }: MappedRange): void {
  new Uint8Array(buffer, offset, length).fill(1);
}

export const backingsOfMemory: Benchmark = {
  name: "backings",
  summary: "guest memory in memfds, files and huge pages: bandwidth, random access, start time by size of RAM",
  kind: "parts",

  async run(context) {
    const rows: Row[] = [];
    for (const [what, program] of [
      ["sequential reads", SEQUENTIAL],
      ["random reads and writes", RANDOM],
    ] as const) {
      using bare = guest(context, program);
      const { memory } = bare.machine;
      const range = { buffer: memory.memory.buffer, offset: memory.blockAt(WINDOW)!.offset, length: SIZE };
      anonymous(range);
      for (let turn = 0; turn < (isTrial(context) ? 1 : WARM_UP); turn++) bare.machine.run(TURN);
      for (const [kind, backing] of Object.entries(backings(context))) {
        const remark = kind === "huge" ? ` (${given(range, backing)})` : "";
        rows.push(alternate(context, `${what}, ${kind} beside anonymous memory${remark}`, bare, range, backing));
      }
      lift(range);
    }
    return { rows: [...rows, ...(await starts(context))] };
  },
};

/** Tests want to see it run, not what it finds. */
function isTrial({ partTime }: Context): boolean {
  return partTime < SHORTEST_PART;
}

/** What the host makes of the wish for huge pages. */
function given(range: MappedRange, backing: Backing): string {
  backing(range);
  return `${Math.round((100 * pageUse(range).huge) / range.length)} % in huge pages`;
}

/** A measurement is the CPU time of this thread: what else runs on the machine adds nothing to it. */
function alternate(context: Context, what: string, guest: Guest, range: MappedRange, backing: Backing): Row {
  context.progress(what);
  const times: { readonly subject: number[]; readonly peer: number[] } = { subject: [], peer: [] };
  const turns = isTrial(context) ? 1 : context.quick ? TURNS.quick : TURNS.full;
  for (let turn = 0; turn < turns; turn++) {
    backing(range);
    times.subject.push(cpuTime(guest) / TURN);
    anonymous(range);
    times.peer.push(cpuTime(guest) / TURN);
  }
  return compare(what, times.subject, times.peer);
}

/** Seconds of CPU time that a turn of the guest takes. */
function cpuTime({ machine }: Guest): number {
  const begun = threadTime();
  machine.run(TURN);
  return threadTime() - begun;
}

const CLOCK_THREAD_CPUTIME_ID = 3;
const now = new BigInt64Array(2);
function threadTime(): number {
  syscall("clock_gettime", CLOCK_THREAD_CPUTIME_ID, now);
  return Number(now[0]) + Number(now[1]) / 1e9;
}

function guest({ folder }: Context, program: string): Guest {
  writeFileSync(join(folder, "program.bin"), assemble(RAM, program).bytes);
  const path = join(folder, "backings.toml");
  // Large enough to be where programs go: the window holds data alone, and begins where a huge page may.
  const dram = `[[memory]]\nname = "dram"\nat = ${RAM}\nsize = "64MiB"\n`;
  const window = `[[memory]]\nname = "window"\nat = ${WINDOW}\nsize = ${SIZE}\nbacking = "huge"\n`;
  writeFileSync(path, `schema = 1\n${dram}${window}[boot]\nfirmware = "none"\nkernel = "program.bin"\n`);
  return boot(path, { engine: "translator" });
}

/** Process start to its end, with a guest that powers off at once. */
async function starts(context: Context): Promise<Row[]> {
  const board = (name: string, size: string, keys = "") => {
    const path = join(context.folder, `${name}.toml`);
    const include = JSON.stringify(join(import.meta.dir, "../../profiles/virt-rv64.toml"));
    const memory = `[[memory]]\nname = "dram"\nsize = "${size}"\n${keys}\n`;
    const firmware = JSON.stringify(benchFirmware("poweroff"));
    writeFileSync(path, `schema = 1\ninclude = ${include}\n${memory}[boot]\nfirmware = ${firmware}\n`);
    return vmrunCommand(path);
  };
  const small = board("small", "64MiB");
  const file = join(context.folder, "ram.img");
  writeFileSync(file, "");
  truncateSync(file, 3 * 2 ** 30);
  const large = {
    anonymous: "",
    memfd: 'backing = "memfd"',
    file: `backing = "file"\nfile = ${JSON.stringify(file)}\ndescribe = "memory"`,
    huge: 'backing = "huge"',
  };
  const rows: Row[] = [];
  for (const [kind, keys] of Object.entries(large)) {
    const what = `start with 3 GiB of RAM (${kind}), beside 64 MiB`;
    const command = board(`large-${kind}`, "3GiB", keys);
    context.progress(what);
    const times: { readonly subject: number[]; readonly peer: number[] } = { subject: [], peer: [] };
    for (let round = 0; round <= (isTrial(context) ? 1 : context.quick ? 5 : 15); round++) {
      const [a, b] = [await watch(command), await watch(small)];
      // The first run of each finds cold caches of files.
      if (round === 0) continue;
      times.subject.push(a.wall);
      times.peer.push(b.wall);
    }
    rows.push(compare(what, times.subject, times.peer));
  }
  return rows;
}
