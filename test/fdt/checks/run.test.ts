import { describe, expect, test } from "bun:test";
import { bindingChecks } from "../../../src/fdt/checks/binding-checks.ts";
import { CheckLevels, checkTree } from "../../../src/fdt/checks/run.ts";
import { CHECKS } from "../../../src/fdt/checks/table.ts";
import { cells64, type Fdt, type FdtNode, node } from "../../../src/fdt/tree.ts";
import { writeDtb } from "../../../src/fdt/writer.ts";
import { codeOf, hasDtc, NEEDS_DTC, randomFdt } from "../support.ts";
import { CHANGED_SINCE_1_6, checkedTree, dtcFindings } from "./check-support.ts";

const tree = (root: FdtNode): Fdt => ({ root, reservations: [], bootCpu: 0 });

function found(root: FdtNode, ...more: ["warning" | "error", string][]): string[] {
  const levels = new CheckLevels();
  for (const [kind, name] of more) levels.set(kind, name);
  return checkTree({ fdt: tree(root) }, levels).map(
    ({ code, severity, place }) => `${severity} ${code.replace("check/", "")} ${place!.path ?? "-"}`,
  );
}

describe("the table", () => {
  test("has each name once, and prerequisites that exist and come with no circle", () => {
    const names = CHECKS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    const byName = new Map(CHECKS.map((check) => [check.name, check]));
    const depth = (name: string, above: readonly string[] = []): number => {
      expect(above).not.toContain(name);
      const { requires = [] } = byName.get(name)!;
      return 1 + Math.max(0, ...requires.map((each) => depth(each, [...above, name])));
    };
    for (const name of names) expect(depth(name)).toBeLessThan(8);
  });

  test.skipIf(!hasDtc)(`has names that dtc knows${NEEDS_DTC}`, () => {
    const own = new Set(bindingChecks.map(({ name }) => name));
    const since = new Set(["node_name_not_empty", "interrupt_map"]);
    for (const { name } of CHECKS) {
      if (own.has(name) || since.has(name)) continue;
      const run = Bun.spawnSync(["dtc", "-q", "-W", name, "-O", "dtb", "-"], {
        stdin: Buffer.from("/dts-v1/; / { };"),
      });
      expect([name, run.exitCode, run.stderr.toString()]).toEqual([name, 0, ""]);
    }
  });
});

describe("levels", () => {
  test("of a check raise those of its prerequisites, and lower those that follow from it", () => {
    const levels = new CheckLevels();
    expect(levels.of("addr_size_cells")).toBe("warning");
    levels.set("error", "reg_format");
    expect([levels.of("reg_format"), levels.of("addr_size_cells")]).toEqual(["error", "error"]);
    levels.set("error", "no-addr_size_cells");
    levels.set("warning", "no-addr_size_cells");
    expect([levels.of("reg_format"), levels.of("ranges_format"), levels.of("size_cells_is_cell")]).toEqual([
      "off",
      "off",
      "error",
    ]);
  });

  test("are for known names", () => {
    expect(codeOf(() => new CheckLevels().set("warning", "nonsense"))).toBe("fdt/unknown-check");
    expect(codeOf(() => new CheckLevels().set("warning", "no-nonsense"))).toBe("fdt/unknown-check");
  });

  test("all but one that always fails", () => {
    const levels = new CheckLevels();
    levels.all();
    expect(CHECKS.filter(({ name }) => levels.of(name) === "off").map(({ name }) => name)).toEqual(["always_fail"]);
    expect(found(node(""), ["warning", "always_fail"])).toEqual(["warning always_fail /"]);
  });
});

