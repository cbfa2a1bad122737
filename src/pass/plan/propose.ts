/** The smallest profile that would have let a guest do what it was seen doing: TOML, with the counts as comments. */
import { bitsOf, type ClockField, type ClockRegister, type RegisterWidth } from "../clocks/description.ts";
import type { ClockOptions } from "../clocks/options.ts";
import { registersOf } from "../clocks/registers.ts";
import type { PassOptions } from "../options.ts";
import type { RegionRecord, RegisterRecord } from "./recorder.ts";

const PAGE = 4096;

/** A device that was observed. */
export interface Observed {
  readonly name: string;
  readonly record: RegionRecord;
}

export interface ObservedClock extends Observed {
  readonly options: ClockOptions;
  /** Fields that open gates of clocks which devices have: `register.field`. */
  readonly gates: ReadonlySet<string>;
}

export interface ObservedPass extends Observed {
  readonly options: PassOptions;
}

/** @param include The profile that was run, as the proposal names it. */
export function proposal(include: string, clocks: readonly ObservedClock[], passes: readonly ObservedPass[]): string {
  const lines = [
    "# Proposed by what the guest was seen doing: what it did not use in that run, it does not get.",
    "schema = 1",
    `include = ${JSON.stringify(include)}`,
    ...clocks.flatMap(clockLines),
    ...passes.flatMap(passLines),
  ];
  return `${lines.join("\n")}\n`;
}

function heading(table: string, { name, record }: Observed): string[] {
  const { registers, reads, writes, beyond } = record;
  const more = beyond > 0 ? `; ${beyond} accesses were to more registers than are told apart` : "";
  const used = `${count(registers.length, "register")} used: ${count(reads, "read")}, ${count(writes, "write")}${more}`;
  return ["", `[[${table}]]`, `name = "${name}"`, `# ${used}`];
}

// ---- [[pass]] ----

function passLines(observed: ObservedPass): string[] {
  const { options, record } = observed;
  const lines = heading("pass", observed);
  if (record.registers.length === 0) {
    return [...lines, "# The guest never touched it: it can do without (remove = true).", 'access = "r"'];
  }
  const last = record.registers.at(-1)!;
  const end = record.registers.reduce((most, { offset, width }) => Math.max(most, offset + width), 0);
  const size = Math.min(options.size, sizeFor(end, options.size));
  if (size < options.size)
    lines.push(`# the last of ${hex(options.size)} bytes that it used is at ${hex(last.offset)}`);
  lines.push(`size = ${hex(size)}`);
  lines.push(`access = "${record.writes > 0 ? "rw" : "r"}"`);
  const pages = new Map<number, RegisterRecord[]>();
  for (const each of record.registers) {
    const page = Math.floor(each.offset / PAGE);
    pages.set(page, [...(pages.get(page) ?? []), each]);
  }
  for (const [page, registers] of pages) {
    if (options.size > PAGE) lines.push(`# page ${hex(page * PAGE)}: ${count(registers.length, "register")}`);
    for (const each of registers.slice(0, 64)) lines.push(`#   ${hex(each.offset)}: ${used(each)}`);
    if (registers.length > 64) lines.push(`#   and ${registers.length - 64} more`);
  }
  return lines;
}

/** Whole pages where it had some; below a page, a power of two, as hardware decodes addresses. */
function sizeFor(end: number, size: number): number {
  return size >= PAGE ? Math.ceil(end / PAGE) * PAGE : 2 ** Math.ceil(Math.log2(Math.max(end, 8)));
}

// ---- [[clock]] ----

function clockLines(observed: ObservedClock): string[] {
  const { record, options, gates } = observed;
  const lines = [...heading("clock", observed), 'unlisted = "deny"', "block = []"];
  const needed = registersOfOutputs(options);
  const left = new Set(record.registers);
  const registers: string[] = [];
  for (const register of registersOf(options)) {
    const own = record.registers.filter((each) => meets(each, register));
    for (const each of own) left.delete(each);
    if (own.length > 0 || needed.has(register.name)) registers.push(...registerLines(register, own, gates));
  }
  for (const [register, own] of unnamed([...left])) registers.push(...registerLines(register, own, gates));
  return registers.length > 0 ? [...lines, ...registers] : [...lines, "register = []"];
}

