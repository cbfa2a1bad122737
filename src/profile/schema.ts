/** The keys of a profile: what may stand where, defaults, and the words an editor shows. One schema per table. */
import * as v from "valibot";
import { LOG_LEVELS } from "../vdev/host.ts";
import { address, frequency, inputFile, integer, size } from "../vdev/options.ts";
import { FAULT_POLICIES } from "../vdev/placement.ts";
import {
  choice,
  compatible,
  defaulted,
  flag,
  line,
  name,
  optional,
  remove,
  shown,
  text,
} from "../vdev/schema-parts.ts";
import { budgetsSchema } from "./budgets.ts";

export const DEFAULT_ISA = "rv64gc_zba_zbb_zbs_zicbom_zicboz_zicntr_sstc_svadu";
export const MAX_HARTS = 16;
/** Of each list: far above any board, and low enough that checking every pair stays quick. */
export const MAX_ELEMENTS = 1024;

/** Whole seconds since 1970, a date (UTC where it names no zone), or the host's clock. */
const epoch = v.pipe(
  v.union(
    [v.literal("host"), integer("seconds since 1970", 0, 2 ** 40), v.date()],
    ({ input }) => `expected a date such as 2026-01-01T00:00:00Z, seconds since 1970, or "host"; got ${shown(input)}`,
  ),
  v.rawTransform(({ dataset: { value }, addIssue, NEVER }): number | "host" => {
    if (!(value instanceof Date)) return value;
    const seconds = Math.floor(value.getTime() / 1000);
    if (seconds >= 0) return seconds;
    addIssue({ message: "expected a date in 1970 or later" });
    return NEVER;
  }),
);

const DELAY = /^(forever|[0-9]{1,6} ?(s|min))$/;
const notADelay = ({ input }: { readonly input: unknown }) =>
  `expected true, false, a time such as "30s" or "5min", or "forever"; got ${shown(input)}`;
/** How long a stream is tried: seconds, where it is no flag. */
const delay = v.pipe(
  v.union([v.boolean(), v.pipe(v.string(), v.regex(DELAY, notADelay))], notADelay),
  v.transform((value): boolean | number => {
    if (typeof value === "boolean") return value;
    if (value === "forever") return Number.POSITIVE_INFINITY;
    return Number.parseInt(value) * (value.endsWith("min") ? 60 : 1);
  }),
);

export const topSchema = v.object({
  schema: v.pipe(
    v.literal(1, ({ input }) => `this vmrun reads profiles of schema 1, not ${shown(input)}`),
    v.description("Version of the profile format: 1."),
  ),
  name: optional(name(), "Name of the board. Default: the file's name."),
  model: optional(line("text", 200), 'The device tree\'s `model`. Default: "vmrun,NAME".'),
  compatible: optional(compatible, 'The device tree\'s root `compatible`, most specific first. Default: "vmrun,NAME".'),
  include: optional(
    v.union([text("a path"), v.array(text("a path"))]),
    "Profiles that this one builds on, relative to this file. Later files win; elements of lists merge by name.",
  ),
  use: optional(
    v.union(
      [text("a module"), v.array(text("a module"))],
      ({ input }) => `expected a module, or a list of modules; got ${shown(input)}`,
    ),
    "Modules with vdevs of your own: files relative to this one, such as ./my-vdev.ts, and installed packages. Those of included profiles stay.",
  ),
  models: defaulted(
    v.array(inputFile(), 'expected a list of programs, such as ["./soc.ts"]'),
    [],
    "Programs with device models, for `shm:` objects: `vmrun run` starts them before the machine and ends them with it. " +
      "They are modules of TypeScript or JavaScript, and trusted as those of `use`.",
  ),
  seed: defaulted(integer("a seed"), 0, "Seeds every source of chance in the machine: same seed, same run."),
  hang_after: defaulted(
    integer("hang_after", 1, 86_400),
    10,
    "Seconds of the host's time after which a call into a vdev of your own that does not come back is reported; its `on_fault` may end vmrun then.",
  ),
});

const powerOfTwo = (value: number) => value > 0 && Number.isInteger(Math.log2(value));

const cacheEntries = {
  size: v.pipe(size(), v.description('Bytes, e.g. "32KiB".')),
  line: defaulted(v.pipe(size(), v.check(powerOfTwo, "expected a power of two")), 64, "Bytes of a cache line."),
  sets: optional(integer("the number of sets", 1, 2 ** 24), "Number of sets: size / (line * ways)."),
};

const wholeWays = ({ size: bytes, line: lineBytes, sets = 1 }: { size: number; line: number; sets?: number }) =>
  bytes > 0 && bytes < 2 ** 32 && bytes % (lineBytes * sets) === 0;
