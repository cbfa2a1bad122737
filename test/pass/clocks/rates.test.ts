import { describe, expect, test } from "bun:test";
import type { ClockController, ClockOutput, Factor } from "../../../src/pass/clocks/description.ts";
import { isGuests, permissionsOf } from "../../../src/pass/clocks/permissions.ts";
import { clockStates } from "../../../src/pass/clocks/rates.ts";
import { controller, field, output, reference, register } from "./support.ts";

const MHZ = 1e6;
const crystal = output({ name: "hosc", rate: 24 * MHZ });
const linear = (register: number, high: number, low: number, add = 1): Factor => ({
  kind: "linear",
  field: reference(register, high, low),
  add,
});

/** The state of the last output: behind the crystal, with the registers at `values`. */
function last(outputs: readonly Partial<ClockOutput>[], values: readonly (number | undefined)[] = []) {
  const described = controller({
    registers: values.map((_, i) => register({ name: `r${i}`, offset: 4 * i })),
    outputs: [crystal, ...outputs.map((each, i) => output({ name: `o${i}`, index: i + 1, ...each }))],
  });
  return clockStates([described], (_, { offset }) => values[offset / 4])[0]!.at(-1)!;
}

const parents = [{ controller: 0, output: 0 }];
const rateOf = (given: Partial<ClockOutput>, ...values: (number | undefined)[]) =>
  last([{ parents, ...given }], values).rate;

describe("a rate", () => {
  test("is stated, or goes through", () => {
    expect(last([]).rate).toBe(24 * MHZ);
    expect(rateOf({})).toBe(24 * MHZ);
    expect(rateOf({ rate: 1000 })).toBe(1000);
  });

  test("is divided linearly, by powers of two, and by a table", () => {
    expect(rateOf({ divide: [linear(0, 3, 0)] }, 0x75)).toBe(4 * MHZ);
    expect(rateOf({ divide: [linear(0, 7, 4, 0)] }, 0x65)).toBe(4 * MHZ);
    const field = reference(0, 17, 16);
    expect(rateOf({ divide: [{ kind: "power-of-two", field, add: 1 }] }, 0x2_0000)).toBe(3 * MHZ);
    const table: Factor = { kind: "table", field, table: [1, 3, 0] };
    expect(rateOf({ divide: [table] }, 0x1_0000)).toBe(8 * MHZ);
    expect(last([{ parents, divide: [table] }], [0x2_0000])).toMatchObject({
      rate: undefined,
      unknown: "r0.f is 2, which stands for no factor",
    });
    // The top bit of a register is no sign.
    expect(rateOf({ divide: [linear(0, 31, 30)] }, 0x8000_0000)).toBe(8 * MHZ);
  });

  test("has fixed factors", () => {
    const fixed = (value: number): Factor => ({ kind: "fixed", value });
    expect(rateOf({ multiply: [fixed(2), fixed(5)], divide: [fixed(4)] })).toBe(60 * MHZ);
  });

  test("comes from a PLL: 33.33 MHz * 2 * (59 + 1) / (0 + 1) / 2^2 as on an FU540", () => {
    const pll = {
      feedback: [{ kind: "fixed", value: 2 } as const, linear(0, 14, 6)],
      reference: [linear(0, 5, 0)],
      post: [{ kind: "power-of-two", field: reference(0, 17, 15), add: 0 } as const],
      bypass: reference(0, 24, 24),
    };
    const value = (59 << 6) | (2 << 15) | 0;
    const source = { name: "hfclk", rate: 33_333_333 };
    const at = [{ controller: 0, output: 1 }];
    expect(last([source, { parents: at, pll }], [value]).rate).toBe((33_333_333 * 2 * 60) / 4);
    expect(last([source, { parents: at, pll }], [value | (1 << 24)]).rate).toBe(33_333_333);
  });

  test("comes from a fractional PLL", () => {
    const pll = {
      feedback: [linear(0, 7, 0, 0)],
      fraction: { field: reference(1, 23, 0), bits: 24 },
      reference: [],
      post: [],
    };
    expect(rateOf({ pll }, 40, 0x80_0000)).toBe(24 * MHZ * 40.5);
  });

  test("is that of the parent which a mux selects", () => {
    const slow = { name: "slow", rate: 32768 };
    const mux = { field: reference(0, 25, 24), values: [0, 2] };
    const muxed = { parents: [...parents, { controller: 0, output: 1 }], mux };
    expect(last([slow, muxed], [0]).rate).toBe(24 * MHZ);
    expect(last([slow, muxed], [0x0200_0000])).toMatchObject({ rate: 32768, parent: { controller: 0, output: 1 } });
    expect(last([slow, muxed], [0x0100_0000]).unknown).toBe("r0.f is 1, which selects none of its parents");
  });

  test("is not known where a register is not", () => {
    const divided = { parents, divide: [linear(0, 3, 0)] };
    expect(last([divided], [undefined]).unknown).toBe("the value of ccu.r0 is not known");
    const behind = { parents: [{ controller: 0, output: 1 }] };
    expect(last([divided, behind], [undefined]).unknown).toBe("the value of ccu.r0 is not known");
    expect(last([{}]).unknown).toBe("its rate is not stated");
  });

  test("is not known where a clock comes from itself", () => {
    expect(last([{ parents: [{ controller: 0, output: 1 }] }]).unknown).toBe("it comes from itself");
  });
});

describe("a clock is on", () => {
  const gate = { field: reference(0, 31, 31) };
  const gated = { name: "bus", parents, gate };
  const behind = { parents: [{ controller: 0, output: 1 }] };

  test("where its gates are open", () => {
    expect(last([gated], [0x8000_0000])).toMatchObject({ on: true, rate: 24 * MHZ });
    expect(last([gated], [0])).toMatchObject({ on: false, rate: 24 * MHZ });
    expect(last([gated, behind], [0])).toMatchObject({ on: false });
    expect(last([gated, behind], [undefined])).toMatchObject({ on: undefined, rate: 24 * MHZ });
    expect(last([{ ...gated, gate: { ...gate, open: 0 } }], [0])).toMatchObject({ on: true });
  });
});

test("every register is read once", () => {
  let reads = 0;
  const gate = { field: reference(0, 0, 0) };
  const outputs = [crystal, ...[1, 2, 3].map((index) => output({ index, parents, gate, divide: [linear(0, 3, 0)] }))];
  clockStates([controller({ registers: [register()], outputs })], () => reads++);
  expect(reads).toBe(1);
});

test("what a guest may change follows from bits, blocks and where the controller is mapped", () => {
  const fields = [
    field("gate", 31, 31, { access: "emulate" }),
    field("m", 3, 0, { access: "pass-if", allow: [{ from: 1, to: 3 }] }),
  ];
  const clock = output({
    gate: { field: reference(0, 31, 31) },
    mux: { field: reference(0, 25, 24), values: [0] },
    divide: [linear(0, 3, 0), linear(0, 9, 8), linear(1, 3, 0)],
  });
  const registers = [
    register({ pass: 0x0100_0300, fields }),
    register({ name: "r1", offset: 4, hidden: true, pass: 0xf }),
  ];
  const seen = (given: Partial<ClockController>) =>
    permissionsOf(controller({ registers, ...given }), clock).map(({ role, access }) => `${role} ${access}`);
  expect(seen({})).toEqual(["gate emulate", "parent part", "rate pass-if", "rate pass", "rate hidden"]);
  expect(seen({ blocks: [{ offset: 0, size: 4 }] })[2]).toBe("rate pass");
  expect(permissionsOf(controller({ registers, at: undefined }), clock).some(isGuests)).toBe(false);
});
