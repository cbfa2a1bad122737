import { expect, test } from "bun:test";
import { compare } from "../../bench/statistics.ts";
import { comparisons } from "../../bench/table.ts";

test("comparisons stand in columns that line up and are Markdown", () => {
  const rows = [compare("short", [0.5], [1]), compare("something longer", [120, 130, 125], [1, 1, 1])];
  expect(comparisons(rows, "runs", "vmrun", "QEMU")).toBe(
    [
      "| runs             | vmrun / QEMU | from |   to |  vmrun |   QEMU | runs |",
      "| ---------------- | -----------: | ---: | ---: | -----: | -----: | ---: |",
      "| short            |        0.50x | 0.50 | 0.50 | 500 ms | 1.00 s |    1 |",
      "| something longer |         125x |  120 |  130 |  125 s | 1.00 s |    3 |",
    ].join("\n"),
  );
});
