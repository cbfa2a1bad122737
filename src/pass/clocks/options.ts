/** The keys of a `[[clock]]` table beside those that every device has: registers, blocks, and the clocks that come out. */
import * as v from "valibot";
import { frequency, integer, size } from "../../vdev/options.ts";
import { choice, compatible, defaulted, flag, line, name, optional, shown } from "../../vdev/schema-parts.ts";
import { hostObjectName } from "../host-spec.ts";
import { FIELD_ACCESS, REFUSALS, UNLISTED } from "./description.ts";

const MAX_BIT = 31;
const ALL_BITS = 2 ** 32 - 1;
const MAX_FIELDS = 32;
const MAX_REGISTERS = 1024;
const MAX_BLOCKS = 64;
const MAX_OUTPUTS = 1024;
const MAX_PARENTS = 64;
const MAX_FACTORS = 16;
const MAX_TABLE = 256;
const MAX_OFFSET = 2 ** 32;

const mask = (what: string) => integer(what, 0, ALL_BITS);

/** `"register.field"`, or `"register"` for all of it. */
const fieldName = v.pipe(
  v.string(({ input }) => `expected a field such as "mmc0.gate"; got ${shown(input)}`),
  v.regex(/^[A-Za-z][\w-]*(\.[A-Za-z][\w-]*)?$/, "expected a register's name, or register.field"),
);

/** `"controller.clock"`, or `"output"` for one of the same controller. */
const clockName = v.pipe(
  v.string(({ input }) => `expected a clock such as "ccu.mmc0"; got ${shown(input)}`),
  v.regex(/^[A-Za-z][\w-]*(\.[A-Za-z][\w-]*)?$/, "expected a clock's name, or controller.clock"),
);

const bits = v.union(
  [
    integer("a bit", 0, MAX_BIT),
    v.pipe(
      v.tuple([integer("the highest bit", 0, MAX_BIT), integer("the lowest bit", 0, MAX_BIT)]),
      v.check(([high, low]) => high >= low, "the first bit is the highest: [high, low]"),
    ),
  ],
  ({ input }) => `expected a bit, or two as [high, low]; got ${shown(input)}`,
);

/** Two values, decimal or hexadecimal, inclusive. */
const RANGE = /^(\d{1,10}|0x[0-9a-fA-F]{1,8})\.\.(\d{1,10}|0x[0-9a-fA-F]{1,8})$/;

const allowed = v.union(
  [
    mask("a value"),
    v.pipe(
      v.string(),
      v.regex(RANGE, 'expected a range such as "2..5"'),
      v.check((text) => {
        const [from, to] = text.split("..").map(Number);
        return from! <= to! && to! <= ALL_BITS;
      }, "a range goes from the lower value to the higher one"),
    ),
  ],
  ({ input }) => `expected a value, or a range such as "2..5"; got ${shown(input)}`,
);

const fieldSchema = v.object({
  name: v.pipe(name(), v.description("Of the field, in its register.")),
  bits: v.pipe(bits, v.description("Its bit, or its highest and lowest bit: `[11, 8]`.")),
  access: optional(
    choice(FIELD_ACCESS),
    "What a write of the guest does: `pass` (it reaches the host), `pass-if` (it does where `allow` has the value), " +
      "`emulate` (it is remembered and read back, and the host does not notice), `ignore` (nothing), `deny` (a bus error " +
      "where it would change the field). Default: as the register's own keys say.",
  ),
  allow: defaulted(
    v.pipe(v.array(allowed, 'expected a list such as [0, "2..5"]'), v.maxLength(MAX_FIELDS)),
    [],
    'Of `pass-if`: values, and ranges such as "2..5".',
  ),
  refused: defaulted(choice(REFUSALS), "ignore", "Of `pass-if`: what becomes of other values."),
  log: defaulted(flag(), false, "Tell of every change."),
});

const registerSchema = v.object({
  name: v.pipe(name(), v.description("Of the register, in its controller.")),
  offset: v.pipe(
    integer("an offset", 0, MAX_OFFSET),
    v.description("From the start of the controller, a multiple of the width."),
  ),
  width: defaulted(
    v.picklist([1, 2, 4], ({ input }) => `expected 1, 2 or 4 bytes; got ${shown(input)}`),
    4,
    "In bytes: how the host's register is accessed.",
  ),
  pass: defaulted(mask("a mask"), 0, "Bits outside of fields with an access of their own that the guest may change."),
  rest: defaulted(
    choice(["ignore", "emulate", "deny"]),
    "ignore",
    "What a write does to the other bits, in the words of a field's `access`.",
  ),
  reset: optional(
    mask("a value"),
    "Its value where there is no host to read it from, and that of emulated bits until they are written.",
  ),
  strobes: defaulted(
    mask("a mask"),
    0,
    "Bits that act when written as one, such as write-one-to-clear. Where they are not the guest's they are written as zero.",
  ),
  hidden: defaulted(flag(), false, "Described for the sake of rates; for the guest it is not there."),
  log: defaulted(flag(), false, "Tell of every change."),
  field: defaulted(v.pipe(v.array(fieldSchema), v.maxLength(MAX_FIELDS)), [], "Some of its bits, by name."),
});

const blockSchema = v.object({
  offset: v.pipe(integer("an offset", 0, MAX_OFFSET), v.description("From the start of the controller.")),
  size: v.pipe(size(), v.description("In bytes.")),
});

