/** `vmrun vdevs`: which vdevs there are, and everything about one of them. */
import { basename } from "node:path";
import { fail } from "../diagnostics/diagnostic.ts";
import { type LoadedModule, loadVdevsOf } from "../profile/load.ts";
import type { RegisterDocument, VdevDocument } from "../vdev/document.ts";
import { createRegistry, type VdevRegistry } from "../vdev/registry.ts";
import { builtins } from "../vdevs/index.ts";
import { positionals, refuseUnknown } from "./arguments.ts";
import { defineCommand } from "./command.ts";
import { ExitCode } from "./exit-codes.ts";
import { inArgument } from "./profile-argument.ts";
import { summaries } from "./summaries.ts";

const args = {
  type: { type: "positional", required: false, valueHint: "TYPE", description: "the vdev to document" },
  ...inArgument,
  json: { type: "boolean", description: "print JSON" },
} as const;

export const vdevs = defineCommand({
  meta: { name: "vdevs", description: summaries.vdevs },
  args,
  async run({ args: given, rawArgs }) {
    refuseUnknown(rawArgs, args);
    const [type, ...more] = positionals(rawArgs, args);
    if (more.length > 0) fail("cli/usage", "it takes one type of vdev");
    const { registry, modules } = await load(given.in);
    const sources = new Map(modules.flatMap((module) => module.types.map((each) => [each, module] as const)));
    print(type === undefined ? list(registry, sources, given.json) : await one(type, registry, sources, given.json));
    return ExitCode.success;
  },
});

type Sources = ReadonlyMap<string, LoadedModule>;

async function load(
  profile: string | undefined,
): Promise<{ registry: VdevRegistry; modules: readonly LoadedModule[] }> {
  const registry = createRegistry(builtins);
  return profile === undefined ? { registry, modules: [] } : loadVdevsOf(profile, { registry });
}

const BUILT_IN = "built in";

function list(registry: VdevRegistry, sources: Sources, json: boolean | undefined): string {
  const rows = [...registry.types()].sort().map((type) => {
    return { type, summary: registry.get(type)?.summary ?? "", source: sources.get(type)?.shown ?? BUILT_IN };
  });
  if (json) return JSON.stringify(rows, null, 2);
  return columns([["TYPE", "SOURCE", "SUMMARY"], ...rows.map((row) => [row.type, row.source, row.summary])]);
}

async function one(type: string, registry: VdevRegistry, sources: Sources, json: boolean | undefined): Promise<string> {
  const descriptor = registry.get(type);
  if (!descriptor) {
    const near = registry.nearest(type);
    fail("cli/unknown-vdev", `there is no vdev of type "${type}"`, {
      hint: near ? `did you mean "${near}"?` : "vmrun vdevs lists them; --in PROFILE adds those of a profile",
    });
  }
  const { documentVdev } = await import("../vdev/document.ts");
  const module = sources.get(type);
  const document = documentVdev(descriptor, module && `./${basename(module.path)}`);
  const source = module?.shown ?? BUILT_IN;
  return json ? JSON.stringify({ source, ...document }, null, 2) : page(document, source);
}

function page(document: VdevDocument, source: string): string {
  const { type, summary, options, streams = {}, regions, interrupts, registers, dts, example } = document;
  const sections = [`${type} (${source})\n${summary}`];
  const add = (title: string, text: string) => {
    if (text !== "") sections.push(`${title}\n${indented(text)}`);
  };
  add(
    "OPTIONS",
    columns(
      options.map(({ name, type: kind, required, default: value, description }) => {
        const fallback = required ? "required" : value === undefined ? "" : `= ${JSON.stringify(value)}`;
        return [name, fallback, `${kind}: ${description}`];
      }),
    ),
  );
  add("STREAMS", columns(Object.entries(streams)));
  add("REGIONS", columns(regions.map(({ name, size, access }) => [name, `${hex(size)} bytes`, access])));
  add("INTERRUPTS", columns(interrupts.map(({ name, trigger }) => [name, trigger])));
  for (const [region, list] of Object.entries(registers)) {
    add(regions.length > 1 ? `REGISTERS of ${region}` : "REGISTERS", registerTable(list));
  }
  add("DEVICE TREE", dts);
  add("EXAMPLE PROFILE", example);
  return sections.join("\n\n");
}

function registerTable(registers: readonly RegisterDocument[]): string {
  const rows = registers.flatMap((register) => [registerRow(register), ...fieldRows(register)]);
  return columns([["OFFSET", "NAME", "BYTES", "ACCESS", "RESET", "ABOUT"], ...rows]);
}

function registerRow({ name, offset, width, access, reset, count, stride = width, window, about }: RegisterDocument) {
  const array = count === undefined ? "" : `[${count}]${stride === width ? "" : ` every ${stride}`}`;
  const seen = window === undefined ? "" : ` (window ${window})`;
  return [hex(offset, 2), `${name}${array}`, String(width), access, reset, `${about ?? ""}${seen}`];
}

function fieldRows({ fields }: RegisterDocument): string[][] {
  return fields.map(({ name, bits, access = "", about, values = {} }) => {
    const meanings = Object.entries(values).map(([label, value]) => `${value} ${label}`);
    return ["", `  ${name} [${bits}]`, "", access, "", [about, ...meanings].filter(Boolean).join(", ")];
  });
}

function hex(value: number, digits = 1): string {
  return `0x${value.toString(16).padStart(digits, "0")}`;
}

/** All but the last column as wide as their widest. */
function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function indented(text: string): string {
  return text.trimEnd().replace(/^(?=.)/gm, "  ");
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
