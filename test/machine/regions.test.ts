// Regions with memory behind them: what passes, what traps, and how that changes while the guest runs.
import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import type { VmrunError } from "../../src/diagnostics/diagnostic.ts";
import { defineVdev, type RegionSpec } from "../../src/vdev/descriptor.ts";
import type { HostRegion, VdevHost } from "../../src/vdev/host.ts";
import type { RegionHandler } from "../../src/vdev/region.ts";
import { boardRig, LIMIT, TEST } from "./board-rig.ts";

const PAGE = 4096;
const REGS = TEST + 0x1_0000;

interface Shared {
  host?: VdevHost;
  data?: HostRegion;
  /** What trapped in `data`. */
  readonly trapped: string[];
  onCommand: (value: number, data: HostRegion) => void;
}

function shared(access: RegionSpec["access"], state: Shared) {
  const trap: RegionHandler = {
    read(offset, width) {
      state.trapped.push(`read ${offset} ${width}`);
      return 0x77;
    },
    write: (offset, width, value) => void state.trapped.push(`write ${offset} ${width} ${value}`),
  };
  return defineVdev({
    type: "shared",
    summary: "A page of memory and a register",
    options: v.object({}),
    regions: [
      { name: "data", size: PAGE, ...(access && { access }) },
      { name: "regs", size: 0x10 },
    ],
    create(host) {
      state.host = host;
      state.data = host.region("data");
      const { data } = state;
      return {
        regions: [trap, { read: () => 0, write: (_offset, _width, value) => state.onCommand(value, data) }],
        reset: () => {},
        snapshot: () => null,
        restore: () => {},
      };
    },
  });
}

const BOTH = { read: "memory", write: "memory" } as const;
const END = `
    li t2, 0x100000
    li t3, 0x5555
    sw t3, 0(t2)
  wait: j wait`;
const TRAP = `
  handler:
    addi s11, s11, 1
    csrr s10, mcause
    csrr t6, mepc
    addi t6, t6, 4
    csrw mepc, t6
    mret`;

function go(body: string, access: RegionSpec["access"], onCommand: Shared["onCommand"] = () => {}) {
  const state: Shared = { trapped: [], onCommand };
  const made = boardRig(`la t1, handler\n csrw mtvec, t1\n li t0, ${TEST}\n li t1, ${REGS}\n${body}\n${END}\n${TRAP}`, {
    vdevs: [shared(access, state)],
    profile: `[[vdev]]\ntype = "shared"\nname = "sh0"\nat = { data = ${TEST}, regs = ${REGS} }\n`,
  });
  return { ...made, state, x: (index: number) => made.machine.harts[0].x(index) };
}

const A0 = 10;
const A1 = 11;
const A2 = 12;
const TRAPS = 27;

describe("memory", () => {
  test("is read and written without exits, and shared with the vdev", () => {
    const loop = `
      sw zero, 0(t1)
      li s0, 1000
    again:
      ld a0, 8(t0)
      addi a0, a0, 1
      sd a0, 8(t0)
      addi s0, s0, -1
      bnez s0, again
      sw zero, 4(t1)`;
    let first = true;
    const { machine, x, state } = go(loop, BOTH, (_, data) => {
      if (first) data.data.setBigUint64(8, 41n, true);
      else expect(data.data.getBigUint64(8, true)).toBe(1041n);
      first = false;
    });
    expect(machine.run(LIMIT)).toBe("ended");
    expect(x(A0)).toBe(1041n);
    // Two commands and the power-off: two thousand accesses to memory are none.
    expect(machine.bus.exits).toBe(3);
    expect(state.trapped).toEqual([]);
  });

  test("is checked: out of bounds is undefined or a RangeError, and nothing else", () => {
    const { state } = go("", BOTH);
    const { data } = state;
    expect(data?.size).toBe(PAGE);
    for (const at of [PAGE, PAGE - 3, -1, 0.5, Number.NaN]) {
      expect(data?.memory.read(at, 4)).toBeUndefined();
      expect(data?.memory.write(at, new Uint8Array(4))).toBe(false);
    }
    expect(() => data?.data.setUint32(PAGE - 3, 0)).toThrow(RangeError);
    expect(data?.memory.write(PAGE - 4, Uint8Array.of(1, 2, 3, 4))).toBe(true);
    expect(data?.memory.read(PAGE - 4, 4)).toEqual(Uint8Array.of(1, 2, 3, 4));
  });

  test("takes atomic instructions and other vdevs' DMA", () => {
    const { machine, x, state } = go("li a1, 5\n amoadd.w a0, a1, (t0)\n amoadd.w a0, a1, (t0)", BOTH);
    machine.run(LIMIT);
    expect([x(A0), x(TRAPS)]).toEqual([5n, 0n]);
    expect(state.host?.memory.read(TEST, 1)).toEqual(Uint8Array.of(10));
  });

  test("is cleared, and lets through what was declared, after a reset", () => {
    const { machine, state } = go("", BOTH);
    state.data?.data.setUint32(0, 7);
    state.data?.setAccess({ read: "trap" });
    machine.reboot();
    expect(state.data?.data.getUint32(0)).toBe(0);
    expect(state.data?.access).toEqual({ read: "memory", write: "memory", execute: "none" });
  });

  test("cannot be executed unless it says so", () => {
    const jump = "la ra, back\n jr t0\nback:";
    const ret = 0x0000_8067;
    const put = (_: number, data: HostRegion) => data.data.setUint32(0, ret, true);
    const allowed = go(`sw zero, 0(t1)\n${jump}`, { ...BOTH, execute: "memory" }, put);
    expect(allowed.machine.run(LIMIT)).toBe("ended");
    expect(allowed.x(TRAPS)).toBe(0n);
    const refusedFetch = go(`sw zero, 0(t1)\n${jump}`, BOTH, put);
    refusedFetch.machine.run(2000);
    expect(refusedFetch.x(TRAPS)).toBeGreaterThan(0n);
    // Instruction access fault.
    expect(refusedFetch.x(26)).toBe(1n);
  });
});

