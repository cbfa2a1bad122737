import { describe, expect, test } from "bun:test";
import { diffTrees, formatDifferences } from "../../src/fdt/diff.ts";
import { applyOverlays } from "../../src/fdt/overlay.ts";
import { produceOverlay } from "../../src/fdt/produce-overlay.ts";
import { cells64, type Fdt, type FdtNode, find, node, setProperty, walk } from "../../src/fdt/tree.ts";
import { randomOverlays } from "./overlay-support.ts";
import { randomFdt, randomFrom, sampleFdt } from "./support.ts";

/** A board whose phandles begin at `first`. */
function board(first = 1): Fdt {
  const root = node("", { "#address-cells": 2, "#size-cells": 2, "interrupt-parent": first }, [
    node("soc", { "#address-cells": 2, "#size-cells": 2, ranges: true }, [
      node("plic@c000000", {
        "#interrupt-cells": 1,
        "#address-cells": 0,
        "interrupt-controller": true,
        phandle: first,
        "interrupts-extended": [first + 1, 11, first + 1, 9],
      }),
      node("clock", { "#clock-cells": 1, phandle: first + 2 }),
      node("uart@10000000", {
        reg: cells64(0x1000_0000, 0x100),
        interrupts: 10,
        clocks: [first + 2, 1, 0, first + 2, 3],
        "reset-gpios": [first + 3, 1, 2],
      }),
      node("gpio@1", { "#gpio-cells": 2, phandle: first + 3 }),
      node("pci@30000000", {
        "#address-cells": 3,
        "#interrupt-cells": 1,
        "interrupt-map": [0, 0, 0, 1, first, 32, 0, 0, 0, 2, first, 33],
      }),
    ]),
    node("cpus", {}, [node("cpu@0", {}, [node("intc", { "#interrupt-cells": 1, phandle: first + 1 })])]),
  ]);
  return { root, reservations: [{ address: 1n, size: 2n }], bootCpu: 0 };
}

function shuffled(fdt: Fdt, seed: number): Fdt {
  const random = randomFrom(seed);
  const shuffle = <T>(from: Iterable<T>): T[] =>
    [...from]
      .map((each) => [random(1e9), each] as const)
      .sort((a, b) => a[0] - b[0])
      .map(([, each]) => each);
  const copy = ({ name, properties, children }: FdtNode): FdtNode => ({
    name,
    properties: new Map(shuffle(properties)),
    children: shuffle(children).map(copy),
  });
  return { ...fdt, root: copy(fdt.root) };
}

describe("no difference:", () => {
  test("another order", () => {
    for (let seed = 1; seed < 30; seed++) {
      const fdt = randomFdt(seed);
      expect(diffTrees(fdt, shuffled(fdt, seed))).toEqual([]);
    }
  });

  test("other phandles, whatever refers to them", () => {
    expect(diffTrees(board(1), board(77))).toEqual([]);
  });
});

describe("a difference:", () => {
  const changes: [string, (fdt: Fdt) => void, string][] = [
    [
      "a reference that names another node",
      ({ root }) => setProperty(find(root, "/soc/uart@10000000")!, "reset-gpios", [79, 1, 2]),
      "/soc/uart@10000000\n  - reset-gpios = <&{/soc/gpio@1} 0x1 0x2>;\n  + reset-gpios = <&{/soc/clock} 0x1 0x2>;\n",
    ],
    [
      "an argument of a reference",
      ({ root }) => setProperty(find(root, "/soc/uart@10000000")!, "clocks", [79, 1, 0, 79, 4]),
      "/soc/uart@10000000\n  - clocks = <&{/soc/clock} 0x1 0x0 &{/soc/clock} 0x3>;\n  + clocks = <&{/soc/clock} 0x1 0x0 &{/soc/clock} 0x4>;\n",
    ],
    [
      "a property gone and one come",
      ({ root }) => {
        root.properties.delete("interrupt-parent");
        setProperty(root, "model", "acme");
      },
      '/\n  - interrupt-parent = <&{/soc/plic@c000000}>;\n  + model = "acme";\n',
    ],
    [
      "a node gone",
      ({ root }) => void root.children.pop(),
      // The controllers behind its interrupts are no longer known as such.
      "/soc/plic@c000000\n  - interrupts-extended = <&{/cpus/cpu@0/intc} 0xb &{/cpus/cpu@0/intc} 0x9>;\n  + interrupts-extended = <0x4e 0xb 0x4e 0x9>;\n\nremoved /cpus\n  - cpus {\n  - \tcpu@0 {\n  - \t\tintc {\n  - \t\t\t#interrupt-cells = <0x1>;\n  - \t\t};\n  - \t};\n  - };\n",
    ],
    [
      "a node come",
      ({ root }) => void find(root, "/soc")!.children.push(node("rtc@2", { reg: cells64(2, 3) })),
      "added /soc/rtc@2\n  + rtc@2 {\n  + \treg = <0x0 0x2 0x0 0x3>;\n  + };\n",
    ],
    [
      "the boot CPU and reservations",
      (fdt) => {
        fdt.bootCpu = 3;
        fdt.reservations = [];
      },
      "/\n  - /memreserve/ 0x1 0x2;\n  - boot CPU: 0\n  + boot CPU: 3\n",
    ],
  ];
  for (const [what, change, text] of changes) {
    test(what, () => {
      const changed = board(77);
      change(changed);
      expect(formatDifferences(diffTrees(board(), changed))).toBe(text);
    });
  }

  test("as data", () => {
    const changed = board();
    setProperty(find(changed.root, "/soc/uart@10000000")!, "interrupts", 11);
    expect(diffTrees(board(), changed)).toEqual([
      {
        change: "changed",
        what: "property",
        path: "/soc/uart@10000000",
        property: "interrupts",
        before: "interrupts = <0xa>",
        after: "interrupts = <0xb>",
      },
    ]);
  });

  test("is one in both directions", () => {
    for (let seed = 1; seed < 20; seed++) {
      const [left, right] = [randomFdt(seed), randomFdt(seed + 100)];
      expect(diffTrees(left, right).length).toBeGreaterThan(0);
      expect(diffTrees(left, right).length).toBe(diffTrees(right, left).length);
    }
  });
});

