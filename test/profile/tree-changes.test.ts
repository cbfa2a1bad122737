import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cells, find, strings, u32 } from "../../src/fdt/tree.ts";
import { boardTree } from "../../src/profile/devicetree.ts";
import { loadProfile } from "../../src/profile/load.ts";
import { BASE, load, refused, registry } from "./support.ts";

const UART = '[[vdev]]\ntype = "test-uart"\nname = "uart-a"\n';
const tree = (text: string) => boardTree(load(text).board, registry).root;

test("a vdev's node: another name, properties over those of its binding, references", () => {
  const root = tree(
    `${BASE}${UART}node = "console"\nfdt = { compatible = ["acme,uart", "x"], "acme,fifo" = 64, who = ["&plic", 3], on = true, interrupts = false }\n`,
  );
  const uart = find(root, "/soc/console@10000000")!;
  expect(strings(uart, "compatible")).toEqual(["acme,uart", "x"]);
  expect(u32(uart, "acme,fifo")).toBe(64);
  expect(cells(uart, "who")).toEqual([u32(find(root, "/soc/plic")!, "phandle")!, 3]);
  expect(uart.properties.get("on")).toHaveLength(0);
  expect(uart.properties.has("interrupts")).toBe(false);
  expect(strings(find(root, "/chosen")!, "stdout-path")).toEqual(["/soc/console@10000000"]);
});

test("a reference to nobody, and cells among texts, are refused", () => {
  expect(refused(`${BASE}${UART}fdt = { who = "&plik" }\n`)).toContain('hint: did you mean "&plic"?');
  expect(refused(`${BASE}${UART}fdt = { who = [1, "two"] }\n`)).toContain("expected a list of texts, or of cells");
});

test("source text extends, replaces and deletes; its mistakes are shown where they stand", () => {
  const root = tree(
    `${BASE}${UART}[fdt]\ndts = '''\n/ { osc: osc { #clock-cells = <0>; }; };\n&uart_a { clocks = <&osc>; };\n/delete-node/ &plic;\n'''\n`,
  );
  expect(cells(find(root, "/soc/serial")!, "clocks")).toEqual([u32(find(root, "/osc")!, "phandle")!]);
  expect(find(root, "/soc/plic")).toBeUndefined();
  expect(refused(`${BASE}[fdt]\ndts = '''\n\n&nobody { };\n'''\n`)).toMatch(/^board\.toml:12:1: .*nobody/);
});

test("symbols: vdevs and harts by name, and every one has a phandle", () => {
  const root = tree(`${BASE}${UART}[fdt]\nsymbols = true\n`);
  const symbols = find(root, "/__symbols__")!;
  expect(strings(symbols, "uart_a")).toEqual(["/soc/serial@10000000"]);
  expect(strings(symbols, "cpu0_intc")).toEqual(["/cpus/cpu@0/interrupt-controller"]);
  expect(u32(find(root, "/soc/serial")!, "phandle")).toBeGreaterThan(0);
});

test("overlays, in order", () => {
  const folder = mkdtempSync(join(tmpdir(), "vmrun-overlay-"));
  try {
    for (const name of ["a", "b"]) {
      writeFileSync(join(folder, `${name}.dts`), `/dts-v1/; /plugin/; &uart_a { label = "${name}"; ${name}; };`);
    }
    writeFileSync(join(folder, "board.toml"), `${BASE}${UART}[fdt]\noverlays = ["a.dts", "b.dts"]\n`);
    const uart = find(
      boardTree(loadProfile(join(folder, "board.toml"), { registry }).board, registry).root,
      "/soc/serial",
    )!;
    expect(strings(uart, "label")).toEqual(["b"]);
    expect([uart.properties.has("a"), uart.properties.has("b")]).toEqual([true, true]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
