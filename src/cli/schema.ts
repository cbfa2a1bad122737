/** `vmrun schema`: the JSON Schema of profiles, for editors. */
import { profileJsonSchema } from "../profile/json-schema.ts";
import { refuseUnknown } from "./arguments.ts";
import { defineCommand } from "./command.ts";
import { ExitCode } from "./exit-codes.ts";
import { inArgument, vdevsOf } from "./profile-argument.ts";
import { summaries } from "./summaries.ts";

export const schema = defineCommand({
  meta: { name: "schema", description: summaries.schema },
  args: inArgument,
  async run({ args: given, rawArgs }) {
    refuseUnknown(rawArgs, inArgument);
    process.stdout.write(`${JSON.stringify(profileJsonSchema(await vdevsOf(given.in)), null, 2)}\n`);
    return ExitCode.success;
  },
});