const WHOLE_WAYS = "expected a size of line * sets * ways";

/** Of each hart (DTSpec v0.4 §3.8.1). */
const ownCache = v.pipe(v.object(cacheEntries), v.check(wholeWays, WHOLE_WAYS));

/** Of several harts (DTSpec §3.9). */
const sharedCache = v.pipe(
  v.object({
    ...cacheEntries,
    harts: optional(integer("a number of harts", 1, MAX_HARTS), "Harts that share one. Default: all."),
  }),
  v.check((cache) => wholeWays(cache), WHOLE_WAYS),
);

const cachesSchema = v.pipe(
  v.object({
    l1i: optional(ownCache, "Level 1, instructions."),
    l1d: optional(ownCache, "Level 1, data."),
    l2: optional(sharedCache, "Level 2, unified."),
    l3: optional(sharedCache, "Level 3, unified."),
  }),
  v.check(({ l2, l3 }) => l3 === undefined || l2 !== undefined, "expected l2 beside l3"),
);

export const cpuSchema = v.object({
  isa: defaulted(text("an ISA string"), DEFAULT_ISA, "RISC-V ISA string; `g` and `b` may stand for their parts."),
  harts: defaulted(integer("the number of harts", 1, MAX_HARTS), 1, "Number of harts."),
  parallel: defaulted(
    flag(),
    false,
    'Harts run at once, each on a thread of the host\'s; else they take turns on one. For `mode = "host"` of `[time]`: ' +
      "no two runs are alike.",
  ),
  mmu: defaulted(choice(["none", "sv39", "sv48", "sv57"]), "sv57", "Largest paged mode."),
  pmp: defaulted(
    v.picklist([0, 16, 64], ({ input }) => `expected 0, 16 or 64 PMP entries; got ${shown(input)}`),
    16,
    "Number of PMP entries: 0, 16 or 64.",
  ),
  cache: optional(cachesSchema, "Caches that the device tree tells of. They change no timing."),
});

export const timeSchema = v.object({
  mode: defaulted(
    choice(["virtual", "host"]),
    "virtual",
    "`virtual`: time advances with retired instructions, so that runs repeat exactly. `host`: follows the host's clock.",
  ),
  clock: defaulted(frequency(), "1GHz", "Virtual mode: instructions per guest second and hart."),
  timebase: defaulted(frequency(), "10MHz", "Ticks per second of `time` and `mtime`."),
  epoch: defaulted(epoch, 1767225600, 'Wall-clock time at power-on: a date, seconds since 1970, or "host".'),
});

export const memorySchema = v.object({
  name: v.pipe(name(), v.description("Name of the block; elements of includes merge by it.")),
  at: optional(address(), "First address. Default: the first free one from 0x8000_0000."),
  size: v.pipe(size(), v.description('Size, e.g. "256MiB".')),
  kind: defaulted(choice(["ram", "rom"]), "ram", "`rom`: the guest cannot write."),
  image: optional(inputFile(), "Contents at power-on: a raw file."),
  backing: defaulted(
    choice(["anonymous", "memfd", "file", "huge"]),
    "anonymous",
    "What the host puts behind it: memory of the guest's own, a memfd (which `share` lets other guests find), a `file`, or `huge` pages.",
  ),
  share: optional(
    name(),
    "memfd: guests of one user with the same `share` see each other's stores, and a reset leaves them. Gone with the last guest.",
  ),
  file: optional(inputFile(), "file: what the memory is. It keeps the guest's stores, over resets and runs."),
  file_at: optional(size(), "file: where in it the memory begins, a multiple of 4 KiB. Default: 0."),
  private: optional(flag(), "file: stores stay out of it, and a reset undoes them. Default: false; true for ROM."),
  fallback: optional(
    flag(),
    "huge: where the host's pool has too few huge pages, transparent or ordinary ones do. Default: true; else it is an error.",
  ),
  describe: optional(
    choice(["memory", "reserved", "pmem", "none"]),
    "What the device tree shows: RAM, a node in /reserved-memory, a pmem-region, or nothing. " +
      "Default: memory, reserved for RAM that outlasts a reset, none for ROM.",
  ),
  remove: remove(),
});

/** Texts, or cells with references among them. */
const propertyList = v.pipe(
  v.array(v.union([integer("a cell", 0, 2 ** 32 - 1), v.string()], "expected cells or texts")),
  v.check(
    (list) =>
      list.every((item) => typeof item === "string") ||
      list.every((item) => typeof item === "number" || item.startsWith("&")),
    'expected a list of texts, or of cells and references ("&name")',
  ),
);

