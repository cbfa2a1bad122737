/** The options of `vmrun run` about exits. What they ask for is in observation.ts, which a run without them does not load. */

export const observeArguments = {
  exits: {
    type: "boolean",
    description: "at the end, tell what the guest left its own code for and what that cost; also --exits=csv and =json",
  },
  "exits-file": { type: "string", valueHint: "FILE", description: "where that goes, instead of standard error" },
  "exits-by": {
    type: "string",
    valueHint: "COLUMNS",
    description: "what CSV and JSON tell apart, such as vdev,register,pc",
  },
  "exits-html": { type: "string", valueHint: "FILE", description: "the same as a page with pictures" },
  "exits-svg": { type: "string", valueHint: "FILE", description: "the same as one picture" },
  trace: {
    type: "string",
    valueHint: "FILE",
    description: "write what happens, in host time and in guest time, for ui.perfetto.dev",
  },
  "trace-events": {
    type: "string",
    valueHint: "N",
    description: "how many events a trace keeps, the first ones: 200000",
  },
  top: { type: "boolean", description: "at a terminal, show exits in its upper half while the guest runs" },
  "exits-walks": { type: "boolean", description: "count walks through page tables, too" },
  symbols: {
    type: "string",
    valueHint: "FILE",
    description: "names for the guest's code: an ELF file, System.map or /proc/kallsyms. Repeats",
  },
  budget: {
    type: "string",
    valueHint: "FILE",
    description: "fail where the run needs more exits than the [budget.NAME] tables of FILE allow",
  },
  "budget-record": { type: "string", valueHint: "FILE", description: "write what this run needs as such a file" },
} as const;

export interface ObserveGiven {
  readonly "budget-record"?: string;
  readonly "exits-html"?: string;
  readonly "exits-svg"?: string;
  readonly trace?: string;
  readonly "trace-events"?: string;
  readonly top?: boolean;
  readonly "exits-walks"?: boolean;
  readonly "exits-file"?: string;
  readonly "exits-by"?: string;
}

/** Whether any of the options is there. */
export function asksForExits(rawArgs: readonly string[]): boolean {
  return rawArgs.some((argument) => Object.keys(observeArguments).includes(/^--([a-z-]+)/.exec(argument)?.[1] ?? ""));
}