const factor = v.union(
  [
    integer("a factor", 1, 2 ** 32),
    fieldName,
    v.object({
      field: v.pipe(fieldName, v.description("The field whose value stands for the factor.")),
      style: defaulted(
        choice(["linear", "power-of-two"]),
        "linear",
        "`linear`: the value and `add`. `power-of-two`: 2 to the power of the value and `add`.",
      ),
      add: optional(integer("a number", 0, 2 ** 32), "Default: 1 for linear, 0 for power-of-two."),
      table: optional(
        v.pipe(v.array(integer("a factor", 0, 2 ** 32)), v.minLength(1), v.maxLength(MAX_TABLE)),
        "Factors by value, instead of a style; 0 for a value that the hardware does not have.",
      ),
    }),
  ],
  ({ input }) => `expected a number, a field such as "mmc0.m", or { field, style, add, table }; got ${shown(input)}`,
);

const factors = v.pipe(
  v.union([factor, v.pipe(v.array(factor), v.maxLength(MAX_FACTORS))], ({ input }) => {
    return `expected a number, a field, { field, style, add, table }, or a list of these; got ${shown(input)}`;
  }),
  v.transform((value) => (Array.isArray(value) ? value : [value])),
);

const factorList = (doc: string) => v.pipe(v.optional(factors, []), v.description(doc), v.metadata({ default: [] }));

const fieldOr = <const Schema extends v.GenericSchema>(table: Schema, example: string) =>
  v.union([fieldName, table], ({ input }) => `expected a field, or ${example}; got ${shown(input)}`);

const outputSchema = v.object({
  name: v.pipe(name(), v.description("Of the clock: devices name it as controller.clock.")),
  index: optional(
    integer("a number", 0, ALL_BITS),
    "What the guest's binding calls it: the cell behind the controller's phandle. Default: its position.",
  ),
  rate: optional(frequency(), "Where it is not to be computed: an oscillator, or what the profile states."),
  from: v.pipe(
    v.optional(
      v.union(
        [clockName, v.pipe(v.array(clockName), v.maxLength(MAX_PARENTS))],
        ({ input }) => `expected a clock, or a list of them; got ${shown(input)}`,
      ),
      [],
    ),
    v.description("Where it comes from; of several, `mux` selects one."),
    v.metadata({ default: [] }),
    v.transform((value) => (typeof value === "string" ? [value] : value)),
  ),
  mux: optional(
    fieldOr(
      v.object({
        field: v.pipe(fieldName, v.description("The field that selects.")),
        values: v.pipe(v.array(mask("a value")), v.description("Of each clock in `from`, the value that selects it.")),
      }),
      "{ field, values }",
    ),
    "The field that selects one of `from`: by position, or by `values`.",
  ),
  gate: optional(
    fieldOr(
      v.object({
        field: v.pipe(fieldName, v.description("The field that lets it through.")),
        open: v.pipe(mask("a value"), v.description("The value that does.")),
      }),
      "{ field, open }",
    ),
    "The field that lets it through: any value but 0, or `open`.",
  ),
  multiply: factorList("What its rate is multiplied with."),
  divide: factorList("What its rate is divided by."),
  pll: optional(
    v.object({
      feedback: factorList("What the input is multiplied with (N, fbdiv)."),
      fraction: optional(
        fieldOr(
          v.object({
            field: v.pipe(fieldName, v.description("The field.")),
            bits: v.pipe(integer("a number of bits", 1, 32), v.description("Binary places; default: the field's.")),
          }),
          "{ field, bits }",
        ),
        "Binary places behind the feedback.",
      ),
      reference: factorList("What the input is divided by (M, refdiv)."),
      post: factorList("What the result is divided by (P, postdiv)."),
      bypass: optional(fieldName, "While it is not 0, the input comes out as it is."),
    }),
    "A PLL: (feedback + fraction) / reference / post.",
  ),
  fixed: defaulted(
    flag(),
    false,
    "Devices are told its rate and nothing of the controller: a fixed-clock node. So it is where the controller is not mapped.",
  ),
});

export const clockOptions = v.object({
  size: optional(size(), "Bytes that the guest sees of it. Without a size, nothing is mapped: its clocks are fixed."),
  host: optional(
    hostObjectName(),
    "Where the registers are. Without one, nothing can pass, and rates are those at reset.",
  ),
  window: optional(
    v.union([integer("the number of a window", 0, 255), line("a window", 200)]),
    "Which window of the host object, by number or name. Default: the first.",
  ),
  offset: defaulted(integer("an offset"), 0, "Where in the host's window the controller begins."),
  override: defaulted(
    flag(),
    false,
    "Take it although another machine has it: each has bits of its own. Not possible with a block.",
  ),
  rate: optional(frequency(), "An oscillator: one clock with the table's own name."),
  compatible: optional(compatible, "Of its node in the device tree. Without it, its clocks have to be fixed."),
  unlisted: defaulted(
    choice(UNLISTED),
    "deny",
    "What becomes of accesses where no register is described: `deny` (a bus error), `ignore` (zero; nothing), " +
      "`read` (the host's value; nothing).",
  ),
  register: defaulted(
    v.pipe(v.array(registerSchema), v.maxLength(MAX_REGISTERS)),
    [],
    "Registers of which not all is passed.",
  ),
  block: defaulted(
    v.pipe(v.array(blockSchema), v.maxLength(MAX_BLOCKS)),
    [],
    "Spans in which everything is the guest's: whole pages are mapped, the rest is forwarded.",
  ),
  output: defaulted(v.pipe(v.array(outputSchema), v.maxLength(MAX_OUTPUTS)), [], "The clocks that come out of it."),
});

export type ClockOptions = v.InferOutput<typeof clockOptions>;
export type RegisterOptions = v.InferOutput<typeof registerSchema>;
export type OutputOptions = v.InferOutput<typeof outputSchema>;
export type FieldOptions = v.InferOutput<typeof fieldSchema>;
export type FactorOptions = v.InferOutput<typeof factor>;
