/**
 * What a vdev's file imports resolves to the vmrun that runs it, wherever the file lies: beside a profile in a bare folder
 * as well as in a project. Being loaded is enough, so a test runner preloads this file.
 */
import { plugin } from "bun";

/** By name. Addresses, not imports: they are loaded when a vdev asks for them, and this room stays below them. */
const OWN: Readonly<Record<string, string>> = {
  vmrun: new URL("../index.ts", import.meta.url).href,
  "vmrun/model": new URL("../pass/model.ts", import.meta.url).href,
  "vmrun/testing": new URL("../vdev/testing.ts", import.meta.url).href,
  valibot: import.meta.resolve("valibot"),
};

export const OWN_MODULES: readonly string[] = Object.keys(OWN);

plugin({
  name: "vmrun",
  setup(build) {
    for (const [name, address] of Object.entries(OWN)) {
      build.module(name, async () => ({ exports: await import(address), loader: "object" }));
    }
  },
});
