/** Reading snapshots back: they are files that people can damage, so every shape is checked before a vdev takes it. */
import * as v from "valibot";
import { fail } from "../diagnostics/diagnostic.ts";
import type { Json } from "./host.ts";

export const byte = () => v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xff));

export const u32 = () => v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff_ffff));

/** What a nested `snapshot()` made; its owner's `restore` looks inside. */
export const nested = () => v.custom<Json>((value) => value !== undefined, "is missing");

/** The state as its schema says; refuses any other. */
export function fromSnapshot<const Schema extends v.GenericSchema>(schema: Schema, state: Json): v.InferOutput<Schema> {
  const { success, output, issues } = v.safeParse(schema, state);
  if (success) return output;
  const [issue] = issues;
  fail("vdev/snapshot", `the snapshot of a vdev is damaged: ${v.getDotPath(issue) ?? "state"}: ${issue.message}`);
}
