/** The keys of a `[[pass]]` table beside those that every device has, and what they may not say together. */
import * as v from "valibot";
import { type HostReference, integer, size } from "../vdev/options.ts";
import { hostObjectName, parseHostSpec } from "./host-spec.ts";

/** What the host maps: whole pages. */
export const PAGE = 4096;

export const ACCESSES = ["r", "rw", "rx", "rwx"] as const;

function choice<const Options extends readonly string[]>(choices: Options) {
  const list = choices.map((each) => `"${each}"`).join(", ");
  return v.picklist(choices, ({ input }) => `expected one of ${list}; got ${JSON.stringify(input) ?? "nothing"}`);
}

function defaulted<const Schema extends v.GenericSchema, const Value extends v.InferInput<Schema>>(
  schema: Schema,
  value: Value,
  doc: string,
) {
  return v.pipe(v.optional(schema, value as v.InferInput<Schema>), v.description(doc), v.metadata({ default: value }));
}

function optional<const Schema extends v.GenericSchema>(schema: Schema, doc: string) {
  return v.pipe(v.optional(schema), v.description(doc));
}

const flag = () => v.boolean("expected true or false");
const text = (what: string) =>
  v.pipe(v.string(`expected ${what} in quotes`), v.nonEmpty(`expected ${what}`), v.maxLength(200));

const keys = v.object({
  host: hostObjectName(),
  size: v.pipe(size(), v.description("Of the span, in bytes.")),
  window: optional(
    v.union(
      [integer("the number of a window", 0, 255), text("a window")],
      "expected the number or the name of a window",
    ),
    "Which map of a uio device, BAR of a PCI function or window of a model, by number or name. Default: the first.",
  ),
  offset: defaulted(integer("an offset"), 0, "Where in the host's window the span begins."),
  access: defaulted(choice(ACCESSES), "rw", "What the guest may do: read, write, execute."),
  memory: defaulted(
    choice(["device", "cached"]),
    "device",
    "`device`: registers; every access of the guest is one access of the host. `cached`: ordinary memory, mapped.",
  ),
  dma: defaulted(
    flag(),
    false,
    "The device reads and writes memory by itself: it is never shared, and needs vfio or shm.",
  ),
  trigger: defaulted(choice(["level", "edge"]), "level", "How the host signals its interrupts."),
  unmask: defaulted(
    choice(["handled", "early"]),
    "handled",
    "When the host may interrupt again: after the guest has completed the interrupt, or at once (edge only).",
  ),
  override: defaulted(flag(), false, "Take it although another machine has it. Never possible with DMA."),
  compatible: optional(v.union([text("a binding"), v.array(text("a binding"))]), "Of its node in the device tree."),
  tree: optional(
    v.pipe(
      text("a node"),
      v.regex(/^[^#]+#\/.*$|^host$/, 'expected "host", "host#/soc/mmc@4020000" or "board.dtb#/soc/mmc@4020000"'),
      v.metadata({ vmrun: "tree-node" satisfies HostReference }),
    ),
    'A node to take properties from: "board.dtb#/soc/mmc", "host#/soc/mmc" or "host" (by address) in the host\'s own tree.',
  ),
});

type Keys = v.InferOutput<typeof keys>;

function refuse(key: keyof Keys, isWrong: (options: Keys) => boolean, message: string) {
  return v.forward(
    v.check<Keys, string>((options) => !isWrong(options), message),
    [key],
  );
}

const kindOf = (options: Keys) => parseHostSpec(options.host)?.kind;
const isWhole = (bytes: number) => bytes % PAGE === 0;

/** Where the span begins in what the host maps. */
export function hostOffset({ host, offset }: Pick<Keys, "host" | "offset">): number {
  const spec = parseHostSpec(host);
  return (spec?.kind === "devmem" ? spec.at : 0) + offset;
}

const ALIGNED = "the span must begin at a multiple of 8, as it does for the guest";

export const passOptions = v.pipe(
  keys,
  refuse("size", ({ size: bytes }) => bytes === 0, "a span has 1 byte or more"),
  refuse(
    "size",
    ({ memory, size: bytes }) => memory === "cached" && !isWhole(bytes),
    "cached memory is mapped, and the host maps whole pages: a multiple of 4 KiB",
  ),
  refuse(
    "offset",
    (options) => options.memory === "cached" && !isWhole(options.offset),
    "cached memory is mapped, and the host maps whole pages: a multiple of 4 KiB",
  ),
  refuse(
    "host",
    ({ host, memory }) => memory === "cached" && !isWhole(hostOffset({ host, offset: 0 })),
    "cached memory is mapped, and the host maps whole pages: an address that is a multiple of 4 KiB",
  ),
  refuse("offset", ({ offset }) => offset % 8 !== 0, ALIGNED),
  refuse("host", ({ host }) => hostOffset({ host, offset: 0 }) % 8 !== 0, ALIGNED),
  refuse(
    "access",
    ({ access, memory }) => access.includes("x") && memory === "device",
    'code cannot run from device registers; memory that holds code is memory = "cached"',
  ),
  refuse(
    "dma",
    (options) => options.dma && !["vfio", "shm"].includes(kindOf(options) ?? ""),
    "only vfio (through an IOMMU) and shm keep a device's DMA within the guest: this one would reach the host's own memory",
  ),
  refuse("override", ({ dma, override }) => dma && override, "a device with DMA never has two owners"),
  refuse(
    "unmask",
    ({ trigger, unmask }) => unmask === "early" && trigger === "level",
    'a level stays until the guest has handled it, and would interrupt without end: early needs trigger = "edge"',
  ),
  refuse(
    "window",
    (options) => options.window !== undefined && ["devmem", "file"].includes(kindOf(options) ?? ""),
    "devmem and file have no windows: say where by the address, or by offset",
  ),
);

export type PassOptions = v.InferOutput<typeof passOptions>;