test.skipIf(!hasDtc)(`dtc finds the same in trees at random${NEEDS_DTC}`, () => {
  const extra = CHECKS.filter(({ level, name }) => level === "off" && name !== "always_fail").map(({ name }) => name);
  const own = new Set(bindingChecks.map(({ name }) => name));
  const hits = new Set<string>();
  for (let seed = 1; seed <= 120; seed++) {
    const fdt = checkedTree(seed);
    const theirs = dtcFindings(writeDtb(fdt), extra);
    const levels = new CheckLevels();
    for (const name of extra) levels.set("warning", name);
    const findings = checkTree({ fdt }, levels);
    if (!theirs) continue;
    const comparable = (text: string) => {
      const [name] = text.split(" ") as [string];
      return !own.has(name) && !CHANGED_SINCE_1_6.has(name);
    };
    const ours = findings.map(({ code, severity, place }) => {
      return `${code.replace("check/", "")} ${severity} ${(place!.path ?? "-").replace(/:.*/, "")}`;
    });
    const mine = new Set(ours.filter(comparable));
    const wanted = new Set([...theirs.findings].filter(comparable));
    for (const text of wanted) hits.add(text.split(" ")[0]!);
    const more = theirs.cutShort ? [] : [...mine.difference(wanted)];
    expect({ seed, missing: [...wanted.difference(mine)], more }).toEqual({ seed, missing: [], more: [] });
  }
  // Else the trees were too tame.
  expect(hits.size).toBeGreaterThan(40);
});

/** A board without fault, for tests to spoil. */
function board(spoil: { plic?: object; uart?: object; soc?: object; more?: FdtNode[] } = {}): FdtNode {
  return node("", { "#address-cells": 2, "#size-cells": 2, compatible: "x", model: "x" }, [
    node("aliases", { serial0: "/soc/serial@10000000" }),
    node("chosen", { "stdout-path": "serial0:115200" }),
    node("cpus", { "#address-cells": 1, "#size-cells": 0 }, [
      node("cpu@0", { device_type: "cpu", reg: 0, compatible: "riscv", "riscv,isa": "rv64gc", phandle: 3 }, [
        node("interrupt-controller", {
          "#interrupt-cells": 1,
          "interrupt-controller": true,
          compatible: "riscv,cpu-intc",
          phandle: 1,
        }),
      ]),
      node("cpu-map", {}, [node("cluster0", {}, [node("core0", { cpu: 3 })])]),
    ]),
    node("soc", { "#address-cells": 2, "#size-cells": 2, compatible: "simple-bus", ranges: true, ...spoil.soc }, [
      node("plic@c000000", {
        compatible: "riscv,plic0",
        reg: cells64(0xc00_0000, 0x60_0000),
        "interrupt-controller": true,
        "#interrupt-cells": 1,
        "#address-cells": 0,
        "interrupts-extended": [1, 11, 1, 0xffff_ffff],
        "riscv,ndev": 31,
        phandle: 2,
        ...spoil.plic,
      }),
      node("serial@10000000", {
        compatible: "ns16550a",
        reg: cells64(0x1000_0000, 0x100),
        "clock-frequency": 1,
        "interrupt-parent": 2,
        interrupts: 31,
        ...spoil.uart,
      }),
      ...(spoil.more ?? []),
    ]),
  ]);
}

