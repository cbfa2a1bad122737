/** `vmrun new vdev`: a vdev that works, its test, and a profile that runs it. */
import { fail } from "../../diagnostics/diagnostic.ts";
import { createRegistry } from "../../vdev/registry.ts";
import { builtins } from "../../vdevs/index.ts";
import { checkName, type Draft, inFolder, nextSteps } from "./draft.ts";

/** Free on the shipped board, and easy to type. */
const ADDRESS = "0x1010_0000";
const TYPED_ADDRESS = "10100000";

export function newVdev(name: string, folder: string): Draft {
  checkName(name, /^[a-z][a-z0-9-]*$/, "lower-case letters, digits and hyphens, beginning with a letter");
  if (createRegistry(builtins).get(name))
    fail("new/name", `vmrun has a vdev of type "${name}"`, { hint: "choose another name" });
  const path = (suffix: string) => inFolder(folder, `${name}${suffix}`);
  const [source, test, profile] = [path(".ts"), path(".test.ts"), path(".toml")];
  return {
    files: { [source]: sourceText(name), [test]: testText(name), [profile]: profileText(name) },
    next: nextSteps([
      [`vmrun test ${test}`, "test it"],
      [`vmrun vdevs --in ${profile} ${name}`, "its documentation"],
      [`vmrun run --watch ${profile}`, `run it; at the prompt: md.w ${TYPED_ADDRESS} 5`],
      ["", `then change ${source}, and look again`],
    ]),
  };
}

/** `my-timer` is `myTimer` in code. A word of the language would be none to name a constant by. */
function identifier(name: string): string {
  const camel = name.replace(/-+([a-z0-9]?)/g, (_, letter: string) => letter.toUpperCase());
  return RESERVED.has(camel) ? `${camel}Vdev` : camel;
}

const RESERVED = new Set(
  (
    "await break case catch class const continue debugger default delete do else enum export extends false finally for " +
    "function if implements import in instanceof interface let new null package private protected public return static " +
    "super switch this throw true try typeof var void while with yield arguments eval undefined registers options v test " +
    "expect assemble vdevLaws defineVdev registerMap registerBank bankInstance integer node"
  ).split(" "),
);

function sourceText(name: string): string {
  return `/** ${name}: counts at a pace that the guest sets, and interrupts at every count. An example to start from. */
import * as v from "valibot";
import { bankInstance, defineVdev, integer, node, registerBank, registerMap } from "vmrun";

// The datasheet. Decoding, access rules, reset, snapshots and documentation come from it.
const registers = registerMap({
  ID: { at: 0x00, width: 4, access: "r", about: "what the device is: the option \`id\`" },
  CONTROL: { at: 0x04, width: 4, writable: 1, fields: { enable: { bits: 0, about: "1: it counts" } } },
  PERIOD: { at: 0x08, width: 4, writable: 0xffff, reset: 1000, about: "milliseconds from one count to the next" },
  COUNT: { at: 0x0c, width: 4, access: "r", about: "counts since the reset" },
  STATUS: { at: 0x10, width: 4, access: "w1c", fields: { counted: { bits: 0, about: "the interrupt; 1 clears it" } } },
});

// The keys of its [[vdev]] table, beside those that every vdev has.
const options = v.object({
  id: v.pipe(v.optional(integer("the id", 0, 0xffff_ffff), 0x766d_7275), v.description("What ID reads.")),
});

const MS = 1e6;

export const ${identifier(name)} = defineVdev({
  type: "${name}",
  summary: "${name}: a counter with an interrupt",
  options,
  regions: [{ name: "regs", size: 0x1000 }],
  registers: { regs: registers },
  interrupts: [{ name: "irq", trigger: "level" }],

  // What a driver in the guest finds it by.
  fdt: ({ unit, reg, interrupts }) => ({
    bus: [node(\`${name}@\${unit}\`, { compatible: "example,${name}", reg, ...interrupts })],
  }),

  create(host, { id }) {
    const bank = registerBank(registers, { log: host.log });
    const { CONTROL, PERIOD, COUNT, STATUS } = bank.registers;
    const irq = host.interrupt("irq");
    const timer = host.clock.timer(() => {
      COUNT.value++;
      STATUS.value = 1;
      update();
    });

    const update = () => irq.set(STATUS.value !== 0);
    const period = () => Math.max(1, PERIOD.value) * MS;

    function start(): void {
      if (CONTROL.value === 0) timer.cancel();
      else timer.every(period());
    }

    bank.behave({
      ID: { read: () => id },
      CONTROL: { write: start },
      PERIOD: { write: start },
      STATUS: { write: update },
    });

    return bankInstance(bank, {
      // What a snapshot has to keep beside the registers: when the next count is due.
      state: {
        schema: v.object({ next: v.nullable(v.number()) }),
        initial: { next: null },
        save: () => ({ next: timer.deadline ?? null }),
        load({ next }) {
          if (next === null) timer.cancel();
          else timer.every(period(), next);
        },
      },
      refresh: update,
      status: () => ({ counting: CONTROL.value !== 0, count: COUNT.value }),
    });
  },
});
`;
}

function testText(name: string): string {
  const vdev = identifier(name);
  return `import { expect, test } from "bun:test";
import { assemble, vdevLaws } from "vmrun/testing";
import { ${vdev} } from "./${name}.ts";

const ID = 0x00;
const CONTROL = 0x04;
const PERIOD = 0x08;
const COUNT = 0x0c;
const STATUS = 0x10;

// What holds for every vdev: resets, snapshots, hostile guests, documentation, device tree.
vdevLaws(${vdev}, { test });

test("it says what it is", () => {
  expect(assemble(${vdev}, { id: 42 }).read(ID, 4)).toBe(42);
});

test("it counts in guest time, and interrupts until the guest has seen it", () => {
  const { host, vdev, read, write } = assemble(${vdev}, {});
  vdev.reset();
  write(PERIOD, 4, 10);
  write(CONTROL, 4, 1);
  host.clock.advance(35e6);
  expect(read(COUNT, 4)).toBe(3);
  expect(host.line("irq").level).toBe(true);
  write(STATUS, 4, 1);
  expect(host.line("irq").level).toBe(false);
});

test("it stands still while it is disabled", () => {
  const { host, vdev, read } = assemble(${vdev}, {});
  vdev.reset();
  host.clock.advance(10e9);
  expect(read(COUNT, 4)).toBe(0);
});
`;
}

function profileText(name: string): string {
  return `# The board that vmrun ships, with one more vdev.
schema = 1
name = "${name}-board"
include = "vmrun:virt-rv64"
use = ["./${name}.ts"]                # paths are relative to this file

[[vdev]]
type = "${name}"
at = ${ADDRESS}                    # without it: the next free place
# irq = "plic:40"                   # without it: the next free line
# id = 42                           # an option of its own
`;
}
