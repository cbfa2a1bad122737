// Consoles take exactly the accesses that their drivers make, and every character arrives.
import { expect, test } from "bun:test";
import { benchConsoles, consoleTable } from "../../../src/observe/bench/console.ts";
import { createRegistry } from "../../../src/vdev/registry.ts";
import { catalogue } from "../../../src/vdevs/catalogue.ts";

const CHARACTERS = 8192;

test("exits by console and way of driving it", async () => {
  const steps: string[] = [];
  const rows = await benchConsoles(createRegistry([], catalogue), {
    engines: ["interpreter", "translator"],
    characters: CHARACTERS,
    runs: 1,
    progress: (what) => steps.push(what),
  });
  // Whether all arrived, benchConsoles itself looks.
  const of = (runner: string) =>
    rows.flatMap((row) => (row.runner === runner ? [`${row.console}, ${row.what}: ${row.exits}`] : []));
  expect(of("interpreter")).toEqual([
    `ns16550a, asks before each character: ${2 * CHARACTERS}`,
    `ns16550a, asks before each FIFO of 16: ${CHARACTERS + CHARACTERS / 16}`,
    `pl011, asks before each character: ${2 * CHARACTERS}`,
    `pl011, asks before each FIFO of 16: ${CHARACTERS + CHARACTERS / 16}`,
    `virtio-console, buffers of 1: ${CHARACTERS}`,
    `virtio-console, buffers of 16: ${CHARACTERS / 16}`,
    `virtio-console, buffers of 2048, as Linux: ${CHARACTERS / 2048}`,
  ]);
  expect(of("translator")).toEqual(of("interpreter"));
  expect(steps.length).toBe(rows.length);
  expect(rows.every(({ ns, runs }) => ns > 0 && runs === 1)).toBeTrue();
});

test("a table has a row for a console, and columns for each engine", () => {
  const row = { console: "pl011", what: "polled", characters: 1000, exits: 2000, deviation: 1000, runs: 3 } as const;
  const rows = [
    { ...row, runner: "interpreter", ns: 1e6 },
    { ...row, runner: "translator", ns: 5e5 },
  ] as const;
  expect(consoleTable(rows)).toMatchInlineSnapshot(`
    "CONSOLE  GUEST   EXITS  CHARACTERS/EXIT  INTERPRETER       +-  MB/S  TRANSLATOR       +-  MB/S
    pl011    polled  2,000             0.50      1.00 ms  1.00 us  1.00      500 us  1.00 us  2.00
    "
  `);
});
