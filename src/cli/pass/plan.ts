/** `vmrun pass plan`: what of the hardware that a profile passes does its guest really use? */
import { dirname, relative, resolve } from "node:path";
import { fail } from "../../diagnostics/diagnostic.ts";
import { PassPlan } from "../../observe/pass-plan.ts";
import { refuseUnknown } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import { runArguments, runProfile } from "../run.ts";
import { summaries } from "../summaries.ts";
import { outputArguments, writeText } from "../tree-output.ts";

const args = { ...runArguments, output: outputArguments.output } as const;

export const plan = defineCommand({
  meta: {
    name: "pass plan",
    description: summaries.pass,
  },
  args,
  async run({ args: given, rawArgs }) {
    refuseUnknown(rawArgs, args);
    let observed: PassPlan | undefined;
    const code = await runProfile(given, rawArgs, {
      board(board) {
        observed = new PassPlan(board);
        if (observed.devices.length === 0) {
          fail("pass/nothing", `${board.name} passes nothing that could be observed`, {
            hint: "[[pass]] and [[clock]] with a host object are; cached memory is mapped, and nobody sees its accesses",
          });
        }
        return observed.board;
      },
      assembled: (machine) => observed?.attach(machine),
      output: (bytes) => process.stderr.write(bytes),
    });
    if (observed) writeText(observed.proposal(includePath(given.profile, given.output)), given.output);
    return code;
  },
});

/** The profile's path as the proposal names it: from the folder where that will lie. */
function includePath(profile: string, output: string | undefined): string {
  if (profile.startsWith("vmrun:")) return profile;
  const folder = output === undefined || output === "-" ? process.cwd() : dirname(resolve(output));
  return relative(folder, resolve(profile));
}