/** What a property may be: `false` takes it out, `true` leaves it empty; `"&name"` refers to a vdev's node. */
const property = v.union(
  [v.boolean(), integer("a cell", 0, 2 ** 32 - 1), v.string(), propertyList],
  ({ input }) =>
    `expected a cell, text, a list of either (a list with cells may have references, "&name"), true or false; got ${shown(input)}`,
);

/** DTSpec v0.4 §2.2.1, without the unit address. */
const nodeName = v.pipe(
  text("a node's name"),
  v.regex(/^[A-Za-z][\w,.+-]{0,30}$/, "expected a node's name: 1 to 31 letters, digits and , . _ + -, without the @"),
);

/** The keys that every `[[vdev]]` has; the others belong to its type. */
export const vdevSchema = v.object({
  type: v.pipe(text("a vdev type"), v.description("What the vdev is.")),
  name: v.pipe(name(), v.description("Instance name. Default: from the type, e.g. `uart0`.")),
  at: optional(
    v.union([address(), v.record(v.string(), address())], ({ input }) =>
      typeof input === "object"
        ? "expected an address for each region, such as { control = 0x1000_0000 }"
        : `expected an address: an integer such as 0x1000_0000, without quotes; got ${shown(input)}`,
    ),
    "Address of the first region, or a table of region = address. Default: free space from 0x1000_0000.",
  ),
  irq: optional(
    v.union([text("a line"), v.array(text("a line")), v.record(v.string(), text("a line"))], ({ input }) =>
      typeof input === "number"
        ? `expected an interrupt such as "plic:${input}": controller and line; got ${input}`
        : `expected an interrupt such as "plic:10", a list of them, or a table of name = interrupt; got ${shown(input)}`,
    ),
    'Where its interrupts go: "plic:10", "plic" (any free line), "none", or a list or table of these. Default: free lines.',
  ),
  on_fault: defaulted(
    choice(FAULT_POLICIES),
    "fault",
    "What a failure in the vdev's own code comes to: `ignore` (reads give all ones), `fault` (a bus error in the guest), " +
      "`end-guest` (this guest ends) or `end` (vmrun ends).",
  ),
  log: optional(choice(LOG_LEVELS), "The least severe messages of the vdev that are shown. Default: the run's own."),
  node: optional(nodeName, "Name of its node in the device tree, before the @. Default: its binding's."),
  fdt: optional(
    v.record(v.string(), property),
    'Properties of its node, over those of its binding: a cell, text, a list of them, true (empty) or false (taken out). "&name" refers to a vdev, or to reserved memory.',
  ),
  group: optional(name(), "The [[group]] that it is a part of: its parts start together, and end together."),
  clocks: optional(
    v.union(
      [text("a clock"), v.array(text("a clock")), v.record(v.string(), text("a clock"))],
      ({ input }) =>
        `expected a clock such as "ccu.mmc0", a list of them, or a table of name = clock; got ${shown(input)}`,
    ),
    'Clocks of [[clock]] tables that it needs: "ccu.mmc0", a list, or a table of name = clock with the names of its binding.',
  ),
  delayed: defaulted(
    delay,
    false,
    'Host resources are opened at the guest\'s first use of them instead of at start. A time such as "30s" or "5min", or ' +
      '"forever": streams that are not there then are tried again for so long.',
  ),
  remove: remove(),
});

export const reserveSchema = v.object({
  name: v.pipe(name(), v.description("What the space is for.")),
  at: v.pipe(address(), v.description("First address.")),
  size: v.pipe(size(), v.description("Size.")),
  compatible: optional(compatible, 'In RAM: what it is for, e.g. "shared-dma-pool".'),
  no_map: defaulted(flag(), false, "In RAM: the guest does not map it, not even for speculative access."),
  reusable: defaulted(
    flag(),
    false,
    "In RAM: the guest may use it for what it can move away; with a shared-dma-pool: CMA.",
  ),
  memreserve: defaulted(
    flag(),
    false,
    "In RAM: an entry of the blob's memory reservation block, instead of a node in reserved-memory.",
  ),
  fdt: optional(
    v.record(v.string(), property),
    'In RAM: further properties of its node, as of a vdev: { "linux,cma-default" = true }.',
  ),
  remove: remove(),
});

export const groupSchema = v.object({
  name: v.pipe(name(), v.description("Name of the device that the parts make up.")),
  members: optional(v.array(name()), "All of its parts, by name: a board that lacks one is refused."),
  compatible: defaulted(compatible, ["simple-bus"], "Of the node that holds those of its parts."),
  remove: remove(),
});

