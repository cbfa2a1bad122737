/** A merged profile to a board: tables typed, defaults filled in, addresses and interrupts decided, everything checked. */
import { basename } from "node:path";
import type { Place } from "../diagnostics/diagnostic.ts";
import type { FdtNode } from "../fdt/tree.ts";
import { DEVICE_TABLES } from "../pass/tables.ts";
import type { VdevRegistry } from "../vdev/registry.ts";
import { nearestName } from "../vdev/registry.ts";
import { resolveBacking } from "./backing.ts";
import type { Board, BoardCaches, BoardFdt, BoardVdev } from "./board.ts";
import { resolveBoot } from "./boot.ts";
import { resolveBudgets } from "./budgets.ts";
import type { ProfileFiles } from "./files.ts";
import type { Findings } from "./findings.ts";
import { resolveGroups } from "./groups.ts";
import { HostNames } from "./host-references.ts";
import { nameplace } from "./include.ts";
import { routeInterrupts } from "./interrupts.ts";
import { type Isa, parseIsa } from "./isa.ts";
import { type DraftMemory, type DraftReserve, type Layout, layOut } from "./layout.ts";
import { type Located, lookup, plain, type TableNode, table, textOf } from "./located.ts";
import { intcPhandle, tablePhandle, vdevPhandle } from "./phandle.ts";
import { referencesOf } from "./properties.ts";
import { type Provenance, provenanceOf } from "./provenance.ts";
import {
  blobSchema,
  bootSchema,
  cpuSchema,
  DEFAULT_ISA,
  fdtSchema,
  groupSchema,
  MAX_ELEMENTS,
  memorySchema,
  type ProfileBlob,
  type ProfileBoot,
  type ProfileCpu,
  type ProfileFdt,
  type ProfileGroup,
  type ProfileMemory,
  type ProfileReserve,
  type ProfileTime,
  type ProfileTop,
  type ProfileUnsupported,
  type ProfileVdev,
  profileSchema,
  reserveSchema,
  timeSchema,
  topSchema,
  unsupportedSchema,
} from "./schema.ts";
import { reportUnknownKeys, typed, validate } from "./validate.ts";
import { type DraftVdev, draftVdev } from "./vdevs.ts";

/** What the user wrote, typed, with defaults. */
export interface Profile extends ProfileTop {
  readonly cpu: ProfileCpu;
  readonly time: ProfileTime;
  readonly memory: readonly ProfileMemory[];
  /** Common keys; a type's own are in the board. */
  readonly vdev: readonly ProfileVdev[];
  readonly pass: readonly ProfileVdev[];
  readonly clock: readonly ProfileVdev[];
  readonly blob: readonly ProfileBlob[];
  readonly group: readonly ProfileGroup[];
  readonly reserve: readonly ProfileReserve[];
  readonly boot: ProfileBoot;
  readonly fdt: ProfileFdt;
  readonly unsupported: ProfileUnsupported;
}

export interface Resolved {
  readonly board: Board;
  readonly profile: Profile;
  readonly provenance: Provenance;
}

/** Elements are tables with distinct names; the merge has named those that had none. */
interface Element {
  readonly list: string;
  readonly name: string;
  readonly node: TableNode;
}

/** `undefined` after reporting everything that is wrong. */
export function resolveProfile(
  tree: TableNode,
  path: string,
  registry: VdevRegistry,
  files: ProfileFiles,
  findings: Findings,
): Resolved | undefined {
  return new Resolver(tree, path, registry, files, findings).resolve();
}

class Resolver {
  readonly names: HostNames;

  constructor(
    readonly tree: TableNode,
    readonly path: string,
    readonly registry: VdevRegistry,
    readonly files: ProfileFiles,
    readonly findings: Findings,
  ) {
    this.names = new HostNames(files, findings);
  }

