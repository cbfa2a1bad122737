import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { VmrunError } from "../../src/diagnostics/diagnostic.ts";
import { AddressMap } from "../../src/fdt/addresses.ts";
import { checkTree } from "../../src/fdt/checks/run.ts";
import { diffTrees } from "../../src/fdt/diff.ts";
import { parseDts } from "../../src/fdt/dts/parse.ts";
import { readDtb } from "../../src/fdt/reader.ts";
import { type Fdt, walk } from "../../src/fdt/tree.ts";
import { TreeIndex } from "../../src/fdt/tree-index.ts";
import { boardTree } from "../../src/profile/devicetree.ts";
import { draftFromTree } from "../../src/profile/draft.ts";
import { loadProfile, type Resolved } from "../../src/profile/load.ts";
import { createRegistry } from "../../src/vdev/registry.ts";
import { builtins } from "../../src/vdevs/index.ts";
import { memoryFiles } from "./support.ts";

const registry = createRegistry(builtins);
const fixture = (name: string) => parseDts(readFileSync(join(import.meta.dir, "fixtures", name)), { file: name });

const draft = (fdt: Fdt) => draftFromTree(fdt, { registry, name: "board", source: "board.dtb" });
const load = (text: string): Resolved =>
  loadProfile("board.toml", { registry, files: memoryFiles({ "board.toml": text }) });

