/** Checks of what values look like, for properties of the specification: DTSpec v0.4 §2.3. */
import type { Check } from "./check.ts";

export function isCellCheck(name: string, property: string): Check {
  return {
    name,
    level: "warning",
    summary: `${property} is one cell`,
    run(_, { node }, report) {
      const value = node.properties.get(property);
      if (value && value.length !== 4) report(`${value.length} bytes are not one cell`, { property });
    },
  };
}

function isStringCheck(name: string, property: string): Check {
  return {
    name,
    level: "warning",
    summary: `${property} is a string`,
    run(_, { node }, report) {
      const value = node.properties.get(property);
      if (value && !isString(value)) report("it is not a string", { property });
    },
  };
}

export function isString(value: Uint8Array): boolean {
  return value.length > 0 && value.indexOf(0) === value.length - 1;
}

export function isStringList(value: Uint8Array): boolean {
  return value.length === 0 || value[value.length - 1] === 0;
}

export const shapeChecks: readonly Check[] = [
  isCellCheck("address_cells_is_cell", "#address-cells"),
  isCellCheck("size_cells_is_cell", "#size-cells"),
  isStringCheck("device_type_is_string", "device_type"),
  isStringCheck("model_is_string", "model"),
  isStringCheck("status_is_string", "status"),
  isStringCheck("label_is_string", "label"),
  {
    name: "compatible_is_string_list",
    level: "warning",
    summary: "compatible is a list of strings",
    run(_, { node }, report) {
      const value = node.properties.get("compatible");
      if (value && !isStringList(value)) report("it is not a list of strings", { property: "compatible" });
    },
  },
  {
    name: "names_is_string_list",
    level: "warning",
    summary: "properties named ...-names are lists of strings",
    run(_, { node }, report) {
      for (const [property, value] of node.properties) {
        if (property.endsWith("-names") && !isStringList(value)) report("it is not a list of strings", { property });
      }
    },
  },
];
