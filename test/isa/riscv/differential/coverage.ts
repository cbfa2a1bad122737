// How often each row of the instruction tables was chosen.

import type { Sequence } from "./sequence.ts";
import { testedRows, testedShortRows } from "./sequence.ts";

export function countRows(sequences: readonly Sequence[]): Map<string, number> {
  const counts = new Map([...testedRows, ...testedShortRows].map(({ name }) => [name, 0]));
  for (const { names } of sequences) for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}
