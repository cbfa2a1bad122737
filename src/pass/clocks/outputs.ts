/** The clocks of all `[[clock]]` tables of a board, with their names resolved: to registers and fields, and to each other. */
import { nearestName } from "../../vdev/registry.ts";
import type {
  ClockController,
  ClockOutput,
  ClockReference,
  ClockRegister,
  Factor,
  FieldReference,
  Gate,
  Mux,
  Pll,
} from "./description.ts";
import type { ClockOptions, FactorOptions, OutputOptions } from "./options.ts";
import type { Report } from "./problems.ts";
import { blocksOf, registersOf } from "./registers.ts";

/** A `[[clock]]` table. */
export interface ClockTable {
  readonly name: string;
  /** Where it is mapped, if it is. */
  readonly at?: number;
  readonly options: ClockOptions;
}

/** By table: what is wrong with it. */
export type ReportTable = (table: number) => Report;

/** All controllers of a board. What cannot be resolved is reported and left out. */
export function controllersOf(tables: readonly ClockTable[], report: ReportTable = () => () => {}): ClockController[] {
  const names = new ClockNames(tables);
  return tables.map(({ name, at, options }, i) => {
    const { size, host, unlisted, compatible = [] } = options;
    const registers = registersOf(options);
    const outputs = new Resolver(names, i, name, options, registers, report(i)).outputs();
    const end = registers.reduce((most, { offset, width }) => Math.max(most, offset + width), 0);
    const mapped = size === undefined ? {} : { at };
    return {
      name,
      ...mapped,
      size: size ?? end,
      host,
      unlisted,
      compatible,
      registers,
      blocks: blocksOf(options),
      outputs,
    };
  });
}

/** Clocks by the names that profiles call them. */
export class ClockNames {
  readonly #tables: readonly { readonly name: string; readonly outputs: readonly string[] }[];

  constructor(tables: readonly ClockTable[]) {
    this.#tables = tables.map(({ name, options }) => ({ name, outputs: outputsOf(name, options).map((o) => o.name) }));
  }

  /** `from`: the table whose own clocks need no prefix. Text is why there is none. */
  find(text: string, from?: number): ClockReference | { readonly problem: string; readonly hint?: string } {
    const [first, second] = text.split(".") as [string, string | undefined];
    const own = from === undefined || second !== undefined ? -1 : this.#tables[from]!.outputs.indexOf(first);
    if (own >= 0) return { controller: from!, output: own };
    const controller = this.#tables.findIndex(({ name }) => name === first);
    const all = this.#tables.flatMap(({ name, outputs }) =>
      outputs.map((each) => (each === name ? name : `${name}.${each}`)),
    );
    const local = from === undefined ? [] : this.#tables[from]!.outputs;
    if (controller < 0) {
      const what = second === undefined ? `clock "${first}"` : `clock controller "${first}"`;
      return { problem: `there is no ${what}`, hint: suggestion(text, [...local, ...all]) };
    }
    const { outputs } = this.#tables[controller]!;
    const output = second === undefined ? (outputs.length === 1 ? 0 : -1) : outputs.indexOf(second);
    if (output >= 0) return { controller, output };
    if (second !== undefined) return { problem: `${first} has no clock "${second}"`, hint: suggestion(text, all) };
    return {
      problem: `${first} has ${outputs.length} clocks; which one is meant?`,
      hint: `for example "${all.find((each) => each.startsWith(`${first}.`)) ?? `${first}.NAME`}"`,
    };
  }
}

function suggestion(text: string, known: readonly string[]): string | undefined {
  const near = nearestName(text, known);
  if (near) return `did you mean "${near}"?`;
  return known.length === 0 ? undefined : `clocks: ${known.slice(0, 20).join(", ")}${known.length > 20 ? ", ..." : ""}`;
}

/** Or the one that `rate` stands for. */
function outputsOf(name: string, { rate, output }: ClockOptions): readonly OutputOptions[] {
  if (rate === undefined) return output;
  return [{ name, rate, from: [], multiply: [], divide: [], fixed: true }];
}

/** The outputs of one table. */
class Resolver {
  readonly #outputs: readonly OutputOptions[];

  constructor(
    readonly names: ClockNames,
    readonly table: number,
    name: string,
    options: ClockOptions,
    readonly registers: readonly ClockRegister[],
    readonly report: Report,
  ) {
    this.#outputs = outputsOf(name, options);
    if (options.rate !== undefined && options.output.length > 0) {
      report(
        "clock/rate",
        ["rate"],
        "a controller with a rate is one clock, and has no outputs",
        "give an output the rate",
      );
    }
  }

  outputs(): ClockOutput[] {
    return this.#outputs.map((given, i) => this.#output(given, i));
  }

