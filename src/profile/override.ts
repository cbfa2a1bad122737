/** `--set path=value`: changes to a profile from the command line, located like everything else. */
import { resolve } from "node:path";
import type { Place } from "../diagnostics/diagnostic.ts";
import type { Findings } from "./findings.ts";
import { NAMED_LISTS } from "./include.ts";
import { type Located, lookup, type Origin, scalar, type TableNode, table, textOf } from "./located.ts";
import { parseValue } from "./text.ts";

/** Paths in values are relative to where the command is typed. */
export function applyOverrides(tree: TableNode, overrides: readonly string[], findings: Findings): void {
  const origin: Origin = { kind: "set", folder: resolve("."), shownFolder: "." };
  for (const override of overrides) {
    const place: Place = { file: `--set ${override}` };
    const refusal = applyOverride(tree, override, place, origin);
    if (refusal) findings.error("profile/set", place, refusal.message, { hint: refusal.hint });
  }
}

interface Refusal {
  readonly message: string;
  readonly hint: string;
}

function applyOverride(tree: TableNode, override: string, place: Place, origin: Origin): Refusal | undefined {
  const equals = override.indexOf("=");
  if (equals < 1) return { message: "a setting is written path=value", hint: "for example --set cpu.harts=4" };
  const path = override.slice(0, equals).trim().split(".");
  const text = override.slice(equals + 1).trim();
  if (path.some((part) => part === "") || path.length > 8) {
    const message = `"${path.join(".")}" is not the path of a key`;
    return { message, hint: "for example --set vdev.uart0.host=null" };
  }
  if (path[0] === "include") {
    return { message: "include cannot be set on the command line", hint: "write a profile that includes both" };
  }
  // What is no TOML value is text: nobody wants to quote for a shell and for TOML.
  const value = parseValue(text, place, origin) ?? scalar(text, place, origin);

  const last = path.pop()!;
  let at: Located = tree;
  for (const [i, key] of path.entries()) {
    const next: Located | undefined =
      at.kind === "list" ? named(at.items, key, place, origin) : enter(at, key, i, place, origin);
    if (!next) return { message: `${path.slice(0, i + 1).join(".")} is not a table`, hint: "set the key itself" };
    at = next;
  }
  if (at.kind !== "table" || (path.length === 0 && NAMED_LISTS.has(last))) {
    const list = path[0] ?? last;
    const hint = `name the element and its key, for example --set ${list}.NAME.at=0x10000000`;
    return { message: `${list} is a list of tables`, hint };
  }
  at.entries.set(last, { key: place, value });
  return undefined;
}

/** A table or list that is not there yet is made, so that `--set` can fill in what a profile leaves out. */
function enter(at: Located, key: string, depth: number, place: Place, origin: Origin): Located | undefined {
  if (at.kind !== "table") return undefined;
  const known = at.entries.get(key);
  if (known) return known.value.kind === "scalar" ? undefined : known.value;
  const made: Located =
    depth === 0 && NAMED_LISTS.has(key) ? { kind: "list", place, origin, items: [] } : table(place, origin);
  at.entries.set(key, { key: place, value: made });
  return made;
}

function named(items: Located[], name: string, place: Place, origin: Origin): Located {
  const known = items.find((item) => textOf(lookup(item, "name")) === name);
  if (known) return known;
  const made = table(place, origin);
  made.entries.set("name", { key: place, value: scalar(name, place, origin) });
  items.push(made);
  return made;
}
