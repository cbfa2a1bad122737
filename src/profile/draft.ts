/**
 * A profile from a device tree: vdevs for what vmrun has, placeholders for the rest, and source text for what the board
 * would not say by itself. What the tree does not tell, and where the board's own tree ends up different, is marked.
 */
import { resolve } from "node:path";
import { VmrunError } from "../diagnostics/diagnostic.ts";
import { addressCells, sizeCells } from "../fdt/addresses.ts";
import { type Difference, diffTrees } from "../fdt/diff.ts";
import { baseName } from "../fdt/names.ts";
import { cells64, type Fdt, type FdtNode, node } from "../fdt/tree.ts";
import { TreeIndex } from "../fdt/tree-index.ts";
import { encodeValue } from "../fdt/values.ts";
import type { VdevRegistry } from "../vdev/registry.ts";
import { boardTree } from "./devicetree.ts";
import { type DraftBlock, type DraftCpu, draftCpu, draftMemory, textsOf } from "./draft-cpus.ts";
import { type DraftDevice, findDevices } from "./draft-devices.ts";
import { patchSource } from "./draft-patch.ts";
import type { ProfileFiles } from "./files.ts";
import { loadProfile } from "./load.ts";
import { shownKey } from "./located.ts";

export interface DraftOptions {
  readonly registry: VdevRegistry;
  /** Of the board. */
  readonly name: string;
  /** What the tree is, for the first line: a file's name. */
  readonly source: string;
}

