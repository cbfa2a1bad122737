/**
 * Stands where a device would be that nobody has written yet. It answers by a rule, and notes what the guest does: which
 * offsets, how, from where. What it has seen it prints as a register map, to begin the missing vdev with.
 */
import * as v from "valibot";
import { node } from "../fdt/tree.ts";
import { defineVdev } from "../vdev/descriptor.ts";
import { size } from "../vdev/options.ts";
import { fromSnapshot, u32 } from "../vdev/snapshot.ts";

/** Offsets that are told apart; a guest that sweeps a large region must not fill memory. */
const NOTED_MAX = 1024;

const noted = v.object({
  /** In bytes; the widest that was seen. */
  width: v.picklist([1, 2, 4]),
  reads: v.number(),
  writes: v.number(),
  /** Bits that were set in any value written. */
  written: u32(),
  /** Guest address of the first instruction that came here, in hex. */
  pc: v.nullable(v.string()),
});
type Noted = v.InferOutput<typeof noted>;

const options = v.object({
  size: v.pipe(v.optional(size(), "4KiB"), v.description("Bytes of address space that it takes.")),
  compatible: v.pipe(
    v.optional(v.union([v.string(), v.array(v.string())]), []),
    v.description("The node's `compatible`, so that the guest's driver comes; without it, there is no node."),
  ),
  answer: v.pipe(
    v.optional(v.picklist(["zero", "ones", "fault"]), "zero"),
    v.description('What reads give: "zero", "ones" (all bits), or "fault" (a bus error, of writes as well).'),
  ),
});

export const unimplemented = defineVdev({
  type: "unimplemented",
  summary: "placeholder that records how a guest uses a missing device",
  options,
  // Real devices lie where they lie.
  regions: ({ size: bytes }) => [{ name: "registers", size: bytes, align: 1 }],
  // What was seen outlives a reset: guests that miss a device like to restart.
  battery: true,

  fdt({ options: { compatible }, placement, unit, reg }) {
    const names = typeof compatible === "string" ? [compatible] : compatible;
    return names.length === 0 ? {} : { bus: [node(`${placement.name}@${unit}`, { compatible: names, reg })] };
  },

  create(host, { answer }) {
    const seen = new Map<number, Noted>();
    let accesses = 0;
    let beyond = 0;

    function note(offset: number, width: number): Noted | undefined {
      accesses++;
      const known = seen.get(offset);
      if (known !== undefined) {
        if (width > known.width) known.width = width as Noted["width"];
        return known;
      }
      if (seen.size === NOTED_MAX) {
        beyond++;
        return undefined;
      }
      const pc = host.guest()?.pc;
      const first = { width: width as Noted["width"], reads: 0, writes: 0, written: 0, pc: pc?.toString(16) ?? null };
      seen.set(offset, first);
      return first;
    }

    return {
      regions: [
        {
          read(offset, width) {
            const entry = note(offset, width);
            if (entry) entry.reads++;
            if (answer === "fault") throw host.busError();
            return answer === "ones" ? 2 ** (8 * width) - 1 : 0;
          },
          write(offset, width, value) {
            const entry = note(offset, width);
            if (entry) {
              entry.writes++;
              entry.written = (entry.written | value) >>> 0;
            }
            if (answer === "fault") throw host.busError();
          },
        },
      ],

      reset() {},

      snapshot: () => ({ accesses, beyond, seen: [...seen].map(([offset, entry]) => [offset, { ...entry }]) }),

      restore(state) {
        const saved = fromSnapshot(snapshot, state);
        ({ accesses, beyond } = saved);
        seen.clear();
        for (const [offset, entry] of saved.seen) seen.set(offset, entry);
      },

      status: () => ({
        accesses,
        offsets: seen.size,
        "accesses beyond what is recorded": beyond,
        registers: seen.size === 0 ? "none seen" : skeleton(seen),
      }),

      terminate() {
        if (accesses > 0)
          host.log.warn(`${accesses} accesses to what is not there; a vdev could begin with\n${skeleton(seen)}`);
      },
    };
  },
});

/** Source of a register map that `registerMap` takes: accesses inside of another one's register are left out. */
function skeleton(seen: ReadonlyMap<number, Noted>): string {
  const lines: string[] = [];
  let end = 0;
  for (const [offset, entry] of [...seen].sort(([a], [b]) => a - b)) {
    if (offset < end) continue;
    const { width, reads, writes, written, pc } = entry;
    const aligned = offset % width === 0 ? width : offset % 2 === 0 ? 2 : 1;
    const at = `0x${offset.toString(16).padStart(3, "0")}`;
    const access = writes === 0 ? ', access: "r"' : reads === 0 ? ', access: "w"' : "";
    const from = pc === null ? "" : `, first from 0x${pc}`;
    const bits = writes === 0 ? "" : `, bits written 0x${written.toString(16)}`;
    lines.push(`  // ${reads} reads, ${writes} writes${bits}${from}`);
    lines.push(`  R${at.slice(2).toUpperCase()}: { at: ${at}, width: ${aligned}${access} },`);
    end = offset + aligned;
  }
  return `const registers = registerMap({\n${lines.map((line) => `${line}\n`).join("")}});`;
}

const count = () => v.pipe(v.number(), v.integer(), v.minValue(0));
const snapshot = v.object({
  accesses: count(),
  beyond: count(),
  seen: v.pipe(v.array(v.tuple([count(), noted])), v.maxLength(NOTED_MAX)),
});
