/** Where each value of a board comes from: what makes defaults visible. */
import { type Diagnostic, type Place, VmrunError } from "../diagnostics/diagnostic.ts";
import { NAMED_LISTS } from "./include.ts";
import { type Located, lookup, type TableNode, textOf } from "./located.ts";

export type Source =
  | { readonly kind: "file"; readonly place: Place }
  | { readonly kind: "set"; readonly place: Place }
  | { readonly kind: "default" }
  | { readonly kind: "automatic" };

/** By profile path: `cpu.harts`, `vdev.uart0.at`. What is not here is a default. */
export type Provenance = ReadonlyMap<string, Source>;

export function provenanceOf(tree: TableNode, automatic: readonly string[]): Provenance {
  const found = new Map<string, Source>();
  visit(tree, [], found);
  for (const path of automatic) found.set(path, { kind: "automatic" });
  return found;
}

function visit(node: Located, path: readonly string[], found: Map<string, Source>): void {
  if (node.kind === "table") {
    for (const [key, { value }] of node.entries) visit(value, [...path, key], found);
  }
  if (node.kind === "list" && path.length === 1 && NAMED_LISTS.has(path[0]!)) {
    for (const item of node.items) visit(item, [...path, textOf(lookup(item, "name")) ?? ""], found);
    return;
  }
  const { origin, place } = node;
  if (path.length === 0) return;
  found.set(path.join("."), origin.kind === "default" ? { kind: "default" } : { kind: origin.kind, place });
}

/** `profiles/virt-rv64.toml:12`, `--set cpu.harts=4`, `default` or `automatic`. */
export function shownSource(source: Source | undefined): string {
  if (!source || source.kind === "default") return "default";
  if (source.kind === "automatic") return "automatic";
  const { file = "", line } = source.place;
  return line === undefined ? file : `${file}:${line}`;
}

/** Does `work`; an error in it that names keys of the profile then says where they stand in the text, as far as they do. */
export function withPlaces<Result>(provenance: Provenance, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof VmrunError)) throw error;
    throw new VmrunError(error.diagnostics.map((diagnostic) => inText(diagnostic, provenance)));
  }
}

function inText(diagnostic: Diagnostic, provenance: Provenance): Diagnostic {
  const { path, file } = diagnostic.place ?? {};
  const source = path === undefined || file !== undefined ? undefined : provenance.get(path);
  return source && "place" in source ? { ...diagnostic, place: source.place } : diagnostic;
}
