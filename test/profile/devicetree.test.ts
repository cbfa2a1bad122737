import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { printDts } from "../../src/fdt/printer.ts";
import { cells, find, getProperty, strings, u32 } from "../../src/fdt/tree.ts";
import { writeDtb } from "../../src/fdt/writer.ts";
import { type BoardTreeOptions, boardTree } from "../../src/profile/devicetree.ts";
import { hostFiles, type ProfileFiles } from "../../src/profile/files.ts";
import { loadProfile } from "../../src/profile/load.ts";
import { createRegistry } from "../../src/vdev/registry.ts";
import { builtins } from "../../src/vdevs/index.ts";
import { BASE, load, registry } from "./support.ts";

const tree = (text: string, options?: BoardTreeOptions) => boardTree(load(text).board, registry, options).root;
const UART = '[[vdev]]\ntype = "test-uart"\n';

describe("the tree", () => {
  test("chosen: command line, console, initial RAM disk, a seed that only the profile's changes", () => {
    const text = `${BASE}${UART}${UART}[boot]\ncmdline = "quiet"\n`;
    const chosen = find(tree(text, { initrd: { start: 0x8400_0000, end: 0x1_0000_0001 } }), "/chosen")!;
    expect(strings(chosen, "bootargs")).toEqual(["quiet"]);
    expect(strings(chosen, "stdout-path")).toEqual(["/soc/serial@10000000"]);
    expect(cells(chosen, "linux,initrd-start")).toEqual([0, 0x8400_0000]);
    expect(cells(chosen, "linux,initrd-end")).toEqual([1, 1]);
    const seed = (more: string) => getProperty(find(tree(`${more}${BASE}`), "/chosen")!, "rng-seed")!;
    expect(seed("")).toHaveLength(64);
    expect(seed("")).toEqual(seed("seed = 0\n"));
    expect(seed("")).not.toEqual(seed("seed = 1\n"));
    expect(find(tree(BASE), "/chosen")!.properties.has("linux,initrd-start")).toBe(false);
  });

  test("aliases count in the order of the profile, the bus is by address", () => {
    const root = tree(`${BASE}${UART}at = 0x2000_0000\n${UART}at = 0x1000_0000\n`);
    expect(strings(find(root, "/aliases")!, "serial0")).toEqual(["/soc/serial@20000000"]);
    expect(find(root, "/soc")!.children.map(({ name }) => name)).toEqual([
      "plic@c000000",
      "serial@10000000",
      "serial@20000000",
    ]);
  });

  test("interrupts refer to the controller, which alone carries a phandle", () => {
    const root = tree(`${BASE}${UART}irq = "plic:7"\n`);
    const uart = find(root, "/soc/serial")!;
    expect(cells(uart, "interrupts")).toEqual([7]);
    expect(u32(uart, "interrupt-parent")).toBe(u32(find(root, "/soc/plic")!, "phandle")!);
    expect(uart.properties.has("phandle")).toBe(false);
    expect(find(tree(BASE), "/soc/plic")!.properties.has("phandle")).toBe(false);
  });

  test("caches: a hart's own in its node, shared ones beside, each behind the one before", () => {
    const caches = `[cpu]
harts = 4
[cpu.cache]
l1d = { size = "48KiB", sets = 64 }
l2 = { size = "512KiB", line = 128, harts = 2 }
l3 = { size = "4MiB" }
`;
    const cpus = find(tree(`${BASE}${caches}`), "/cpus")!;
    const names = ["cpu@0", "cpu@1", "cpu@2", "cpu@3", "l2-cache0", "l2-cache1", "l3-cache0", "cpu-map"];
    expect(cpus.children.map(({ name }) => name)).toEqual(names);
    const child = (name: string) => find(cpus, `/${name}`)!;
    expect(u32(child("cpu@3"), "d-cache-size")).toBe(48 << 10);
    expect(u32(child("cpu@3"), "d-cache-sets")).toBe(64);
    expect(child("cpu@3").properties.has("i-cache-size")).toBe(false);
    const behind = (name: string) => u32(child(name), "next-level-cache");
    const phandle = (name: string) => u32(child(name), "phandle")!;
    expect([behind("cpu@0"), behind("cpu@1")]).toEqual([phandle("l2-cache0"), phandle("l2-cache0")]);
    expect([behind("cpu@2"), behind("l2-cache1")]).toEqual([phandle("l2-cache1"), phandle("l3-cache0")]);
    expect(u32(child("l2-cache1"), "cache-block-size")).toBe(128);
    expect(behind("l3-cache0")).toBeUndefined();
  });

  test("reserved memory: a node for what lies in RAM, an entry of the blob on request, nothing elsewhere", () => {
    const reserve = (name: string, at: string, more = "") =>
      `[[reserve]]\nname = "${name}"\nat = ${at}\nsize = "64KiB"\n${more}\n`;
    const text = [
      BASE,
      reserve("hole", "0x3000_0000"),
      reserve("dma-pool", "0x8010_0000", 'compatible = "shared-dma-pool"\nno_map = true'),
      reserve("spin", "0x8020_0000", "memreserve = true"),
      UART,
      'fdt = { memory-region = "&dma-pool" }\n',
    ].join("");
    const fdt = boardTree(load(text).board, registry);
    const [pool, ...others] = find(fdt.root, "/reserved-memory")!.children;
    expect(others).toEqual([]);
    expect(pool!.name).toBe("dma-pool@80100000");
    expect([...pool!.properties.keys()]).toEqual(["compatible", "reg", "no-map", "phandle"]);
    expect(u32(find(fdt.root, "/soc/serial")!, "memory-region")).toBe(u32(pool!, "phandle")!);
    expect(fdt.reservations).toEqual([{ address: 0x8020_0000n, size: 0x1_0000n }]);
    expect(find(tree(BASE + reserve("hole", "0x3000_0000")), "/reserved-memory")).toBeUndefined();
  });

  test("cpus: one node for each hart, the ISA in both spellings, cache blocks only where there are any", () => {
    const root = tree(`${BASE}[cpu]\nharts = 16\nisa = "rv64imac_zicboz"\nmmu = "none"\n`);
    const cpu = find(root, "/cpus/cpu@f")!;
    expect(u32(cpu, "reg")).toBe(15);
    expect(strings(cpu, "riscv,isa")).toEqual(["rv64imac_zicboz"]);
    expect(strings(cpu, "riscv,isa-extensions")).toEqual(["i", "m", "a", "c", "zicboz"]);
    expect(strings(cpu, "mmu-type")).toEqual(["riscv,none"]);
    expect(u32(cpu, "riscv,cboz-block-size")).toBe(64);
    expect(cpu.properties.has("riscv,cbom-block-size")).toBe(false);
    expect(u32(find(root, "/cpus/cpu-map/cluster0/core15")!, "cpu")).toBe(u32(cpu, "phandle")!);
  });

  test("ROM is not memory to the guest", () => {
    const root = tree(`${BASE}[[memory]]\nkind = "rom"\nsize = "4KiB"\nat = 0x1000\n`);
    expect(root.children.filter(({ name }) => name.startsWith("memory")).map(({ name }) => name)).toEqual([
      "memory@80000000",
    ]);
  });
});