  resolve(): Resolved | undefined {
    const { tree, findings } = this;
    this.#unknownTables();
    const top = typed(topSchema, tree, plain(tree), [], findings);
    const cpu = this.#section("cpu", cpuSchema);
    const isa = this.#isa();
    const caches = cpu && this.#caches(cpu);
    const time = this.#section("time", timeSchema);
    const unsupported = this.#section("unsupported", unsupportedSchema);
    const boot = this.#section("boot", bootSchema);
    const fdt = this.#section("fdt", fdtSchema);

    const memoryElements = this.#elements("memory");
    const memory = memoryElements.flatMap((element) => this.#memory(element));
    const reserveElements = this.#elements("reserve");
    const blobs = this.#elements("blob").flatMap(({ name, node }) => {
      const profile = validate(blobSchema, node, ["blob", name], findings);
      return profile ? [{ name, node, profile }] : [];
    });
    const groups = this.#elements("group").flatMap(({ name, node }) => {
      const profile = validate(groupSchema, node, ["group", name], findings);
      return profile ? [{ name, node, profile }] : [];
    });
    const reserve = reserveElements.flatMap((element) => this.#reserve(element));
    const vdevElements = ["vdev", ...DEVICE_TABLES.keys()].flatMap((list) => this.#elements(list));
    this.#distinct([...vdevElements, ...reserveElements]);
    const facts = { harts: cpu?.harts ?? 1 };
    const vdevs = vdevElements.flatMap(({ list, node, name }) => {
      return draftVdev(list, node, name, this.registry, facts, this.names, findings) ?? [];
    });

    const changes = fdt && this.#changes(fdt);
    const models = top?.models.map((path, i) => this.#listed(path, "models", i));

    const layout = layOut(memory, vdevs, reserve, findings);
    const routes = this.#routes(vdevElements, vdevs);
    const drafted = new Set(vdevs.map((draft) => draft.name));
    const broken = new Set(vdevElements.flatMap(({ name }) => (drafted.has(name) ? [] : [name])));
    const platforms = this.#platforms(vdevs);
    const boardGroups = resolveGroups(groups, vdevs, broken, findings);
    const clocks = this.#clocks(vdevs, layout.regions, broken);
    this.#requireRam(memoryElements, memory);
    const budgeted = vdevs.map(({ name, descriptor }) => ({
      name,
      type: descriptor.type,
      regions: (layout.regions.get(name) ?? []).map((region) => region.name),
    }));
    const budgets = resolveBudgets(lookup(tree, "budget"), budgeted, this.registry, findings);
    if (cpu?.parallel) {
      loadParallel().checkParallel(tree, { time, memory, vdevs, regions: layout.regions }, findings);
    }
    const bootNode = lookup(tree, "boot");
    const empty = table(tree.place, tree.origin);
    const known = memory.length === memoryElements.length ? layout.memory : undefined;
    const reserved = reserve.length > 0 ? loadReserve().resolveReserve(reserve, known, findings) : [];
    const boardBlobs = blobs.length > 0 ? loadBlobs().resolveBlobs(blobs, known, this.names, findings) : [];
    this.#allReferences(vdevs, reserve, [
      ...vdevElements.map((element) => element.name),
      ...reserved.flatMap((range) => (range.guest?.as === "node" || !known ? range.name : [])),
    ]);
    const bootNodeTable = bootNode?.kind === "table" ? bootNode : empty;
    const resolvedBoot = resolveBoot(boot, bootNodeTable, known, this.names, findings);

    if (findings.any || !top || !cpu || !caches || !isa || !time || !unsupported || !boot || !resolvedBoot)
      return undefined;
    if (!fdt || !changes) return undefined;
    const name = top.name ?? nameOfFile(this.path);
    const intcPhandles = Array.from({ length: cpu.harts }, (_, hart) => intcPhandle(hart));
    const board: Board = {
      name,
      model: top.model ?? `vmrun,${name}`,
      compatible: top.compatible ?? [`vmrun,${name}`],
      cpu: { ...isa, harts: cpu.harts, parallel: cpu.parallel, mmu: cpu.mmu, pmp: cpu.pmp, intcPhandles, caches },
      time,
      memory: layout.memory,
      vdevs: vdevs.map((draft): BoardVdev => {
        const { table: list, name: vdev, descriptor, options, profile } = draft;
        const regions = layout.regions.get(vdev) ?? [];
        const interrupts = routes.get(vdev) ?? [];
        return {
          table: list,
          placement: { name: vdev, type: descriptor.type, regions, interrupts, phandle: phandleOf(draft, vdevs) },
          options,
          onFault: profile.on_fault,
          log: profile.log,
          delayed: profile.delayed,
          clocks: clocks?.get(vdev),
          platform: platforms.get(vdev),
          node: profile.node,
          fdt: profile.fdt,
        };
      }),
      groups: boardGroups,
      blobs: boardBlobs,
      reserve: reserved,
      boot: resolvedBoot,
      fdt: changes,
      models: models ?? [],
      seed: top.seed,
      hangAfter: top.hang_after,
      unsupported,
      budgets,
    };
    const profile: Profile = {
      ...top,
      cpu,
      time,
      memory: memory.map((draft) => draft.profile),
      vdev: vdevs.flatMap((draft) => (draft.table === "vdev" ? draft.profile : [])),
      pass: vdevs.flatMap((draft) => (draft.table === "pass" ? draft.profile : [])),
      clock: vdevs.flatMap((draft) => (draft.table === "clock" ? draft.profile : [])),
      blob: blobs.map((draft) => draft.profile),
      group: groups.map((draft) => draft.profile),
      reserve: reserve.map((draft) => draft.profile),
      boot,
      fdt,
      unsupported,
    };
    const unwired = vdevs.filter((vdev) => vdev.irq === undefined && vdev.interrupts.length > 0);
    const automatic = [...layout.automatic, ...unwired.map((vdev) => `${vdev.table}.${vdev.name}.irq`)];
    return { board, profile, provenance: provenanceOf(tree, automatic) };
  }

  #unknownTables(): void {
    const entries = new Map([...this.tree.entries].filter(([key]) => !Object.hasOwn(profileSchema.entries, key)));
    reportUnknownKeys(profileSchema, { ...this.tree, entries }, [], this.findings);
  }

  #section<Schema extends Parameters<typeof validate>[0]>(key: string, schema: Schema) {
    const node = lookup(this.tree, key) ?? table(this.tree.place, this.tree.origin);
    if (node.kind === "table") return validate(schema, node, [key], this.findings);
    const hint = node.kind === "list" ? `write [${key}]` : undefined;
    this.findings.error("profile/type", node.place, `${key}: expected a table, [${key}]`, { hint });
    return undefined;
  }

  #elements(list: string): Element[] {
    const node = lookup(this.tree, list);
    if (!node) return [];
    const refuse = ({ place }: Located) => {
      this.findings.error("profile/type", place, `${list}: expected a list of tables`, { hint: `write [[${list}]]` });
      return [];
    };
    if (node.kind !== "list") return refuse(node);
    if (node.items.length > MAX_ELEMENTS) {
      const message = `there are ${node.items.length} [[${list}]]; at most ${MAX_ELEMENTS} are possible`;
      this.findings.error("profile/too-many", node.items[MAX_ELEMENTS]!.place, message);
    }
    const names = new Map<string, Place>();
    return node.items.slice(0, MAX_ELEMENTS).flatMap((item, i) => {
      if (item.kind !== "table") return refuse(item);
      const name = textOf(lookup(item, "name")) ?? `${list}${i}`;
      const place = nameplace(item);
      const twin = names.get(name);
      if (twin) {
        this.findings.error("profile/duplicate-name", place, `two [[${list}]] have the name "${name}"`, {
          related: [{ place: twin, message: "the first one" }],
        });
        return [];
      }
      names.set(name, place);
      return [{ list, name, node: item }];
    });
  }

  /** Devices refer to each other by name alone, whatever table they stand in. Those of one table are distinct already. */
  #distinct(elements: readonly Element[]): void {
    const known = new Map<string, Element>();
    for (const element of elements) {
      const { name, list, node } = element;
      const twin = known.get(name);
      if (twin !== undefined && twin.list !== list) {
        const message = `a [[${twin.list}]] and a [[${list}]] both have the name "${name}"`;
        this.findings.error("profile/duplicate-name", nameplace(node), message, {
          related: [{ place: nameplace(twin.node), message: "the first one" }],
        });
      }
      known.set(name, twin ?? element);
    }
  }

  /** From the text alone, so that it is checked even where other keys of `[cpu]` are wrong. */
  #isa(): Isa | undefined {
    const node = lookup(this.tree, "cpu", "isa");
    const text = textOf(node) ?? DEFAULT_ISA;
    const parsed = parseIsa(text);
    if ("isa" in parsed) return parsed;
    for (const { index, length, message, hint } of parsed) {
      const place = node && within(node.place, text, index, length);
      this.findings.error("profile/isa", place, `cpu.isa: ${message}`, { hint });
    }
    return undefined;
  }

  #memory({ node, name }: Element): DraftMemory[] {
    const profile = validate(memorySchema, node, ["memory", name], this.findings);
    const at = lookup(node, "image");
    const text = textOf(at);
    const image = at && text ? this.names.inputFile(at, text, `memory.${name}.image`) : undefined;
    const bytes = image === undefined ? 0 : (this.files.facts(image)?.size ?? 0);
    if (profile && bytes > profile.size) {
      const message = `memory.${name}.image has ${bytes} bytes; the block has ${profile.size}`;
      this.findings.error("profile/oversized", at?.place, message);
    }
    return profile ? [{ name, node, profile, image, backing: resolveBacking(profile, node, this) }] : [];
  }

  #reserve({ node, name }: Element): DraftReserve[] {
    const range = validate(reserveSchema, node, ["reserve", name], this.findings);
    if (!range) return [];
    if (range.size > 0 && range.at + range.size <= Number.MAX_SAFE_INTEGER) {
      return [{ name, at: range.at, size: range.size, node, profile: range }];
    }
    const place = lookup(node, "size")?.place ?? node.place;
    this.findings.error("profile/range", place, `reserve ${name} must have 1 byte or more and end below 2^53`);
    return [];
  }

  #routes(elements: readonly Element[], vdevs: readonly DraftVdev[]) {
    const drafts = new Map(vdevs.map((vdev) => [vdev.name, vdev]));
    const controllers = new Map(
      elements.flatMap(({ name, node }) => {
        // A controller with a mistake of its own still exists: who refers to it is not wrong.
        const type = this.registry.get(textOf(lookup(node, "type")) ?? "");
        return type?.controller ? [[name, drafts.get(name)?.controller] as const] : [];
      }),
    );
    const broken = elements.filter(({ name }) => !drafts.has(name));
    // With a type unknown, it may be the controller that is missed.
    for (const { name } of broken) if (!controllers.has(name)) controllers.set(name, undefined);
    const wired = vdevs.map((vdev) => {
      const { table: list, name, label, node, irq, interrupts } = vdev;
      return { table: list, name, label, node, irq, specs: interrupts };
    });
    return routeInterrupts(wired, controllers, [...drafts.keys()], this.findings);
  }

  #allReferences(vdevs: readonly DraftVdev[], reserve: readonly DraftReserve[], known: readonly string[]): void {
    for (const { table: list, name, node, profile } of vdevs) this.#references(`${list}.${name}`, node, profile, known);
    for (const { name, node, profile } of reserve) this.#references(`reserve.${name}`, node, profile, known);
  }

  /** A property may refer to any vdev and any reserved memory, but it has to be there. */
  #references(path: string, node: TableNode, { fdt }: Pick<ProfileVdev, "fdt">, known: readonly string[]): void {
    for (const [property, value] of Object.entries(fdt ?? {})) {
      for (const target of referencesOf(value)) {
        if (known.includes(target)) continue;
        const near = nearestName(target, known);
        const place = lookup(node, "fdt", property)?.place ?? node.place;
        const message = `${path}.fdt.${property}: there is no vdev ${JSON.stringify(target.slice(0, 48))}`;
        this.findings.error("profile/unknown-vdev", place, message, { hint: near && `did you mean "&${near}"?` });
      }
    }
  }

  /** What the platform's own tree says, of devices of the host whose profile names a node. Most boards have none. */
  #platforms(vdevs: readonly DraftVdev[]): ReadonlyMap<string, FdtNode | undefined> {
    const asked = vdevs.filter((draft) => draft.table === "pass" && draft.options["tree"] !== undefined);
    if (asked.length === 0) return new Map();
    const { platformNode } = require("./platform-node.ts") as typeof import("./platform-node.ts");
    return new Map(asked.map((draft) => [draft.name, platformNode(draft, this.findings)]));
  }

  /** Each device's, by its name. Most boards have none, and do without what would check them. */
  #clocks(vdevs: readonly DraftVdev[], regions: Layout["regions"], missing: ReadonlySet<string>) {
    if (!vdevs.some(({ table: list, profile }) => list === "clock" || profile.clocks !== undefined)) return undefined;
    const { resolveClocks } = require("./clocks.ts") as typeof import("./clocks.ts");
    return resolveClocks(vdevs, regions, missing, this.findings);
  }

  #caches({ cache: { l1i, l1d, l2, l3 } = {}, harts }: ProfileCpu): BoardCaches {
    const caches = {
      l1i,
      l1d,
      l2: l2 && { ...l2, harts: l2.harts ?? harts },
      l3: l3 && { ...l3, harts: l3.harts ?? harts },
    };
    if (caches.l2 && caches.l3 && caches.l3.harts < harts && caches.l3.harts % caches.l2.harts !== 0) {
      const message = `cpu.cache: ${caches.l3.harts} harts share an l3, but ${caches.l2.harts} an l2 before it`;
      this.findings.error("profile/value", lookup(this.tree, "cpu", "cache", "l3")?.place, message);
    }
    return caches;
  }

  /** A file of a list, as an absolute path. */
  #listed(path: string, ...keys: readonly (string | number)[]): string {
    const at = lookup(this.tree, ...keys);
    return at ? this.names.inputFile(at, path, keys.join(".")) : path;
  }

  #changes(fdt: ProfileFdt): BoardFdt {
    const overlays = fdt.overlays.map((path, i) => this.#listed(path, "fdt", "overlays", i));
    const place = lookup(this.tree, "fdt", "dts")?.place;
    // The text of a multi-line string begins on the line behind its quotes.
    const below = /(?:'''|""")\s*$/.test(place?.source ?? "") ? 1 : 0;
    return {
      symbols: fdt.symbols ?? overlays.length > 0,
      overlays,
      dts:
        fdt.dts === undefined
          ? undefined
          : { text: fdt.dts, file: place?.file ?? this.path, line: (place?.line ?? 1) + below },
    };
  }

  #requireRam(elements: readonly Element[], memory: readonly DraftMemory[]): void {
    const unread = lookup(this.tree, "memory")?.kind !== "list" && this.tree.entries.has("memory");
    if (unread || memory.length < elements.length || memory.some(({ profile }) => profile.kind === "ram")) return;
    this.findings.error("profile/no-ram", { file: this.path }, "the board has no RAM", {
      hint: 'add [[memory]] name = "dram", at = 0x8000_0000, size = "256MiB"',
    });
  }
}

/** By the position in its own table, so that more of one do not renumber another. */
function phandleOf({ table: list, name }: DraftVdev, all: readonly DraftVdev[]): number {
  const index = all.filter((draft) => draft.table === list).findIndex((draft) => draft.name === name);
  const number = [...DEVICE_TABLES.keys()].indexOf(list);
  return number < 0 ? vdevPhandle(index) : tablePhandle(number, index);
}

/** The part of a quoted string, where it is written as it reads. */
function within(place: Place, text: string, index: number, length: number): Place {
  const start = (place.column ?? 0) + 1;
  if (place.column === undefined || place.source?.slice(start - 1, start - 1 + text.length) !== text) return place;
  return { ...place, column: start + index, length };
}

function nameOfFile(path: string): string {
  const stem = basename(path).replace(/\.toml$/, "");
  return /^[A-Za-z][A-Za-z0-9_-]{0,47}$/.test(stem) ? stem : "board";
}

// What few boards have is loaded with those.
const loadBlobs = () => require("./blobs.ts") as typeof import("./blobs.ts");
const loadParallel = () => require("./parallel.ts") as typeof import("./parallel.ts");
const loadReserve = () => require("./reserve.ts") as typeof import("./reserve.ts");
