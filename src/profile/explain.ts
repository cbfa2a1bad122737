/** A board as a profile with nothing left out, each value with where it came from. The text is TOML and loads as the same board. */

import { descriptorOf } from "../pass/tables.ts";
import type { VdevPlacement } from "../vdev/placement.ts";
import type { AnyVdev, VdevRegistry } from "../vdev/registry.ts";
import type {
  Board,
  BoardBacking,
  BoardBudget,
  BoardCache,
  BoardClock,
  BoardMarker,
  BoardVdev,
  SharedCache,
} from "./board.ts";
import { shownKey } from "./located.ts";
import { hex } from "./place.ts";
import { type Provenance, shownSource } from "./provenance.ts";

/** Comments begin here where the value leaves room. */
const COMMENT_COLUMN = 48;

/** @param use The modules that the profile's own vdevs come from, as absolute paths. */
export function explainBoard(
  board: Board,
  provenance: Provenance,
  registry: VdevRegistry,
  use: readonly string[] = [],
): string {
  const page = new Page(provenance);
  page.add("schema", "1", "");
  page.add("name", quote(board.name), "");
  page.add("model", quote(board.model), "");
  page.add("compatible", toml(board.compatible), "");
  page.add("use", use.length > 0 ? toml(use) : undefined, "");
  page.add("models", board.models.length > 0 ? toml(board.models) : undefined, "");
  page.add("seed", String(board.seed), "");
  page.add("hang_after", String(board.hangAfter), "");

  const { cpu, time, boot, unsupported } = board;
  page.open("[cpu]");
  page.add("isa", quote(cpu.isa), "cpu");
  page.add("harts", String(cpu.harts), "cpu");
  page.add("parallel", String(cpu.parallel), "cpu");
  page.add("mmu", quote(cpu.mmu), "cpu");
  page.add("pmp", String(cpu.pmp), "cpu");
  for (const [name, cache] of Object.entries(cpu.caches)) if (cache) addCache(page, `cpu.cache.${name}`, cache);

  page.open("[time]");
  page.add("mode", quote(time.mode), "time");
  page.add("clock", frequency(time.clock), "time");
  page.add("timebase", frequency(time.timebase), "time");
  page.add("epoch", time.epoch === "host" ? quote("host") : date(time.epoch), "time");

  for (const { name, kind, at, size, image, backing, describe } of board.memory) {
    const path = `memory.${name}`;
    page.open("[[memory]]");
    page.add("name", quote(name), path);
    page.add("at", hex(at), path);
    page.add("size", bytes(size), path);
    page.add("kind", quote(kind), path);
    page.add("image", image && quote(image), path);
    addBacking(page, backing, path);
    page.add("describe", quote(describe), path);
  }
  for (const { name, at, size, path: file, kind, compatible } of board.blobs) {
    const path = `blob.${name}`;
    page.open("[[blob]]");
    page.add("name", quote(name), path);
    page.add("at", hex(at), path);
    page.add("file", quote(file), path);
    page.add("size", bytes(size), path);
    page.add("kind", quote(kind), path);
    page.add("compatible", toml(compatible), path);
  }
  for (const { name, members, compatible } of board.groups) {
    const path = `group.${name}`;
    page.open("[[group]]");
    page.add("name", quote(name), path);
    page.add("members", toml(members), path);
    page.add("compatible", toml(compatible), path);
  }
  for (const { name, at, size, guest } of board.reserve) {
    const path = `reserve.${name}`;
    page.open("[[reserve]]");
    page.add("name", quote(name), path);
    page.add("at", hex(at), path);
    page.add("size", bytes(size), path);
    if (!guest) continue;
    page.add("compatible", guest.compatible && toml(guest.compatible), path);
    page.add("no_map", String(guest.noMap), path);
    page.add("reusable", String(guest.reusable), path);
    page.add("memreserve", String(guest.as === "entry"), path);
    page.add("fdt", toml(guest.fdt), path);
  }
  for (const vdev of board.vdevs) {
    const group = board.groups.find(({ members }) => members.includes(vdev.placement.name));
    addVdev(page, vdev, group?.name, registry);
  }

  page.open("[boot]");
  page.add("firmware", quote(typeof boot.firmware === "string" ? boot.firmware : boot.firmware.path), "boot");
  page.add("kernel", boot.kernel && quote(boot.kernel), "boot");
  page.add("initrd", boot.initrd && quote(boot.initrd), "boot");
  page.add("cmdline", boot.cmdline === undefined ? undefined : quote(boot.cmdline), "boot");
  page.add("entry", address(boot.entry), "boot");
  page.add("firmware_at", address(boot.firmwareAt), "boot");
  page.add("kernel_at", address(boot.kernelAt), "boot");
  page.add("initrd_at", address(boot.initrdAt), "boot");
  page.add("fdt_at", address(boot.fdtAt), "boot");

  if (board.fdt.symbols || board.fdt.overlays.length > 0 || board.fdt.dts) {
    page.open("[fdt]");
    page.add("symbols", String(board.fdt.symbols), "fdt");
    page.add("overlays", toml(board.fdt.overlays), "fdt");
    page.add("dts", board.fdt.dts && quote(board.fdt.dts.text), "fdt");
  }

  page.open("[unsupported]");
  page.add("memory", quote(unsupported.memory), "unsupported");
  page.add("instruction", quote(unsupported.instruction), "unsupported");
  page.add("register", quote(unsupported.register), "unsupported");
  for (const budget of board.budgets) addBudget(page, budget);
  return page.text();
}

