/** Power-off and reset by one register: SiFive's test finisher, as QEMU `virt` has it, with a syscon binding for the guest. */
import * as v from "valibot";
import { node } from "../fdt/tree.ts";
import { registerBank } from "../vdev/bank.ts";
import { bankInstance } from "../vdev/bank-instance.ts";
import { defineVdev } from "../vdev/descriptor.ts";
import { fieldMasks, registerMap } from "../vdev/registers.ts";

const registers = registerMap({
  FINISHER: {
    at: 0x0,
    width: 4,
    access: "w",
    fields: { code: [31, 16], command: [15, 0] },
    about: "ends or restarts the machine",
  },
  // A syscon client reads before it writes.
  STATUS: { at: 0x0, width: 4, access: "r", about: "always 0" },
});

const { command: COMMAND } = fieldMasks(registers.FINISHER);

const POWER_OFF = 0x5555;
const FAIL = 0x3333;
const REBOOT = 0x7777;

export const syscon = defineVdev({
  type: "syscon-power",
  summary: "power-off, reset and failure report (SiFive test finisher)",
  options: v.object({}),
  regions: [{ name: "test", size: 0x1000 }],
  registers: { test: registers },

  // Linux Documentation/devicetree/bindings/power/reset/syscon-poweroff.yaml, syscon-reboot.yaml; mfd/syscon.yaml
  fdt({ unit, reg, placement: { phandle } }) {
    const client = { regmap: phandle, offset: registers.FINISHER.at };
    return {
      bus: [node(`test@${unit}`, { compatible: ["sifive,test1", "sifive,test0", "syscon"], reg, phandle })],
      root: [
        node("poweroff", { compatible: "syscon-poweroff", ...client, value: POWER_OFF }),
        node("reboot", { compatible: "syscon-reboot", ...client, value: REBOOT }),
      ],
    };
  },

  create(host) {
    /** For the status alone: a reboot does not forget it. */
    let last = 0;
    const bank = registerBank(registers, { log: host.log }).behave({
      FINISHER: {
        write(value) {
          last = value;
          switch (value & COMMAND) {
            case POWER_OFF:
              return host.power({ action: "poweroff" });
            case REBOOT:
              return host.power({ action: "reboot" });
            case FAIL:
              return host.power({ action: "fail", code: value >>> 16 });
            default:
              host.log.guestError("a command that the finisher does not know");
          }
        },
      },
    });
    return bankInstance(bank, { status: () => ({ "last command": `0x${last.toString(16)}` }) });
  },
});