  #output(given: OutputOptions, i: number): ClockOutput {
    const { name, index = i, rate, from, fixed } = given;
    const path = ["output", i];
    const [twin, same] = [
      this.#outputs.findIndex((other) => other.name === name),
      this.#outputs.findIndex((other, position) => (other.index ?? position) === index),
    ];
    if (twin < i) this.report("clock/duplicate-name", [...path, "name"], `two outputs have the name "${name}"`);
    if (same < i) {
      const message = `${name} and ${this.#outputs[same]!.name} are both clock ${index} of the binding`;
      this.report("clock/duplicate-index", [...path, given.index === undefined ? "name" : "index"], message);
    }
    if (from.length === 0 && rate === undefined) {
      this.report(
        "clock/no-rate",
        path,
        `${name} comes from nowhere`,
        'rate = "24MHz" for an oscillator, or from = "CLOCK"',
      );
    }
    return {
      name,
      index,
      rate,
      parents: from.flatMap((text, k) =>
        this.#clock(text, from.length === 1 ? [...path, "from"] : [...path, "from", k]),
      ),
      mux: this.#mux(given, path),
      gate: this.#gate(given, path),
      multiply: this.#factors(given.multiply, [...path, "multiply"]),
      divide: this.#factors(given.divide, [...path, "divide"]),
      pll: this.#pll(given, [...path, "pll"]),
      fixed,
    };
  }

  #clock(text: string, path: Path): ClockReference[] {
    const found = this.names.find(text, this.table);
    if (!("problem" in found)) return [found];
    this.report("clock/unknown-clock", path, found.problem, found.hint);
    return [];
  }

  #mux({ name, from, mux }: OutputOptions, path: Path): Mux | undefined {
    if (mux === undefined) {
      const message = `${name} comes from ${from.length} clocks, and nothing selects one`;
      if (from.length > 1) this.report("clock/mux", [...path, "from"], message, 'mux = "REGISTER.FIELD"');
      return undefined;
    }
    const { field: text, values = from.map((_, i) => i) } = typeof mux === "string" ? { field: mux } : mux;
    if (values.length !== from.length) {
      const message = `${name} has ${from.length} clocks to select from, and ${values.length} values that select`;
      this.report("clock/mux", [...path, "mux", "values"], message);
    }
    const field = this.#field(text, [...path, "mux"]);
    return field && { field, values };
  }

  #gate({ gate }: OutputOptions, path: Path): Gate | undefined {
    if (gate === undefined) return undefined;
    const { field: text, open = undefined } = typeof gate === "string" ? { field: gate } : gate;
    const field = this.#field(text, [...path, "gate"]);
    return field && { field, open };
  }

  #pll({ pll }: OutputOptions, path: Path): Pll | undefined {
    if (pll === undefined) return undefined;
    const { field: text, bits } =
      typeof pll.fraction === "string" ? { field: pll.fraction, bits: undefined } : (pll.fraction ?? {});
    const places = text === undefined ? undefined : this.#field(text, [...path, "fraction"]);
    return {
      feedback: this.#factors(pll.feedback, [...path, "feedback"]),
      fraction: places && { field: places, bits: bits ?? places.high - places.low + 1 },
      reference: this.#factors(pll.reference, [...path, "reference"]),
      post: this.#factors(pll.post, [...path, "post"]),
      bypass: pll.bypass === undefined ? undefined : this.#field(pll.bypass, [...path, "bypass"]),
    };
  }

  #factors(factors: readonly FactorOptions[], path: Path): Factor[] {
    return factors.flatMap((factor, i) => this.#factor(factor, [...path, i]) ?? []);
  }

  #factor(factor: FactorOptions, path: Path): Factor | undefined {
    if (typeof factor === "number") return { kind: "fixed", value: factor };
    const { field: text, style = "linear", add, table } = typeof factor === "string" ? { field: factor } : factor;
    const field = this.#field(text, path);
    if (!field) return undefined;
    if (table !== undefined) return { kind: "table", field, table };
    return { kind: style, field, add: add ?? (style === "linear" ? 1 : 0) };
  }

  #field(text: string, path: Path): FieldReference | undefined {
    const [first, second] = text.split(".") as [string, string | undefined];
    const register = this.registers.findIndex(({ name }) => name === first);
    const owner = this.registers[register];
    if (!owner) {
      const names = this.registers.map(({ name }) => name);
      const near = nearestName(first, names);
      const hint = near ? `did you mean "${[near, second].filter(Boolean).join(".")}"?` : undefined;
      this.report("clock/unknown-field", path, `the controller has no register "${first}"`, hint);
      return undefined;
    }
    if (second === undefined) return { name: text, register, high: 8 * owner.width - 1, low: 0 };
    const field = owner.fields.find(({ name }) => name === second);
    if (field) return { name: text, register, high: field.high, low: field.low };
    const names = owner.fields.map(({ name }) => name);
    const near = nearestName(second, names);
    const hint = near
      ? `did you mean "${first}.${near}"?`
      : names.length > 0
        ? `fields: ${names.join(", ")}`
        : undefined;
    this.report("clock/unknown-field", path, `the register ${first} has no field "${second}"`, hint);
    return undefined;
  }
}

type Path = readonly (string | number)[];

/** Clocks that come from themselves whatever their muxes select. */
export function reportLoops(controllers: readonly ClockController[], report: ReportTable): void {
  for (const [controller, { outputs }] of controllers.entries()) {
    for (const [output, { name }] of outputs.entries()) {
      const start = { controller, output };
      const length = loopFrom(controllers, start);
      if (length !== undefined)
        report(controller)("clock/loop", ["output", output, "from"], `${name} comes from itself`);
    }
  }
}

/** Steps until the way up comes back to `start`, where no mux gives it another way. */
function loopFrom(controllers: readonly ClockController[], start: ClockReference): number | undefined {
  let at = start;
  const most = controllers.reduce((sum, { outputs }) => sum + outputs.length, 0);
  for (let steps = 1; steps <= most; steps++) {
    const { parents } = controllers[at.controller]!.outputs[at.output]!;
    const [only] = parents;
    if (parents.length !== 1 || !only) return undefined;
    if (only.controller === start.controller && only.output === start.output) return steps;
    at = only;
  }
  return undefined;
}
