/** Runs a valibot schema over a located table and turns its issues into findings at the right places. */
import * as v from "valibot";
import { nearestName } from "../vdev/registry.ts";
import { shown } from "../vdev/schema-parts.ts";
import type { Findings } from "./findings.ts";
import { type Located, lookup, pathOf, plain, shownKey, type TableNode } from "./located.ts";

type TableSchema = v.ObjectSchema<v.ObjectEntries, undefined>;

/** The typed table, or `undefined` after reporting everything that is wrong with it. Unknown keys alone do not spoil it. */
export function validate<Schema extends TableSchema>(
  schema: Schema,
  node: TableNode,
  path: readonly string[],
  findings: Findings,
): v.InferOutput<Schema> | undefined {
  reportUnknownKeys(schema, node, path, findings);
  return typed(schema, node, plain(node), path, findings);
}

/** The same for values that were prepared, and for tables in which other schemas read other keys. */
export function typed<Schema extends TableSchema>(
  schema: Schema,
  node: TableNode,
  values: unknown,
  path: readonly string[],
  findings: Findings,
): v.InferOutput<Schema> | undefined {
  const result = v.safeParse(schema, values);
  if (result.success) return result.output;
  for (const issue of result.issues) reportIssue(issue, node, path, findings);
  return undefined;
}

/** A key that nothing reads is a mistake, wherever it stands. `also` are known keys that another schema reads. */
export function reportUnknownKeys(
  schema: v.GenericSchema,
  node: Located,
  path: readonly string[],
  findings: Findings,
  also: readonly string[] = [],
): void {
  const inner = unwrapped(schema);
  if (node.kind === "list" && isArray(inner)) {
    for (const [i, item] of node.items.entries()) reportUnknownKeys(inner.item, item, [...path, String(i)], findings);
  }
  if (node.kind !== "table" || !isObject(inner)) return;
  const known = [...Object.keys(inner.entries), ...also];
  for (const [key, { key: place, value }] of node.entries) {
    if (Object.hasOwn(inner.entries, key)) {
      reportUnknownKeys(inner.entries[key]!, value, [...path, key], findings);
    } else if (!also.includes(key)) {
      const near = nearestName(key, known);
      const owner = path.length === 0 ? "a profile" : path.map(shownKey).join(".");
      findings.error("profile/unknown-key", place, `${owner} has no key ${shownKey(key)}`, {
        hint: near ? `did you mean "${near}"?` : `known keys: ${known.filter((name) => name !== "remove").join(", ")}`,
      });
    }
  }
}

/** One issue at the deepest place that was written; a missing key points to the table that lacks it. */
function reportIssue(issue: v.BaseIssue<unknown>, node: TableNode, base: readonly string[], findings: Findings): void {
  const keys = (issue.path ?? []).map(({ key }) => String(key));
  let at: Located = node;
  let missing = false;
  for (const { key } of issue.path ?? []) {
    const next = lookup(at, typeof key === "number" ? key : String(key));
    if (next) at = next;
    else missing = true;
  }
  const path = pathOf(...base, ...keys);
  if (missing || issue.received === "undefined") {
    const owner = base.length + keys.length > 1 ? pathOf(...base, ...keys.slice(0, -1)) : "the profile";
    findings.error("profile/missing-key", at.place, `${owner} lacks the key "${keys.at(-1)}"`, {
      hint: missingHint(base, keys.at(-1)),
    });
    return;
  }
  findings.error(codeOf(issue), at.place, `${path}: ${messageOf(issue)}`);
}

function missingHint(base: readonly string[], key: string | undefined): string | undefined {
  if (base.length === 0 && key === "schema") return "begin the file with: schema = 1";
  if (base[0] === "vdev" && key === "type") return "only a vdev that an included profile defines can do without";
  return undefined;
}

function codeOf(issue: v.BaseIssue<unknown>): string {
  if (["min_value", "max_value", "integer", "min_length", "max_length"].includes(issue.type)) return "profile/range";
  if (issue.type === "picklist" || issue.type === "literal") return "profile/value";
  return issue.kind === "schema" ? "profile/type" : "profile/value";
}

/** Schemas bring their own words; a vdev's author may have left them out. */
function messageOf(issue: v.BaseIssue<unknown>): string {
  if (!issue.message.startsWith("Invalid ")) return issue.message;
  return issue.expected
    ? `expected ${issue.expected}; got ${shown(issue.input)}`
    : `${shown(issue.input)} is not allowed`;
}

/** A schema without `optional` and its kin around it. Pipes keep the properties of their first schema. */
export function unwrapped(schema: v.GenericSchema): v.GenericSchema {
  let at: unknown = schema;
  for (let i = 0; i < 16 && hasWrapped(at); i++) at = at.wrapped;
  return at as v.GenericSchema;
}

function hasWrapped(schema: unknown): schema is { readonly wrapped: unknown } {
  return typeof schema === "object" && schema !== null && "wrapped" in schema;
}

export function isObject(schema: v.GenericSchema): schema is v.GenericSchema & { readonly entries: v.ObjectEntries } {
  return "entries" in schema && ["object", "strict_object"].includes(schema.type);
}

export function isArray(schema: v.GenericSchema): schema is v.GenericSchema & { readonly item: v.GenericSchema } {
  return "item" in schema && schema.type === "array";
}
