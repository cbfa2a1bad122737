/** Guest memory by what the host has behind it: bandwidth and random access of guest code, and what starting takes. */
import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
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
/** Instructions of one measurement, and measurements of each guest: enough of them, of the quick tier, whatever else runs. */
const TURN = 2_000_000;
const WARM_UP = 100;
const TURNS = { full: 60, quick: 20 } as const;
const PAGES_OF_64 = 64 << 10;

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

/** Keys of a `[[memory]]`, by what lies behind it. */
function backings(context: Context, name: string, size: number): Readonly<Record<string, string>> {
  const file = join(context.folder, `${name}.img`);
  writeFileSync(file, "");
  truncateSync(file, size);
  return {
    memfd: 'backing = "memfd"',
    file: `backing = "file"\nfile = ${JSON.stringify(file)}\ndescribe = "memory"`,
    huge: 'backing = "huge"',
  };
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
      using anonymous = guest(context, program, "");
      for (const [kind, keys] of Object.entries(backings(context, "window", SIZE))) {
        using other = guest(context, program, keys);
        const how = other.machine.laidMemory.status()[0]!.text;
        const row = alternate(context, `${what}, ${kind} beside anonymous memory`, other, anonymous);
        rows.push(kind === "huge" ? { ...row, what: `${row.what} (${how})` } : row);
      }
    }
    return { rows: [...rows, ...(await starts(context))] };
  },
};

/** Both run in turns; a measurement is the CPU time of this thread, which others on the machine do not add to. */
function alternate(context: Context, what: string, subject: Guest, peer: Guest): Row {
  context.progress(what);
  const times: { readonly subject: number[]; readonly peer: number[] } = { subject: [], peer: [] };
  const turns = WARM_UP + (context.quick ? TURNS.quick : TURNS.full);
  for (let turn = 0; turn < turns; turn++) {
    const [a, b] = [cpuTime(subject), cpuTime(peer)];
    if (turn < WARM_UP) continue;
    times.subject.push(a / TURN);
    times.peer.push(b / TURN);
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

/** All of its window touched: pages of the host are there. */
function guest({ folder }: Context, program: string, keys: string): Guest {
  writeFileSync(join(folder, "program.bin"), assemble(RAM, program).bytes);
  const path = join(folder, "backings.toml");
  // Large enough to be where programs go: the window holds data alone.
  const dram = `[[memory]]\nname = "dram"\nat = ${RAM}\nsize = "64MiB"\n`;
  const window = `[[memory]]\nname = "window"\nat = ${WINDOW}\nsize = ${SIZE}\n${keys}\n`;
  writeFileSync(path, `schema = 1\n${dram}${window}[boot]\nfirmware = "none"\nkernel = "program.bin"\n`);
  const made = boot(path, { engine: "translator" });
  const { memory } = made.machine;
  for (let at = 0; at < SIZE; at += PAGES_OF_64) memory.mutable(WINDOW + at, PAGES_OF_64)!.fill(1);
  return made;
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
  const large = { anonymous: "", ...backings(context, "ram", 3 * 2 ** 30) };
  const rows: Row[] = [];
  for (const [kind, keys] of Object.entries(large)) {
    const what = `start with 3 GiB of RAM (${kind}), beside 64 MiB`;
    const command = board(`large-${kind}`, "3GiB", keys);
    context.progress(what);
    const times: { readonly subject: number[]; readonly peer: number[] } = { subject: [], peer: [] };
    for (let round = 0; round <= (context.quick ? 5 : 15); round++) {
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
