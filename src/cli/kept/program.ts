/** What every kept program is around its command. */
import type { ArgsDef, CommandDef } from "citty";
import { SourcesWanted } from "../../host/kept-modules.ts";
import { asksForHelp } from "../arguments.ts";
import { resolvedArguments, runCommand } from "../command.ts";
import { ExitCode } from "../exit-codes.ts";
import { report } from "../report.ts";

/** Answers the exit code, or `undefined` where nothing was done yet and the sources have to. */
export type Program = (rest: readonly string[]) => Promise<number | undefined>;

export function programOf<Args extends ArgsDef>(command: CommandDef<Args>): Program {
  const plain = command as CommandDef;
  return async (rest) => {
    try {
      if (asksForHelp(rest, await resolvedArguments(plain))) return undefined;
      const result = await runCommand(plain, [...rest]);
      return typeof result === "number" ? result : ExitCode.success;
    } catch (error) {
      if (error instanceof SourcesWanted) return undefined;
      const code = report(error);
      if (code === ExitCode.internal)
        process.stderr.write("  hint: VMRUN_NO_CACHE=1 shows its places in the sources\n");
      return code;
    }
  };
}
