/** A vdev's `fdt` table: properties that a profile gives to its node. */
import { fail } from "../diagnostics/diagnostic.ts";
import { type FdtNode, type PropertyInput, setProperty } from "../fdt/tree.ts";
import type { BoardProperty } from "./board.ts";

/** Names of the vdevs that a property refers to. */
export function referencesOf(value: BoardProperty): string[] {
  const items = typeof value === "object" ? value : [value];
  return items.flatMap((item) => (isReference(item) ? [item.slice(1)] : []));
}

export function applyProperties(
  node: FdtNode,
  properties: Readonly<Record<string, BoardProperty>>,
  phandleOf: (name: string) => number,
): void {
  for (const [name, value] of Object.entries(properties)) {
    if (value === false) node.properties.delete(name);
    else setProperty(node, name, encoded(value, phandleOf));
  }
}

/** A list is of texts, or of cells with references among them. */
function encoded(value: Exclude<BoardProperty, false>, phandleOf: (name: string) => number): PropertyInput {
  if (isReference(value)) return phandleOf(value.slice(1));
  if (typeof value !== "object") return value as PropertyInput;
  const isText = value.length > 0 && value.every((item) => typeof item === "string" && !isReference(item));
  if (isText) return value as readonly string[];
  return value.map((item) => {
    if (typeof item === "number") return item;
    return isReference(item) ? phandleOf(item.slice(1)) : fail("profile/value", `"${item}" stands among cells`);
  });
}

function isReference(value: BoardProperty): value is string {
  return typeof value === "string" && /^&[A-Za-z][\w-]*$/.test(value);
}
