/** Checks of phandles and of the references that they make: DTSpec v0.4 §2.3.3, §2.5. */
import { isGpioProperty, PROVIDER_CELLS } from "../references.ts";
import type { FdtNode } from "../tree.ts";
import { cellAt, cellOf, isPhandle, phandleOf } from "../tree-index.ts";
import type { Check, CheckContext, Report } from "./check.ts";
import { isCellCheck } from "./shapes.ts";

export const phandleChecks: readonly Check[] = [
  {
    name: "explicit_phandles",
    level: "error",
    summary: "phandles are legal, and each stands for one node",
    readersSay: ["dts/phandle"],
    run({ index }, { node, path }, report) {
      const numbers = ["phandle", "linux,phandle"].flatMap((property) => {
        const value = node.properties.get(property);
        if (!value) return [];
        if (value.length !== 4) {
          report(`${value.length} bytes are not one cell`, { property });
          return [];
        }
        const number = cellAt(value, 0);
        if (!isPhandle(number)) report(`0x${number.toString(16)} is not a phandle`, { property });
        return isPhandle(number) ? [number] : [];
      });
      if (new Set(numbers).size > 1) report("phandle and linux,phandle differ");
      const number = phandleOf(node);
      const other = number === undefined ? undefined : index.target(number);
      if (other !== undefined && other !== path) report(`${other} has phandle ${number} too`);
    },
  },
  {
    name: "phandle_references",
    level: "error",
    summary: "references by phandle are to nodes that exist",
    readersSay: ["dts/reference"],
    requires: ["duplicate_node_names", "explicit_phandles"],
  },
  {
    name: "path_references",
    level: "error",
    summary: "references by path are to nodes that exist",
    requires: ["duplicate_node_names"],
  },
  {
    name: "omit_unused_nodes",
    level: "error",
    summary: "nodes marked /omit-if-no-ref/ stay if something refers to them",
    requires: ["phandle_references", "path_references"],
  },
];

export const providerChecks: readonly Check[] = [...PROVIDER_CELLS].flatMap(([property, { cells, absent }]) => {
  const name = property.replaceAll("-", "_");
  const isCell = isCellCheck(`${name}_is_cell`, cells);
  const check: Check = {
    name: `${name}_property`,
    level: "warning",
    summary: `${property} refers to providers, with as many arguments as their ${cells} says`,
    requires: [isCell.name, "phandle_references"],
    run(context, { node }, report) {
      checkReferences(context, node, property, cells, absent, report);
    },
  };
  return [check, isCell];
});

export const gpioChecks: readonly Check[] = [
  {
    name: "deprecated_gpio_property",
    level: "off",
    summary: "properties of GPIOs are named -gpios",
    run(_, { node }, report) {
      for (const property of node.properties.keys()) {
        if (isGpioProperty(property) && property.endsWith("gpio")) {
          report(`the name is deprecated: ${property}s`, { property });
        }
      }
    },
  },
  {
    name: "gpios_property",
    level: "warning",
    summary: "...-gpios refer to GPIO controllers, with as many arguments as their #gpio-cells says",
    requires: ["phandle_references"],
    run(context, { node }, report) {
      if (node.properties.has("gpio-hog")) return;
      for (const property of node.properties.keys()) {
        if (isGpioProperty(property)) checkReferences(context, node, property, "#gpio-cells", undefined, report);
      }
    },
  },
];

function checkReferences(
  { index, plugin, references }: CheckContext,
  node: FdtNode,
  property: string,
  cells: string,
  absent: number | undefined,
  report: Report,
): void {
  const value = node.properties.get(property);
  if (!value) return;
  if (value.length % 4 !== 0) return report(`${value.length} bytes are not whole cells`, { property });
  const written = references(node, property);
  for (let at = 0; at < value.length; ) {
    const phandle = cellAt(value, at);
    if (!isPhandle(phandle)) {
      // In an overlay it is a label of the base, and how many arguments follow is not known.
      if (plugin) return;
      // Bindings with positions let 0 or -1 stand for an entry that is left out.
      at += 4;
      continue;
    }
    if (written && !written.has(at)) report(`cell ${at / 4} is a number, not a reference`, { property });
    const provider = index.byPhandle(phandle);
    if (!provider) return report(`cell ${at / 4} is 0x${phandle.toString(16)}: no node has that phandle`, { property });
    const count = cellOf(provider, cells) ?? absent;
    if (count === undefined) {
      return report(`cell ${at / 4} refers to ${index.path(provider)}, which has no ${cells}`, { property });
    }
    if (value.length < at + 4 * (count + 1)) {
      return report(`it ends within the ${count} arguments that ${index.path(provider)} takes`, { property });
    }
    at += 4 * (count + 1);
  }
}
