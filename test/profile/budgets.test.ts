// [budget.NAME]: what it names has to be there, and a mistake is shown where it stands.
import { expect, test } from "bun:test";
import { render, VmrunError } from "../../src/diagnostics/diagnostic.ts";
import { loadProfile } from "../../src/profile/load.ts";
import { createRegistry } from "../../src/vdev/registry.ts";
import { builtins } from "../../src/vdevs/index.ts";
import { memoryFiles } from "./support.ts";

const BOARD = `schema = 1
[[memory]]
name = "dram"
size = "4MiB"
[[vdev]]
type = "plic"
[[vdev]]
type = "ns16550a"
name = "uart0"
`;

function load(text: string, budgets?: string) {
  const files = memoryFiles({ "board.toml": BOARD + text, "budgets.toml": budgets ?? "" });
  const registry = createRegistry(builtins);
  return loadProfile("board.toml", { registry, files, budgets: budgets === undefined ? undefined : "budgets.toml" });
}

function findings(text: string, budgets?: string): string[] {
  try {
    load(text, budgets);
  } catch (error) {
    if (error instanceof VmrunError) return error.diagnostics.map((finding) => render(finding).split("\n")[0]);
    throw error;
  }
  return [];
}

test("limits, filters and phases", () => {
  const { board } = load(`[budget.boot]
    vdev = "uart0"
    register = "THR"
    kind = "write"
    from = "Booting"
    to = { vdev = "plic", register = "CLAIM[]", value = 3 }
    exits = 100
    time = "2.5ms"`);
  const { place, ...budget } = board.budgets[0];
  expect(budget).toEqual({
    name: "boot",
    filter: { vdev: "uart0", register: "THR", kind: "write" },
    from: { text: "Booting" },
    to: { vdev: "plic", register: "CLAIM[]", value: 3 },
    exits: 100,
    time: 2.5e6,
  });
  expect(place.line).toBe(10);
});

test("a file of budgets goes over the profile's own", () => {
  const { board } = load(
    "[budget.a]\nexits = 1\n[budget.b]\nexits = 2",
    "[budget.b]\nexits = 3\n[budget.c]\nexits = 4",
  );
  expect(board.budgets.map(({ name, exits }) => [name, exits])).toEqual([
    ["a", 1],
    ["b", 3],
    ["c", 4],
  ]);
  expect(findings("", "[cpu]\nharts = 2")[0]).toContain("a file of budgets has [budget.NAME] tables alone, no cpu");
});

test("what is wrong is told at its place", () => {
  const of = (keys: string) => findings(`[budget.x]\n${keys}`).map((line) => line.replace(/^board\.toml:/, ""));
  expect(of("")).toEqual(["10:2: error[profile/missing-key]: budget.x sets no limit"]);
  expect(of('vdev = "uart1"\nexits = 1')).toEqual([
    '11:8: error[profile/budget]: budget.x.vdev: there is no vdev "uart1"',
  ]);
  expect(of('vdev = "uart0"\nregister = "TRH"\nexits = 1')).toEqual([
    '12:12: error[profile/budget]: budget.x.register: there is no register "TRH"',
  ]);
  expect(of('vdev = "uart0"\nregion = "mmio"\nexits = 1')[0]).toContain('there is no region "mmio"');
  expect(of('register = "THR"\nexits = 1')[0]).toContain("budget.x.register: of which vdev?");
  expect(of('time = "soon"')[0]).toContain('expected a time such as "20ms"; got "soon"');
  expect(of("from = 3\nexits = 1")[0]).toContain(
    "expected text on the console, or { vdev, register, value } for a write; got 3",
  );
  expect(of('from = { vdev = "plic", register = "NONE" }\nexits = 1')[0]).toContain(
    'budget.x.from.register: there is no register "NONE"',
  );
  expect(of('kind = "look"\nexits = 1')[0]).toContain('expected one of "read", "write"');
  expect(findings("budget = 3")[0]).toContain("has no key budget");
  expect(findings('[budget."a b"]\nexits = 1')[0]).toContain("expected a name");
  expect(findings("[budget]\nexits = 1")[0]).toContain("budget.exits: expected a table, [budget.exits]");
});
