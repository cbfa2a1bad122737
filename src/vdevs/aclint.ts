/**
 * Software and timer interrupts of the harts: the SiFive CLINT, and the devices of which the ACLINT makes it up.
 * RISC-V Advanced Core Local Interruptor 1.0-rc4; SiFive FU540-C000 Manual v1p4 §9.
 */
import * as v from "valibot";
import { cells64, node } from "../fdt/tree.ts";
import { registerBank } from "../vdev/bank.ts";
import { bankInstance } from "../vdev/bank-instance.ts";
import { defineVdev } from "../vdev/descriptor.ts";
import { type GuestTimer, HartInterrupt, type HartInterruptBit, type VdevHost } from "../vdev/host.ts";
import type { Register, RegisterHooks } from "../vdev/register-bank.ts";
import { registerMap } from "../vdev/registers.ts";

const MAX_HARTS = 4095;

const NEVER = 0xffff_ffff_ffff_ffffn;

const msip = {
  width: 4,
  count: MAX_HARTS,
  writable: 1,
  fields: { msip: 0 },
  about: "pending machine software interrupt of each hart",
} as const;

const mtimecmp = {
  width: 8,
  count: MAX_HARTS,
  reset: NEVER,
  about: "mtime from which on each hart's machine timer interrupt is pending",
} as const;

const mtime = { width: 8, about: "the board's timebase counter" } as const;

const clintRegisters = registerMap({
  MSIP: { at: 0x0000, ...msip },
  MTIMECMP: { at: 0x4000, ...mtimecmp },
  MTIME: { at: 0xbff8, ...mtime },
});

const mswiRegisters = registerMap({ MSIP: { at: 0x0000, ...msip } });

const mtimerRegisters = registerMap({
  MTIMECMP: { at: 0x0000, ...mtimecmp },
  MTIME: { at: 0x7ff8, ...mtime },
});

const sswiRegisters = registerMap({
  SETSSIP: { at: 0x0000, width: 4, count: MAX_HARTS, writable: 1, about: "writing 1 raises SSIP of a hart; reads 0" },
});

export const clint = defineVdev({
  type: "clint",
  summary: "SiFive core-local interruptor: machine software and timer interrupts",
  options: v.object({}),
  regions: [{ name: "clint", size: 0x1_0000 }],
  registers: { clint: clintRegisters },

  // Linux Documentation/devicetree/bindings/timer/sifive,clint.yaml
  fdt: ({ unit, reg, harts }) => ({
    bus: [
      node(`clint@${unit}`, {
        compatible: ["sifive,clint0", "riscv,clint0"],
        reg,
        "interrupts-extended": wires(harts, HartInterrupt.msip, HartInterrupt.mtip),
      }),
    ],
  }),

  create(host) {
    const counts = { MSIP: host.harts.length, MTIMECMP: host.harts.length };
    const bank = registerBank(clintRegisters, { log: host.log, counts });
    const software = new SoftwareInterrupts(host, bank.registers.MSIP);
    const timer = new MachineTimer(host, bank.registers.MTIMECMP);
    bank.behave({ MSIP: software.msip, MTIMECMP: timer.mtimecmp, MTIME: timer.mtime });
    return bankInstance(bank, {
      refresh() {
        software.refresh();
        timer.refresh();
      },
      status: () => ({ ...software.status(), ...timer.status() }),
    });
  },
});

export const aclintMswi = defineVdev({
  type: "aclint-mswi",
  summary: "ACLINT machine software interrupts",
  options: v.object({}),
  regions: [{ name: "mswi", size: 0x4000 }],
  registers: { mswi: mswiRegisters },

  // The ACLINT specification's own binding, as OpenSBI and QEMU have it.
  fdt: ({ unit, reg, harts }) => ({
    bus: [
      node(`mswi@${unit}`, {
        compatible: "riscv,aclint-mswi",
        reg,
        "interrupts-extended": wires(harts, HartInterrupt.msip),
        "interrupt-controller": true,
        "#interrupt-cells": 0,
        "#address-cells": 0,
      }),
    ],
  }),

  create(host) {
    const bank = registerBank(mswiRegisters, { log: host.log, counts: { MSIP: host.harts.length } });
    const software = new SoftwareInterrupts(host, bank.registers.MSIP);
    bank.behave({ MSIP: software.msip });
    return bankInstance(bank, { refresh: () => software.refresh(), status: () => software.status() });
  },
});

export const aclintMtimer = defineVdev({
  type: "aclint-mtimer",
  summary: "ACLINT machine timer",
  options: v.object({}),
  regions: [{ name: "mtimer", size: 0x8000 }],
  registers: { mtimer: mtimerRegisters },

  // The ACLINT specification's own binding: `reg` names mtime first, then the mtimecmp registers.
  fdt({ placement, harts }) {
    const at = placement.regions[0]!.at;
    const time = at + mtimerRegisters.MTIME.at;
    return {
      bus: [
        node(`mtimer@${time.toString(16)}`, {
          compatible: "riscv,aclint-mtimer",
          reg: cells64(time, 8, at, mtimerRegisters.MTIME.at),
          "interrupts-extended": wires(harts, HartInterrupt.mtip),
        }),
      ],
    };
  },

  create(host) {
    const bank = registerBank(mtimerRegisters, { log: host.log, counts: { MTIMECMP: host.harts.length } });
    const timer = new MachineTimer(host, bank.registers.MTIMECMP);
    bank.behave({ MTIMECMP: timer.mtimecmp, MTIME: timer.mtime });
    return bankInstance(bank, { refresh: () => timer.refresh(), status: () => timer.status() });
  },
});

