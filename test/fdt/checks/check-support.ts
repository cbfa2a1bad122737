/** Trees that trip checks, and dtc's findings about them in a form to compare. */

import { PROVIDER_CELLS } from "../../../src/fdt/references.ts";
import { type Fdt, type FdtNode, node, type PropertyInput, setProperty, walk } from "../../../src/fdt/tree.ts";
import { randomFrom } from "../support.ts";

/** Checks that dtc 1.6.1, which Debian 12 has, lacks or makes otherwise than dtc 1.8.1, which we follow. */
export const CHANGED_SINCE_1_6 = new Set([
  "node_name_not_empty",
  "alias_paths",
  "pci_device_bus_num",
  "i2c_bus_bridge",
  "i2c_bus_reg",
  "spi_bus_bridge",
  "spi_bus_reg",
  "avoid_unnecessary_addr_size",
  "interrupts_property",
  "interrupt_provider",
  "interrupt_map",
  "graph_nodes",
  "graph_child_address",
  "graph_port",
  "graph_endpoint",
]);

const NAMES = [
  ..."soc soc@0 a@0 uart@10 uart@20 led@10 gpio@5 intc@6 Bad_name x@0x10 y@01 odd* chosen aliases cpus".split(" "),
  ..."i2c@1 i2c-bus@2 i2c-arb spi@3 flash@1 pci@0 pcie@4 dev@1,1 dev@2 port@0 port@1 endpoint endpoint@1 ports".split(
    " ",
  ),
];

/** Properties and what they may hold; a number that is negative stands for some node's phandle. */
const PROPERTIES: [string, PropertyInput[]][] = [
  ["reg", [0, 0x10, [0, 0x10], [0x10, 0x10], [0, 0x10, 0, 0x10], true, [0x800, 0, 0, 0, 0], [0x100_1900, 4, 0, 0, 1]]],
  ["ranges", [true, [0, 0, 0x100], [0, 0, 0, 0, 0, 0x100], 7]],
  ["dma-ranges", [true, [0, 0, 0x100]]],
  ["#address-cells", [0, 1, 1, 2, 2, 3, [1, 2]]],
  ["#size-cells", [0, 0, 1, 1, 2, [1, 2]]],
  ["compatible", ["simple-bus", "simple-bus", ["acme,x", "simple-bus"], new Uint8Array([65, 66])]],
  ["device_type", ["pci", "pci", "cpu", new Uint8Array([1])]],
  ["status", ["okay", "disabled", new Uint8Array([65]), "a"]],
  ["model", ["m", ["a", "b"]]],
  ["label", ["l", true]],
  ["name", ["soc", "a", "uart", ["a", "b"]]],
  ["soc", [1]],
  ["reg-names", ["x", new Uint8Array([65, 0, 66])]],
  ["bus-range", [[0, 255], [0, 256], [2, 1], 3]],
  ["spi-max-frequency", [1]],
  ["spi-slave", [true]],
  ["my_prop", [1]],
  ["a,#b-cells", [1]],
  ["interrupt-controller", [true]],
  ["a?b", [1]],
  ["interrupts", [1, [1, 2], [1, 2, 3], new Uint8Array([1, 2])]],
  ["interrupt-parent", [-1, -1, 0, 0x999]],
  ["interrupt-map", [[0, 0, 1, -1, 5], [0, 1, -1, 0, 5], [0, 0, 0, 1, -1, 5, 6], 3]],
  ["interrupt-map-mask", [[0, 0, 0, 7], 1]],
  ["remote-endpoint", [-1, -1, 0x999]],
  ["bootargs", ["x", ["a", "b"]]],
  ["stdout-path", ["/soc", true]],
  ["linux,stdout-path", ["/soc"]],
  ["serial0", ["/soc", "/nowhere", "soc/a@0"]],
  ["Upper", ["/soc"]],
  ["reset-gpios", [[-1, 1], [-1, 1, 2], [0, -1, 1], 0x999]],
  ["enable-gpio", [[-1, 1]]],
  ["gpios", [[-1, 1]]],
  ["gpio-hog", [true]],
  ["x,nr-gpios", [32]],
  ["#gpio-cells", [1, 2]],
  ["#interrupt-cells", [0, 1, 1, 2, 3, [1, 1]]],
  ...[...PROVIDER_CELLS].flatMap(([property, { cells }]): [string, PropertyInput[]][] => [
    [property, [-1, [-1, 1], [-1, 1, -1, 2], [0, -1], 0x999, new Uint8Array([1])]],
    ...(cells === "#interrupt-cells" ? [] : [[cells, [0, 0, 1, 1, 2, true]] satisfies [string, PropertyInput[]]]),
  ]),
];

