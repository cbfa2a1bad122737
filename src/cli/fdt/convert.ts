/** `vmrun fdt convert`: between source text and the binary form, as dtc. */
import { fail } from "../../diagnostics/diagnostic.ts";
import type { PhandleFormat } from "../../fdt/dts/resolve.ts";
import { positionals, refuseUnknown } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import { ExitCode } from "../exit-codes.ts";
import { loadTree, reportFindings, TREE_HINT, type TreeArgument, treeArguments } from "../tree-argument.ts";
import { numberOption, outputArguments, writeText, writeTree } from "../tree-output.ts";
import { checkLoaded, levelArguments, levelsFrom } from "./checking.ts";

const args = {
  tree: { type: "positional", required: false, valueHint: "X", description: TREE_HINT },
  to: {
    type: "string",
    valueHint: "FORM",
    description:
      "dtb, dts or asm; else by the output's name, else what X is not. From DTS to DTS, comments stay with what they stand above or behind; those inside a value move to its end",
  },
  symbols: { type: "boolean", description: "keep a DTS's labels, for overlays to refer to (dtc -@)" },
  aliases: { type: "boolean", description: "make an alias of each label of a DTS (dtc -A)" },
  fixups: { type: "boolean", description: "tell where a DTS's references stand, as plugins always do (dtc -L)" },
  phandles: {
    type: "string",
    valueHint: "FORM",
    description: "epapr, legacy or both: the property of new phandles (dtc -H)",
  },
  "boot-cpu": { type: "string", valueHint: "ID", description: "the CPU that boots, else the first (dtc -b)" },
  sort: { type: "boolean", description: "sort nodes, properties and reservations (dtc -s)" },
  check: {
    type: "boolean",
    description: "check the tree first, and write nothing if there are errors; so do -W and -E",
  },
  ...levelArguments,
  force: { type: "boolean", alias: "f", description: "write the tree in spite of its errors (dtc -f)" },
  depfile: { type: "string", valueHint: "FILE", description: "write what the output depends on, for make (dtc -d)" },
  annotate: { type: "boolean", description: "say in a DTS where each node and property comes from (dtc -T)" },
  output: outputArguments.output,
  padding: outputArguments.padding,
  size: { type: "string", valueHint: "BYTES", description: "the least size of a DTB (dtc -S)" },
  align: { type: "string", valueHint: "BYTES", description: "make a DTB's size a multiple of it (dtc -a)" },
  reserve: { type: "string", valueHint: "COUNT", description: "room for more memory reservations in a DTB (dtc -R)" },
  "dtb-version": { type: "string", valueHint: "N", description: "17, or 16 for old readers (dtc -V)" },
  ...treeArguments,
} as const;

type Form = "dtb" | "dts" | "asm";

export const convert = defineCommand({
  meta: { name: "fdt convert", description: "Turn a DTS into a DTB, and a DTB into a DTS" },
  args,
  async run({ args: given, rawArgs }) {
    refuseUnknown(rawArgs, args);
    const paths = positionals(rawArgs, args);
    if (paths.length !== 1) fail("cli/usage", "it takes one tree", { hint: TREE_HINT });
    const checks = given.check || given.W !== undefined || given.E !== undefined;
    const read: string[] = [];
    const tree = await loadTree(paths[0]!, rawArgs, {
      symbols: given.symbols,
      aliases: given.aliases,
      fixups: given.fixups,
      phandles: phandleFormat(given.phandles),
      bootCpu: numberOption("boot-cpu", given["boot-cpu"]),
      tolerant: checks || given.force,
      onRead: (path) => read.push(path),
    });
    const { fdt, dts } = tree;
    if (checks) {
      const findings = await checkLoaded(tree, await levelsFrom(rawArgs));
      reportFindings(findings);
      if (!given.force && findings.some(({ severity }) => severity === "error")) return ExitCode.usage;
    } else reportFindings(tree.findings);
    if (!dts && given["boot-cpu"] !== undefined) fdt.bootCpu = Number(given["boot-cpu"]);
    if (given.sort) (await import("../../fdt/sort.ts")).sortTree(fdt);
    await write(tree, given);
    if (given.depfile !== undefined) writeText(dependencies(given.output ?? "-", read), given.depfile);
    return ExitCode.success;
  },
});

type Given = {
  readonly [Name in keyof typeof args]?: (typeof args)[Name] extends { type: "boolean" } ? boolean : string;
};

async function write(tree: TreeArgument, given: Given): Promise<void> {
  const { fdt, dts } = tree;
  const blob = {
    size: numberOption("size", given.size),
    align: numberOption("align", given.align),
    spareReservations: numberOption("reserve", given.reserve),
    version: blobVersion(given["dtb-version"]),
    force: given.force,
  };
  const { output, padding } = given;
  const form = formOf(given, tree);
  if (form === "asm") {
    const { printAssembly } = await import("../../fdt/assembly.ts");
    const options = { ...blob, padding: numberOption("padding", padding), sources: dts?.sources };
    return writeText(printAssembly(fdt, options), output);
  }
  const printer = form === "dts" && dts && (await import("../../fdt/dts/printer.ts"));
  const print = printer ? () => printer.printSource(dts, { annotate: given.annotate }) : undefined;
  writeTree(fdt, { dts: form === "dts", output, padding, blob, print });
}

function formOf({ to, output }: Given, { kind }: TreeArgument): Form {
  if (to === "dts" || to === "dtb" || to === "asm") return to;
  if (to !== undefined) fail("cli/usage", `--to takes dtb, dts or asm, not "${to}"`);
  if (output !== undefined && /\.dt(s|si|so)$/.test(output)) return "dts";
  if (output !== undefined && /\.dtbo?$/.test(output)) return "dtb";
  if (output !== undefined && /\.[sS]$/.test(output)) return "asm";
  return kind === "dtb" || kind === "directory" ? "dts" : "dtb";
}

function phandleFormat(text: string | undefined): PhandleFormat | undefined {
  if (text === undefined || text === "epapr" || text === "legacy" || text === "both") return text;
  fail("cli/usage", `--phandles takes epapr, legacy or both, not "${text}"`);
}

function blobVersion(text: string | undefined): 16 | 17 | undefined {
  if (text === undefined || text === "16" || text === "17")
    return text === undefined ? undefined : text === "16" ? 16 : 17;
  fail("cli/usage", `--dtb-version takes 16 or 17, not "${text}"`, {
    hint: "what came before had its last readers in 2006",
  });
}

/** A rule for make; blanks in names are hidden from it. */
function dependencies(output: string, read: readonly string[]): string {
  return `${[`${output}:`, ...read].map((name) => name.replace(/ /g, "\\ ")).join(" ")}\n`;
}
