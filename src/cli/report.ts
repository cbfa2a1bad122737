/** What a command that failed says, and the exit code that this comes to. */
import { render, VmrunError } from "../diagnostics/diagnostic.ts";
import { ExitCode } from "./exit-codes.ts";

export function report(error: unknown): ExitCode {
  if (error instanceof VmrunError) {
    for (const diagnostic of error.diagnostics) process.stderr.write(`${render(diagnostic)}\n`);
    const count = error.diagnostics.filter((d) => d.severity === "error").length;
    if (count > 1) process.stderr.write(`${count} errors\n`);
    return ExitCode.usage;
  }
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`error[internal]: vmrun itself failed; this is a bug in it\n${detail}\n`);
  return ExitCode.internal;
}
