/** Checks of the interrupt tree: DTSpec v0.4 §2.4. */
import { interruptParent, isInterruptProvider } from "../interrupt-tree.ts";
import type { FdtNode } from "../tree.ts";
import { cellAt, cellOf, isPhandle } from "../tree-index.ts";
import { type Check, type CheckContext, isMultiple, type Report } from "./check.ts";

export const interruptChecks: readonly Check[] = [
  {
    name: "interrupts_property",
    level: "warning",
    summary: "interrupts go to a controller, in whole specifiers",
    requires: ["phandle_references"],
    run(context, { node }, report) {
      const interrupts = node.properties.get("interrupts");
      if (!interrupts) return;
      const at = { property: "interrupts" };
      if (interrupts.length % 4 !== 0) report(`${interrupts.length} bytes are not whole cells`, at);
      const { parent, at: owner, fault } = interruptParent(context.index, node);
      if (fault === "bad" && context.plugin) return;
      if (fault === "bad") report("it is not a phandle", { node: owner, property: "interrupt-parent" });
      if (fault === "dangling") return report("no node has it", { node: owner, property: "interrupt-parent" });
      if (!parent) return report("there is no interrupt-parent for its interrupts");
      if (!isInterruptProvider(parent)) {
        report("it is an interrupt-parent without interrupt-controller or interrupt-map", { node: parent });
      }
      // That it is missing is another check's business.
      const cells = cellOf(parent, "#interrupt-cells");
      if (cells !== undefined && !isMultiple(interrupts.length, cells)) {
        report(`${interrupts.length} bytes are not specifiers of ${cells} cells`, at);
      }
    },
  },
  {
    name: "interrupt_provider",
    level: "warning",
    summary: "interrupt controllers, and only they, have #interrupt-cells",
    requires: ["interrupts_extended_is_cell"],
    run(_, { node }, report) {
      const tells = node.properties.has("#interrupt-cells");
      if (isInterruptProvider(node) && !tells) report("an interrupt controller or nexus has #interrupt-cells");
      if (!isInterruptProvider(node) && tells) {
        report("it has #interrupt-cells, and neither interrupt-controller nor interrupt-map");
      }
    },
  },
  {
    name: "interrupt_map",
    level: "warning",
    summary: "interrupt-map is a whole number of entries, each to a controller",
    requires: ["phandle_references", "addr_size_cells", "interrupt_provider"],
    run: checkInterruptMap,
  },
];

function checkInterruptMap(
  { index, plugin }: CheckContext,
  { node }: { readonly node: FdtNode },
  report: Report,
): void {
  const map = node.properties.get("interrupt-map");
  if (!map) return;
  const at = { property: "interrupt-map" };
  const address = cellOf(node, "#address-cells");
  if (address === undefined) return report("a node with interrupt-map has #address-cells");
  const own = address + (cellOf(node, "#interrupt-cells") ?? 0);
  const mask = node.properties.get("interrupt-map-mask");
  if (mask && mask.length !== 4 * own) {
    report(`${mask.length} bytes are not the ${own} cells of an address and an interrupt`, {
      property: "interrupt-map-mask",
    });
  }
  if (map.length % 4 !== 0) return report(`${map.length} bytes are not whole cells`, at);
  for (let cell = 0; cell < map.length / 4; ) {
    cell += own;
    if (4 * cell >= map.length) return report("it ends within an entry", at);
    const phandle = cellAt(map, 4 * cell);
    if (!isPhandle(phandle)) {
      if (!plugin) report(`cell ${cell} is not a phandle`, at);
      return;
    }
    const parent = index.byPhandle(phandle);
    if (!parent) return report(`cell ${cell} is 0x${phandle.toString(16)}: no node has that phandle`, at);
    const interrupt = cellOf(parent, "#interrupt-cells");
    if (interrupt === undefined) {
      return report(`cell ${cell} refers to ${index.path(parent)}, which has no #interrupt-cells`, at);
    }
    const parentAddress = cellOf(parent, "#address-cells");
    if (parentAddress === undefined) report(`${index.path(parent)} does not say #address-cells: 0 is assumed`, at);
    cell += 1 + interrupt + (parentAddress ?? 0);
    if (4 * cell > map.length) report("it ends within an entry", at);
  }
}
