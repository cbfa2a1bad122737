/** Figures of several engines as if they were one's. */
import type { EngineStatistics } from "../../engine/engine.ts";

type Figures = Readonly<Record<string, number>>;

export function total(all: readonly EngineStatistics[]): EngineStatistics {
  const translations = all.flatMap(({ translation }) => translation ?? []);
  return {
    translation: translations.length === 0 ? undefined : sum(translations),
    found: sum(all.map(({ found }) => found)) ?? { interpreter: 0, quick: 0, thorough: 0 },
    asked: sum(all.map(({ asked }) => asked)) ?? { fetch: 0, load: 0, store: 0, atomic: 0, decode: 0, service: 0 },
  };
}

function sum<T extends { [Key in keyof T]: number }>(all: readonly T[]): T | undefined {
  if (all.length === 0) return undefined;
  const result: Record<string, number> = {};
  for (const one of all as readonly Figures[]) {
    for (const [name, figure] of Object.entries(one)) result[name] = (result[name] ?? 0) + figure;
  }
  return result as T;
}
