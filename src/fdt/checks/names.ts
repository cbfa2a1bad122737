/** Checks of names: DTSpec v0.4 §2.2. */
import { baseName, quoted } from "../names.ts";
import { type Check, textOf, unitAddress } from "./check.ts";

const NODE_CHARACTER = /[^A-Za-z0-9,._+\-@]/;
const PROPERTY_CHARACTER = /[^A-Za-z0-9,._+*#?-]/;
const STRICT_CHARACTER = /[^A-Za-z0-9,-]/;

export const nameChecks: readonly Check[] = [
  {
    name: "duplicate_node_names",
    level: "error",
    summary: "siblings have different names",
    readersSay: ["dts/duplicate-node", "fdt/duplicate-node"],
    run(_, { node }, report) {
      const seen = new Set<string>();
      for (const child of node.children) {
        if (seen.has(child.name)) report("a sibling has the same name", { node: child });
        seen.add(child.name);
      }
    },
  },
  {
    name: "duplicate_property_names",
    level: "error",
    summary: "properties of a node have different names",
    readersSay: ["dts/duplicate-property", "fdt/duplicate-property"],
  },
  {
    name: "node_name_chars",
    level: "error",
    summary: "node names have legal characters",
    readersSay: ["fdt/name"],
    run(_, { node }, report) {
      const bad = NODE_CHARACTER.exec(node.name);
      if (bad) report(`${quoted(bad[0])} cannot stand in a node's name`);
    },
  },
  {
    name: "node_name_format",
    level: "error",
    summary: 'node names have one "@" at most',
    requires: ["node_name_chars"],
    run(_, { node }, report) {
      if (unitAddress(node).includes("@")) report('a node\'s name has one "@" at most');
    },
  },
  {
    name: "node_name_not_empty",
    level: "error",
    summary: "node names are not empty",
    requires: ["node_name_chars"],
    run(_, { node, parent }, report) {
      if (parent && baseName(node.name) === "") report("the node has no name");
    },
  },
  {
    name: "property_name_chars",
    level: "error",
    summary: "property names have legal characters",
    run(_, { node }, report) {
      for (const property of node.properties.keys()) {
        const bad = PROPERTY_CHARACTER.exec(property);
        if (bad) report(`${quoted(bad[0])} cannot stand in a property's name`, { property });
      }
    },
  },
  {
    name: "name_is_string",
    level: "error",
    summary: '"name" is a string',
    run(_, { node }, report) {
      const value = node.properties.get("name");
      if (value && value.indexOf(0) !== value.length - 1) report("it is not a string", { property: "name" });
    },
  },
  {
    name: "name_properties",
    level: "error",
    summary: '"name" says the node\'s name',
    readersSay: ["dts/name"],
    requires: ["name_is_string"],
    run(_, { node }, report) {
      const text = textOf(node, "name");
      if (text !== undefined && text !== baseName(node.name)) {
        report(`it says ${quoted(text)}, the node is ${quoted(baseName(node.name))}`, { property: "name" });
      }
    },
  },
  {
    name: "node_name_vs_property_name",
    level: "warning",
    summary: "no node bears the name of a property beside it",
    requires: ["node_name_chars"],
    run(_, { node, parent }, report) {
      if (parent?.properties.has(node.name)) report("its parent has a property of the same name");
    },
  },
  {
    name: "duplicate_label",
    level: "error",
    summary: "a label stands for one thing",
    readersSay: ["dts/duplicate-label"],
  },
];

export const strictNameChecks: readonly Check[] = [
  {
    name: "property_name_chars_strict",
    level: "off",
    summary: "property names have the recommended characters",
    run(_, { node }, report) {
      for (const property of node.properties.keys()) {
        if (property === "device_type") continue;
        // One "#" may begin the name, or follow the vendor's prefix.
        const bad = STRICT_CHARACTER.exec(property.replace(/(^|,)#/, "$1"));
        if (bad) report(`${quoted(bad[0])} is not recommended in a property's name`, { property });
      }
    },
  },
  {
    name: "node_name_chars_strict",
    level: "off",
    summary: "node names have the recommended characters",
    run(_, { node }, report) {
      const bad = STRICT_CHARACTER.exec(baseName(node.name));
      if (bad) report(`${quoted(bad[0])} is not recommended in a node's name`);
    },
  },
];
