/** `vmrun test`: Bun's test runner for vdevs in folders where vmrun is not installed: `vmrun` and `valibot` resolve to this one. */
import { resolve } from "node:path";
import { defineCommand } from "./command.ts";
import { summaries } from "./summaries.ts";

export const test = defineCommand({
  meta: { name: "test", description: summaries.test },
  args: {
    files: { type: "positional", required: false, valueHint: "FILES", description: "as for bun test" },
  },
  async run({ rawArgs }) {
    const preload = resolve(import.meta.dir, "../host/own-modules.ts");
    // A bare name would be a filter on names of files to bun; a path is that file.
    const files = rawArgs.map((word) => (/^[^-./].*\.[jt]sx?$/.test(word) ? `./${word}` : word));
    const child = Bun.spawn([process.execPath, "test", "--preload", preload, ...files], {
      stdio: ["inherit", "inherit", "inherit"],
    });
    return await child.exited;
  },
});
