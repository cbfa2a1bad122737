/** What schemas of profiles and vdevs are made of: kinds of keys, with the words that a person gets to read. */
import * as v from "valibot";

const NAME = /^[A-Za-z][A-Za-z0-9_-]*$/;

/** A key that may be left out. The default is repeated as metadata because JSON Schema loses it inside a pipe. */
export function optional<const Schema extends v.GenericSchema>(schema: Schema, doc: string) {
  return v.pipe(v.optional(schema), v.description(doc));
}

export function defaulted<const Schema extends v.GenericSchema, const Value extends v.InferInput<Schema>>(
  schema: Schema,
  value: Value,
  doc: string,
) {
  return v.pipe(v.optional(schema, value as v.InferInput<Schema>), v.description(doc), v.metadata({ default: value }));
}

export function text(what: string) {
  return v.string(({ input }) => `expected ${what} in quotes; got ${shown(input)}`);
}

export function choice<const Options extends readonly string[]>(options: Options) {
  const list = options.map((option) => `"${option}"`).join(", ");
  return v.picklist(options, ({ input }) => `expected one of ${list}; got ${shown(input)}`);
}

export function flag() {
  return v.boolean(({ input }) => `expected true or false; got ${shown(input)}`);
}

/** Refuses what would break a line of the device tree or of a terminal. */
export function line(what: string, most: number) {
  return v.pipe(
    text(what),
    v.maxLength(most, `expected at most ${most} characters`),
    v.check((value) => !/[\p{Cc}]/u.test(value), "expected one line of text without control characters"),
  );
}

export function shown(input: unknown): string {
  if (typeof input === "string") return JSON.stringify(input.length > 40 ? `${input.slice(0, 40)}...` : input);
  if (input instanceof Date) return "a date";
  if (Array.isArray(input)) return "a list";
  return typeof input === "object" ? "a table" : String(input);
}

export const name = () =>
  v.pipe(
    text("a name"),
    v.regex(NAME, "expected a name: a letter, then letters, digits, - and _"),
    v.maxLength(48, "expected a name of at most 48 characters"),
  );

export const remove = () => defaulted(flag(), false, "Takes an element of an included profile out.");

export const compatible = v.pipe(
  v.union(
    [line("text", 200), v.array(line("text", 200))],
    ({ input }) => `expected text or a list of texts; got ${shown(input)}`,
  ),
  v.transform((value) => (typeof value === "string" ? [value] : value)),
);