function meets(seen: RegisterRecord, { offset, width }: ClockRegister): boolean {
  return seen.offset >= offset && seen.offset < offset + width;
}

/** Registers for what the profile does not describe: as wide as they were accessed, and words where that varied. */
function unnamed(left: readonly RegisterRecord[]): [ClockRegister, RegisterRecord[]][] {
  const words = new Map<number, RegisterRecord[]>();
  const add = (word: number, each: RegisterRecord) => words.set(word, [...(words.get(word) ?? []), each]);
  for (const each of left) {
    const { offset, width } = each;
    const word = Math.floor(offset / 4);
    add(word, each);
    const beyond = { ...each, offset: 4 * (word + 1), changed: each.writes > 0 ? 2 ** 32 - 1 : 0 };
    if (offset + width > 4 * (word + 1)) add(word + 1, beyond);
  }
  return [...words].flatMap(([word, seen]): [ClockRegister, RegisterRecord[]][] => {
    const [{ width }] = seen as [RegisterRecord];
    const alike =
      width < 4 && seen.every((each) => each.widths.size === 1 && each.width === width && each.offset % width === 0);
    return alike
      ? seen.map((each) => [bare(each.offset, width as RegisterWidth), [each]])
      : [[bare(4 * word, 4), seen]];
  });
}

function bare(offset: number, width: RegisterWidth): ClockRegister {
  const name = `r${offset.toString(16).padStart(3, "0")}`;
  return { name, offset, width, pass: 0, rest: "ignore", strobes: 0, hidden: false, log: false, fields: [] };
}

function registerLines(register: ClockRegister, seen: readonly RegisterRecord[], gates: ReadonlySet<string>): string[] {
  const { name, offset, width, reset, strobes, fields } = register;
  let changed = 0;
  for (const each of seen) changed |= each.changed << (8 * (each.offset - offset));
  const emulated = fields.filter((field) => gates.has(`${name}.${field.name}`) && (changed & bitsOf(field)) === 0);
  const lines = ["[[clock.register]]", `name = "${name}"`, `offset = ${hex(offset)}`];
  if (width !== 4) lines.push(`width = ${width}`);
  for (const each of seen)
    lines.push(`# ${each.offset === offset ? "" : `${hex(each.offset)}: `}${used(each)}${namesOf(changed, fields)}`);
  lines.push(`pass = ${hex(changed >>> 0)}`);
  if (seen.length === 0) lines.push("# never touched: here for the rates that depend on it");
  if (reset !== undefined) lines.push(`reset = ${hex(reset)}`);
  if (strobes !== 0) lines.push(`strobes = ${hex(strobes)}`);
  for (const field of fields) {
    lines.push("[[clock.register.field]]", `name = "${field.name}"`, `bits = [${field.high}, ${field.low}]`);
    if (emulated.includes(field)) lines.push("# a gate that the guest found as it wanted it", 'access = "emulate"');
  }
  return lines;
}

/** Which of the fields have bits that were changed. */
function namesOf(changed: number, fields: readonly ClockField[]): string {
  const names = fields.filter((field) => (changed & bitsOf(field)) !== 0).map((field) => field.name);
  return names.length === 0 ? "" : `; changed: ${names.join(", ")}`;
}

/** What the clocks of the controller are computed from. */
function registersOfOutputs({ output }: ClockOptions): Set<string> {
  const names = new Set<string>();
  const visit = (value: unknown, key: string): void => {
    if (typeof value === "string" && key !== "name" && key !== "from") names.add(value.split(".")[0]!);
    else if (Array.isArray(value)) for (const each of value) visit(each, key);
    else if (typeof value === "object" && value !== null)
      for (const [own, each] of Object.entries(value)) visit(each, own);
  };
  for (const each of output) visit(each, "");
  return names;
}

function used({ reads, writes, widths }: RegisterRecord): string {
  const sizes = [...widths].sort((a, b) => a - b).join(" and ");
  const how = [...(reads > 0 ? [count(reads, "read")] : []), ...(writes > 0 ? [count(writes, "write")] : [])].join(
    ", ",
  );
  return `${how} of ${sizes} ${sizes === "1" ? "byte" : "bytes"}`;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
