/** What a board with harts that run at once cannot have: `parallel` of `[cpu]`. */
import type { PlacedRegion } from "../vdev/placement.ts";
import type { Findings } from "./findings.ts";
import { nameplace } from "./include.ts";
import type { DraftMemory } from "./layout.ts";
import { lookup, type TableNode } from "./located.ts";
import type { ProfileTime } from "./schema.ts";
import type { DraftVdev } from "./vdevs.ts";

export interface ParallelParts {
  readonly time: ProfileTime | undefined;
  readonly memory: readonly DraftMemory[];
  readonly vdevs: readonly DraftVdev[];
  readonly regions: ReadonlyMap<string, readonly PlacedRegion[]>;
}

export function checkParallel(tree: TableNode, parts: ParallelParts, findings: Findings): void {
  const { time, memory, vdevs, regions } = parts;
  const wish = lookup(tree, "cpu", "parallel")?.place;
  const related = wish && [{ place: wish, message: "harts are to run at once" }];
  const hint = "parallel = false: harts take turns";
  if (time?.mode === "virtual") {
    const message =
      "cpu.parallel: harts that run at once pass no virtual time, which counts the instructions of all in order";
    findings.error("profile/parallel", wish, message, { hint: `mode = "host" in [time], or ${hint}` });
  }
  for (const { name, node, backing } of memory) {
    if (backing.kind === "anonymous" || backing.kind === "memfd") continue;
    const message = `memory.${name}.backing = "${backing.kind}" cannot be shared by harts that run at once`;
    findings.error("profile/parallel", (lookup(node, "backing") ?? node).place, message, {
      related,
      hint: `backing = "memfd" can, and so can memory of its own; or ${hint}`,
    });
  }
  for (const { name, node, table } of vdevs) {
    const region = regions.get(name)?.find(({ access }) => access !== undefined);
    if (region === undefined) continue;
    const message = `${table}.${name} has memory behind its region "${region.name}", which harts that run at once cannot share`;
    findings.error("profile/parallel", nameplace(node), message, { related, hint });
  }
  const budgets = lookup(tree, "budget");
  if (budgets?.kind !== "table") return;
  for (const [name, { key }] of budgets.entries) {
    const message = `budget.${name} counts exits, which are not counted where harts run at once`;
    findings.error("profile/parallel", key, message, { related, hint });
  }
}
