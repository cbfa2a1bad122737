/**
 * Platform-level interrupt controller, as SiFive builds it.
 * RISC-V Platform-Level Interrupt Controller Specification 1.0.0; SiFive FU540-C000 Manual v1p4 §10.
 */
import * as v from "valibot";
import { node } from "../fdt/tree.ts";
import { registerBank } from "../vdev/bank.ts";
import { defineVdev } from "../vdev/descriptor.ts";
import { HartInterrupt, type HartPort } from "../vdev/host.ts";
import { integer } from "../vdev/options.ts";
import { registerMap } from "../vdev/registers.ts";
import { fromSnapshot, nested, u32 } from "../vdev/snapshot.ts";

const MAX_SOURCES = 1023;
const MAX_CONTEXTS = 15872;
/** Words of 32 sources; all that the address map has room for. */
const ENABLE_WORDS = 32;
const CONTEXTS_AT = 0x20_0000;
const CONTEXT_STRIDE = 0x1000;
/** QEMU `virt` reserves room for 1024 contexts, and images know its memory map. */
const LEAST_SIZE = 0x60_0000;

const registers = registerMap({
  PRIORITY: {
    at: 0x00_0004,
    width: 4,
    count: MAX_SOURCES,
    writable: 7,
    about: "of sources 1 and up; 0 never interrupts",
  },
  PENDING: { at: 0x00_1000, width: 4, count: ENABLE_WORDS, access: "r", about: "one bit per source" },
  ENABLE: {
    at: 0x00_2000,
    width: 4,
    count: MAX_CONTEXTS * ENABLE_WORDS,
    about: "one bit per source, 32 words for each context",
  },
  THRESHOLD: {
    at: CONTEXTS_AT,
    width: 4,
    count: MAX_CONTEXTS,
    stride: CONTEXT_STRIDE,
    writable: 7,
    about: "a context is interrupted by priorities above this",
  },
  CLAIM: {
    at: CONTEXTS_AT + 4,
    width: 4,
    count: MAX_CONTEXTS,
    stride: CONTEXT_STRIDE,
    access: "r",
    about: "reading claims the most urgent pending source; 0 where there is none",
  },
  COMPLETE: {
    at: CONTEXTS_AT + 4,
    width: 4,
    count: MAX_CONTEXTS,
    stride: CONTEXT_STRIDE,
    access: "w",
    about: "writing a claimed source's number completes it",
  },
});

const privileges = v.picklist(["m", "ms"], 'expected "m" or "ms"');

const options = v.object({
  sources: v.pipe(
    v.optional(integer("the number of sources", 1, MAX_SOURCES), 95),
    v.description("Number of interrupt sources; they are numbered from 1."),
  ),
  contexts: v.pipe(
    v.optional(v.union([privileges, v.array(privileges)], 'expected "m", "ms" or an array of them by hart'), "ms"),
    v.description(
      'Privilege modes that are interrupted: of all harts, or an array by hart; harts beyond it have "ms".',
    ),
  ),
});

/** In place of a wire's level: what the hart sees is not known, so it must be told. */
const UNKNOWN = 2;

/** A context: one privilege mode of one hart. */
interface Context {
  readonly hart: number;
  readonly bit: typeof HartInterrupt.meip | typeof HartInterrupt.seip;
}