function addCache(page: Page, path: string, cache: BoardCache & Partial<SharedCache>): void {
  page.open(`[${path}]`);
  page.add("size", bytes(cache.size), path);
  page.add("line", String(cache.line), path);
  page.add("sets", toml(cache.sets), path);
  page.add("harts", toml(cache.harts), path);
}

function addBudget(page: Page, { name, filter, from, to, exits, time }: BoardBudget): void {
  const path = `budget.${name}`;
  page.open(`[${path}]`);
  for (const [key, value] of Object.entries(filter)) page.add(key, value && quote(value), path);
  page.add("from", marker(from), path);
  page.add("to", marker(to), path);
  page.add("exits", exits === undefined ? undefined : String(exits), path);
  page.add("time", time === undefined ? undefined : quote(`${time}ns`), path);
}

function marker(given: BoardMarker | undefined): string | undefined {
  if (given === undefined) return undefined;
  return "text" in given ? quote(given.text) : toml({ ...given });
}

function addBacking(page: Page, backing: BoardBacking, path: string): void {
  page.add("backing", quote(backing.kind), path);
  switch (backing.kind) {
    case "memfd":
      page.add("share", backing.share && quote(backing.share), path);
      break;
    case "file":
      page.add("file", quote(backing.file), path);
      page.add("file_at", bytes(backing.at), path);
      page.add("private", String(backing.private), path);
      break;
    case "huge":
      page.add("fallback", String(backing.fallback), path);
      break;
    case "anonymous":
  }
}

function delayInWords(delayed: boolean | number): string {
  if (typeof delayed === "boolean") return String(delayed);
  return quote(delayed === Number.POSITIVE_INFINITY ? "forever" : `${delayed}s`);
}

function addVdev(page: Page, vdev: BoardVdev, group: string | undefined, registry: VdevRegistry): void {
  const { table, placement, options, onFault, log, delayed, node, fdt, clocks } = vdev;
  const descriptor = descriptorOf(table, placement.type, registry);
  const path = `${table}.${placement.name}`;
  page.open(`[[${table}]]`);
  if (table === "vdev") page.add("type", quote(placement.type), path);
  page.add("name", quote(placement.name), path);
  page.add("at", addresses(placement), path);
  page.add("irq", interrupts(placement, descriptor), path);
  page.add("clocks", clocks && shownClocks(clocks), path);
  page.add("group", group && quote(group), path);
  page.add("on_fault", quote(onFault), path);
  page.add("log", log && quote(log), path);
  page.add("delayed", delayInWords(delayed), path);
  page.add("node", node && quote(node), path);
  page.add("fdt", toml(fdt), path);
  for (const [key, value] of Object.entries(options)) page.add(key, toml(value), path);
  page.remark(descriptor?.explain?.(options, placement));
}

