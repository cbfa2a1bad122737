/** Checks of nodes that the specification names: /aliases and /chosen (DTSpec v0.4 §3.3, §3.6). */
import { quoted } from "../names.ts";
import { isNumbering } from "../render.ts";
import { type Check, textOf } from "./check.ts";
import { isString } from "./shapes.ts";

export const aliasChecks: readonly Check[] = [
  {
    name: "alias_paths",
    level: "warning",
    summary: "aliases are paths of nodes, under names of lower case",
    run({ index, plugin }, { node }, report) {
      if (node.name !== "aliases") return;
      for (const property of node.properties.keys()) {
        if (isNumbering(property)) continue;
        const path = textOf(node, property)!;
        // In an overlay, the node may be the base's.
        const target = index.at(`/${path.split("/").filter(Boolean).join("/")}`);
        if (!plugin && !(target && node.properties.get(property)!.length > 0)) {
          report(`${quoted(path)} is not the path of a node`, { property });
        } else if (/[^a-z0-9-]/.test(property)) report("an alias has lower case, digits and - only", { property });
      }
    },
  },
];

export const chosenChecks: readonly Check[] = [
  {
    name: "obsolete_chosen_interrupt_controller",
    level: "warning",
    summary: "/chosen has no interrupt-controller",
    run(_, { node, path }, report) {
      const property = "interrupt-controller";
      if (path === "/chosen" && node.properties.has(property)) report("it is obsolete here", { property });
    },
  },
  {
    name: "chosen_node_is_root",
    level: "warning",
    summary: "chosen is a child of the root",
    run(_, { node, depth }, report) {
      if (node.name === "chosen" && depth !== 1) report("chosen belongs under the root");
    },
  },
  {
    name: "chosen_node_bootargs",
    level: "warning",
    summary: "bootargs is a string",
    run(_, { node }, report) {
      const value = node.name === "chosen" ? node.properties.get("bootargs") : undefined;
      if (value && !isString(value)) report("it is not a string", { property: "bootargs" });
    },
  },
  {
    name: "chosen_node_stdout_path",
    level: "warning",
    summary: "stdout-path is a string",
    run(_, { node }, report) {
      if (node.name !== "chosen") return;
      const old = "linux,stdout-path";
      const property = node.properties.has("stdout-path") ? "stdout-path" : old;
      const value = node.properties.get(property);
      if (value && property === old) report("the name is stdout-path by now", { property });
      if (value && !isString(value)) report("it is not a string", { property });
    },
  },
];
