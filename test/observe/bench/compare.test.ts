// What counts as a change, with made-up figures.
import { expect, test } from "bun:test";
import { compareReports } from "../../../src/observe/bench/compare.ts";
import type { BenchReport, Figure } from "../../../src/observe/bench/figures.ts";
import { figure } from "../../../src/observe/bench/figures.ts";
import { mergePasses } from "../../../src/observe/bench/passes.ts";
import { benchCsv, benchTable, comparisonText } from "../../../src/observe/bench/report.ts";

const one = (median: number, deviation: number, more: Partial<Figure> = {}): Figure => ({
  subject: "uart0.SCR",
  what: "read",
  width: 1,
  runner: "interpreter",
  median,
  deviation,
  min: median - deviation,
  max: median + 100,
  samples: 41,
  ...more,
});

const report = (figures: readonly Figure[], more: Partial<BenchReport> = {}): BenchReport => ({
  format: 1,
  profile: "virt-rv64",
  machine: "2 x Imaginary",
  quick: false,
  figures,
  left: [],
  ...more,
});

const verdict = (before: Figure, after: Figure) =>
  compareReports(report([before]), report([after])).changes[0]!.verdict;

test("a figure is the median, the median distance from it, and the ends", () => {
  const { median, deviation, min, max, samples } = figure({ subject: "x", what: "read", runner: "host" }, [
    ...[50, 52, 51, 49, 9000],
  ]);
  expect({ median, deviation, min, max, samples }).toEqual({
    median: 51,
    deviation: 1,
    min: 49,
    max: 9000,
    samples: 5,
  });
});

test("a change counts that is larger than three deviations and 5 %", () => {
  expect(verdict(one(50, 0.5), one(60, 0.5))).toBe("slower");
  expect(verdict(one(60, 0.5), one(50, 0.5))).toBe("faster");
  // Within 5 %, however quiet it was.
  expect(verdict(one(50, 0.001), one(52.4, 0.001))).toBe("same");
  expect(verdict(one(50, 0.001), one(52.6, 0.001))).toBe("slower");
  // A fifth more, but either run moved about as much.
  expect(verdict(one(50, 5), one(60, 0.1))).toBe("same");
  expect(verdict(one(50, 0.1), one(60, 5))).toBe("same");
  // 3 x 1.4826 x hypot(1, 1) is 6.29.
  expect(verdict(one(50, 1), one(56.2, 1))).toBe("same");
  expect(verdict(one(50, 1), one(56.4, 1))).toBe("slower");
  // Nothing of nothing.
  expect(verdict(one(0, 0), one(0, 0))).toBe("same");
  expect(verdict(one(0, 0), one(1, 0))).toBe("slower");
});

test("of several runs, none may be among those of the other", () => {
  const before = mergePasses([50, 51, 49].map((each) => report([one(each, 0.1)])));
  expect(before.figures[0]).toMatchObject({ median: 50, deviation: 0.1, samples: 3 * 41, passes: [50, 51, 49] });
  const after = (...medians: number[]) => mergePasses(medians.map((each) => report([one(each, 0.1)])));
  const judged = (...medians: number[]) => compareReports(before, after(...medians)).changes[0]!.verdict;
  expect(judged(60, 61, 60)).toBe("slower");
  expect(judged(60, 61, 50.5)).toBe("same");
  // However far they lie from each other.
  expect(judged(60, 160, 320)).toBe("slower");
  expect(judged(40, 40, 41)).toBe("faster");
  // A single run has nothing to be apart from.
  expect(compareReports(before, report([one(60, 0.1)])).changes[0]!.verdict).toBe("slower");
});

test("figures are told apart by subject, what, width and runner", () => {
  const before = report([one(50, 1), one(50, 1, { width: 4 }), one(50, 1, { runner: "translator" })]);
  const after = report([one(90, 1), one(50, 1, { width: 8 }), one(50, 1, { runner: "translator" })]);
  const { changes, gone, added, doubts } = compareReports(before, after);
  expect(changes.map(({ name, verdict }) => `${name}: ${verdict}`)).toEqual([
    "uart0.SCR read/1 interpreter: slower",
    "uart0.SCR read/1 translator: same",
  ]);
  expect([gone, added, doubts]).toEqual([["uart0.SCR read/4 interpreter"], ["uart0.SCR read/8 interpreter"], []]);
});

test("what makes runs hard to compare is told", () => {
  const { doubts } = compareReports(report([], { machine: "another", quick: true }), report([]));
  expect(doubts).toEqual(["the saved run was made on: another", "the saved run was with --quick"]);
});

test("changes are told worst first, in times of before", () => {
  const before = report([one(50, 1), one(100, 1, { what: "write" }), one(100, 1, { width: 2 })]);
  const after = report([one(75, 1), one(50, 1, { what: "write" }), one(100, 1, { width: 2 })]);
  expect(comparisonText(compareReports(before, after), "saved.json")).toMatchInlineSnapshot(`
    "Against saved.json: 1 slower, 1 faster, 1 as before (or within noise)
            WHAT                            BEFORE      NOW  RATIO
    slower  uart0.SCR read/1 interpreter   50.0 ns  75.0 ns  1.50x
    faster  uart0.SCR write/1 interpreter   100 ns  50.0 ns  0.50x
    "
  `);
});

test("a table has a row for what was measured and a column for who did it", () => {
  const figures = [
    one(51.23, 0.4),
    one(48, 2, { runner: "translator" }),
    one(1234, 2, { what: "write", width: undefined }),
  ];
  expect(benchTable(report(figures))).toMatchInlineSnapshot(`
    "           WHAT   BYTES  INTERPRETER       +-  TRANSLATOR       +-
    uart0.SCR  read       1      51.2 ns  0.40 ns     48.0 ns  2.00 ns
    uart0.SCR  write             1.23 us  2.00 ns
    "
  `);
  expect(benchCsv(report(figures.slice(0, 1)))).toBe(
    "subject,what,width,runner,median,deviation,min,max,samples\r\nuart0.SCR,read,1,interpreter,51.230,0.400,50.830,151.230,41\r\n",
  );
});