/** What of a CPU its hart really has; the tree has to say that and nothing else. */
const CPU_FACTS = /^(reg|mmu-type|riscv,isa|riscv,isa-base|riscv,isa-extensions|riscv,cbo[mzp]-block-size)$/;
/** What a run decides: command line, initial RAM disk, chance. */
const RUN_FACTS = /^(bootargs|rng-seed|linux,initrd-start|linux,initrd-end)$/;
/** What vdevs with code behind them are held to. */
const WIRES = /^(reg|interrupts|interrupts-extended|interrupt-parent|riscv,ndev|#[a-z]+-cells)$/;
const MAX_SHOWN = 100;

export function draftFromTree(original: Fdt, options: DraftOptions): string {
  return new Draft(original, options).text();
}

class Draft {
  readonly index: TreeIndex;
  readonly cpu: DraftCpu;
  readonly memory: readonly DraftBlock[];
  readonly devices: readonly DraftDevice[];
  /** Names that nodes have before the @, where not their bindings'. */
  readonly nodeNames = new Map<DraftDevice, string>();

  constructor(
    readonly original: Fdt,
    readonly options: DraftOptions,
  ) {
    this.index = new TreeIndex(original);
    this.cpu = draftCpu(this.index);
    this.memory = draftMemory(this.index);
    this.devices = findDevices(this.index, options.registry, this.cpu.harts, this.memory);
  }

  text(): string {
    const plain = this.#tree(this.#profile(undefined));
    this.#nameNodes(plain);
    const named = this.#tree(this.#profile(undefined));
    const patch = patchSource(named, this.#target(), {
      keepsProperty: (path, property) => this.#keepsProperty(path, property),
      keepsNode: (path) => this.#keepsNode(path, named),
      replacesNode: (path) => path === "/soc" && !this.#countsAlike(path),
      phandles: this.#phandles(named),
    });
    try {
      return this.#finished(patch);
    } catch (error) {
      if (!(error instanceof VmrunError)) throw error;
      // Names or references that source text cannot say; all of the tree's own words are then differences.
      return this.#finished("");
    }
  }

  #finished(patch: string): string {
    const body = this.#profile(patch);
    return body + differencesText(diffTrees(this.original, this.#tree(body)));
  }

  #tree(text: string): Fdt {
    const { registry } = this.options;
    return boardTree(loadProfile("draft.toml", { registry, files: onlyFile("draft.toml", text) }).board, registry);
  }

  /** The board's own nodes, as far as they can be told by their first address. */
  #own(tree: Fdt): Map<DraftDevice, FdtNode> {
    const soc = tree.root.children.find(({ name }) => name === "soc");
    const byAddress = new Map((soc?.children ?? []).map((node) => [keyOf(node.properties.get("reg")), node]));
    return new Map(
      this.devices.flatMap((device) => {
        const node = device.node && byAddress.get(keyOf(encodeValue(cells64(device.at), "reg")));
        return node ? [[device, node] as const] : [];
      }),
    );
  }

  #nameNodes(tree: Fdt): void {
    for (const [device, own] of this.#own(tree)) {
      const wanted = device.node!.name;
      const base = baseName(wanted);
      if (base === baseName(own.name) || !/^[A-Za-z][\w,.+-]{0,30}$/.test(base)) continue;
      this.nodeNames.set(device, base);
    }
  }

  /** Numbers by which the board refers to nodes that the tree has by other names or elsewhere. */
  #phandles(tree: Fdt): Map<FdtNode, number> {
    const numbers = new Map<FdtNode, number>();
    const note = (to: FdtNode, from: FdtNode) => {
      const phandle = from.properties.get("phandle");
      if (phandle) numbers.set(to, new DataView(phandle.buffer, phandle.byteOffset).getUint32(0));
    };
    for (const [device, own] of this.#own(tree)) note(device.node!, own);
    const board = new TreeIndex(tree);
    for (const cpu of this.index.at("/cpus")?.children ?? []) {
      const intc = cpu.children.find((child) => textsOf(child, "compatible").includes("riscv,cpu-intc"));
      const own = board.at(`/cpus/${cpu.name}/interrupt-controller`);
      if (intc && own) note(intc, own);
    }
    return numbers;
  }

  #keepsProperty(path: string, property: string): boolean {
    if (path === "/chosen") return RUN_FACTS.test(property);
    if (/^\/cpus\/cpu@[^/]*$/.test(path)) return CPU_FACTS.test(property);
    if (/^\/cpus\/cpu@[^/]*\/interrupt-controller$/.test(path)) return property.startsWith("#");
    if (path === "/cpus") return property === "timebase-frequency" || property.startsWith("#");
    const device = this.devices.find((candidate) => candidate.node && candidate.path === path);
    return device !== undefined && device.type !== "unimplemented" && WIRES.test(property);
  }

  #keepsNode(path: string, board: Fdt): boolean {
    if (/^\/(memory(@[^/]*)?|chosen|cpus|__symbols__|__fixups__|__local_fixups__)$/.test(path)) {
      if (/^\/memory/.test(path)) return this.#countsAlike("/");
      return !(path === "/chosen" || path === "/cpus");
    }
    // Harts that only one of them has.
    if (/^\/cpus\/cpu@[^/]*$/.test(path)) return !(this.index.at(path) && new TreeIndex(board).at(path));
    if (path === "/cpus/cpu-map") return this.cpu.guesses.harts?.startsWith("the tree has") ?? false;
    return false;
  }

  /** Whether addresses below a node are written as the board writes them. */
  #countsAlike(path: string): boolean {
    const bus = this.index.at(path);
    if (!bus) return true;
    const mapped = path !== "/" && bus.properties.get("ranges")?.length !== 0;
    return addressCells(bus) === 2 && sizeCells(bus) === 2 && !mapped;
  }

  /** The tree to come to. Where its addresses are written otherwise, the board's memory has to be, too. */
  #target(): Fdt {
    const { root } = this.original;
    if (this.#countsAlike("/")) return this.original;
    const others = root.children.filter(({ name }) => !/^memory(@|$)/.test(name));
    const memory = this.memory.map(({ at, size }) =>
      node(`memory@${at.toString(16)}`, {
        device_type: "memory",
        reg: [...cellsOf(at, addressCells(root)), ...cellsOf(size, sizeCells(root))],
      }),
    );
    return { ...this.original, root: { ...root, children: [...memory, ...others] } };
  }

  #profile(patch: string | undefined): string {
    const { root } = this.original;
    const { name, source } = this.options;
    const model = textsOf(root, "model")[0]?.slice(0, 200);
    const compatible = textsOf(root, "compatible").filter((text) => text.length <= 200);
    const page = new Page();
    page.comment(`${name}: a draft made from ${source.replace(/[^\x20-\x7e]/g, "?")}.`);
    page.comment('What the tree does not tell is marked "guess"; look at those lines first.');
    page.open();
    page.add("schema", 1);
    page.add("name", name);
    if (model) page.add("model", model);
    if (compatible.length > 0) page.add("compatible", compatible);

    const { isa, harts, mmu, timebase, guesses } = this.cpu;
    page.open("[cpu]");
    page.add("isa", isa, guesses.isa);
    page.add("harts", harts, guesses.harts);
    page.add("mmu", mmu, guesses.mmu);
    page.open("[time]");
    if (timebase) page.add("timebase", timebase);
    else page.comment("guess: timebase: the tree does not tell; 10 MHz");

    for (const [i, { at, size, guess }] of this.memory.entries()) {
      page.open("[[memory]]");
      page.add("name", `dram${i === 0 ? "" : i}`);
      page.addHex("at", at);
      page.addHex("size", size, guess);
    }
    const console = this.#console();
    for (const device of this.devices) this.#device(page, device, device === console);

    page.open("[boot]");
    page.comment('guess: vmrun\'s own SBI; add kernel = "Image", or firmware = "fw_dynamic.bin"');
    page.add("firmware", "builtin");
    const bootargs = textsOf(this.index.at("/chosen"), "bootargs")[0];
    if (bootargs && bootargs.length <= 2047) page.add("cmdline", bootargs);
    if (patch) {
      page.open("[fdt]");
      page.comment("What the tree says beyond the board's own.");
      page.addSource("dts", patch);
    }
    return page.text();
  }

  #device(page: Page, device: DraftDevice, isConsole: boolean): void {
    const { path, type, name, at, irq, options, guesses, node } = device;
    page.open();
    page.comment(path + (type === "unimplemented" && node ? `: ${textsOf(node, "compatible").join(", ")}` : ""));
    for (const guess of guesses) page.comment(`guess: ${guess}`);
    page.line("[[vdev]]");
    page.add("type", type);
    page.add("name", name);
    page.addHex("at", at);
    if (irq !== undefined) page.add("irq", irq);
    for (const [key, value] of Object.entries(options)) {
      if (key === "size" && typeof value === "number") page.addHex(key, value);
      else page.add(key, value);
    }
    if (isConsole) page.add("host", "stdio", "the terminal; the other serial ports have none");
    const base = this.nodeNames.get(device);
    if (base) page.add("node", base);
  }

  /** The serial port that stdout-path names, or the first. */
  #console(): DraftDevice | undefined {
    const ports = this.devices.filter(({ family }) => family === "uart");
    const [told = ""] = textsOf(this.index.at("/chosen"), "stdout-path");
    const [word = ""] = told.split(":");
    const path = word.startsWith("/") ? word : textsOf(this.index.at("/aliases"), word)[0];
    return ports.find((port) => port.path === path) ?? ports[0];
  }
}

