/** `vmrun new`: writes the files that work begins with, and says how to go on. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fail } from "../../diagnostics/diagnostic.ts";
import { nearestName } from "../../vdev/registry.ts";
import { positionals, refuseUnknown } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import { ExitCode } from "../exit-codes.ts";
import { summaries } from "../summaries.ts";
import type { NewFiles } from "./draft.ts";

const args = {
  kind: { type: "positional", required: true, valueHint: "vdev|profile", description: "what to write" },
  name: { type: "positional", required: true, valueHint: "NAME", description: "its name" },
  folder: { type: "positional", required: false, valueHint: "DIR", description: "where; here when omitted" },
  from: { type: "string", valueHint: "TREE", description: "profile: draft the board of a device tree (DTB or DTS)" },
} as const;

const KINDS = ["vdev", "profile"];

export const newFiles = defineCommand({
  meta: { name: "new", description: summaries.new },
  args,
  async run({ args: given, rawArgs }) {
    refuseUnknown(rawArgs, args);
    const [kind = "", name, folder = ".", ...more] = positionals(rawArgs, args);
    if (!KINDS.includes(kind)) {
      const near = nearestName(kind, KINDS);
      fail("cli/usage", `"${kind}" is nothing that vmrun can write`, {
        hint: near ? `did you mean "vmrun new ${near}"?` : "vmrun new vdev NAME, or vmrun new profile NAME",
      });
    }
    if (name === undefined || more.length > 0)
      fail("cli/usage", `it takes a name and a folder: vmrun new ${kind} NAME [DIR]`);
    if (kind === "vdev" && given.from !== undefined) fail("cli/usage", "--from is for profiles");
    const { files, next } =
      kind === "vdev"
        ? (await import("./vdev.ts")).newVdev(name, folder)
        : await (await import("./profile.ts")).newProfile(name, folder, given.from);
    write(files);
    process.stdout.write(`wrote ${Object.keys(files).join(", ")}\n${next}`);
    return ExitCode.success;
  },
});

/** All or nothing, and nothing over what is there. */
function write(files: NewFiles): void {
  const taken = Object.keys(files).filter((path) => existsSync(path));
  if (taken.length > 0) {
    fail("new/exists", `${taken.join(", ")} ${taken.length === 1 ? "exists" : "exist"}, and nothing was written`, {
      hint: "choose another name or folder",
    });
  }
  for (const [path, text] of Object.entries(files)) {
    try {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text, { flag: "wx" });
    } catch (error) {
      fail("new/write", `cannot write ${path}: ${error instanceof Error ? error.message : error}`);
    }
  }
}
