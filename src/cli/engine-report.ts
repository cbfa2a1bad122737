/** How guest code ran, in words: what `--stats` prints. */
import type { EngineStatistics } from "../engine/engine.ts";

const count = (n: number): string => n.toLocaleString("en-US");
const milliseconds = (n: number): string => `${n.toFixed(n < 10 ? 1 : 0)} ms`;

/** One line for each figure, without a newline at the end. */
export function engineReport({ translation, native, found, asked }: EngineStatistics): string {
  const rows: [string, string][] = [];
  const total = found.interpreter + found.quick + found.thorough;
  if (total > 0) {
    const share = (n: number) => `${((100 * n) / total).toFixed(1)} %`;
    const tiers = [`interpreter ${share(found.interpreter)}`];
    if (translation)
      tiers.push(
        `${native ? "native code" : "quick regions"} ${share(found.quick)}`,
        `thorough regions ${share(found.thorough)}`,
      );
    rows.push(["instructions in", tiers.join(", ")]);
  }
  if (translation) {
    const { regions, live, thorough, modules, bytes, failed, instructions, forming, writing, installing } = translation;
    if (native) {
      const { instructions, bytes, blocks, writing } = native;
      const code = `${count(instructions)} instructions in ${count(blocks)} blocks into ${count(bytes)} bytes`;
      rows.push(["native code", `${code}, in ${milliseconds(writing)}`]);
    }
    rows.push(
      ["regions", `${count(regions)} translated, ${count(thorough)} of them thoroughly; ${count(live)} in use`],
      ["guest code", `${count(instructions)} instructions into ${count(bytes)} bytes, ${count(modules)} modules`],
      [
        "host time",
        `forming ${milliseconds(forming)}, writing ${milliseconds(writing)}, installing ${milliseconds(installing)}`,
      ],
    );
    if (failed > 0) rows.push(["failed", `${count(failed)} modules did not compile: a bug of vmrun, please report it`]);
  }
  const { fetch, load, store, atomic, decode, service } = asked;
  rows.push(
    [
      "TLB and devices",
      `${count(load)} loads, ${count(store)} stores, ${count(atomic)} atomics, ${count(fetch)} fetches`,
    ],
    ["other exits", `${count(service)} system instructions, ${count(decode)} straight lines decoded`],
  );
  const width = Math.max(...rows.map(([label]) => label.length));
  return rows.map(([label, text]) => `  ${label.padEnd(width)}  ${text}`).join("\n");
}
