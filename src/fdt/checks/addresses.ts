/** Checks of reg, ranges and unit addresses: DTSpec v0.4 §2.2.1, §2.3.5 to §2.3.8. */
import { addressCells, sizeCells } from "../addresses.ts";
import type { FdtNode } from "../tree.ts";
import { busKind } from "./buses.ts";
import { type Check, type CheckContext, isMultiple, type Report, textOf, unitAddress } from "./check.ts";

export const addressFormatChecks: readonly Check[] = [
  {
    name: "addr_size_cells",
    level: "warning",
    summary: "the numbers of cells are known",
    requires: ["address_cells_is_cell", "size_cells_is_cell"],
    run() {},
  },
  {
    name: "reg_format",
    level: "warning",
    summary: "reg is a whole number of entries",
    requires: ["addr_size_cells"],
    run(_, { node, parent }, report) {
      const reg = node.properties.get("reg");
      if (!reg) return;
      if (!parent) return report("the root has no address", { property: "reg" });
      if (reg.length === 0) report("it is empty", { property: "reg" });
      const [address, size] = [addressCells(parent), sizeCells(parent)];
      if (!isMultiple(reg.length, address + size)) {
        report(`${reg.length} bytes are not entries of #address-cells ${address} and #size-cells ${size}`, {
          property: "reg",
        });
      }
    },
  },
  rangesCheck("ranges_format", "ranges"),
  rangesCheck("dma_ranges_format", "dma-ranges"),
  {
    name: "unit_address_vs_reg",
    level: "warning",
    summary: "a node has a unit address if, and only if, it has reg or ranges",
    run(_, { node }, report) {
      // The fragments of an overlay are numbered.
      if (node.children.some(({ name }) => name === "__overlay__")) return;
      const { properties } = node;
      const addressed = properties.has("reg") || (properties.get("ranges")?.length ?? 0) > 0;
      if (addressed && unitAddress(node) === "") report("it has reg or ranges, and no unit address in its name");
      if (!addressed && unitAddress(node) !== "") report("its name has a unit address, and it has no reg or ranges");
    },
  },
  {
    name: "unit_address_format",
    level: "warning",
    summary: 'unit addresses have no leading "0x" and no leading zeros',
    requires: ["node_name_format", "pci_bridge", "simple_bus_bridge"],
    run(context, { node, parent }, report) {
      // Buses with addresses of a form of their own have checks of their own.
      if (parent && context.fact(busKind, parent)) return;
      const unit = unitAddress(node);
      const digits = unit.replace(/^0x/, "");
      if (digits !== unit) report('its unit address begins with "0x"');
      if (/^0[0-9A-Fa-f]/.test(digits)) report("its unit address begins with a zero");
    },
  },
];

function rangesCheck(name: string, property: string): Check {
  return {
    name,
    level: "warning",
    summary: `${property} is a whole number of entries`,
    requires: ["addr_size_cells"],
    run(_, { node, parent }, report) {
      const ranges = node.properties.get(property);
      if (!ranges) return;
      if (!parent) return report(`the root has no ${property}`, { property });
      const inner = [addressCells(node), sizeCells(node)] as const;
      const outer = [addressCells(parent), sizeCells(parent)] as const;
      if (ranges.length > 0) {
        if (isMultiple(ranges.length, inner[0] + outer[0] + inner[1])) return;
        const cells = `#address-cells ${inner[0]} here, ${outer[0]} above, #size-cells ${inner[1]}`;
        return report(`${ranges.length} bytes are not entries of ${cells}`, { property });
      }
      // Empty means that both sides have the same addresses (DTSpec §2.3.8).
      for (const [i, cells] of ["#address-cells", "#size-cells"].entries()) {
        if (inner[i] !== outer[i]) {
          report(`it is empty, but ${cells} is ${inner[i]} here and ${outer[i]} above`, { property });
        }
      }
    },
  };
}

export const addressStyleChecks: readonly Check[] = [
  {
    name: "avoid_default_addr_size",
    level: "warning",
    summary: "nobody relies on the default numbers of cells",
    requires: ["addr_size_cells"],
    run(_, { node, parent }, report) {
      if (!parent || !(node.properties.has("reg") || node.properties.has("ranges"))) return;
      for (const cells of ["#address-cells", "#size-cells"]) {
        if (!parent.properties.has(cells)) report(`its parent does not say ${cells}`);
      }
    },
  },
  {
    name: "avoid_unnecessary_addr_size",
    level: "warning",
    summary: "numbers of cells are told where there are addresses",
    requires: ["avoid_default_addr_size"],
    run(_, { node, parent }, report) {
      const { properties, children } = node;
      if (!parent || children.length === 0 || !tellsCells(node)) return;
      if (properties.has("ranges") || properties.has("dma-ranges")) return;
      if (children.some((child) => child.properties.has("reg") || child.properties.has("ranges"))) return;
      report("#address-cells and #size-cells are of no use: neither it nor a child has addresses");
    },
  },
  {
    name: "unique_unit_address",
    level: "warning",
    summary: "siblings have different unit addresses",
    requires: ["avoid_default_addr_size"],
    run: (context, { node }, report) => uniqueUnitAddresses(context, node, report, () => true),
  },
  {
    name: "unique_unit_address_if_enabled",
    level: "off",
    summary: "siblings that are not disabled have different unit addresses",
    requires: ["avoid_default_addr_size"],
    run: (context, { node }, report) =>
      uniqueUnitAddresses(context, node, report, (child) => textOf(child, "status") !== "disabled"),
  },
];

function uniqueUnitAddresses(
  { index }: CheckContext,
  node: FdtNode,
  report: Report,
  counts: (child: FdtNode) => boolean,
): void {
  if (!tellsCells(node)) return;
  const last = new Map<string, FdtNode>();
  for (const child of node.children) {
    const unit = unitAddress(child);
    if (unit === "" || !counts(child)) continue;
    const other = last.get(unit);
    if (other) report(`${index.path(child)} has the same unit address`, { node: other });
    last.set(unit, child);
  }
}

function tellsCells({ properties }: FdtNode): boolean {
  return properties.has("#address-cells") && properties.has("#size-cells");
}
