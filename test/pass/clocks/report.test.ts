import { expect, test } from "bun:test";
import { clockStates, resetValue } from "../../../src/pass/clocks/rates.ts";
import { clockLines, renderClocks, shownRate } from "../../../src/pass/clocks/report.ts";
import { controller, field, output, reference, register } from "./support.ts";

const hosc = controller({ name: "hosc", at: undefined, outputs: [output({ name: "hosc", rate: 24e6, fixed: true })] });
const ccu = controller({
  compatible: ["acme,ccu"],
  registers: [
    register({
      reset: 0x8000_0002,
      pass: 0x8000_0000,
      fields: [
        field("m", 3, 0, {
          access: "pass-if",
          allow: [
            { from: 1, to: 1 },
            { from: 3, to: 7 },
          ],
        }),
      ],
    }),
    register({ name: "s", offset: 4 }),
  ],
  outputs: [
    output({
      name: "mmc0",
      parents: [{ controller: 0, output: 0 }],
      gate: { field: { ...reference(0, 31, 31), name: "r.gate" } },
      divide: [{ kind: "linear", add: 1, field: { ...reference(0, 3, 0), name: "r.m" } }],
    }),
    output({
      name: "slow",
      index: 1,
      parents: [{ controller: 1, output: 0 }],
      divide: [{ kind: "linear", add: 1, field: reference(1, 3, 0) }],
    }),
    output({ name: "loop", index: 2, parents: [{ controller: 1, output: 2 }] }),
  ],
});
const controllers = [hosc, ccu];
const lines = clockLines(controllers, clockStates(controllers, resetValue), new Map([["ccu.mmc0", ["emmc", "sd"]]]));

test("the tree, with rates, users and what the guest may change", () => {
  expect(renderClocks(lines)).toBe(
    [
      "CLOCK           RATE  STATE  GUEST GETS  GUEST MAY CHANGE                 USED BY",
      "hosc          24 MHz  on     fixed       nothing",
      "  ccu.mmc0     8 MHz  on     passed      gate r.gate, rate r.m (1, 3..7)  emmc, sd",
      "    ccu.slow       ?  on     passed      nothing                          rate unknown: the value of ccu.s is not known",
      "ccu.loop           ?  ?      passed      nothing                          rate unknown: it comes from itself",
      "",
    ].join("\n"),
  );
});

test("as data", () => {
  expect(lines[1]).toEqual({
    clock: "ccu.mmc0",
    from: "hosc",
    depth: 1,
    rate: 8e6,
    on: true,
    supply: "controller",
    users: ["emmc", "sd"],
    guest: [
      { field: "r.gate", role: "gate", how: "any" },
      { field: "r.m", role: "rate", how: "1, 3..7" },
    ],
  });
  expect(lines.at(-1)).toMatchObject({ clock: "ccu.loop", rate: null, on: null, depth: 0 });
});

test("rates are exact to the hertz", () => {
  expect([249_999_997.5, 32768, 999, 594e6].map(shownRate)).toEqual([
    "249.999998 MHz",
    "32.768 kHz",
    "999 Hz",
    "594 MHz",
  ]);
});
