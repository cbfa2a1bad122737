/** Opens a device file, or says what a person can do about it. */
import { constants } from "node:fs";
import { fail } from "../../diagnostics/diagnostic.ts";
import { errnoName, isError, open } from "../../host/linux.ts";

/** `hints` by the errno's name. Answers the descriptor. */
export function openDevice(
  path: string,
  write: boolean,
  what: string,
  hints: Readonly<Record<string, string>> = {},
  flags = 0,
): number {
  const fd = open(path, (write ? constants.O_RDWR : constants.O_RDONLY) | flags);
  if (!isError(fd)) return fd;
  const name = errnoName(fd);
  return fail("pass/open", `${what}: ${path} cannot be opened: ${name}`, { hint: hints[name] ?? GENERAL[name] });
}

const GENERAL: Readonly<Record<string, string>> = {
  EACCES: "run vmrun as a user who may open it",
  EPERM: "run vmrun as a user who may open it",
  EBUSY: "another program has it open",
};