describe("access by kind", () => {
  test("memory for reads, traps for writes", () => {
    const { machine, x, state } = go("li a0, 9\n lw a1, 0(t0)\n sw a0, 4(t0)\n lw a2, 4(t0)", { read: "memory" });
    machine.run(LIMIT);
    expect([x(A1), x(A2), x(TRAPS)]).toEqual([0n, 0n, 0n]);
    expect(state.trapped).toEqual(["write 4 4 9"]);
  });

  test("traps for reads, memory for writes; atomic instructions need both", () => {
    const text =
      "li a0, 9\n sw a0, 4(t0)\n sw a0, 4(t0)\n lw a1, 4(t0)\n amoadd.w a2, a0, (t0)\n amoadd.w a2, a0, (t0)";
    const { machine, x, state } = go(text, { write: "memory" });
    machine.run(LIMIT);
    expect([x(A1), x(TRAPS)]).toEqual([0x77n, 2n]);
    expect(state.trapped).toEqual(["read 4 4"]);
    expect(state.data?.data.getUint32(4, true)).toBe(9);
  });

  test("none: every access traps, and a handle for it has no contents", () => {
    const { machine, x, state } = go("lw a0, 0(t0)\n sw a0, 0(t0)", undefined);
    machine.run(LIMIT);
    expect(x(A0)).toBe(0x77n);
    expect(state.trapped).toEqual(["read 0 4", "write 0 4 119"]);
    expect(() => state.data?.data).toThrow("has no memory behind it");
    expect(() => state.data?.setAccess({ write: "memory" })).toThrow("has no memory behind it");
    expect(() => state.host?.region("nope")).toThrow('no region "nope"');
  });
});

test("access that changes while the guest runs holds from the next instruction on", () => {
  // The page is in every translation cache before each change.
  const step = (command: number) => `
      li a3, ${command}
      sw a3, 0(t1)
      lw a0, 0(t0)
      sw a3, 4(t0)
      lw a1, 0(t0)`;
  const { machine, state } = go([0, 1, 2, 3].map(step).join("\n"), BOTH, (command, data) => {
    state.trapped.push(`command ${command}`);
    data.setAccess(command & 1 ? { read: "trap", write: "trap" } : { read: "memory", write: "memory" });
  });
  expect(machine.run(LIMIT)).toBe("ended");
  expect(state.trapped).toEqual([
    "command 0",
    "command 1",
    "read 0 4",
    "write 4 4 1",
    "read 0 4",
    "command 2",
    "command 3",
    "read 0 4",
    "write 4 4 3",
    "read 0 4",
  ]);
  expect(state.data?.data.getUint32(4, true)).toBe(2);
});

test("the vdev's own view works while the guest's accesses trap", () => {
  const { machine, state } = go("", BOTH);
  machine.run(LIMIT);
  state.data?.setAccess({ read: "trap", write: "trap" });
  expect(state.data?.memory.write(0, Uint8Array.of(5))).toBe(true);
  expect(state.data?.memory.read(0, 1)).toEqual(Uint8Array.of(5));
  // DMA by address is as the guest's access: there is no memory now.
  expect(state.host?.memory.read(TEST, 1)).toBeUndefined();
});

test("a size that is no whole number of pages is refused, with the reason", () => {
  const odd = defineVdev({
    type: "odd",
    summary: "Half a page of memory",
    options: v.object({}),
    regions: [{ name: "data", size: 0x800, access: { read: "memory" } }],
    create: () => {
      throw new Error("never");
    },
  });
  const start = () => boardRig("", { vdevs: [odd], profile: '[[vdev]]\ntype = "odd"\n' });
  expect(start).toThrow("impossible regions");
  try {
    start();
  } catch (error) {
    expect((error as VmrunError).diagnostics[0].hint).toContain("with memory behind it, of whole 4 KiB pages");
  }
});
