import { describe, expect, test } from "bun:test";
import { mapTree } from "../../src/fdt/map.ts";
import { renderMapSvg } from "../../src/fdt/map-svg.ts";
import { renderMapText } from "../../src/fdt/map-text.ts";
import { cells64, type Fdt, node } from "../../src/fdt/tree.ts";
import { checkedTree } from "./checks/check-support.ts";
import { randomFdt } from "./support.ts";

/** Buses within buses, a PCI host, two controllers, and a device that is off. */
function board(): Fdt {
  const root = node("", { "#address-cells": 2, "#size-cells": 2 }, [
    node("memory@80000000", { device_type: "memory", reg: cells64(0x8000_0000, 0x1000_0000) }),
    node("reserved-memory", { "#address-cells": 2, "#size-cells": 2, ranges: true }, [
      node("fw@80000000", { reg: cells64(0x8000_0000, 0x8_0000), "no-map": true }),
    ]),
    node("cpus", { "#address-cells": 1, "#size-cells": 0 }, [
      node("cpu@0", { device_type: "cpu", reg: 0 }, [
        node("intc", { compatible: "riscv,cpu-intc", "#interrupt-cells": 1, "interrupt-controller": true, phandle: 1 }),
      ]),
    ]),
    node("soc", { "#address-cells": 2, "#size-cells": 2, ranges: true }, [
      node("plic@c000000", {
        compatible: "sifive,plic-1.0.0",
        reg: cells64(0xc00_0000, 0x60_0000),
        "reg-names": "control",
        "interrupt-controller": true,
        "#interrupt-cells": 1,
        "#address-cells": 0,
        "interrupts-extended": [1, 11, 1, 9],
        phandle: 2,
      }),
      node("bus@20000000", { "#address-cells": 1, "#size-cells": 1, ranges: [0, 0, 0x2000_0000, 0x1000] }, [
        node("uart@100", { compatible: 'a"<b>', reg: [0x100, 0x20], "interrupt-parent": 2, interrupts: [4, 5, 6, 9] }),
        node("off@200", { reg: [0x200, 0x20], status: "disabled" }),
        node("lost@2000", { reg: [0x2000, 0x20] }),
      ]),
      node("pci@30000000", {
        device_type: "pci",
        "#address-cells": 3,
        "#size-cells": 2,
        "#interrupt-cells": 1,
        reg: cells64(0x3000_0000, 0x1000_0000),
        ranges: [0x200_0000, ...cells64(0x4000_0000, 0x4000_0000, 0x4000_0000)],
        "interrupt-map": [0, 0, 0, 1, 2, 32, 0, 0, 0, 2, 2, 33, 0x800, 0, 0, 1, 2, 33],
      }),
    ]),
  ]);
  return { root, reservations: [{ address: 0x8fff_0000n, size: 0x1_0000n }], bootCpu: 0 };
}

test("as text", () => {
  expect(renderMapText(board())).toMatchSnapshot();
});

test("every line that feeds a controller is wired to it", () => {
  const lines = (hart: number) => [hart + 1, 11, hart + 1, 9];
  const cpus = [0, 1, 2].map((hart) => {
    const intc = { "interrupt-controller": true as const, "#interrupt-cells": 1, phandle: hart + 1 };
    return node(`cpu@${hart}`, { device_type: "cpu", reg: hart }, [node("interrupt-controller", intc)]);
  });
  const plic = {
    "interrupt-controller": true as const,
    "#interrupt-cells": 1,
    "interrupts-extended": [0, 1, 2].flatMap(lines),
  };
  const root = node("", {}, [node("cpus", {}, cpus), node("plic", plic)]);
  const picture = renderMapSvg({ root, reservations: [], bootCpu: 0 });
  expect(picture.match(/<path /g)).toHaveLength(6);
});

test("as a picture", () => {
  expect(renderMapSvg(board())).toMatchSnapshot();
});

describe("the map", () => {
  test("has addresses as the CPUs see them, and none that they cannot reach", () => {
    const blocks = mapTree(board()).blocks.map(({ path, start }) => [path, start]);
    expect(blocks).toContainEqual(["/soc/bus@20000000/uart@100", 0x2000_0100n]);
    expect(blocks.some(([path]) => String(path).includes("lost"))).toBe(false);
  });

  test("shows a circle of controllers, each once", () => {
    const controller = (phandle: number, other: number) =>
      node(`c${phandle}`, {
        "interrupt-controller": true,
        "#interrupt-cells": 1,
        phandle,
        "interrupts-extended": [other, 3],
      });
    const fdt = { root: node("", {}, [controller(1, 2), controller(2, 1)]), reservations: [], bootCpu: 0 };
    const { controllers } = mapTree(fdt);
    expect(controllers.map(({ path, below }) => [path, below.map((each) => each.path)])).toEqual([["/c1", ["/c2"]]]);
  });
});

test("any tree can be drawn, and the picture is well-formed", () => {
  for (let seed = 1; seed <= 60; seed++) {
    for (const fdt of [randomFdt(seed), checkedTree(seed)]) {
      expect(renderMapText(fdt)).toStartWith("Memory\n");
      const svg = renderMapSvg(fdt);
      const open: string[] = [];
      for (const [, close, name, empty] of svg.matchAll(/<(\/?)([a-z]+)(?:\s[^<>]*?)?(\/?)>/g)) {
        if (close) expect(open.pop()).toBe(name!);
        else if (!empty) open.push(name!);
      }
      expect(open).toEqual([]);
      expect(svg).not.toMatch(/NaN|undefined/);
      expect([...svg].every((character) => character === "\n" || character >= " ")).toBe(true);
    }
  }
});