export const blobSchema = v.object({
  name: v.pipe(name(), v.description("What the bytes are.")),
  at: v.pipe(address(), v.description("Where they begin, in the board's memory.")),
  file: v.pipe(inputFile(), v.description("The file that holds them.")),
  size: optional(size(), "Of the space that is theirs; the file's when omitted."),
  kind: defaulted(choice(["data", "fdt"]), "data", "`fdt`: a device tree (DTB), which is checked."),
  compatible: optional(compatible, "Of its node in the device tree's `reserved-memory`."),
  remove: remove(),
});

export const bootSchema = v.object({
  firmware: defaulted(
    inputFile(),
    "builtin",
    '"builtin": vmrun\'s own SBI. "none": the kernel starts in M-mode. Else the path of an ELF or raw image that starts in M-mode.',
  ),
  kernel: optional(inputFile(), "Linux Image (plain or gzip), ELF or raw image."),
  initrd: optional(inputFile(), "Initial RAM disk."),
  cmdline: optional(line("the kernel's command line", 2047), "The kernel's command line."),
  entry: optional(address(), "Where the first instruction is taken from, instead of the firmware's own entry."),
  firmware_at: optional(address(), "Where raw firmware goes."),
  kernel_at: optional(address(), "Where the kernel goes."),
  initrd_at: optional(address(), "Where the initial RAM disk goes."),
  fdt_at: optional(address(), "Where the device tree goes."),
  if_missing: optional(line("text", 500), "What to do where a file that [boot] names is missing; shown as a hint."),
});

export const fdtSchema = v.object({
  symbols: optional(
    flag(),
    "Names nodes in `__symbols__`, for overlays: vdevs by their names, `cpu0`, `cpu0_intc`. Default: where there are overlays.",
  ),
  overlays: defaulted(v.array(inputFile()), [], "Overlays that are applied to the tree, in this order: DTB or DTS."),
  dts: optional(
    text("devicetree source"),
    "Devicetree source that follows the board's own, with the same labels as `symbols`: `&uart0 { ... };`, `/ { ... };`.",
  ),
});

export const unsupportedSchema = v.object({
  memory: defaulted(
    choice(["fault", "ignore", "abort"]),
    "fault",
    "An access that nothing answers: an access fault in the guest, all ones, or the end of the run.",
  ),
  instruction: defaulted(
    choice(["fault", "abort"]),
    "fault",
    "An instruction that the board does not have: an illegal-instruction exception, or the end of the run.",
  ),
  register: defaulted(
    choice(["fault", "ignore", "abort"]),
    "fault",
    "A CSR that the board does not have: an illegal-instruction exception, zero, or the end of the run.",
  ),
});

/** The whole of a profile, for the JSON Schema and for the names of top-level keys. */
export const profileSchema = v.object({
  ...topSchema.entries,
  cpu: optional(cpuSchema, "The harts."),
  time: optional(timeSchema, "How guest time passes."),
  memory: optional(v.array(memorySchema), "Blocks of RAM and ROM."),
  vdev: optional(v.array(vdevSchema), "The devices."),
  pass: optional(v.array(vdevSchema), "Hardware of the host that is passed through."),
  clock: optional(v.array(vdevSchema), "Clock controllers of the host, passed by register and bit, and fixed clocks."),
  blob: optional(v.array(blobSchema), "Files that the guest finds in its memory."),
  group: optional(v.array(groupSchema), "Devices of several parts."),
  reserve: optional(v.array(reserveSchema), "Addresses that automatic placement leaves alone; in RAM, also the guest."),
  boot: optional(bootSchema, "What is loaded and started."),
  fdt: optional(fdtSchema, "Changes to the device tree."),
  unsupported: optional(unsupportedSchema, "What becomes of accesses that nothing answers."),
  budget: optional(budgetsSchema, "How many exits a run may take, by name: a run that goes beyond fails."),
});

export type ProfileTop = v.InferOutput<typeof topSchema>;
export type ProfileCpu = v.InferOutput<typeof cpuSchema>;
export type ProfileTime = v.InferOutput<typeof timeSchema>;
export type ProfileMemory = v.InferOutput<typeof memorySchema>;
export type ProfileVdev = v.InferOutput<typeof vdevSchema>;
export type ProfileReserve = v.InferOutput<typeof reserveSchema>;
export type ProfileBlob = v.InferOutput<typeof blobSchema>;
export type ProfileGroup = v.InferOutput<typeof groupSchema>;
export type ProfileBoot = v.InferOutput<typeof bootSchema>;
export type ProfileFdt = v.InferOutput<typeof fdtSchema>;
export type ProfileProperty = v.InferOutput<typeof property>;
export type ProfileUnsupported = v.InferOutput<typeof unsupportedSchema>;