/** What the draft's tree has otherwise, as place and property; each is marked in its text. */
function differences(original: Fdt, text: string): string[] {
  const found = diffTrees(original, boardTree(load(text).board, registry));
  const marked = new Set(
    text.split("\n").flatMap((line) => /^# guess: (.*) (?:added|removed|changed)$/.exec(line)?.[1] ?? []),
  );
  const told = found.map(({ path, property, what }) => `${path}: ${property ?? what}`);
  expect(told.filter((each) => !marked.has(each))).toEqual([]);
  expect(marked.size).toBe(new Set(told).size);
  return told;
}

describe("a small board", () => {
  const original = fixture("small.dts");
  const text = draft(original);
  const { board } = load(text);
  const vdev = (name: string) => board.vdevs.find(({ placement }) => placement.name === name)!;

  test("the frame: model, harts as the one with an MMU, memory, command line", () => {
    expect(board.model).toBe('Acme "Anvil"');
    expect(board.compatible).toEqual(["acme,anvil", "acme,board"]);
    expect(board.cpu).toMatchObject({ isa: "rv64imafdc_zicsr_zba", harts: 2, mmu: "sv39" });
    expect(text).toContain("# guess: without xacme");
    expect(text).toContain("# guess: all harts are as cpu@1 here; in the tree they differ");
    expect(board.time.timebase).toBe(32768);
    expect(board.memory.map(({ at, size }) => [at, size])).toEqual([
      [0x8000_0000, 0x400_0000],
      [0x9000_0000, 0x100_0000],
    ]);
    expect(board.boot.cmdline).toBe("quiet 'root'=/dev/null");
  });

  test("known bindings become their vdevs, at the CPUs' addresses, with what their nodes tell", () => {
    expect(vdev("plic")).toMatchObject({
      placement: { type: "plic", regions: [{ at: 0x1040_0000 }] },
      options: { sources: 31, contexts: ["m", "ms"] },
    });
    expect(vdev("uart0")).toMatchObject({
      placement: { type: "ns16550a", regions: [{ at: 0x1000_1000 }], interrupts: [{ controller: "plic", line: 5 }] },
      options: { reg_shift: 2, clock: 25_000_000, host: "stdio" },
    });
    expect(vdev("clint").placement.regions[0]!.at).toBe(0x200_0000);
  });

  test("a line that two share goes to the first, and a rate that nobody tells is marked", () => {
    expect(vdev("uart1")).toMatchObject({ placement: { interrupts: [] }, options: { host: "null" } });
    const table = text.slice(text.indexOf("# /amba/uart@2000"), text.indexOf('name = "uart1"'));
    expect(table).toContain("# guess: irq:");
    expect(table).toContain("# guess: clock:");
  });

  test("the rest becomes placeholders: compatible, every region; what overlaps stays in the tree alone", () => {
    expect(vdev("net0")).toMatchObject({
      placement: { type: "unimplemented", regions: [{ at: 0x1000_3000, size: 0x800 }] },
      options: { compatible: ["acme,net"] },
    });
    expect(vdev("net1").placement.regions).toMatchObject([{ at: 0x1000_8000, size: 0x10 }]);
    expect(vdev("flash")).toMatchObject({ placement: { regions: [{ at: 0x2000_0000, size: 0x80_0000 }] } });
    expect(board.vdevs.flatMap(({ options }) => options["compatible"] ?? [])).not.toContain("acme,overlaps");
  });

  test("its tree is the original but for what is marked", () => {
    const told = differences(original, text);
    expect(told).toMatchInlineSnapshot(`
      [
        "/chosen: rng-seed",
        "/cpus/cpu@0: riscv,isa",
        "/cpus/cpu@0: riscv,isa-base",
        "/cpus/cpu@0: riscv,isa-extensions",
        "/cpus/cpu@0: mmu-type",
        "/cpus/cpu@1: riscv,isa-extensions",
        "/cpus/cpu@1: riscv,isa",
        "/memory@80000000: reg",
        "/memory@90000000: node",
      ]
    `);
  });
});

/** Every node's registers, as the CPUs see them. */
function addresses(fdt: Fdt): Map<string, string> {
  const index = new TreeIndex(fdt);
  const map = new AddressMap(index);
  return new Map(
    index.visits.map(({ node, path }) => [
      path,
      map
        .registers(node)
        .map(({ cpuAddress }) => cpuAddress?.toString(16))
        .join(" "),
    ]),
  );
}

describe("addresses that are written otherwise", () => {
  const buses = {
    "a root of one cell": fixture("small.dts"),
    "a /soc of one cell": parseDts(`/dts-v1/; / { #address-cells = <2>; #size-cells = <1>;
      memory@80000000 { device_type = "memory"; reg = <0 0x80000000 0x1000000>; };
      soc { compatible = "simple-bus"; #address-cells = <1>; #size-cells = <1>; ranges = <0 0 0x10000000 0x1000000>;
        irqs: plic@400000 { compatible = "riscv,plic0"; reg = <0x400000 0x600000>; #interrupt-cells = <1>; #address-cells = <0>; interrupt-controller; riscv,ndev = <31>; };
        serial@1000 { compatible = "ns16550a"; reg = <0x1000 0x100>; interrupts = <5>; interrupt-parent = <&irqs>; clock-frequency = <100>; };
      }; };`),
  };
  for (const [name, original] of Object.entries(buses)) {
    test(`${name}: every node is where it was`, () => {
      const text = draft(original);
      differences(original, text);
      const [before, after] = [addresses(original), addresses(boardTree(load(text).board, registry))];
      // What was one node of two ranges is two nodes.
      for (const [path, at] of before)
        if (path !== "/memory@80000000") expect([path, after.get(path)]).toEqual([path, at]);
      expect(after.get("/memory@80000000")).toBe("80000000");
    });
  }
});

describe("bad trees", () => {
  test("nothing in it: a board all the same", () => {
    const text = draft(parseDts("/dts-v1/; / { };"));
    expect(load(text).board.memory).toMatchObject([{ at: 0x8000_0000 }]);
    expect(text).toContain("# guess: the tree has no memory that a board could have");
  });

  test("an Arm board: memory and devices, and a RISC-V hart that is marked", () => {
    const text = draft(
      parseDts(`/dts-v1/; / { #address-cells = <2>; #size-cells = <2>;
        cpus { #address-cells = <1>; #size-cells = <0>; cpu@0 { device_type = "cpu"; reg = <0>; compatible = "arm,cortex-a53"; }; };
        memory@40000000 { device_type = "memory"; reg = <0 0x40000000 0 0x8000000>; };
        pl011@9000000 { compatible = "arm,pl011", "arm,primecell"; reg = <0 0x9000000 0 0x1000>; }; };`),
    );
    expect(text).toContain("# guess: the tree says nothing that is RISC-V");
    expect(load(text).board.vdevs.map(({ placement }) => placement.type)).toEqual(["pl011"]);
  });

  test("changed at random: a draft that loads, or an error", () => {
    let state = 4;
    const random = (below: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    let loaded = 0;
    for (let round = 0; round < 20; round++) {
      const fdt = fixture("small.dts");
      const nodes = [...walk(fdt.root)].map(({ node }) => node);
      for (let i = 0; i < 3; i++) {
        const node = nodes[random(nodes.length)]!;
        const names = [...node.properties.keys()];
        const name = names[random(names.length)];
        const value = name === undefined ? undefined : node.properties.get(name)!;
        if (value === undefined || name === undefined) continue;
        const how = random(3);
        if (how === 0) node.properties.set(name, value.slice(0, random(value.length + 1)));
        else if (how === 1) node.properties.delete(name);
        else if (value.length > 0) value[random(value.length)] = random(256);
      }
      try {
        load(draft(fdt));
        loaded++;
      } catch (error) {
        if (!(error instanceof VmrunError)) throw error;
      }
    }
    expect(loaded).toBeGreaterThan(15);
  }, 20_000);
});

const qemu = Bun.which("qemu-system-riscv64");

describe.skipIf(qemu === null)("QEMU's machines", () => {
  const dump = (machine: string): Fdt => {
    const folder = mkdtempSync(join(tmpdir(), "vmrun-draft-"));
    try {
      const file = join(folder, "board.dtb");
      const { exitCode } = Bun.spawnSync([qemu!, "-M", `${machine},dumpdtb=${file}`, "-smp", "2"], {
        stdout: "ignore",
        stderr: "ignore",
      });
      expect(exitCode).toBe(0);
      return readDtb(new Uint8Array(readFileSync(file)));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };

  for (const machine of ["virt", "sifive_u"]) {
    test(`${machine}: loads, is clean, and differs as marked`, () => {
      const original = dump(machine);
      const text = draft(original);
      const told = differences(original, text);
      expect(checkTree({ fdt: boardTree(load(text).board, registry) })).toEqual([]);
      const odd = told.filter((each) => !/^\/(cpus\/|chosen: rng-seed|soc\/[^:]*: (reg|#address-cells)$)/.test(each));
      expect(odd).toEqual([]);
    });
  }
});
