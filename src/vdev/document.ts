/** What a person needs to know of a vdev, out of its descriptor alone: options, regions, registers, interrupts, tree, example. */
import { type JsonSchema, toJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";
import { printDts } from "../fdt/printer.ts";
import { node } from "../fdt/tree.ts";
import { interruptsOf } from "./descriptor.ts";
import { contribution, fakePlacement } from "./fake-host.ts";
import { bitRange, type FieldSpec, type FifoSpec, type RegisterMap, type RegisterSpec } from "./registers.ts";
import type { AnyVdev } from "./registry.ts";
import { STREAM_FORMS } from "./stream-spec.ts";

export interface OptionDocument {
  readonly name: string;
  /** In words: `size`, `true or false`, `"a" or "b"`. */
  readonly type: string;
  readonly required: boolean;
  readonly default?: unknown;
  readonly description: string;
}

export interface RegionDocument {
  readonly name: string;
  readonly size: number;
  /** `registers` trap; else what goes to memory, e.g. `read, write from memory`. */
  readonly access: string;
}

export interface FieldDocument {
  readonly name: string;
  /** `7` or `7:4`. */
  readonly bits: string;
  readonly access?: string;
  readonly about?: string;
  readonly values?: Readonly<Record<string, number>>;
}

export interface RegisterDocument {
  readonly name: string;
  readonly offset: number;
  readonly width: number;
  readonly access: string;
  /** In hex. */
  readonly reset: string;
  readonly count?: number;
  readonly stride?: number;
  readonly window?: string;
  readonly about?: string;
  readonly fields: readonly FieldDocument[];
}

export interface VdevDocument {
  readonly type: string;
  readonly summary: string;
  readonly options: readonly OptionDocument[];
  /** What an option that is a stream may be, where there is one: forms, and what each is. */
  readonly streams?: Readonly<Record<string, string>>;
  /** With the options of the example. */
  readonly regions: readonly RegionDocument[];
  readonly interrupts: readonly { readonly name: string; readonly trigger: string }[];
  /** By region. */
  readonly registers: Readonly<Record<string, readonly RegisterDocument[]>>;
  /** Its nodes as devicetree source, at an example's address; empty where it has none. */
  readonly dts: string;
  /** A profile that uses it. */
  readonly example: string;
}

/** @param module What the example's profile `use`s to have the type. */
export function documentVdev(descriptor: AnyVdev, module?: string): VdevDocument {
  const { properties = {}, required = [] } = optionsSchema(descriptor);
  const sample: Record<string, unknown> = {};
  for (const name of Object.keys(properties)) {
    const given = sampleOf(descriptor.options.entries[name]!, properties[name]!, required.includes(name));
    if (given !== undefined) sample[name] = given;
  }
  const parsed = v.parse(descriptor.options, sample);
  const { regions } = fakePlacement(descriptor, parsed);
  return {
    type: descriptor.type,
    summary: descriptor.summary,
    options: Object.entries(properties).map(([name, property]) => {
      const schema = typeof property === "object" ? property : {};
      return {
        name,
        type: typeInWords(schema),
        required: required.includes(name),
        default: schema.default,
        description: schema.description ?? "",
      };
    }),
    streams: Object.values(descriptor.options.entries).some((schema) => markOf(schema, 0) === "stream")
      ? STREAM_FORMS
      : undefined,
    regions: regions.map(({ name, size, access }) => {
      const backed = Object.entries(access ?? {}).flatMap(([what, how]) => (how === "memory" ? [what] : []));
      return { name, size, access: backed.length === 0 ? "registers" : `${backed.join(", ")} from memory` };
    }),
    interrupts: interruptsOf(descriptor, parsed, 1).map(({ name, trigger }) => ({ name, trigger })),
    registers: Object.fromEntries(
      Object.entries(descriptor.registers ?? {}).map(([region, map]) => [region, documentRegisters(map)]),
    ),
    dts: exampleTree(descriptor, sample),
    example: exampleProfile(descriptor.type, sample, module),
  };
}

function optionsSchema({ options }: AnyVdev): JsonSchema {
  return toJsonSchema(options, {
    typeMode: "input",
    errorMode: "ignore",
  });
}

/** A value where one must be given, and one that leaves the terminal to the board's console. */
function sampleOf(schema: unknown, property: JsonSchema | boolean, required: boolean): unknown {
  const mark = markOf(schema, 0);
  if (mark === "stream") return "null";
  if (!required) return undefined;
  if (mark === "input-file") return "disk.img";
  const { examples, enum: choices, type, minimum } = typeof property === "object" ? property : {};
  const [first] = [...((examples as unknown[]) ?? []), ...(choices ?? [])];
  if (first !== undefined) return first;
  if (type === "string") return "text";
  if (type === "boolean") return true;
  if (type === "array") return [];
  return type === "object" ? {} : (minimum ?? 1);
}

/** The mark may lie under `optional` or inside a pipe. */
function markOf(schema: unknown, depth: number): unknown {
  if (typeof schema !== "object" || schema === null || depth > 8) return undefined;
  const { metadata, pipe, wrapped } = schema as Record<string, unknown>;
  const mark = (metadata as { readonly vmrun?: unknown } | undefined)?.vmrun;
  if (mark !== undefined) return mark;
  for (const part of [...(Array.isArray(pipe) ? pipe : []), wrapped]) {
    const found = part === schema ? undefined : markOf(part, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

function typeInWords(schema: JsonSchema): string {
  const { title, type, minimum, maximum } = schema;
  if (title) return title;
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.anyOf) {
    return schema.anyOf.map((each) => (typeof each === "object" ? typeInWords(each) : "anything")).join(" or ");
  }
  if (type === "boolean") return "true or false";
  if (type === "array") {
    const { items } = schema;
    return typeof items === "object" && !Array.isArray(items) ? `list of ${typeInWords(items)}` : "list";
  }
  if (type === "string") return "text";
  if (type === "object") return "table";
  if (type !== "integer" && type !== "number") return "any value";
  const bounded = maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER;
  return bounded ? `${minimum ?? 0} to ${maximum}` : type;
}

function documentRegisters(map: RegisterMap): RegisterDocument[] {
  const documents = Object.entries<RegisterSpec>(map).map(([name, spec]): RegisterDocument => {
    const { at, width, access = "rw", reset = 0, count, stride, window, fifo, fields = {} } = spec;
    const about = [spec.about, fifo && fifoInWords(fifo)].filter(Boolean).join("; ") || undefined;
    return {
      name,
      offset: at,
      width,
      access,
      reset: `0x${BigInt(reset).toString(16)}`,
      count,
      stride,
      window,
      about,
      fields: Object.entries(fields).map(([field, declared]) => documentField(field, declared)),
    };
  });
  return documents.sort((a, b) => a.offset - b.offset);
}

function fifoInWords({ depth, enable, clear, level }: FifoSpec): string {
  const controls = [enable && `on by ${enable}`, clear && `cleared by ${clear}`, level && `level by ${level.by}`];
  return [`FIFO of ${depth}`, ...controls.filter(Boolean)].join(", ");
}

function documentField(name: string, field: FieldSpec): FieldDocument {
  const [high, low] = bitRange(field);
  const { access, about, values } = typeof field === "object" && "bits" in field ? field : {};
  return { name, bits: high === low ? String(high) : `${high}:${low}`, access, about, values };
}

function exampleTree(descriptor: AnyVdev, sample: Record<string, unknown>): string {
  const { bus = [], root = [] } = contribution(descriptor, sample);
  if (bus.length + root.length === 0) return "";
  const soc = bus.length === 0 ? [] : [node("soc", { "#address-cells": 2, "#size-cells": 2 }, [...bus])];
  const tree = node("", { "#address-cells": 2, "#size-cells": 2 }, [...soc, ...root]);
  const text = printDts({ root: tree, reservations: [], bootCpu: 0 });
  return text.replace("/dts-v1/;\n\n", "");
}

function exampleProfile(type: string, sample: Record<string, unknown>, module: string | undefined): string {
  const lines = ["schema = 1", 'include = "vmrun:virt-rv64"'];
  if (module !== undefined) lines.push(`use = [${JSON.stringify(module)}]`);
  lines.push("", "[[vdev]]", `type = "${type}"`);
  for (const [key, value] of Object.entries(sample)) lines.push(`${key} = ${JSON.stringify(value)}`);
  return `${lines.join("\n")}\n`;
}
