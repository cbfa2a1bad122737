/** Values that name something on the host: files are made absolute and must exist, streams must not be shared. */
import { resolve } from "node:path";
import type * as v from "valibot";
import type { Place } from "../diagnostics/diagnostic.ts";
import type { HostReference } from "../vdev/options.ts";
import { exclusiveUse, parseStream, printStream, withPaths } from "../vdev/stream-spec.ts";
import { type ProfileFiles, shownPath } from "./files.ts";
import type { Findings } from "./findings.ts";
import { type Located, lookup, type Plain, pathOf, plain, type TableNode } from "./located.ts";
import { isArray, isObject, unwrapped } from "./validate.ts";

const FILE_OBJECT = "file:";

type Visitor = (reference: HostReference, text: string, at: Located | undefined, path: readonly string[]) => string;

/** The value with every text replaced that names a file or a stream: schemas mark those with `metadata({ vmrun })`. */
function visitReferences(
  schema: v.GenericSchema,
  value: unknown,
  at: Located | undefined,
  path: readonly string[],
  visitor: Visitor,
): unknown {
  if (typeof value === "string") {
    const reference = referenceOf(schema, 0);
    return reference ? visitor(reference, value, at, path) : value;
  }
  const inner = unwrapped(schema);
  if (Array.isArray(value) && isArray(inner)) {
    return value.map((item, i) => visitReferences(inner.item, item, lookup(at, i), [...path, String(i)], visitor));
  }
  if (typeof value !== "object" || value === null || !isObject(inner)) return value;
  const pairs = Object.entries(value).map(([key, item]) => {
    const known = Object.hasOwn(inner.entries, key) ? inner.entries[key] : undefined;
    return [key, known ? visitReferences(known, item, lookup(at, key), [...path, key], visitor) : item];
  });
  return Object.fromEntries(pairs);
}

/** The mark may lie under `optional`, inside a nested pipe, or in one branch of a union. */
function referenceOf(schema: unknown, depth: number): HostReference | undefined {
  if (typeof schema !== "object" || schema === null || depth > 8) return undefined;
  const { metadata, pipe, wrapped, options } = schema as Record<string, unknown>;
  const mark = (metadata as { readonly vmrun?: unknown } | undefined)?.vmrun;
  if (mark === "input-file" || mark === "stream" || mark === "host-object" || mark === "tree-node") return mark;
  const inner = [...(Array.isArray(pipe) ? pipe : []), ...(Array.isArray(options) ? options : []), wrapped];
  for (const part of inner) {
    const reference = part === schema ? undefined : referenceOf(part, depth + 1);
    if (reference) return reference;
  }
  return undefined;
}

export class HostNames {
  readonly #streams = new Map<string, { readonly owner: string; readonly place: Place }>();

  constructor(
    readonly files: ProfileFiles,
    readonly findings: Findings,
  ) {}

  /** The plain table with every file and stream made absolute. Wrong types stay for the schema to refuse. */
  absolute(node: TableNode, schema: v.GenericSchema, path: readonly string[]): Record<string, Plain> {
    const values = visitReferences(schema, plain(node), node, path, (reference, text, at, where) => {
      if (!at) return text;
      if (reference === "input-file") return this.inputFile(at, text, pathOf(...where));
      if (reference === "tree-node") return this.#treeNode(at, text, pathOf(...where));
      return reference === "stream" ? absoluteStream(at, text) : absoluteObject(at, text);
    });
    return values as Record<string, Plain>;
  }

  /** `FILE#/path`, or `host` in place of the file. */
  #treeNode(at: Located, text: string, key: string): string {
    const [file = "", ...path] = text.split("#");
    if (file === "host" || file === "") return text;
    return [this.inputFile(at, file, key), ...path].join("#");
  }

  /** Notes every stream of a vdev's parsed options, those of defaults too. */
  claimStreams(schema: v.GenericSchema, options: object, node: TableNode, owner: string): void {
    visitReferences(schema, options, node, [], (reference, text, at) => {
      if (reference === "stream") this.#claimStream(text, owner, at?.place ?? node.place);
      return text;
    });
  }

  /** The absolute path of a file that must be there. An empty path is left for the schema. */
  inputFile(at: Located, text: string, key: string, hint?: string): string {
    if (text === "") return text;
    const absolute = resolve(at.origin.folder, text);
    if (this.files.facts(absolute)?.kind !== "file") {
      const shown = shownPath(at.origin.shownFolder, text);
      const { missingFile } = require("./missing.ts") as typeof import("./missing.ts");
      missingFile(this.findings, this.files, { place: at.place, key, shown, absolute, hint });
    }
    return absolute;
  }

  /** Two vdevs on one terminal or one file would mix their bytes. */
  #claimStream(text: string, owner: string, place: Place): void {
    const spec = parseStream(text);
    const what = "fault" in spec ? undefined : exclusiveUse(spec);
    if (what === undefined) return;
    const other = this.#streams.get(what);
    if (!other) {
      this.#streams.set(what, { owner, place });
      return;
    }
    this.findings.error("profile/stream-taken", place, `${owner} and ${other.owner} both use ${what}`, {
      related: [{ place: other.place, message: `${other.owner} has it` }],
      hint: 'give one of them "null", or something of its own such as "file:NAME"',
    });
  }
}

/** Its files, sockets and links belong to the folder of the file that names them. */
function absoluteStream(at: Located, text: string): string {
  const spec = parseStream(text);
  return "fault" in spec ? text : printStream(withPaths(spec, (path) => resolve(at.origin.folder, path)));
}

/** Of a host object: what follows `file:`. */
function absoluteObject(at: Located, text: string): string {
  if (!text.startsWith(FILE_OBJECT) || text === FILE_OBJECT) return text;
  return FILE_OBJECT + resolve(at.origin.folder, text.slice(FILE_OBJECT.length));
}
