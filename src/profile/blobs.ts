/** `[[blob]]`: bytes of a file that the guest finds at an address of its memory, and is told to leave alone. */
import type { BoardBlob, BoardMemory } from "./board.ts";
import type { Findings } from "./findings.ts";
import type { HostNames } from "./host-references.ts";
import { lookup, type TableNode, textOf } from "./located.ts";
import { shownSpan } from "./place.ts";
import type { ProfileBlob } from "./schema.ts";

/** Devicetree Specification 0.4 §5.6.1: the blob's own alignment. */
const TREE_ALIGN = 8;

export interface DraftBlob {
  readonly name: string;
  readonly node: TableNode;
  readonly profile: ProfileBlob;
}

/** @param memory `undefined` where a block is wrong, and nothing about its ranges can be said. */
export function resolveBlobs(
  drafts: readonly DraftBlob[],
  memory: readonly BoardMemory[] | undefined,
  names: HostNames,
  findings: Findings,
): BoardBlob[] {
  const blobs: BoardBlob[] = [];
  for (const { name, node, profile } of drafts) {
    const { at, kind, compatible } = profile;
    const file = lookup(node, "file");
    const path = file ? names.inputFile(file, textOf(file) ?? "", `blob.${name}.file`) : profile.file;
    const bytes = names.files.facts(path)?.size ?? 0;
    const size = profile.size ?? bytes;
    const place = lookup(node, "at")?.place ?? node.place;
    const blob = { name, at, size, path, kind, compatible };
    if (bytes > size || size === 0) {
      const message = `blob ${name} has ${size} bytes; its file has ${bytes}`;
      findings.error("profile/oversized", lookup(node, "size")?.place ?? file?.place, message);
    }
    if (kind === "fdt" && at % TREE_ALIGN !== 0) {
      findings.error("profile/misaligned", place, `blob ${name}: a device tree lies at a multiple of ${TREE_ALIGN}`);
    }
    const block = memory?.find((each) => at >= each.at && at + size <= each.at + each.size);
    if (memory && !block) {
      findings.error(
        "profile/outside-memory",
        place,
        `blob ${name} (${shownSpan(blob)}) is not in the board's memory`,
        {
          hint: `elsewhere, a ROM holds it: [[memory]] kind = "rom", image = ${JSON.stringify(textOf(file) ?? "FILE")}`,
        },
      );
    }
    const twin = blobs.find((other) => at < other.at + other.size && other.at < at + size);
    if (twin) {
      findings.error(
        "profile/overlap",
        place,
        `blob ${name} (${shownSpan(blob)}) overlaps blob ${twin.name} (${shownSpan(twin)})`,
      );
    }
    blobs.push(blob);
  }
  return blobs;
}
