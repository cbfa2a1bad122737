/**
 * Which cells of which properties hold phandles. A blob does not say: the bindings do. By name, and for references with
 * arguments by the `#...-cells` of the node referred to (DTSpec v0.4 §2.4, §2.5; Linux and dt-schema bindings).
 */
import type { FdtNode } from "./tree.ts";
import { cellAt, cellOf, type TreeIndex } from "./tree-index.ts";

/** How a property lists references: each a phandle and then arguments, their number fixed or told by the provider. */
type ReferenceList = { readonly arguments: number } | ProviderList;

interface ProviderList {
  /** The provider's property that tells the number of arguments. */
  readonly cells: string;
  /** What a provider without that property means; an error when omitted. */
  readonly absent?: number;
}

const PLAIN: ReferenceList = { arguments: 0 };

/** Properties that dtc knows too: references whose providers tell the number of arguments. */
export const PROVIDER_CELLS: ReadonlyMap<string, ProviderList> = new Map<string, ProviderList>([
  ["clocks", { cells: "#clock-cells" }],
  ["cooling-device", { cells: "#cooling-cells" }],
  ["dmas", { cells: "#dma-cells" }],
  ["hwlocks", { cells: "#hwlock-cells" }],
  ["interrupts-extended", { cells: "#interrupt-cells" }],
  ["io-channels", { cells: "#io-channel-cells" }],
  ["iommus", { cells: "#iommu-cells" }],
  ["mboxes", { cells: "#mbox-cells" }],
  ["msi-parent", { cells: "#msi-cells", absent: 0 }],
  ["mux-controls", { cells: "#mux-control-cells" }],
  ["phys", { cells: "#phy-cells" }],
  ["power-domains", { cells: "#power-domain-cells" }],
  ["pwms", { cells: "#pwm-cells" }],
  ["resets", { cells: "#reset-cells" }],
  ["sound-dai", { cells: "#sound-dai-cells" }],
  ["thermal-sensors", { cells: "#thermal-sensor-cells" }],
]);

const LISTS: ReadonlyMap<string, ReferenceList> = new Map<string, ReferenceList>([
  ...PROVIDER_CELLS,
  ["assigned-clocks", { cells: "#clock-cells" }],
  ["assigned-clock-parents", { cells: "#clock-cells" }],
  ["interconnects", { cells: "#interconnect-cells" }],
  ["nvmem-cells", { cells: "#nvmem-cell-cells", absent: 0 }],
  ["access-controllers", { cells: "#access-controller-cells" }],
  ["gpio-ranges", { arguments: 3 }],
  ...[
    "interrupt-parent",
    "interrupt-affinity",
    "affinity",
    "cpu",
    "cpu-idle-states",
    "domain-idle-states",
    "next-level-cache",
    "l2-cache",
    "memory-region",
    "operating-points-v2",
    "required-opps",
    "regmap",
    "remote-endpoint",
    "phy-handle",
    "trip",
    "backlight",
    "ddc-i2c-bus",
    "i2c-parent",
    "mdio-parent-bus",
    "mmc-pwrseq",
    "opensbi-domain",
    "possible-harts",
    "shmem",
  ].map((name): [string, ReferenceList] => [name, PLAIN]),
]);

/** `pinctrl-0` and the like; regulators. */
const PLAIN_NAMES = /^(pinctrl-\d+|.+-supply)$/;

/** Byte offsets, ascending, of the cells in a property that name nodes of this tree. */
export function referencesIn(index: TreeIndex, owner: FdtNode, name: string, value: Uint8Array): readonly number[] {
  if (value.length === 0 || value.length % 4 !== 0) return NONE;
  if (name === "interrupt-map") return interruptMap(index, owner, value);
  // A requester id and a count stand around the phandle and its one argument (bindings pci-iommu.txt, pci-msi.txt).
  if (name === "iommu-map" || name === "msi-map") return everyFourth(index, value);
  const list = referenceList(owner, name);
  return list ? listed(index, list, value) : NONE;
}

const NONE: readonly number[] = [];

function referenceList(owner: FdtNode, name: string): ReferenceList | undefined {
  const known = LISTS.get(name);
  if (known) return known;
  if (isGpioProperty(name) && !owner.properties.has("gpio-hog")) return { cells: "#gpio-cells" };
  return PLAIN_NAMES.test(name) ? PLAIN : undefined;
}

/** Names that end so are references, but for one that counts: `nr-gpios`. */
export function isGpioProperty(name: string): boolean {
  return /(^|-)gpios?$/.test(name) && !name.endsWith(",nr-gpios");
}

function listed(index: TreeIndex, list: ReferenceList, value: Uint8Array): number[] {
  const found: number[] = [];
  for (let at = 0; at < value.length; ) {
    const provider = index.byPhandle(cellAt(value, at));
    let cells = 0;
    if (provider) {
      found.push(at);
      const told = "arguments" in list ? list.arguments : (cellOf(provider, list.cells) ?? list.absent);
      // What follows cannot be told apart from arguments any more.
      if (told === undefined) break;
      cells = told;
    }
    // An entry that refers to nothing, 0 or -1, has no arguments: it keeps the place of one that does.
    at += 4 * (1 + cells);
  }
  return found;
}

/** DTSpec v0.4 §2.4.3.1: child address and interrupt, the parent's phandle, its address and interrupt. */
function interruptMap(index: TreeIndex, owner: FdtNode, value: Uint8Array): number[] {
  const found: number[] = [];
  const own = (cellOf(owner, "#address-cells") ?? 2) + (cellOf(owner, "#interrupt-cells") ?? 1);
  for (let at = 4 * own; at < value.length; ) {
    const parent = index.byPhandle(cellAt(value, at));
    if (!parent) break;
    found.push(at);
    const theirs = (cellOf(parent, "#address-cells") ?? 0) + (cellOf(parent, "#interrupt-cells") ?? 1);
    at += 4 * (1 + theirs + own);
  }
  return found;
}

function everyFourth(index: TreeIndex, value: Uint8Array): number[] {
  const found: number[] = [];
  for (let at = 4; at < value.length; at += 16) if (index.byPhandle(cellAt(value, at))) found.push(at);
  return found;
}
