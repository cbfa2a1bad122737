/** The device tree library on a large tree, beside dtc, fdtoverlay and fdtget on the same files, less their process start. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseDts } from "../../src/fdt/dts/parse.ts";
import { printSource } from "../../src/fdt/dts/printer.ts";
import { applyOverlays } from "../../src/fdt/overlay.ts";
import { printDts } from "../../src/fdt/printer.ts";
import { readDtb } from "../../src/fdt/reader.ts";
import { find } from "../../src/fdt/tree.ts";
import { writeDtb } from "../../src/fdt/writer.ts";
import type { Benchmark, Context, Row } from "../benchmark.ts";
import { compare } from "../statistics.ts";

const NODES = { full: 10_000, quick: 1000 } as const;
/** Larger ones are beyond the bound of a blob. */
const SIZES = { full: [1000, 10_000, 50_000], quick: [500, 1000] } as const;
const BUS = 100;
/** Of the small tree that stands for a tool's start: as much as it can do in no time. */
const EMPTY = "/dts-v1/;\n/ { x: x { a = <1>; }; };\n";
const NS = 1e9;

export const largeTree: Benchmark = {
  name: "large-tree",
  summary: `a device tree of ${NODES.full} nodes, beside dtc, fdtoverlay and fdtget`,
  kind: "parts",

  async run(context) {
    const missing = ["dtc", "fdtoverlay", "fdtget"].filter((tool) => Bun.which(tool) === null);
    if (missing.length > 0) {
      return { rows: perNode(context), skipped: ["beside dtc: install device-tree-compiler"] };
    }
    return { rows: [...besideTools(context), ...perNode(context)] };
  },
};

interface Case {
  readonly what: string;
  readonly own: () => unknown;
  /** The tool's command line with the files of that name. */
  readonly tool: (name: string) => readonly string[];
}

function besideTools(context: Context): Row[] {
  const nodes = context.quick ? NODES.quick : NODES.full;
  const base = source(nodes);
  const overlay = overlaySource(nodes);
  const blob = writeDtb(parseDts(base, { symbols: true }));
  const overlayBlob = writeDtb(parseDts(overlay));
  const path = (name: string) => join(context.folder, name);
  const keep = (name: string, dts: string, dtbo: string) => {
    writeFileSync(path(`${name}.dts`), dts);
    writeFileSync(path(`${name}.dtb`), writeDtb(parseDts(dts, { symbols: true })));
    writeFileSync(path(`${name}.dtbo`), writeDtb(parseDts(dtbo)));
  };
  keep("large", base, overlay);
  keep("empty", EMPTY, "/dts-v1/;\n/plugin/;\n&x { b = <1>; };\n");
  const dtc = (from: string, to: string) => (name: string) => [
    ...["dtc", "-q", "-I", from, "-O", to, "-o", "/dev/null", path(`${name}.${from}`)],
  ];
  const last = `/bus@${((nodes / BUS - 1) * 0x10_0000).toString(16)}/device@${(0x1000 * (BUS - 2)).toString(16)}`;
  const cases: Case[] = [
    { what: "source to blob, beside dtc", own: () => writeDtb(parseDts(base)), tool: dtc("dts", "dtb") },
    { what: "source to source, beside dtc", own: () => printSource(parseDts(base)), tool: dtc("dts", "dts") },
    { what: "blob to source, beside dtc", own: () => printDts(readDtb(blob)), tool: dtc("dtb", "dts") },
    { what: "blob to blob, beside dtc", own: () => writeDtb(readDtb(blob)), tool: dtc("dtb", "dtb") },
    {
      what: `overlay of ${2 * (nodes / BUS)} fragments applied, beside fdtoverlay`,
      own: () => writeDtb(applyOverlays(readDtb(blob), [{ fdt: readDtb(overlayBlob) }]).fdt),
      tool: (name) => ["fdtoverlay", "-i", path(`${name}.dtb`), "-o", "/dev/null", path(`${name}.dtbo`)],
    },
    {
      what: "one property of a blob, beside fdtget",
      own: () => find(readDtb(blob).root, last)!.properties.get("reg"),
      tool: (name) => ["fdtget", "-tx", path(`${name}.dtb`), ...(name === "large" ? [last, "reg"] : ["/x", "a"])],
    },
  ];
  return cases.map(({ what, own, tool }) => {
    context.progress(what);
    const [ours, theirs]: [number[], number[]] = [[], []];
    for (let round = 0; round <= (context.quick ? 1 : 9); round++) {
      const mine = seconds(own);
      const whole = seconds(() => run(tool("large")));
      const start = seconds(() => run(tool("empty")));
      // The first round warms the code up: it does not count.
      if (round === 0) continue;
      ours.push(mine);
      theirs.push(Math.max(whole - start, 1e-6));
    }
    return compare(what, ours, theirs);
  });
}

