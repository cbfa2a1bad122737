/**
 * Several runs of `vmrun bench` as one. Runs of the same process agree with each other better than two processes do: what
 * the host's compiler makes of vmrun's code, and where memory lies, differs from start to start.
 */
import type { BenchReport, Figure } from "./figures.ts";
import { figureName } from "./figures.ts";
import { median } from "./statistics.ts";

/** Throws where there is none. */
export function mergePasses(reports: readonly BenchReport[]): BenchReport {
  const [first] = reports;
  if (first === undefined) throw new RangeError("there is nothing to merge");
  const byName = reports.map(({ figures }) => new Map(figures.map((one) => [figureName(one), one])));
  const ratios = reports.map((report) => new Map((report.ratios ?? []).map((one) => [figureName(one), one])));
  return {
    ...first,
    figures: first.figures.map((figure) =>
      mergeFigures(byName.flatMap((figures) => figures.get(figureName(figure)) ?? [])),
    ),
    ...(first.ratios && {
      ratios: first.ratios.map((ratio) => {
        const all = ratios.flatMap((one) => one.get(figureName(ratio)) ?? []);
        return {
          ...ratio,
          ratio: median(all.map((one) => one.ratio)),
          low: Math.min(...all.map(({ low }) => low)),
          high: Math.max(...all.map(({ high }) => high)),
          rounds: all.reduce((sum, { rounds }) => sum + rounds, 0),
        };
      }),
    }),
  };
}

function mergeFigures(figures: readonly Figure[]): Figure {
  const medians = figures.map((figure) => figure.median);
  return {
    ...figures[0]!,
    median: median(medians),
    deviation: median(figures.map((figure) => figure.deviation)),
    min: Math.min(...figures.map(({ min }) => min)),
    max: Math.max(...figures.map(({ max }) => max)),
    samples: figures.reduce((sum, { samples }) => sum + samples, 0),
    passes: medians,
  };
}
