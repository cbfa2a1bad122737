/** Profiles that build on others: reads a file with all that it includes and merges them into one table; the later wins. */
import { basename, dirname, resolve } from "node:path";
import type { Place } from "../diagnostics/diagnostic.ts";
import { DEVICE_TABLES } from "../pass/tables.ts";
import { type ProfileFiles, shownPath } from "./files.ts";
import type { Findings } from "./findings.ts";
import { type Entry, type Located, lookup, type Origin, scalar, type TableNode, table, textOf } from "./located.ts";
import { parseText } from "./text.ts";

/** Lists whose elements are known by name: they merge element by element. */
export const NAMED_LISTS: ReadonlySet<string> = new Set([
  "memory",
  "vdev",
  "reserve",
  "group",
  "blob",
  ...DEVICE_TABLES.keys(),
]);

const MAX_BYTES = 1 << 20;
/** Includes may form diamonds; this keeps a tower of them from taking exponential time. */
const MAX_FILES = 64;

/** `vmrun:virt-rv64` is the profile of that name that vmrun ships, wherever vmrun lies. */
function shippedProfile(named: string): string | undefined {
  const [, name] = /^vmrun:([\w-]+)$/.exec(named) ?? [];
  return name && resolve(import.meta.dir, "../../profiles", `${name}.toml`);
}

/** The merged text of a profile, or `undefined` where a file is missing or no TOML. `budgets`: a file with such tables. */
export function readProfile(
  path: string,
  files: ProfileFiles,
  findings: Findings,
  budgets?: string,
): TableNode | undefined {
  const reader = new IncludeReader(files, findings);
  const tree = reader.read(path, undefined);
  const over = budgets === undefined ? undefined : reader.read(budgets, undefined);
  if (reader.broken || !tree || !over) return reader.broken ? undefined : tree;
  for (const [key, { key: place }] of over.entries) {
    if (key === "budget" || key === "schema") continue;
    findings.error("profile/budget-file", place, `a file of budgets has [budget.NAME] tables alone, no ${key}`);
  }
  return mergeTables(tree, over, findings, true);
}

interface Including {
  readonly absolute: string;
  readonly from: Including | undefined;
  /** The text that names the file; none for the one on the command line. */
  readonly place: Place | undefined;
}

class IncludeReader {
  /** A file could not be read: anything said about the rest would be guesswork. */
  broken = false;
  #count = 0;

  constructor(
    readonly files: ProfileFiles,
    readonly findings: Findings,
  ) {}

  read(named: string, from: Including | undefined, place?: Place): TableNode | undefined {
    const shown = shippedProfile(named) ?? named;
    const absolute = resolve(shown);
    const own = this.#parse(shown, absolute, from, place);
    if (!own) {
      this.broken = true;
      return undefined;
    }
    const here: Including = { absolute, from, place };
    let merged = table(own.place, own.origin);
    for (const { text, at } of this.#includes(own)) {
      const base = this.read(shippedProfile(text) ?? shownPath(own.origin.shownFolder, text), here, at);
      if (base) merged = mergeTables(merged, base, this.findings, true);
    }
    own.entries.delete("include");
    merged = mergeTables(merged, own, this.findings, true);
    nameTheUnnamed(merged);
    dropRemoved(merged, this.findings);
    return merged;
  }

  #parse(
    shown: string,
    absolute: string,
    from: Including | undefined,
    place: Place | undefined,
  ): TableNode | undefined {
    const at = place ?? { file: shown };
    if (++this.#count > MAX_FILES) {
      if (this.#count === MAX_FILES + 1) {
        this.findings.error("profile/include-limit", at, `more than ${MAX_FILES} files are included`);
      }
      return undefined;
    }
    for (let outer = from; outer; outer = outer.from) {
      if (outer.absolute !== absolute) continue;
      const message = `${basename(shown)} includes itself`;
      const back = from?.place && from !== outer ? [{ place: from.place, message: "on the way from here" }] : undefined;
      this.findings.error("profile/include-cycle", at, message, {
        related: back,
        hint: "take one of the includes out",
      });
      return undefined;
    }
    const facts = this.files.facts(absolute);
    if (facts?.kind !== "file") {
      const { missingFile } = require("./missing.ts") as typeof import("./missing.ts");
      missingFile(this.findings, this.files, { place, key: place && "include", shown, absolute });
      return undefined;
    }
    if (facts.size > MAX_BYTES) {
      this.findings.error(
        "profile/too-large",
        at,
        `${shown} has ${facts.size} bytes; a profile has at most ${MAX_BYTES}`,
      );
      return undefined;
    }
    const origin: Origin = { kind: "file", folder: dirname(absolute), shownFolder: dirname(shown) };
    try {
      return parseText(this.files.read(absolute), shown, origin, this.findings);
    } catch (error) {
      this.findings.error("profile/read", at, `${shown} cannot be read: ${(error as Error).message}`);
      return undefined;
    }
  }

  #includes(own: TableNode): { text: string; at: Place }[] {
    const include = lookup(own, "include");
    if (!include) return [];
    const items = include.kind === "list" ? include.items : [include];
    return items.flatMap((item) => {
      const text = textOf(item);
      if (text) return [{ text, at: item.place }];
      this.findings.error("profile/type", item.place, "include: expected the path of a profile, or a list of them");
      this.broken = true;
      return [];
    });
  }
}

