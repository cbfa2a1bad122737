/** A JSON Schema for editors, from the schemas that loading uses. A vdev's `type` selects its other keys. */
import { type JsonSchema, toJsonSchema } from "@valibot/to-json-schema";
import type * as v from "valibot";
import { DEVICE_TABLES } from "../pass/tables.ts";
import type { AnyVdev, VdevRegistry } from "../vdev/registry.ts";
import { blobSchema, groupSchema, memorySchema, profileSchema, reserveSchema, vdevSchema } from "./schema.ts";

type ObjectLike = v.ObjectSchema<v.ObjectEntries, undefined>;

export function profileJsonSchema(registry: VdevRegistry): JsonSchema {
  const profile = convert(profileSchema);
  const properties = { ...profile.properties };
  properties["memory"] = listOf(profile, "memory", withoutRequired(convert(memorySchema)));
  properties["reserve"] = listOf(profile, "reserve", withoutRequired(convert(reserveSchema)));
  properties["blob"] = listOf(profile, "blob", withoutRequired(convert(blobSchema)));
  properties["group"] = listOf(profile, "group", withoutRequired(convert(groupSchema)));
  properties["vdev"] = listOf(profile, "vdev", { anyOf: vdevBranches(registry) });
  for (const [table, load] of DEVICE_TABLES) properties[table] = listOf(profile, table, tableBranch(load()));
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "vmrun board profile",
    ...profile,
    properties,
    // A file that is only included need not be a whole profile.
    required: [],
  };
}

/** One branch for each type, and one for tables that change a vdev of an included profile: those have no `type`. */
function vdevBranches(registry: VdevRegistry): JsonSchema[] {
  const common = convert(vdevSchema).properties ?? {};
  const typed = registry.types().flatMap((type) => {
    const descriptor = registry.get(type);
    return descriptor ? [typeBranch(descriptor, common)] : [];
  });
  const { type: _, ...others } = common;
  const amendment: JsonSchema = {
    title: "change to an included vdev",
    type: "object",
    properties: others,
    required: ["name"],
    not: { required: ["type"] },
  };
  return [...typed, amendment];
}

function typeBranch({ type, summary, options }: AnyVdev, common: JsonSchema["properties"] = {}): JsonSchema {
  const own = convert(options);
  return {
    title: type,
    description: summary,
    type: "object",
    properties: { ...own.properties, ...common, type: { const: type, description: summary } },
    // A key that an included profile gives need not be repeated, but then `type` need not either.
    required: ["type", ...(own.required ?? [])],
    additionalProperties: false,
  };
}

/** A device by the keyword of its table: without a `type`. */
function tableBranch(descriptor: AnyVdev): JsonSchema {
  const { properties = {}, ...branch } = typeBranch(descriptor, convert(vdevSchema).properties);
  const { type: _, ...others } = properties;
  return withoutRequired({ ...branch, properties: others });
}

/** The list with other elements, its description kept. */
function listOf({ properties = {} }: JsonSchema, list: string, items: JsonSchema): JsonSchema {
  return { ...(properties[list] as JsonSchema), items };
}

/** Elements merge by name with those of included profiles, so any key may stand elsewhere. */
function withoutRequired(schema: JsonSchema): JsonSchema {
  return { ...schema, required: [] };
}

/** `input`: what a person writes, before sizes become numbers. Every table refuses unknown keys, as loading does. */
function convert(schema: ObjectLike): JsonSchema {
  const { $schema: _, ...converted } = toJsonSchema(schema, {
    typeMode: "input",
    errorMode: "ignore",
    overrideSchema: ({ valibotSchema, jsonSchema }) => {
      if (valibotSchema.type === "date") return { type: "string", format: "date-time" };
      return jsonSchema.type === "object" && jsonSchema.properties
        ? { ...jsonSchema, additionalProperties: false }
        : undefined;
    },
  });
  return converted;
}
