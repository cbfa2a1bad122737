/** What the host puts behind a block of memory, and as what the device tree shows it: the keys of `[[memory]]` that say so. */
import { type BoardBacking, type MemoryDescription, outlastsReset } from "./board.ts";
import type { ProfileFiles } from "./files.ts";
import type { Findings } from "./findings.ts";
import type { HostNames } from "./host-references.ts";
import { lookup, type TableNode, textOf } from "./located.ts";
import { hex } from "./place.ts";
import type { ProfileMemory } from "./schema.ts";

/** Mappings of files begin on pages. */
const PAGE = 4096;
/** The host's huge pages: whole ones only. */
export const HUGE_PAGE = 2 ** 21;

/** The keys that belong to each kind. */
const KEYS: Readonly<Record<BoardBacking["kind"], readonly (keyof ProfileMemory)[]>> = {
  anonymous: [],
  memfd: ["share"],
  file: ["file", "file_at", "private"],
  huge: ["fallback"],
};

/** Reports what is wrong with the keys; what it answers is whole only where nothing was. */
export function resolveBacking(
  profile: ProfileMemory,
  node: TableNode,
  { names, files, findings }: { readonly names: HostNames; readonly files: ProfileFiles; readonly findings: Findings },
): BoardBacking {
  const { name, backing: kind } = profile;
  for (const [owner, keys] of Object.entries(KEYS)) {
    if (owner === kind) continue;
    for (const key of keys) {
      const at = lookup(node, key);
      if (!at) continue;
      findings.error(
        "profile/backing",
        at.place,
        `memory.${name}.${key} is for backing = "${owner}"; this is ${kind}`,
        {
          hint: kind === "anonymous" ? `add backing = "${owner}"` : undefined,
        },
      );
    }
  }
  const backing = backingOf(profile, node, names);
  if (backing.kind === "file") checkFile(profile, node, backing, files, findings);
  if (backing.kind === "huge" && profile.size % HUGE_PAGE !== 0) {
    const message = `memory.${name} is to lie in huge pages, but its size is not a multiple of 2 MiB`;
    findings.error("profile/misaligned", (lookup(node, "size") ?? node).place, message);
  }
  if (profile.kind === "rom" && profile.describe === "memory") {
    const message = `memory.${name} is ROM: shown as memory, a kernel would use it as RAM`;
    findings.error("profile/describe", (lookup(node, "describe") ?? node).place, message);
  }
  if (profile.image !== undefined && (backing.kind === "file" || (backing.kind === "memfd" && backing.share))) {
    const message = `memory.${name} would have its contents from both: its image and its backing`;
    findings.error("profile/backing", (lookup(node, "image") ?? node).place, message, {
      hint: 'backing = "file" with private = true begins with what a file holds',
    });
  }
  return backing;
}

/** RAM that others write as well, or that is to keep what it holds, is nothing for a kernel to use as it likes. */
export function describeMemory({ describe, kind }: ProfileMemory, backing: BoardBacking): MemoryDescription {
  if (describe !== undefined) return describe;
  if (kind === "rom") return "none";
  return outlastsReset({ backing }) ? "reserved" : "memory";
}

/** In a few words, for people. */
export function shownBacking(backing: BoardBacking): string {
  switch (backing.kind) {
    case "anonymous":
      return "memory of its own";
    case "memfd":
      return backing.share === undefined ? "memfd" : `memfd, shared as "${backing.share}"`;
    case "file": {
      const part = backing.at === 0 ? "" : ` from ${hex(backing.at)} on`;
      return `${backing.private ? "private copy of" : "file"} ${backing.file}${part}`;
    }
    case "huge":
      return `huge pages${backing.fallback ? ", or others" : ""}`;
  }
}

function backingOf(
  { name, backing, share, kind, ...rest }: ProfileMemory,
  node: TableNode,
  names: HostNames,
): BoardBacking {
  switch (backing) {
    case "anonymous":
      return { kind: "anonymous" };
    case "memfd":
      return { kind: "memfd", share };
    case "huge":
      return { kind: "huge", fallback: rest.fallback ?? true };
    case "file": {
      const at = lookup(node, "file");
      const file = at ? names.inputFile(at, textOf(at) ?? "", `memory.${name}.file`) : "";
      return { kind: "file", file, at: rest.file_at ?? 0, private: rest.private ?? kind === "rom" };
    }
  }
}

function checkFile(
  { name, size, kind }: ProfileMemory,
  node: TableNode,
  backing: BoardBacking & { readonly kind: "file" },
  files: ProfileFiles,
  findings: Findings,
): void {
  const at = lookup(node, "file");
  if (!at) {
    findings.error("profile/backing", (lookup(node, "backing") ?? node).place, `memory.${name} lacks the key "file"`);
    return;
  }
  const offset = lookup(node, "file_at");
  if (offset && backing.at % PAGE !== 0) {
    const message = `memory.${name}.file_at is ${backing.at}, which is not a multiple of 4 KiB`;
    findings.error("profile/misaligned", offset.place, message);
  }
  const isPrivate = lookup(node, "private");
  if (isPrivate && kind === "rom" && !backing.private) {
    findings.error("profile/backing", isPrivate.place, `memory.${name} is ROM: its file is never written`);
  }
  const facts = files.facts(backing.file);
  if (facts?.kind !== "file" || facts.size >= backing.at + size) return;
  const message = `memory.${name}.file has ${facts.size} bytes; the memory needs ${backing.at + size}`;
  findings.error("profile/file-size", at.place, message, {
    hint: `truncate -s ${backing.at + size} FILE makes it larger; a smaller ROM image goes into image`,
  });
}