export function checkedTree(seed: number): Fdt {
  const random = randomFrom(seed);
  const pick = <T>(from: readonly T[]): T => from[random(from.length)]!;
  // Few kinds of property at a time, so that some checks pass and others follow from them.
  const kinds = Array.from({ length: 4 + random(12) }, () => pick(PROPERTIES));
  const grow = (name: string, depth: number): FdtNode => {
    const made = node(name);
    const names = depth < 3 + random(2) ? new Set(Array.from({ length: random(5) }, () => pick(NAMES))) : [];
    made.children = [...names].map((child) => grow(child, depth + 1));
    if (random(3) > 0) {
      setProperty(made, "#address-cells", 1 + random(3));
      setProperty(made, "#size-cells", random(3));
    }
    for (let i = random(4); i > 0; i--) {
      const [property, values] = pick(kinds);
      setProperty(made, property, pick(values));
    }
    return made;
  };
  const root = grow("", 0);
  const nodes = [...walk(root)].map((visit) => visit.node);
  const numbered = nodes.filter((_, i) => i > 0 && random(2));
  for (const [i, each] of numbered.entries()) {
    setProperty(each, "phandle", random(40) ? i + 1 : pick([0, 1, 0xffff_ffff]));
  }
  for (const each of nodes) {
    for (const [property, values] of PROPERTIES) {
      const value = each.properties.get(property);
      if (!value || !values.some((one) => [one].flat().includes(MINUS_ONE as never))) continue;
      const view = new DataView(value.buffer);
      for (let at = 0; at + 4 <= value.length; at += 4) {
        if (view.getInt32(at) === MINUS_ONE) view.setUint32(at, 1 + random(numbered.length || 1));
      }
    }
  }
  return { root, reservations: [], bootCpu: 0 };
}

/** setProperty takes no negative cells: this stands for one. */
const MINUS_ONE = 0x7fff_fff0;
for (const [, values] of PROPERTIES) {
  values.forEach((value, i) => {
    if (value === -1) values[i] = MINUS_ONE;
    else if (Array.isArray(value)) values[i] = value.map((cell) => (cell === -1 ? MINUS_ONE : cell)) as number[];
  });
}

export interface DtcFindings {
  /** `name level path`, without the property. */
  readonly findings: ReadonlySet<string>;
  /** dtc ends its checks at the first error. */
  readonly cutShort: boolean;
}

/** What dtc finds with these checks besides its own; undefined where it crashes, as it does on some trees. */
export function dtcFindings(blob: Uint8Array, extra: readonly string[], tool = "dtc"): DtcFindings | undefined {
  const options = extra.flatMap((name) => ["-W", name]);
  const run = Bun.spawnSync([tool, "-I", "dtb", "-O", "dtb", "-f", "-o", "/dev/null", ...options, "-"], {
    stdin: Buffer.from(blob),
  });
  if (run.signalCode) return undefined;
  const findings = new Set<string>();
  for (const line of run.stderr.toString().split("\n")) {
    const match = /: (Warning|ERROR) \((\w+)\): (?:(\/[^\s:]*)(?::[^\s:]+)?: )?/.exec(line);
    if (!match) continue;
    const [, level, name, path] = match;
    // dtc names the root here, and the interrupt's property of the wrong node: see our own places.
    const at = name === "obsolete_chosen_interrupt_controller" ? "/chosen" : (path ?? "-");
    findings.add(`${name} ${level === "ERROR" ? "error" : "warning"} ${at}`);
  }
  return { findings, cutShort: [...findings].some((each) => each.includes(" error ")) };
}
