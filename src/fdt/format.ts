/** The constants of the flattened devicetree format (DTSpec v0.4 §5), and the limits this library holds a tree to. */

export const MAGIC = 0xd00d_feed;

/** What is written, and the oldest version whose readers understand it (DTSpec §5.2). */
export const VERSION = 17;
export const LAST_COMPATIBLE_VERSION = 16;

/** Byte offsets of the header's fields, each one big-endian u32 (DTSpec §5.2). */
export const Header = {
  magic: 0,
  totalSize: 4,
  structureOffset: 8,
  stringsOffset: 12,
  reservationsOffset: 16,
  version: 20,
  lastCompatibleVersion: 24,
  bootCpu: 28,
  stringsSize: 32,
  /** Since version 17. */
  structureSize: 36,
} as const;

export const HEADER_SIZE = 40;
export const HEADER_SIZE_V16 = 36;

/** One entry of the reservation block: address and size, two u64 (DTSpec §5.3). */
export const RESERVATION_SIZE = 16;

/** Tokens of the structure block (DTSpec §5.4.1). */
export const Token = { beginNode: 1, endNode: 2, property: 3, nop: 4, end: 9 } as const;

/** Levels of nodes, the root counted. Real trees have fewer than ten. */
export const MAX_DEPTH = 64;

/** Total size of a blob. Linux maps at most 2 MiB; the limit keeps a forged size from claiming memory. */
export const MAX_SIZE = 16 << 20;

/**
 * Length of a node or property name. DTSpec §2.2 says 31 and vendors exceed it; without any bound, properties that name
 * every suffix of one long string would cost quadratic time.
 */
export const MAX_NAME_LENGTH = 255;

export function align4(offset: number): number {
  return (offset + 3) & ~3;
}
