/** What may follow `vmrun fdt`; anything else is a profile to generate the tree of. Each is loaded when it is asked for. */
import type { CommandDef } from "citty";

export const fdtVerbs: Readonly<Record<string, () => Promise<CommandDef>>> = {
  check: () => import("./check.ts").then((m) => m.check as CommandDef),
  diff: () => import("./diff.ts").then((m) => m.diff as CommandDef),
  get: () => import("./get.ts").then((m) => m.get as CommandDef),
  list: () => import("./list.ts").then((m) => m.list as CommandDef),
  set: () => import("./set.ts").then((m) => m.set as CommandDef),
  convert: () => import("./convert.ts").then((m) => m.convert as CommandDef),
  apply: () => import("./apply.ts").then((m) => m.apply as CommandDef),
};