/** Golden files change by hand only: `UPDATE_GOLDEN=1 bun test test/profile`, then read the difference. */
describe("the boards that ship", () => {
  const shipped = createRegistry(builtins);
  const root = join(import.meta.dir, "../..");
  /** Guest images are made or built elsewhere: a tree does not depend on them. */
  const files: ProfileFiles = {
    ...hostFiles,
    facts: (path) => (path.startsWith(join(root, "firmware")) ? { kind: "file", size: 0 } : hostFiles.facts(path)),
  };
  const cases = [
    ["virt-rv64", []],
    ["virt-rv64-4harts", ["cpu.harts=4", "vdev.con0.type=virtio-console"]],
    ["linux-rv64", []],
    ["hifive-rv64", []],
    ["soc-pass", []],
    ["devices-rv64", []],
  ] as const;

  for (const [name, set] of cases) {
    const fdt = () => {
      const path = join(root, "profiles", `${name.replace("-4harts", "")}.toml`);
      return boardTree(loadProfile(path, { registry: shipped, set, files }).board, shipped);
    };

    test(`${name} is the golden tree`, async () => {
      const golden = Bun.file(join(import.meta.dir, "golden", `${name}.dts`));
      const dts = printDts(fdt());
      if (process.env["UPDATE_GOLDEN"]) await golden.write(dts);
      expect(dts).toBe(await golden.text());
      expect(writeDtb(fdt())).toEqual(writeDtb(fdt()));
    });

    const dtc = Bun.which("dtc");
    if (!dtc) console.warn(`skipped: ${name} without warnings of dtc (apt-get install device-tree-compiler)`);
    test.skipIf(!dtc)(`${name} has no warnings of dtc`, () => {
      const read = Bun.spawnSync([dtc!, "-I", "dtb", "-O", "dts"], { stdin: writeDtb(fdt()) });
      expect(read.stderr.toString()).toBe("");
      expect(read.exitCode).toBe(0);
      const copied = Bun.spawnSync([dtc!, "-I", "dts", "-O", "dtb", "-q"], {
        stdin: new TextEncoder().encode(printDts(fdt())),
      });
      expect(Uint8Array.from(copied.stdout)).toEqual(Uint8Array.from(writeDtb(fdt())));
    });
  }
});
