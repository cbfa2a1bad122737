/** `[[group]]`: devices of several parts that come, are owned and go as one. Each part says `group`; the group may list them all. */
import { nearestName } from "../vdev/registry.ts";
import type { BoardGroup } from "./board.ts";
import type { Findings } from "./findings.ts";
import { lookup, type TableNode } from "./located.ts";
import type { ProfileGroup } from "./schema.ts";
import type { DraftVdev } from "./vdevs.ts";

export interface DraftGroup {
  readonly name: string;
  readonly node: TableNode;
  readonly profile: ProfileGroup;
}

/** Each group with its members in the order of the board, after reporting who is missing. */
export function resolveGroups(
  groups: readonly DraftGroup[],
  vdevs: readonly DraftVdev[],
  missing: ReadonlySet<string>,
  findings: Findings,
): readonly BoardGroup[] {
  const names = groups.map(({ name }) => name);
  for (const { table, name, node, profile } of vdevs) {
    if (profile.group === undefined || names.includes(profile.group)) continue;
    const near = nearestName(profile.group, names);
    const message = `${table}.${name}.group: there is no [[group]] ${JSON.stringify(profile.group)}`;
    findings.error("profile/unknown-group", lookup(node, "group")?.place ?? node.place, message, {
      hint: near ? `did you mean "${near}"?` : `add [[group]] name = "${profile.group}"`,
    });
  }
  return groups.map((group) => resolveGroup(group, vdevs, missing, findings));
}

function resolveGroup(
  { name, node, profile: { members: wanted, compatible } }: DraftGroup,
  vdevs: readonly DraftVdev[],
  missing: ReadonlySet<string>,
  findings: Findings,
): BoardGroup {
  const members = vdevs.filter(({ profile }) => profile.group === name);
  if (members.length === 0 && missing.size === 0) {
    const message = `nothing belongs to group ${name}`;
    findings.error("profile/empty-group", node.place, message, { hint: `write group = "${name}" in its parts` });
  }
  for (const [i, part] of (wanted ?? []).entries()) {
    if (missing.has(part) || members.some((member) => member.name === part)) continue;
    const there = vdevs.find((vdev) => vdev.name === part);
    const message = there
      ? `${there.label} does not belong to group ${name}`
      : `group ${name} lacks its part "${part}"`;
    findings.error("profile/group-member", lookup(node, "members", i)?.place ?? node.place, message, {
      hint: there
        ? `write group = "${name}" there`
        : `the parts that there are: ${members.map((each) => each.name).join(", ") || "none"}`,
    });
  }
  for (const member of members) {
    if (wanted === undefined || wanted.includes(member.name)) continue;
    const place = lookup(member.node, "group")?.place ?? member.node.place;
    findings.error("profile/group-member", place, `group ${name} does not list ${member.label} among its members`, {
      related: [{ place: lookup(node, "members")?.place ?? node.place, message: "its members" }],
    });
  }
  return { name, members: members.map((member) => member.name), compatible };
}