describe("an overlay produced", () => {
  test("turns one tree into the other, with references of every kind", () => {
    const base = board();
    base.root.children.push(node("__symbols__", { plic: "/soc/plic@c000000" }));
    const target = board(50);
    target.root.children.push(node("__symbols__", { plic: "/soc/plic@c000000" }));
    const soc = find(target.root, "/soc")!;
    soc.children.push(
      node("dma@5", { "#dma-cells": 1, phandle: 90, "interrupt-parent": 50, interrupts: 4 }),
      // To a labelled node, to a new one, to one with a number and no label, to one that had no number.
      node("net@6", { "interrupts-extended": [50, 7], dmas: [90, 1], clocks: [52, 9], "phy-handle": 91 }),
    );
    setProperty(find(target.root, "/cpus")!, "phandle", 91);
    const { overlay, remaining } = produceOverlay(base, target);
    expect(remaining).toEqual([]);
    expect(find(overlay.root, "/__fixups__")!.properties.size).toBe(1);
    expect(diffTrees(applyOverlays(base, [{ fdt: overlay }]).fdt, target)).toEqual([]);
  });

  test("of equal trees is empty", () => {
    const { overlay, remaining } = produceOverlay(board(), board(9));
    expect([overlay.root.children.length, remaining.length]).toEqual([0, 0]);
  });

  test("says what an overlay cannot do", () => {
    const target = sampleFdt();
    target.root.children.pop();
    find(target.root, "/chosen")!.properties.delete("bootargs");
    setProperty(find(target.root, "/chosen")!, "new", 1);
    const { overlay, remaining } = produceOverlay(sampleFdt(), target);
    expect(overlay.root.children.length).toBe(1);
    expect(remaining.map(({ change, path, property }) => [change, path, property])).toEqual([
      ["removed", "/chosen", "bootargs"],
      ["removed", "/soc", undefined],
    ]);
  });

  test("undoes nothing, and does the rest, for trees at random", () => {
    for (let seed = 1; seed <= 60; seed++) {
      const { base, overlays } = randomOverlays(seed);
      const target = applyOverlays(base, [{ fdt: overlays[0]! }]).fdt;
      const { remaining } = produceOverlay(base, target);
      expect({ seed, remaining }).toEqual({ seed, remaining: [] });
    }
  });
});

test("every node is looked at a fixed number of times", () => {
  // Counted, not timed.
  const looks = (count: number): number => {
    let counted = 0;
    const grow = (): Fdt => {
      const children = Array.from({ length: count }, (_, i) => {
        const made = node(`d@${i.toString(16)}`, { "interrupt-parent": 1, phandle: i + 1 });
        const { properties } = made;
        Object.defineProperty(made, "properties", {
          get: () => {
            counted++;
            return properties;
          },
        });
        return made;
      });
      return { root: node("", {}, children), reservations: [], bootCpu: 0 };
    };
    const [left, right] = [grow(), grow()];
    expect([...walk(left.root)].length).toBe(count + 1);
    diffTrees(left, right);
    return counted;
  };
  expect(looks(4000) / looks(1000)).toBe(4);
});
