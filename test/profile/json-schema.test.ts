import { describe, expect, test } from "bun:test";
import { profileJsonSchema } from "../../src/profile/json-schema.ts";
import { createRegistry } from "../../src/vdev/registry.ts";
import { builtins } from "../../src/vdevs/index.ts";
import { registry } from "./support.ts";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Follows keys and indexes into the schema as an editor gets it. */
function at(json: Json, ...path: (string | number)[]): Json | undefined {
  let value: Json | undefined = json;
  for (const key of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = Array.isArray(value) ? value[Number(key)] : value[key];
  }
  return value;
}

const schema = JSON.parse(JSON.stringify(profileJsonSchema(registry))) as Json;

describe("the JSON Schema", () => {
  test("a vdev's type selects its other keys", () => {
    const branches = at(schema, "properties", "vdev", "items", "anyOf") as Json[];
    const uart = branches.find((branch) => at(branch, "properties", "type", "const") === "test-uart")!;
    expect(Object.keys(at(uart, "properties") as object).sort()).toEqual([
      ...[
        "at",
        "clocks",
        "delayed",
        "fdt",
        "group",
        "host",
        "irq",
        "log",
        "name",
        "node",
        "on_fault",
        "remove",
        "speed",
        "type",
      ],
    ]);
    expect(at(uart, "additionalProperties")).toBe(false);
    expect(at(uart, "required")).toEqual(["type"]);
    const disk = branches.find((branch) => at(branch, "properties", "type", "const") === "test-disk")!;
    expect(at(disk, "required")).toEqual(["type", "file"]);
    expect(at(branches.at(-1)!, "not")).toEqual({ required: ["type"] });
    expect(branches).toHaveLength(registry.types().length + 1);
  });

  test("human forms, defaults and words", () => {
    const size = at(schema, "properties", "memory", "items", "properties", "size");
    expect(at(size!, "anyOf", 0, "type")).toBe("integer");
    expect(at(size!, "anyOf", 1, "type")).toBe("string");
    expect(at(schema, "properties", "cpu", "properties", "harts")).toMatchObject({
      type: "integer",
      minimum: 1,
      maximum: 16,
      default: 1,
      description: "Number of harts.",
    });
    expect(at(schema, "properties", "time", "properties", "epoch", "anyOf")).toContainEqual({
      type: "string",
      format: "date-time",
    });
    expect(at(schema, "additionalProperties")).toBe(false);
  });

  test("every key of every table has a description", () => {
    const bare: string[] = [];
    const visit = (node: Json | undefined, path: string) => {
      if (typeof node !== "object" || node === null || Array.isArray(node)) return;
      for (const [key, value] of Object.entries((at(node, "properties") ?? {}) as { [key: string]: Json })) {
        if (typeof at(value, "description") !== "string") bare.push(`${path}${key}`);
        visit(value, `${path}${key}.`);
        visit(at(value, "items"), `${path}${key}.`);
      }
    };
    visit(JSON.parse(JSON.stringify(profileJsonSchema(createRegistry(builtins)))), "");
    expect(bare).toEqual([]);
  });
});