/** A number in so many cells, the highest first; two hold any that a board has, and no tree has more than four. */
function cellsOf(value: number, count: number): number[] {
  const cells = [0, 0, ...cells64(value)];
  return cells.slice(cells.length - Math.min(count, cells.length));
}

function keyOf(reg: Uint8Array | undefined): string {
  return Buffer.from((reg ?? new Uint8Array(0)).subarray(0, 8)).toString("hex");
}

function differencesText(differences: readonly Difference[]): string {
  if (differences.length === 0) return "";
  const lines = ["", "# guess: here the board's own tree differs from the one that it was made from:"];
  const told = (text: string | undefined, sign: string) =>
    text === undefined ? [] : [`#     ${sign} ${shortened(text.split("\n")[0]!)}`];
  for (const { change, what, path, property, before, after } of differences) {
    const subject = what === "property" ? `${path}: ${property}` : `${path}: ${what}`;
    lines.push(`# guess: ${shortened(subject)} ${change}`, ...told(before, "-"), ...told(after, "+"));
  }
  return `${lines.join("\n")}\n`;
}

function shortened(text: string): string {
  const clean = text.replace(/[^\x20-\x7e]/g, "?");
  return clean.length > MAX_SHOWN ? `${clean.slice(0, MAX_SHOWN)}...` : clean;
}

function onlyFile(name: string, text: string): ProfileFiles {
  const path = resolve(name);
  return {
    facts: (asked) => (asked === path ? { kind: "file", size: Buffer.byteLength(text) } : undefined),
    read: () => text,
    list: () => [],
  };
}

class Page {
  readonly #lines: string[] = [];

  open(header?: string): void {
    if (this.#lines.length > 0) this.#lines.push("");
    if (header) this.#lines.push(header);
  }

  line(text: string): void {
    this.#lines.push(text);
  }

  comment(text: string): void {
    this.#lines.push(`# ${text}`);
  }

  add(key: string, value: string | number | readonly string[], guess?: string): void {
    const text = typeof value === "object" ? `[${value.map(quote).join(", ")}]` : quote(value);
    this.#push(`${shownKey(key)} = ${text}`, guess);
  }

  /** In groups of four digits. */
  addHex(key: string, value: number, guess?: string): void {
    const digits = value.toString(16).replace(/\B(?=(.{4})+$)/g, "_");
    this.#push(`${key} = 0x${digits}`, guess);
  }

  /** Literal, unless the text would end the literal. */
  addSource(key: string, text: string): void {
    if (text.includes("'''")) this.#push(`${key} = ${quote(text)}`, undefined);
    else this.#lines.push(`${key} = '''`, `${text}'''`);
  }

  text(): string {
    return `${this.#lines.join("\n")}\n`;
  }

  #push(line: string, guess: string | undefined): void {
    this.#lines.push(guess === undefined ? line : `${line.padEnd(35)}  # guess: ${guess}`);
  }
}

/** JSON's escapes are TOML's. */
function quote(value: string | number): string {
  return typeof value === "number" ? String(value) : JSON.stringify(value);
}