/** Whether the time of each step grows with the tree: a node of a larger tree beside one of a smaller. */
function perNode(context: Context): Row[] {
  const sizes = context.quick ? SIZES.quick : SIZES.full;
  const trees = sizes.map((nodes) => {
    const text = source(nodes);
    const fdt = parseDts(text, { symbols: true });
    return { nodes, text, fdt, blob: writeDtb(fdt), overlay: parseDts(overlaySource(nodes)) };
  });
  type Tree = (typeof trees)[number];
  const steps: Record<string, (tree: Tree) => unknown> = {
    "source parsed": ({ text }) => parseDts(text),
    "source printed": ({ fdt }) => printSource(fdt),
    "blob read": ({ blob }) => readDtb(blob),
    "blob written": ({ fdt }) => writeDtb(fdt),
    "overlay applied": ({ fdt, overlay }) => applyOverlays(fdt, [{ fdt: overlay }]),
  };
  return Object.entries(steps).flatMap(([what, step]) => {
    const names = trees.slice(1).map(({ nodes }, i) => {
      return `${what}, a node of ${nodes}, beside one of ${trees[i]!.nodes}`;
    });
    for (const name of names) context.progress(name);
    const times = trees.map((): number[] => []);
    for (let round = 0; round <= (context.quick ? 1 : 7); round++) {
      for (const [i, tree] of trees.entries()) {
        // Nearly as many nodes in each measurement.
        const repeats = Math.max(1, Math.round(sizes.at(-1)! / tree.nodes / 4));
        const spent = seconds(() => {
          for (let k = 0; k < repeats; k++) step(tree);
        });
        if (round > 0) times[i]!.push(spent / repeats / tree.nodes);
      }
    }
    return names.map((name, i) => compare(name, times[i + 1]!, times[i]!));
  });
}

/** Buses of devices with references to each other and to an interrupt controller. */
function source(nodes: number): string {
  const device = (bus: number, i: number) => `	d${bus}_${i}: device@${(0x1000 * i).toString(16)} {
		compatible = "acme,device", "simple";
		reg = <0x${(0x1000 * i).toString(16)} 0x1000>;
		interrupts = <${i} 4>;
		interrupt-parent = <&intc>;
		clocks = <&d${bus}_${(i + 1) % (BUS - 1)} 1>;
		status = "okay";
	};`;
  const buses = Array.from({ length: nodes / BUS }, (_, bus) => {
    const devices = Array.from({ length: BUS - 1 }, (_, i) => device(bus, i)).join("\n");
    const head = "	#address-cells = <1>;\n	#size-cells = <1>;\n	ranges;";
    return `b${bus}: bus@${(0x10_0000 * bus).toString(16)} {\n${head}\n${devices}\n};`;
  });
  return `/dts-v1/;
/ {
	#address-cells = <1>;
	#size-cells = <1>;
	intc: interrupt-controller { interrupt-controller; #interrupt-cells = <2>; };
${buses.join("\n")}
};
`;
}

/** A fragment for each bus: a property of one device, and a new one. */
function overlaySource(nodes: number): string {
  const parts = Array.from({ length: nodes / BUS }, (_, bus) => {
    return `&d${bus}_1 { status = "disabled"; };\n&b${bus} { new { clocks = <&d${bus}_2 1>; }; };`;
  });
  return `/dts-v1/;\n/plugin/;\n${parts.join("\n")}\n`;
}

function run(command: readonly string[]): void {
  const { exitCode, stderr } = Bun.spawnSync([...command]);
  if (exitCode !== 0) throw new Error(`${command.join(" ")} failed: ${stderr.toString().slice(0, 500)}`);
}

function seconds(work: () => unknown): number {
  const start = Bun.nanoseconds();
  work();
  return (Bun.nanoseconds() - start) / NS;
}
