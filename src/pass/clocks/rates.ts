/** What the clocks of a board run at: oscillators, gates, dividers, muxes and PLLs, by the values of their registers. */
import type {
  ClockController,
  ClockOutput,
  ClockReference,
  ClockRegister,
  Factor,
  FieldReference,
  Gate,
  Pll,
} from "./description.ts";

/** The value of a register; `undefined` where it is not known. */
export type ReadRegister = (controller: ClockController, register: ClockRegister) => number | undefined;

export interface ClockState {
  /** Hertz, whether the clock is let through or not; `undefined` where it is not known. */
  readonly rate: number | undefined;
  /** Why it is not. */
  readonly unknown?: string;
  /** Whether its own gate and those before it let it through. */
  readonly on: boolean | undefined;
  /** Where it comes from now. */
  readonly parent?: ClockReference;
}

/** States of all clocks of a board, by controller and output. */
export type ClockStates = readonly (readonly ClockState[])[];

/** Registers as the profile has them at reset. */
export const resetValue: ReadRegister = (_, { reset }) => reset;

/** Each register is read at most once. */
export function clockStates(controllers: readonly ClockController[], read: ReadRegister): ClockStates {
  return new Tree(controllers, read).states();
}

/** Why a rate is not known; as text it may be shown. */
class Unknown {
  constructor(readonly why: string) {}
}

class Tree {
  readonly #known: (ClockState | "asked" | undefined)[][];
  readonly #values = new Map<ClockRegister, number | undefined>();

  constructor(
    readonly controllers: readonly ClockController[],
    readonly read: ReadRegister,
  ) {
    this.#known = controllers.map(({ outputs }) => outputs.map(() => undefined));
  }

  states(): ClockStates {
    return this.controllers.map(({ outputs }, controller) =>
      outputs.map((_, output) => this.#stateOf({ controller, output })),
    );
  }

  #stateOf(at: ClockReference): ClockState {
    const row = this.#known[at.controller]!;
    const known = row[at.output];
    if (known === "asked") return { rate: undefined, unknown: "it comes from itself", on: undefined };
    if (known !== undefined) return known;
    row[at.output] = "asked";
    const state = new Output(this.controllers[at.controller]!, at.output, this).state((parent) =>
      this.#stateOf(parent),
    );
    row[at.output] = state;
    return state;
  }

  value(controller: ClockController, register: ClockRegister): number | undefined {
    if (!this.#values.has(register)) this.#values.set(register, this.read(controller, register));
    return this.#values.get(register);
  }
}

/** One clock, with the registers that it depends on. */
class Output {
  readonly #output: ClockOutput;

  constructor(
    readonly controller: ClockController,
    output: number,
    readonly tree: Tree,
  ) {
    this.#output = controller.outputs[output]!;
  }

  state(stateOf: (parent: ClockReference) => ClockState): ClockState {
    const { rate, parents } = this.#output;
    const parent = this.#parent();
    // Its parents are asked even where its rate is stated: they may be off.
    const input = parent instanceof Unknown || parent === undefined ? undefined : stateOf(parent);
    const through = this.#isOpen();
    const on = through === false || input?.on === false ? false : through && (input ? input.on : parents.length === 0);
    const place = parent instanceof Unknown ? {} : { parent };
    if (rate !== undefined) return { rate, on: on ?? through, ...place };
    if (parent instanceof Unknown) return { rate: undefined, unknown: parent.why, on: undefined };
    if (input === undefined) return { rate: undefined, unknown: "its rate is not stated", on };
    if (input.rate === undefined) return { rate: undefined, unknown: input.unknown, on, ...place };
    const own = this.#rate(input.rate);
    return own instanceof Unknown ? { rate: undefined, unknown: own.why, on, ...place } : { rate: own, on, ...place };
  }

  #parent(): ClockReference | Unknown | undefined {
    const { parents, mux } = this.#output;
    if (!mux) return parents[0];
    const selected = this.#value(mux.field);
    if (selected instanceof Unknown) return selected;
    const position = mux.values.indexOf(selected);
    return parents[position] ?? new Unknown(`${mux.field.name} is ${selected}, which selects none of its parents`);
  }

  #isOpen(): boolean | undefined {
    const { gate } = this.#output;
    if (!gate) return true;
    const value = this.#value(gate.field);
    return value instanceof Unknown ? undefined : opens(gate, value);
  }

  #rate(input: number): number | Unknown {
    const { multiply, divide, pll } = this.#output;
    const times = this.#product(multiply);
    if (times instanceof Unknown) return times;
    const by = this.#product(divide);
    if (by instanceof Unknown) return by;
    const source = pll ? this.#pllRate(pll, input) : input;
    return source instanceof Unknown ? source : (source * times) / by;
  }

  #pllRate({ feedback, fraction, reference, post, bypass }: Pll, input: number): number | Unknown {
    if (bypass) {
      const value = this.#value(bypass);
      if (value instanceof Unknown) return value;
      if (value !== 0) return input;
    }
    const whole = this.#product(feedback);
    if (whole instanceof Unknown) return whole;
    const part = fraction ? this.#value(fraction.field) : 0;
    if (part instanceof Unknown) return part;
    const by = this.#product([...reference, ...post]);
    if (by instanceof Unknown) return by;
    return (input * (whole + part / 2 ** (fraction?.bits ?? 0))) / by;
  }

  #product(factors: readonly Factor[]): number | Unknown {
    let product = 1;
    for (const factor of factors) {
      const value = this.#factor(factor);
      if (value instanceof Unknown) return value;
      product *= value;
    }
    return product;
  }

  /** Never zero: hardware does not divide by it, and a table has holes. */
  #factor(factor: Factor): number | Unknown {
    if (factor.kind === "fixed") return factor.value;
    const value = this.#value(factor.field);
    if (value instanceof Unknown) return value;
    const number =
      factor.kind === "linear"
        ? value + factor.add
        : factor.kind === "power-of-two"
          ? 2 ** (value + factor.add)
          : (factor.table[value] ?? 0);
    return number > 0 ? number : new Unknown(`${factor.field.name} is ${value}, which stands for no factor`);
  }

  #value(field: FieldReference): number | Unknown {
    const register = this.controller.registers[field.register]!;
    const value = this.tree.value(this.controller, register);
    if (value === undefined) return new Unknown(`the value of ${this.controller.name}.${register.name} is not known`);
    return Math.floor(value / 2 ** field.low) % 2 ** (field.high - field.low + 1);
  }
}

function opens({ open }: Gate, value: number): boolean {
  return open === undefined ? value !== 0 : value === open;
}