export const plic = defineVdev({
  type: "plic",
  summary: "SiFive platform-level interrupt controller",
  options,
  regions: ({ contexts }, { harts }) => {
    const end = CONTEXTS_AT + CONTEXT_STRIDE * layOut(contexts, harts).length;
    return [{ name: "plic", size: Math.max(LEAST_SIZE, end), align: 0x1000 }];
  },
  registers: { plic: registers },
  controller: ({ sources }) => ({ first: 1, last: sources }),

  // Linux Documentation/devicetree/bindings/interrupt-controller/sifive,plic-1.0.0.yaml
  fdt: ({ options: { sources, contexts }, unit, reg, harts }) => ({
    bus: [
      node(`plic@${unit}`, {
        compatible: ["sifive,plic-1.0.0", "riscv,plic0"],
        reg,
        "interrupt-controller": true,
        "#interrupt-cells": 1,
        "#address-cells": 0,
        "interrupts-extended": layOut(contexts, harts.length).flatMap(({ hart, bit }) => [
          harts[hart]!.intcPhandle,
          bit,
        ]),
        "riscv,ndev": sources,
      }),
    ],
  }),

  create(host, { sources, contexts: layout }) {
    const contexts = layOut(layout, host.harts.length);
    const words = (sources >>> 5) + 1;
    const bank = registerBank(registers, {
      log: host.log,
      counts: {
        PRIORITY: sources,
        PENDING: words,
        ENABLE: contexts.length * ENABLE_WORDS,
        THRESHOLD: contexts.length,
        CLAIM: contexts.length,
        COMPLETE: contexts.length,
      },
    });
    const { PRIORITY, PENDING, ENABLE, THRESHOLD } = bank.registers;
    /** Wires that are high. */
    const levels = new Uint32Array(words);
    /** Sources whose gateway waits for completion. PLIC, "Interrupt Gateways" */
    const claimed = new Uint32Array(words);
    /** Levels of the wires into the harts, by context. */
    const outputs = new Uint8Array(contexts.length);
    const ports: readonly HartPort[] = contexts.map(({ hart }) => host.harts[hart]!);

    /** The enabled pending source of highest priority above `floor`, of equals the lowest number (PLIC, "Interrupt IDs"), or 0. */
    function mostUrgent(context: number, floor: number): number {
      let found = 0;
      let highest = floor;
      for (let word = 0; word < words; word++) {
        let candidates = PENDING.at(word) & ENABLE.at(context * ENABLE_WORDS + word);
        while (candidates !== 0) {
          const bit = 31 - Math.clz32(candidates & -candidates);
          candidates &= candidates - 1;
          const source = word * 32 + bit;
          const priority = PRIORITY.at(source - 1);
          if (priority > highest) {
            highest = priority;
            found = source;
          }
        }
      }
      return found;
    }

    function drive(context: number): void {
      const level = mostUrgent(context, THRESHOLD.at(context)) === 0 ? 0 : 1;
      if (level === outputs[context]) return;
      outputs[context] = level;
      ports[context]!.setPending(contexts[context]!.bit, level === 1);
    }

    function driveAll(): void {
      for (let context = 0; context < contexts.length; context++) drive(context);
    }

    function driveListeners(word: number, mask: number): void {
      for (let context = 0; context < contexts.length; context++) {
        if ((ENABLE.at(context * ENABLE_WORDS + word) & mask) !== 0) drive(context);
      }
    }

    /** The gateway of a source lets one request through, then none until its completion. PLIC, "Interrupt Gateways" */
    function request(word: number, mask: number): void {
      if ((claimed[word]! & mask) !== 0 || (PENDING.at(word) & mask) !== 0) return;
      PENDING.put(word, PENDING.at(word) | mask);
      driveListeners(word, mask);
    }

    function claim(context: number): number {
      // The threshold does not matter to a claim. PLIC, "Interrupt Claim Process"
      const source = mostUrgent(context, 0);
      if (source === 0) return 0;
      const word = source >>> 5;
      const mask = 1 << (source & 31);
      PENDING.put(word, PENDING.at(word) & ~mask);
      claimed[word]! |= mask;
      driveListeners(word, mask);
      return source;
    }

    function complete(context: number, source: number): void {
      if (source === 0 || source > sources) return;
      const word = source >>> 5;
      const mask = 1 << (source & 31);
      // Silently ignored where the source is not enabled for the context. PLIC, "Interrupt Completion"
      if ((ENABLE.at(context * ENABLE_WORDS + word) & mask) === 0 || (claimed[word]! & mask) === 0) return;
      claimed[word]! &= ~mask;
      host.completed(source);
      if ((levels[word]! & mask) !== 0) request(word, mask);
    }

    /** Bits of sources that exist. */
    function existing(word: number): number {
      if (word >= words) return 0;
      const above = word === sources >>> 5 ? ~(-2 << (sources & 31)) : -1;
      return word === 0 ? above & ~1 : above;
    }

    bank.behave({
      PRIORITY: { write: driveAll },
      ENABLE: {
        write(value, index) {
          ENABLE.put(index, value & existing(index % ENABLE_WORDS));
          drive(Math.floor(index / ENABLE_WORDS));
        },
      },
      THRESHOLD: { write: (_value, context) => drive(context) },
      CLAIM: { read: claim },
      COMPLETE: { write: (source, context) => complete(context, source) },
    });

    /** Numbers of the sources whose bits are set. */
    function named(bits: (word: number) => number): string {
      const found = Array.from({ length: sources + 1 }, (_, source) => source);
      return found.filter((source) => (bits(source >>> 5) & (1 << (source & 31))) !== 0).join(" ") || "none";
    }

    return {
      regions: [bank],

      status: () => ({
        pending: named((word) => PENDING.at(word)),
        "in service": named((word) => claimed[word]!),
        "wires high": named((word) => levels[word]!),
        "contexts interrupted": outputs.filter((level) => level === 1).length,
      }),

      input(line, level) {
        if (line < 1 || line > sources) return;
        const word = line >>> 5;
        const mask = 1 << (line & 31);
        if (level) {
          levels[word]! |= mask;
          request(word, mask);
        } else {
          // A request that is already through stays pending.
          levels[word]! &= ~mask;
        }
      },

      reset() {
        bank.reset();
        levels.fill(0);
        claimed.fill(0);
        outputs.fill(UNKNOWN);
        driveAll();
      },

      snapshot: () => ({ registers: bank.snapshot(), levels: [...levels], claimed: [...claimed] }),

      restore(state) {
        const saved = fromSnapshot(snapshotOf(words), state);
        bank.restore(saved.registers);
        levels.set(saved.levels);
        claimed.set(saved.claimed);
        outputs.fill(UNKNOWN);
        driveAll();
      },
    };
  },
});

function snapshotOf(words: number) {
  const sourceBits = v.pipe(v.array(u32()), v.length(words));
  return v.object({ registers: nested(), levels: sourceBits, claimed: sourceBits });
}

/** Contexts in the order of harts, M before S. */
function layOut(contexts: v.InferOutput<typeof options>["contexts"], harts: number): readonly Context[] {
  return Array.from({ length: harts }, (_, hart): Context[] => {
    const modes = typeof contexts === "string" ? contexts : (contexts[hart] ?? "ms");
    const machine = { hart, bit: HartInterrupt.meip };
    return modes === "m" ? [machine] : [machine, { hart, bit: HartInterrupt.seip }];
  }).flat();
}
