import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { VmrunError } from "../../src/diagnostics/diagnostic.ts";
import { writeDtb } from "../../src/fdt/writer.ts";
import { boardTree } from "../../src/profile/devicetree.ts";
import { explainBoard } from "../../src/profile/explain.ts";
import { loadProfile } from "../../src/profile/load.ts";
import { createRegistry } from "../../src/vdev/registry.ts";
import { builtins } from "../../src/vdevs/index.ts";
import { memoryFiles } from "./support.ts";

const registry = createRegistry(builtins);
const SOURCES = ["virt-rv64", "hifive-rv64"].map((name) =>
  readFileSync(join(import.meta.dir, "../../profiles", `${name}.toml`), "utf8").replace(
    "../firmware/monitor.elf",
    "none",
  ),
);
const PIECES = [
  '""',
  "-1",
  "0",
  "1e400",
  "nan",
  "0x1f_ffff_ffff_ffff",
  "9223372036854775807",
  "true",
  "[]",
  "{}",
  "[[vdev]]",
  "[vdev]",
  "[[memory]]",
  "at = 0",
  "size = 0",
  'size = "9007199254740991B"',
  "harts = 0",
  "remove = true",
  "name = 'plic'",
  'irq = "plic"',
  "irq = []",
  "at = {}",
  "at = { uart = 3 }",
  "__proto__ = 1",
  "a.b.c = 1",
  "\u0000",
  "\ud800",
  "\r",
  '"""',
  "=",
  "#",
  'include = "board.toml"',
  "2026-01-01",
  "07:32:00",
  "-0001-01-01",
  "9999-12-31T23:59:59Z",
  "isa = 'rv64i_'",
  "sources = 1023",
  'contexts = "msmsms"',
  "type = 'virtio-blk'",
  "type = 'plic'",
  "host = 'stdio'",
  "epoch = 'host'",
];

/** xorshift32: the same mutations in every run. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

function mutate(text: string, pick: (below: number) => number): string {
  let mutated = text;
  for (let i = 1 + pick(4); i > 0; i--) {
    const at = pick(mutated.length);
    const piece = PIECES[pick(PIECES.length)]!;
    const lines = mutated.split("\n");
    const line = pick(lines.length);
    switch (pick(7)) {
      case 0:
        mutated = mutated.slice(0, at) + mutated.slice(at + 1 + pick(8));
        break;
      case 1:
        mutated = mutated.slice(0, at) + piece + mutated.slice(at);
        break;
      case 2:
        mutated = mutated.slice(0, at) + String.fromCharCode(pick(256)) + mutated.slice(at + 1);
        break;
      case 3:
        lines.splice(line, 1 + pick(4));
        mutated = lines.join("\n");
        break;
      case 4:
        lines.splice(line, 0, piece);
        mutated = lines.join("\n");
        break;
      case 5:
        lines.splice(line, 0, ...lines.slice(pick(lines.length)).slice(0, 8));
        mutated = lines.join("\n");
        break;
      default:
        // A new value for a key that is there gets past the syntax more often than the others.
        lines[line] = lines[line]!.replace(/=.*/, `= ${piece}`);
        mutated = lines.join("\n");
    }
  }
  return mutated;
}

test("a mutated profile is a board or a VmrunError, soon", () => {
  const pick = random(0x5eed);
  let boards = 0;
  let slowest = 0;
  for (let i = 0; i < 3000; i++) {
    const text = mutate(SOURCES[i % SOURCES.length]!, pick);
    const start = performance.now();
    try {
      const { board, provenance } = loadProfile("board.toml", { registry, files: memoryFiles({ "board.toml": text }) });
      boards++;
      explainBoard(board, provenance, registry);
      writeDtb(boardTree(board, registry));
    } catch (error) {
      if (!(error instanceof VmrunError)) throw new Error(`not a VmrunError for:\n${text}`, { cause: error });
      expect(error.diagnostics.length).toBeGreaterThan(0);
    }
    slowest = Math.max(slowest, performance.now() - start);
  }
  // Neither all nor none: else the mutations test only one of the two paths.
  expect(boards).toBeGreaterThan(200);
  expect(boards).toBeLessThan(2800);
  expect(slowest).toBeLessThan(2000);
}, 60_000);

test.each([
  ["[[vdev]]\n".repeat(20_000)],
  [`x = ${"[".repeat(100_000)}`],
  [`[${"a.".repeat(100_000)}a]`],
  ["[[memory]]\nsize = 4096\n".repeat(3000)],
  [`schema = 1\n[[memory]]\nsize = "1MiB"\n${'[[vdev]]\ntype = "ns16550a"\nirq = "none"\n'.repeat(3000)}`],
  [`schema = 1\n${'[[vdev]]\ntype = "ns16550a"\nat = 0\n'.repeat(3000)}`],
  ["\u{1f4a9}".repeat(1000)],
  [`x = "${"a".repeat(900_000)}"`],
])("hostile text %#", (text) => {
  const start = performance.now();
  try {
    loadProfile("board.toml", { registry, files: memoryFiles({ "board.toml": text }) });
  } catch (error) {
    if (!(error instanceof VmrunError)) throw error;
  }
  expect(performance.now() - start).toBeLessThan(5000);
});