export const aclintSswi = defineVdev({
  type: "aclint-sswi",
  summary: "ACLINT supervisor software interrupts",
  options: v.object({}),
  regions: [{ name: "sswi", size: 0x4000 }],
  registers: { sswi: sswiRegisters },

  // The ACLINT specification's own binding, as OpenSBI and QEMU have it.
  fdt: ({ unit, reg, harts }) => ({
    bus: [
      node(`sswi@${unit}`, {
        compatible: "riscv,aclint-sswi",
        reg,
        "interrupts-extended": wires(harts, HartInterrupt.ssip),
        "interrupt-controller": true,
        "#interrupt-cells": 0,
        "#address-cells": 0,
      }),
    ],
  }),

  create(host) {
    const bank = registerBank(sswiRegisters, { log: host.log, counts: { SETSSIP: host.harts.length } });
    const { SETSSIP } = bank.registers;
    bank.behave({
      SETSSIP: {
        write(value, hart) {
          if (value === 0) return;
          // The register keeps nothing: SSIP stays until the hart itself clears it. ACLINT §4
          SETSSIP.put(hart, 0);
          host.harts[hart]!.setPending(HartInterrupt.ssip, true);
        },
      },
    });
    return bankInstance(bank);
  },
});

/** MSIP: each register is a wire into its hart. ACLINT §3 */
class SoftwareInterrupts {
  readonly msip: RegisterHooks = {
    write: (value, hart) => this.#host.harts[hart]!.setPending(HartInterrupt.msip, value !== 0),
  };

  readonly #host: VdevHost;
  readonly #msip: Register;

  constructor(host: VdevHost, msip: Register) {
    this.#host = host;
    this.#msip = msip;
  }

  status() {
    const asked = this.#host.harts.flatMap((_, hart) => (this.#msip.at(hart) === 0 ? [] : [hart]));
    return { "harts interrupted": asked.join(" ") || "none" };
  }

  refresh(): void {
    for (const [hart, port] of this.#host.harts.entries()) {
      port.setPending(HartInterrupt.msip, this.#msip.at(hart) !== 0);
    }
  }
}

/** MTIP of a hart is pending exactly while mtime >= mtimecmp, both unsigned. RISC-V Priv 20240411 §3.2.1 */
class MachineTimer {
  readonly mtimecmp: RegisterHooks = { write: (_value, hart) => this.#refreshHart(hart) };

  readonly mtime: RegisterHooks = {
    read: (_index, half) => Number((this.#host.timebase.ticks() >> BigInt(32 * half)) & 0xffff_ffffn),
    write: (value, _index, half) => {
      const { timebase } = this.#host;
      const shift = BigInt(32 * half);
      const others = timebase.ticks() & (0xffff_ffff_0000_0000n >> shift);
      timebase.set(others | (BigInt(value) << shift));
      this.refresh();
    },
  };

  readonly #host: VdevHost;
  readonly #mtimecmp: Register;
  readonly #timers: readonly GuestTimer[];

  constructor(host: VdevHost, mtimecmp: Register) {
    this.#host = host;
    this.#mtimecmp = mtimecmp;
    this.#timers = host.harts.map((_, hart) => host.clock.timer(() => this.#refreshHart(hart)));
  }

  status() {
    const due = this.#timers.map((timer, hart) => {
      if (timer.deadline !== undefined) return String(this.#mtimecmp.wide(hart));
      return this.#host.timebase.ticks() >= this.#mtimecmp.wide(hart) ? "due" : "off";
    });
    return { mtime: String(this.#host.timebase.ticks()), mtimecmp: due.join(" ") };
  }

  refresh(): void {
    for (let hart = 0; hart < this.#timers.length; hart++) this.#refreshHart(hart);
  }

  #refreshHart(hart: number): void {
    const { timebase, harts } = this.#host;
    const compare = this.#mtimecmp.wide(hart);
    const due = timebase.ticks() >= compare;
    harts[hart]!.setPending(HartInterrupt.mtip, due);
    const when = due ? Number.POSITIVE_INFINITY : timebase.when(compare);
    if (Number.isFinite(when)) this.#timers[hart]!.arm(when);
    else this.#timers[hart]!.cancel();
  }
}

/** Each hart's intc and the number of each interrupt there. */
function wires(harts: readonly { readonly intcPhandle: number }[], ...bits: readonly HartInterruptBit[]): number[] {
  return harts.flatMap(({ intcPhandle }) => bits.flatMap((bit) => [intcPhandle, bit]));
}
