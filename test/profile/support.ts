/** Profiles from texts in memory and a few small vdev types: what the tests of this room share. */
import { resolve } from "node:path";
import * as v from "valibot";
import { render, VmrunError } from "../../src/diagnostics/diagnostic.ts";
import { node } from "../../src/fdt/tree.ts";
import type { ProfileFiles } from "../../src/profile/files.ts";
import { loadProfile, type Resolved } from "../../src/profile/load.ts";
import { defineVdev, type VdevInstance } from "../../src/vdev/descriptor.ts";
import { inputFile, integer, stream } from "../../src/vdev/options.ts";
import { createRegistry } from "../../src/vdev/registry.ts";

function never(): VdevInstance {
  throw new Error("loading a profile must not create vdevs");
}

const uart = defineVdev({
  type: "test-uart",
  summary: "A UART",
  options: v.object({ host: v.optional(stream(), "null"), speed: v.optional(integer("the speed", 1, 9600), 300) }),
  regions: [{ name: "uart", size: 0x100 }],
  interrupts: [{ name: "irq", trigger: "level" }],
  fdt: ({ unit, reg, interrupts }) => ({
    bus: [node(`serial@${unit}`, { compatible: "test,uart", reg, ...interrupts })],
    alias: "serial",
    console: true,
  }),
  create: never,
});

const plic = defineVdev({
  type: "plic",
  summary: "An interrupt controller",
  options: v.object({ sources: v.optional(integer("the number of sources", 1, 1023), 8) }),
  regions: [{ name: "plic", size: 0x60_0000 }],
  controller: ({ sources }) => ({ first: 1, last: sources }),
  fdt: ({ unit, reg }) => ({
    bus: [
      node(`plic@${unit}`, {
        compatible: "test,plic",
        reg,
        "interrupt-controller": true,
        "#interrupt-cells": 1,
        "#address-cells": 0,
      }),
    ],
  }),
  create: never,
});

const dma = defineVdev({
  type: "test-dma",
  summary: "Two regions, two interrupts",
  options: v.object({}),
  regions: [
    { name: "control", size: 0x100 },
    { name: "data", size: 0x1000 },
  ],
  interrupts: [
    { name: "done", trigger: "level" },
    { name: "error", trigger: "edge" },
  ],
  create: never,
});

const disk = defineVdev({
  type: "test-disk",
  summary: "Names files",
  options: v.object({
    file: v.pipe(inputFile(), v.description("Raw image.")),
    logs: v.optional(v.array(v.object({ host: stream() })), []),
  }),
  regions: [{ name: "disk", size: 0x1000 }],
  create: never,
});

const broken = defineVdev({
  type: "test-broken",
  summary: "Its code throws",
  options: v.object({}),
  regions: () => {
    throw new Error("off by one");
  },
  create: never,
});

export const registry = createRegistry([uart, plic, dma, disk, broken]);

/** What most tests need to be a board at all. */
export const BASE = `schema = 1
[[memory]]
name = "dram"
at = 0x8000_0000
size = "16MiB"
[[vdev]]
type = "plic"
at = 0x0c00_0000
`;

export function memoryFiles(texts: Readonly<Record<string, string>>): ProfileFiles {
  const byPath = new Map(Object.entries(texts).map(([path, text]) => [resolve(path), text]));
  const folders = new Set([...byPath.keys()].map((path) => resolve(path, "..")));
  return {
    facts(path) {
      const text = byPath.get(path);
      if (text !== undefined) return { kind: "file", size: Buffer.byteLength(text) };
      return folders.has(path) ? { kind: "folder", size: 0 } : undefined;
    },
    read: (path) => byPath.get(path)!,
    list: (folder) => [...byPath.keys()].filter((p) => resolve(p, "..") === folder).map((p) => p.split("/").at(-1)!),
  };
}

export type Texts = string | Readonly<Record<string, string>>;

/** Loads `board.toml` out of the texts. */
export function load(texts: Texts, set: readonly string[] = []): Resolved {
  const files = memoryFiles(typeof texts === "string" ? { "board.toml": texts } : texts);
  return loadProfile("board.toml", { registry, set, files });
}

export function refusal(texts: Texts, set: readonly string[] = []): VmrunError {
  try {
    load(texts, set);
  } catch (error) {
    if (error instanceof VmrunError) return error;
    throw error;
  }
  throw new Error("the profile was accepted");
}

/** What a person sees of a refused profile. */
export function refused(texts: Texts, set: readonly string[] = []): string {
  return refusal(texts, set).diagnostics.map(render).join("\n");
}

export function codes(texts: Texts, set: readonly string[] = []): string[] {
  return refusal(texts, set).diagnostics.map(({ code }) => code);
}
