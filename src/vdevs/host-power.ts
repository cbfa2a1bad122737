/**
 * Lets a guest power its host off, or run what else a profile names. Nothing happens unless two people said so: the
 * profile's author by `allow`, and who starts the machine by --allow-host-power.
 */
import * as v from "valibot";
import { node } from "../fdt/tree.ts";
import { registerBank } from "../vdev/bank.ts";
import { defineVdev } from "../vdev/descriptor.ts";
import { VdevError } from "../vdev/errors.ts";
import { fieldMasks, registerMap } from "../vdev/registers.ts";

const registers = registerMap({
  COMMAND: {
    at: 0x0,
    width: 4,
    access: "w",
    fields: { number: [15, 0], key: [31, 16] },
    about: 'runs a command of the host: its number among `commands`, with the key 0x706f ("po")',
  },
  STATUS: {
    at: 0x4,
    width: 4,
    access: "r",
    fields: { state: [7, 0], exit: [15, 8] },
    about: "state: 0 IDLE, 1 RUNNING, 2 DONE (see exit), 3 REFUSED, 4 UNKNOWN command",
  },
  COUNT: { at: 0x8, width: 4, access: "r", about: "how many commands there are" },
});

const { number: NUMBER } = fieldMasks(registers.COMMAND);
const KEY = 0x706f;

const State = { idle: 0, running: 1, done: 2, refused: 3, unknown: 4 } as const;

const options = v.object({
  commands: v.pipe(
    v.optional(v.pipe(v.array(v.pipe(v.array(v.string()), v.minLength(1))), v.maxLength(64)), [
      ["systemctl", "poweroff"],
    ]),
    v.description("What the guest may run on the host: program and arguments of each. No shell looks at them."),
  ),
  allow: v.pipe(
    v.optional(v.boolean(), false),
    v.description("Allows it as far as the profile is concerned; starting with --allow-host-power confirms it."),
  ),
});

export const hostPower = defineVdev({
  type: "host-power",
  summary: "lets the guest run configured host commands, such as power-off",
  options,
  regions: [{ name: "power", size: 0x1000 }],
  registers: { power: registers },

  fdt: ({ unit, reg }) => ({
    bus: [node(`power@${unit}`, { compatible: ["vmrun,host-power", "syscon"], reg })],
  }),

  create(host, { commands, allow }) {
    const bank = registerBank(registers, { log: host.log });
    const { STATUS } = bank.registers;
    /** One at a time: a guest must not fill the host with processes. */
    let underway = false;

    function finish(state: number, exit = 0): void {
      STATUS.value = state | ((exit & 0xff) << 8);
    }

    function run(number: number): void {
      const command = commands[number];
      if (command === undefined) {
        host.log.guestError("a command that the profile does not name");
        return finish(State.unknown);
      }
      if (!allow) {
        host.log.warn(`refused: the profile does not allow ${JSON.stringify(command)}; set allow = true`);
        return finish(State.refused);
      }
      host.log.warn(`the guest runs ${JSON.stringify(command)} on the host`);
      finish(State.running);
      underway = true;
      host.command(command, (outcome) => {
        underway = false;
        if (outcome.ok) return finish(State.done, outcome.value.status);
        const unconfirmed = outcome.error instanceof VdevError && outcome.error.code === "vdev/command";
        const hint = unconfirmed ? "; start with --allow-host-power" : "";
        host.log.warn(`${outcome.error.message}${hint}`);
        finish(State.refused);
      });
    }

    bank.behave({
      COMMAND: {
        write(value) {
          if (value >>> 16 !== KEY) host.log.guestError("a command without its key");
          else if (!underway) run(value & NUMBER);
        },
      },
      COUNT: { read: () => commands.length },
    });

    return {
      regions: [bank],
      reset: () => bank.reset(),
      snapshot: () => bank.snapshot(),
      restore(state) {
        bank.restore(state);
        // What ran for the other one is not this one's to wait for.
        if (STATUS.value === State.running && !underway) finish(State.idle);
      },
      status: () => ({ allowed: allow, state: Object.keys(State)[STATUS.value & 0xff] ?? "idle" }),
    };
  },
});