/** `over` laid onto `base`: tables key by key, named lists element by element, everything else replaced. */
function mergeTables(base: TableNode, over: TableNode, findings: Findings, top = false): TableNode {
  const entries = new Map(base.entries);
  for (const [key, entry] of over.entries) {
    const known = entries.get(key);
    const named = top && NAMED_LISTS.has(key);
    if (top && key === "use" && known) entries.set(key, joinLists(known, entry));
    else entries.set(key, known || named ? mergeEntries(known, entry, named ? key : undefined, findings) : entry);
  }
  return { ...base, entries };
}

/** Modules add up, each relative to the file that names it. */
function joinLists(known: Entry, { key, value }: Entry): Entry {
  const items = [known.value, value].flatMap((each) => (each.kind === "list" ? each.items : [each]));
  return { key, value: { ...value, kind: "list", items } };
}

function mergeEntries(known: Entry | undefined, entry: Entry, list: string | undefined, findings: Findings): Entry {
  const [base, over] = [known?.value, entry.value];
  if (list && over.kind === "list") {
    const items = mergeNamed(base?.kind === "list" ? base.items : [], over.items, list, findings);
    return { key: known?.key ?? entry.key, value: { ...over, items } };
  }
  if (base?.kind === "table" && over.kind === "table") {
    return { key: known!.key, value: mergeTables(base, over, findings) };
  }
  return entry;
}

function mergeNamed(base: readonly Located[], over: readonly Located[], list: string, findings: Findings): Located[] {
  const merged = [...base];
  const indexes = new Map<string, number>();
  base.forEach((item, i) => {
    const name = textOf(lookup(item, "name"));
    if (name !== undefined) indexes.set(name, i);
  });
  const own = new Map<string, Located>();
  for (const item of over) {
    const name = textOf(lookup(item, "name"));
    if (item.kind !== "table" || name === undefined) {
      merged.push(item);
      continue;
    }
    const twin = own.get(name);
    if (twin) {
      findings.error("profile/duplicate-name", nameplace(item), `two [[${list}]] have the name "${name}"`, {
        related: [{ place: nameplace(twin), message: "the first one" }],
        hint: "give one of them another name",
      });
      continue;
    }
    own.set(name, item);
    const index = indexes.get(name);
    const known = index === undefined ? undefined : merged[index];
    if (index !== undefined && known?.kind === "table") merged[index] = mergeTables(known, item, findings);
    else merged.push(item);
  }
  return merged;
}

/** Where a named element says its name; the element itself where the name is a default. */
export function nameplace(item: Located): Place {
  const name = lookup(item, "name");
  return name && name.origin.kind !== "default" ? name.place : item.place;
}

/** Gives every element a name that it lacks, so that other files and `--set` can refer to it. */
export function nameTheUnnamed(tree: TableNode): void {
  for (const list of NAMED_LISTS) {
    const items = lookup(tree, list);
    if (items?.kind !== "list") continue;
    const taken = new Set(items.items.map((item) => textOf(lookup(item, "name"))));
    const next = new Map<string, number>();
    for (const item of items.items) {
      if (item.kind !== "table" || item.entries.has("name")) continue;
      const stem = stemOf(list, item);
      let number = next.get(stem) ?? 0;
      const numbered = () => (stem === BARE && number === 0 ? stem : `${stem}${number}`);
      while (taken.has(numbered())) number++;
      const name = numbered();
      next.set(stem, number + 1);
      const origin: Origin = { ...item.origin, kind: "default" };
      item.entries.set("name", { key: item.place, value: scalar(name, item.place, origin) });
    }
  }
}

/** The PLIC keeps its bare name, because interrupts are written `"plic:10"`. */
const BARE = "plic";

/** `goldfish-rtc` gives `rtc0`; a type that is a part number says what the part is. */
function stemOf(list: string, item: TableNode): string {
  if (list === "memory") return textOf(lookup(item, "kind")) === "rom" ? "rom" : "ram";
  if (list === "reserve" || list === "group" || list === "blob" || DEVICE_TABLES.has(list)) return list;
  const type = textOf(lookup(item, "type")) ?? "vdev";
  if (type === "ns16550a") return "uart";
  const last = type.split("-").at(-1)!;
  return /^[A-Za-z_]+$/.test(last) ? last : "vdev";
}

/** Elements marked `remove = true` leave; one that nothing defined was probably misspelt. */
export function dropRemoved(tree: TableNode, findings: Findings): void {
  for (const list of NAMED_LISTS) {
    const node = lookup(tree, list);
    if (node?.kind !== "list") continue;
    const kept = node.items.filter((item) => {
      const mark = lookup(item, "remove");
      if (item.kind !== "table" || mark?.kind !== "scalar" || mark.value !== true) return true;
      if (item.entries.size <= 2) {
        const name = textOf(lookup(item, "name")) ?? "";
        findings.error(
          "profile/unknown-name",
          nameplace(item),
          `no included profile has a ${list} "${name}" to remove`,
        );
      }
      return false;
    });
    node.items.splice(0, node.items.length, ...kept);
  }
}