describe("bindings", () => {
  test("are content with a board that keeps them", () => {
    expect(found(board())).toEqual([]);
  });

  const cases: [string, FdtNode, string[]][] = [
    [
      "a required property is missing",
      board({ plic: { "riscv,ndev": undefined } }),
      ["error binding_required /soc/plic@c000000"],
    ],
    [
      "one of two is missing",
      board({ uart: { "clock-frequency": undefined } }),
      ["error binding_required /soc/serial@10000000"],
    ],
    [
      "a number of cells is another",
      board({ plic: { "#address-cells": 2 } }),
      ["error binding_cells /soc/plic@c000000:#address-cells"],
    ],
    [
      "a number of cells is missing",
      board({ plic: { "#address-cells": undefined } }),
      ["error binding_cells /soc/plic@c000000"],
    ],
    [
      "an interrupt beyond the controller's last",
      board({ uart: { interrupts: 32 } }),
      ["error interrupt_exists /soc/serial@10000000:interrupts"],
    ],
    [
      "interrupt 0 of a PLIC",
      board({ uart: { interrupts: 0 } }),
      ["error interrupt_exists /soc/serial@10000000:interrupts"],
    ],
    [
      "an interrupt that no hart has",
      board({ plic: { "interrupts-extended": [1, 64] } }),
      ["error interrupt_exists /soc/plic@c000000:interrupts-extended"],
    ],
    [
      "an address beyond the ranges",
      board({ soc: { ranges: cells64(0xc00_0000, 0xc00_0000, 0x100_0000) } }),
      ["warning unit_address_vs_reg /soc", "error address_reachable /soc/serial@10000000:reg"],
    ],
    [
      "two devices at one address",
      board({
        more: [node("rtc@10000080", { reg: cells64(0x1000_0080, 0x100) })],
      }),
      ["warning address_overlap /soc/rtc@10000080:reg"],
    ],
  ];
  for (const [what, root, findings] of cases) {
    test(what, () => {
      expect(found(root)).toEqual(findings);
    });
  }

  test("a disabled device, and a syscon, may share", () => {
    const at = { reg: cells64(0x1000_0080, 0x100) };
    const more = [
      node("rtc@10000080", { ...at, status: "disabled" }),
      node("sys@10000090", { reg: cells64(0x1000_0090, 4), compatible: "syscon" }),
    ];
    expect(found(board({ more }))).toEqual([]);
  });

  test("a console that is not there, a core that is no CPU", () => {
    const root = board();
    root.children[1] = node("chosen", { "stdout-path": "serial7" });
    root.children[2]!.children[1] = node("cpu-map", {}, [node("cluster0", {}, [node("core0", { cpu: 2 })])]);
    expect(found(root)).toEqual([
      "warning stdout_path_exists /chosen:stdout-path",
      "error cpu_map_cpus /cpus/cpu-map/cluster0/core0:cpu",
    ]);
  });
});

test("what the source knows is used: places, and what was written as a reference", () => {
  const root = board({ uart: { clocks: [9, 9], "#clock-cells": 0 } });
  const [diagnostic] = checkTree({
    fdt: tree(root),
    file: "a.dts",
    place: (_, property) => ({ file: "b.dtsi", line: property === "clocks" ? 7 : 1, column: 2 }),
  });
  expect(diagnostic).toMatchObject({
    code: "check/clocks_property",
    place: { file: "b.dtsi", line: 7, column: 2, path: "/soc/serial@10000000:clocks" },
  });
  const literal = checkTree({ fdt: tree(board({ uart: { clocks: [2] } })), references: () => new Set() });
  expect(literal[0]!.message).toContain("not a reference");
});

test("an overlay may refer to what it has not", () => {
  const root = node("", {}, [
    node("fragment@0", {}, [node("__overlay__", { clocks: [0xffff_ffff, 5], "a-gpios": 9 })]),
  ]);
  expect(checkTree({ fdt: tree(root), plugin: true }).map(({ code }) => code)).toEqual(["check/gpios_property"]);
});

test("no tree makes a check throw", () => {
  const levels = new CheckLevels();
  levels.all();
  for (let seed = 1; seed <= 150; seed++) {
    checkTree({ fdt: randomFdt(seed) }, levels);
    checkTree({ fdt: checkedTree(seed + 10_000) }, levels);
  }
});

test("the work does not grow faster than the tree", () => {
  // Counted, not timed: reads of the properties of nodes on a bus that no child alone makes known as one.
  const reads = (count: number): number => {
    let counted = 0;
    const children = Array.from({ length: count }, (_, i) => {
      const made = node(`d@${i.toString(16)}`, { reg: i, interrupts: 1 });
      const { properties } = made;
      Object.defineProperty(made, "properties", {
        get: () => {
          counted++;
          return properties;
        },
      });
      return made;
    });
    const bus = node("bus", { "#address-cells": 1, "#size-cells": 0, "interrupt-parent": 9 }, children);
    const levels = new CheckLevels();
    levels.all();
    checkTree({ fdt: tree(node("", {}, [bus])) }, levels);
    return counted;
  };
  expect(reads(2000) / reads(500)).toBeLessThan(4.2);
});
