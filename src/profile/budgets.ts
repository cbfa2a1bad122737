/** `[budget.NAME]`: how many exits, or how much host time for them, a run may take. What it names has to be there. */
import * as v from "valibot";
import { integer } from "../vdev/options.ts";
import { nearestName, type VdevRegistry } from "../vdev/registry.ts";
import { choice, line, optional, shown, text } from "../vdev/schema-parts.ts";
import type { BoardBudget, BoardMarker } from "./board.ts";
import type { Findings } from "./findings.ts";
import { type Located, lookup, type TableNode } from "./located.ts";
import { validate } from "./validate.ts";

/**
 * Why guest code was left, or entered elsewhere. `read`, `write`: an access that is not RAM. `interrupt`: a hart takes one.
 * `timer`: a timer in guest time fires. `wfi`: a hart begins to wait. `sbi`: a firmware call that the monitor answers.
 * `unsupported`: an instruction or CSR that the board does not have. `walk`: the monitor walks page tables for the guest.
 */
export const EXIT_KINDS = ["read", "write", "interrupt", "timer", "wfi", "sbi", "unsupported", "walk"] as const;

const NAME = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;
const UNITS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9 };

const time = v.pipe(
  text('a time such as "20ms"'),
  v.rawTransform(({ dataset: { value }, addIssue, NEVER }): number => {
    const match = /^(\d+(?:\.\d+)?)\s*(ns|us|ms|s)$/.exec(value);
    if (match) return Number(match[1]) * UNITS[match[2]!]!;
    addIssue({ message: `expected a time such as "20ms"; got ${shown(value)}` });
    return NEVER;
  }),
);

const markerTable = v.object({
  vdev: v.pipe(text("a vdev"), v.description("The vdev that the guest writes to.")),
  register: v.pipe(text("a register"), v.description("By its register map.")),
  value: optional(integer("a value", 0, 2 ** 32 - 1), "The value that is written. Default: every one."),
});

const marker = v.union(
  [line("text on the console", 200), markerTable],
  ({ input }) => `expected text on the console, or { vdev, register, value } for a write; got ${shown(input)}`,
);

export const budgetSchema = v.object({
  kind: optional(choice(EXIT_KINDS), "The kind of exit. Default: every kind."),
  vdev: optional(text("a vdev"), "The vdev that is accessed. Default: every one."),
  region: optional(text("a region"), "One of its regions. Default: all of them."),
  register: optional(text("a register"), "One of its registers. Default: all of them."),
  event: optional(
    line("an event", 100),
    "What is no access, by the name it has in the table of exits: `TIME.set_timer`.",
  ),
  from: optional(marker, "The exits behind the first time that this is seen. Default: from power-on."),
  to: optional(marker, "Up to the first time behind `from` that this is seen. Default: to the end of the run."),
  exits: optional(integer("a number of exits", 0, Number.MAX_SAFE_INTEGER), "At most so many."),
  time: optional(time, 'At most so much host time in them, such as "20ms".'),
});
export type ProfileBudget = v.InferOutput<typeof budgetSchema>;

export const budgetsSchema = v.record(v.string(), budgetSchema);

/** What a budget may name. */
export interface Budgeted {
  readonly name: string;
  readonly type: string;
  readonly regions: readonly string[];
}

/** The budgets of a profile; what is wrong with them is reported. */
export function resolveBudgets(
  node: Located | undefined,
  vdevs: readonly Budgeted[],
  registry: VdevRegistry,
  findings: Findings,
): BoardBudget[] {
  if (node === undefined) return [];
  if (node.kind !== "table") {
    const hint = "write [budget.NAME]";
    findings.error("profile/type", node.place, "budget: expected tables, each with a name", { hint });
    return [];
  }
  return [...node.entries].flatMap(([name, { key, value }]): BoardBudget[] => {
    if (!NAME.test(name)) {
      findings.error("profile/value", key, "expected a name: a letter, then letters, digits, - and _");
      return [];
    }
    if (value.kind !== "table") {
      findings.error("profile/type", value.place, `budget.${name}: expected a table, [budget.${name}]`);
      return [];
    }
    const budget = validate(budgetSchema, value, ["budget", name], findings);
    if (budget === undefined) return [];
    return [new BudgetReader(name, value, vdevs, registry, findings).read(budget)];
  });
}

class BudgetReader {
  constructor(
    readonly name: string,
    readonly node: TableNode,
    readonly vdevs: readonly Budgeted[],
    readonly registry: VdevRegistry,
    readonly findings: Findings,
  ) {}

  read({ exits, time: ns, from, to, ...filter }: ProfileBudget): BoardBudget {
    if (exits === undefined && ns === undefined) {
      this.findings.error("profile/missing-key", this.node.place, `budget.${this.name} sets no limit`, {
        hint: 'add exits = 1000, or time = "20ms"',
      });
    }
    const vdev = filter.vdev === undefined ? undefined : this.#vdev(filter.vdev, ["vdev"]);
    if (filter.vdev === undefined) {
      for (const key of ["region", "register"] as const) {
        if (filter[key] !== undefined)
          this.#error([key], `budget.${this.name}.${key}: of which vdev?`, 'add vdev = "..."');
      }
    }
    if (vdev && filter.region !== undefined) this.#known("region", filter.region, vdev.regions, ["region"]);
    if (vdev && filter.register !== undefined) this.#register(vdev, filter.register, ["register"]);
    return {
      name: this.name,
      filter,
      from: this.#marker(from, "from"),
      to: this.#marker(to, "to"),
      exits,
      time: ns,
      place: this.node.place,
    };
  }

  #marker(given: ProfileBudget["from"], key: "from" | "to"): BoardMarker | undefined {
    if (given === undefined) return undefined;
    if (typeof given === "string") {
      if (given === "") this.#error([key], `budget.${this.name}.${key}: expected some text`);
      return { text: given };
    }
    const vdev = this.#vdev(given.vdev, [key, "vdev"]);
    if (vdev) this.#register(vdev, given.register, [key, "register"]);
    return given;
  }

  #vdev(name: string, path: readonly string[]): Budgeted | undefined {
    this.#known(
      "vdev",
      name,
      this.vdevs.map((vdev) => vdev.name),
      path,
    );
    return this.vdevs.find((vdev) => vdev.name === name);
  }

  /** Where the vdev has no map, or the name is an offset, anything may be meant. */
  #register({ type, regions }: Budgeted, name: string, path: readonly string[]): void {
    const maps = this.registry.get(type)?.registers;
    if (maps === undefined || /^\+0x[0-9a-f]+$/.test(name)) return;
    const names = regions.flatMap((region) =>
      Object.entries(maps[region] ?? {}).map(([register, { count }]) =>
        count === undefined ? register : `${register}[]`,
      ),
    );
    this.#known("register", name, names, path);
  }

  #known(what: string, name: string, known: readonly string[], path: readonly string[]): void {
    if (known.includes(name)) return;
    const near = nearestName(name, known);
    this.#error(
      path,
      `budget.${this.name}.${path.join(".")}: there is no ${what} ${JSON.stringify(name.slice(0, 48))}`,
      near
        ? `did you mean "${near}"?`
        : known.length > 0 && known.length <= 40
          ? `known: ${known.join(", ")}`
          : undefined,
    );
  }

  #error(path: readonly string[], message: string, hint?: string): void {
    this.findings.error("profile/budget", lookup(this.node, ...path)?.place ?? this.node.place, message, { hint });
  }
}
