/** The `[boot]` table: what is loaded, where from, and where to. */
import type { BoardBoot, BoardMemory } from "./board.ts";
import type { Findings } from "./findings.ts";
import type { HostNames } from "./host-references.ts";
import { lookup, type TableNode, textOf } from "./located.ts";
import { hex, shownSpan } from "./place.ts";
import type { ProfileBoot } from "./schema.ts";

const ADDRESSES = ["entry", "firmware_at", "kernel_at", "initrd_at", "fdt_at"] as const;

/** `profile` and `memory` are `undefined` where their own tables are wrong; files are checked all the same. */
export function resolveBoot(
  profile: ProfileBoot | undefined,
  node: TableNode,
  memory: readonly BoardMemory[] | undefined,
  names: HostNames,
  findings: Findings,
): BoardBoot | undefined {
  const advice = lookup(node, "if_missing");
  const file = (key: "firmware" | "kernel" | "initrd"): string | undefined => {
    const at = lookup(node, key);
    const text = textOf(at);
    if (!at || text === undefined) return undefined;
    // Advice of an included profile is not about files that others name.
    const hint = advice?.place.file === at.place.file ? textOf(advice) : undefined;
    return names.inputFile(at, text, `boot.${key}`, hint);
  };
  const firmwareText = textOf(lookup(node, "firmware")) ?? "builtin";
  const firmware = firmwareText === "builtin" || firmwareText === "none" ? firmwareText : { path: file("firmware")! };
  const [kernel, initrd] = [file("kernel"), file("initrd")];
  if (!profile) return undefined;
  for (const key of ADDRESSES) {
    const at = profile[key];
    if (at === undefined || !memory?.length) continue;
    if (memory.some((block) => at >= block.at && at < block.at + block.size)) continue;
    const all = memory.map((block) => `${block.name} ${shownSpan(block)}`).join(", ");
    const place = lookup(node, key)?.place ?? node.place;
    findings.error("profile/outside-memory", place, `boot.${key}: no memory is at ${hex(at)}`, {
      hint: `memory: ${all}`,
    });
  }
  return {
    firmware,
    kernel,
    initrd,
    cmdline: profile.cmdline,
    entry: profile.entry,
    firmwareAt: profile.firmware_at,
    kernelAt: profile.kernel_at,
    initrdAt: profile.initrd_at,
    fdtAt: profile.fdt_at,
  };
}
