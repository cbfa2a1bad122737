/** RISC-V ISA strings: expanded, checked against what the CPU has, and put into canonical order. */
import { nearestName } from "../vdev/registry.ts";

/** In canonical order: RISC-V ISA manual, "ISA Extension Naming Conventions": single letters, then Z by category, then S. */
export const SUPPORTED: readonly string[] = [
  ..."imafdc",
  ...["zicbom", "zicboz", "zicntr", "zicsr", "zifencei", "zihpm", "zba", "zbb", "zbs"],
  ...["sstc", "svade", "svadu"],
];

const SHORTHANDS: Readonly<Record<string, readonly string[]>> = {
  g: ["i", "m", "a", "f", "d", "zicsr", "zifencei"],
  b: ["zba", "zbb", "zbs"],
};

/** What an extension brings with it, because it cannot do without. */
const IMPLIED: Readonly<Record<string, readonly string[]>> = {
  d: ["f"],
  f: ["zicsr"],
  zicntr: ["zicsr"],
  zihpm: ["zicsr"],
  sstc: ["zicsr"],
};

export interface IsaFault {
  /** Span inside the string. */
  readonly index: number;
  readonly length: number;
  readonly message: string;
  readonly hint?: string;
}

export interface Isa {
  readonly isa: string;
  readonly extensions: readonly string[];
}

export function parseIsa(text: string): Isa | readonly IsaFault[] {
  const lower = text.toLowerCase();
  if (!lower.startsWith("rv64")) {
    return [
      {
        index: 0,
        length: text.length,
        message: "an ISA string begins with rv64",
        hint: 'for example "rv64gc_zba_zbb_zbs"',
      },
    ];
  }
  const faults: IsaFault[] = [];
  const present = new Set<string>();
  for (const { name, index } of parts(lower)) {
    const known = SHORTHANDS[name] ?? (SUPPORTED.includes(name) ? [name] : undefined);
    for (const extension of known ?? []) add(extension, present);
    if (known) continue;
    const near = name.length > 1 ? nearestName(name, SUPPORTED) : undefined;
    const message = name === "" ? "an extension is empty" : `extension "${name.slice(0, 40)}" is not supported`;
    const hint = `${near ? `did you mean "${near}"? ` : ""}supported: ${SUPPORTED.join(" ")}`;
    faults.push({ index, length: Math.max(1, name.length), message, hint });
    if (faults.length === 8) break;
  }
  if (faults.length > 0) return faults;
  if (!present.has("i"))
    return [
      { index: 0, length: text.length, message: "the base ISA `i` is missing", hint: 'begin with "rv64i" or "rv64g"' },
    ];
  // Devicetree binding riscv/extensions.yaml gives both a meaning of its own: Svade until firmware switches. vmrun fixes one.
  if (present.has("svade") && present.has("svadu")) {
    return [
      {
        index: lower.lastIndexOf("svad"),
        length: 5,
        message: "svade and svadu exclude each other",
        hint: "svadu: the CPU sets accessed and dirty bits; svade: it faults",
      },
    ];
  }
  const extensions = SUPPORTED.filter((extension) => present.has(extension));
  const single = extensions.filter((extension) => extension.length === 1).join("");
  const multi = extensions.filter((extension) => extension.length > 1);
  return { isa: [`rv64${single}`, ...multi].join("_"), extensions };
}

/** Single letters up to the first that begins a longer name, which only an underscore ends. */
function* parts(isa: string): Generator<{ name: string; index: number }> {
  let index = 4;
  for (const [i, group] of isa.slice(4).split("_").entries()) {
    const letters = i === 0 ? /^[a-rt-wy]*/.exec(group)![0].length : 0;
    for (let j = 0; j < letters; j++) yield { name: group[j]!, index: index + j };
    const rest = group.slice(letters);
    if (rest !== "" || (i > 0 && group === "")) yield { name: rest, index: index + letters };
    index += group.length + 1;
  }
}

function add(extension: string, present: Set<string>): void {
  present.add(extension);
  for (const more of IMPLIED[extension] ?? []) if (!present.has(more)) add(more, present);
}
