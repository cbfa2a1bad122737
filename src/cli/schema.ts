/** `vmrun schema`: the JSON Schema of profiles, for editors. */
import { defineCommand } from "citty";
import { profileJsonSchema } from "../profile/json-schema.ts";
import { createRegistry } from "../vdev/registry.ts";
import { builtins } from "../vdevs/index.ts";
import { refuseUnknown } from "./arguments.ts";
import { ExitCode } from "./exit-codes.ts";

export const schema = defineCommand({
  meta: { name: "schema", description: "Print the JSON Schema of profiles, for editors with TOML support" },
  args: {},
  run({ rawArgs }) {
    refuseUnknown(rawArgs, {});
    process.stdout.write(`${JSON.stringify(profileJsonSchema(createRegistry(builtins)), null, 2)}\n`);
    return ExitCode.success;
  },
});