function shownClocks(clocks: readonly BoardClock[]): string {
  const named = clocks.flatMap(({ name, clock }) => (name === undefined ? [] : [[name, quote(clock)] as const]));
  return named.length > 0 ? inline(named) : `[${clocks.map(({ clock }) => quote(clock)).join(", ")}]`;
}

function addresses({ regions }: VdevPlacement): string | undefined {
  if (regions.length <= 1) return address(regions[0]?.at);
  return inline(regions.map(({ name, at }) => [name, hex(at)]));
}

/** Unwired ones are said, because a key that is left out asks for a free line. */
function interrupts({ interrupts: routes }: VdevPlacement, descriptor: AnyVdev | undefined): string | undefined {
  const { interrupts: specs = [] } = descriptor ?? {};
  const names = (typeof specs === "function" ? routes : specs).map(({ name }) => name);
  const wired = names.map((name) => {
    const route = routes.find((candidate) => candidate.name === name);
    return [name, quote(route ? `${route.controller}:${route.line}` : "none")] as const;
  });
  return wired.length <= 1 ? wired[0]?.[1] : inline(wired);
}

class Page {
  readonly #lines: string[] = [];

  constructor(readonly provenance: Provenance) {}

  open(header: string): void {
    this.#lines.push("", header);
  }

  /** A value that a board does not have has no line. */
  add(key: string, value: string | undefined, parent: string): void {
    if (value === undefined) return;
    const line = `${shownKey(key)} = ${value}`;
    const source = shownSource(this.provenance.get(parent === "" ? key : `${parent}.${key}`));
    // A file's name may hold anything; the comment must stay one.
    const comment = source.replace(/\p{Cc}/gu, "?");
    this.#lines.push(`${line.padEnd(COMMENT_COLUMN - 1)} # ${comment}`);
  }

  /** A line that is no value. */
  remark(text: string | undefined): void {
    if (text !== undefined) this.#lines.push(`# ${text.replace(/\p{Cc}/gu, "?")}`);
  }

  text(): string {
    return `${this.#lines.join("\n")}\n`;
  }
}

/** Any option's value in TOML; what TOML cannot say is left out. */
function toml(value: unknown): string | undefined {
  if (typeof value === "string") return quote(value);
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") return String(value);
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return `[${value.flatMap((item) => toml(item) ?? []).join(", ")}]`;
  if (typeof value !== "object" || value === null) return undefined;
  return inline(
    Object.entries(value).flatMap(([key, item]) => {
      const text = toml(item);
      return text === undefined ? [] : [[key, text] as const];
    }),
  );
}

function inline(pairs: readonly (readonly [string, string])[]): string {
  return pairs.length === 0 ? "{}" : `{ ${pairs.map(([key, text]) => `${shownKey(key)} = ${text}`).join(", ")} }`;
}

/** JSON's escapes are TOML's, but for DEL. */
function quote(text: string): string {
  return JSON.stringify(text).replaceAll("\x7f", "\\u007f");
}

function address(value: number | undefined): string | undefined {
  return value === undefined ? undefined : hex(value);
}

function bytes(size: number): string {
  return withUnit(size, [
    ["GiB", 2 ** 30],
    ["MiB", 2 ** 20],
    ["KiB", 2 ** 10],
  ]);
}

function frequency(hertz: number): string {
  return withUnit(hertz, [
    ["GHz", 1e9],
    ["MHz", 1e6],
    ["kHz", 1e3],
  ]);
}

function withUnit(value: number, units: readonly (readonly [string, number])[]): string {
  const unit = units.find(([, scale]) => value >= scale && value % scale === 0);
  return unit ? quote(`${value / unit[1]}${unit[0]}`) : String(value);
}

function date(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(".000", "");
}
