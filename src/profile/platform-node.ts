/**
 * What the platform's own tree says of a device that is passed: the properties of its node that mean the same to a guest.
 * What names other nodes of that tree, or places that the board decides, stays behind.
 */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { VmrunError } from "../diagnostics/diagnostic.ts";
import { mapTree } from "../fdt/map.ts";
import { findNode } from "../fdt/query.ts";
import { readDtb } from "../fdt/reader.ts";
import { referencesIn } from "../fdt/references.ts";
import { type Fdt, type FdtNode, node } from "../fdt/tree.ts";
import { TreeIndex } from "../fdt/tree-index.ts";
import { parseHostSpec } from "../pass/host-spec.ts";
import { hostSystem } from "../pass/objects/sysfs.ts";
import { readDirectoryTree } from "./directory-tree.ts";
import type { Findings } from "./findings.ts";
import { lookup } from "./located.ts";
import type { DraftVdev } from "./vdevs.ts";

/** Where Linux shows the tree that it was started with. */
const HOST_TREE = "/proc/device-tree";

/** The board's own to say, or of no meaning outside of the tree. */
const BOARD_SAYS = /^(reg|reg-names|ranges|dma-ranges|phandle|linux,phandle|status|interrupts|interrupt-parent)$/;
/** Names for what was left behind. */
const NAMES: Readonly<Record<string, RegExp>> = {
  "clock-names": /^(clocks|assigned-clocks)$/,
  "reset-names": /^resets$/,
  "dma-names": /^dmas$/,
  "phy-names": /^phys$/,
  "pinctrl-names": /^pinctrl-0$/,
  "interrupt-names": /^interrupts(-extended)?$/,
  "power-domain-names": /^power-domains$/,
  "mbox-names": /^mboxes$/,
  "pwm-names": /^pwms$/,
  "io-channel-names": /^io-channels$/,
};
/** Of no use without the clocks that they belong to. */
const WITH_CLOCKS = /^assigned-clock-rates$/;

/** The node to take over, after reporting where there is none. `undefined` where the profile asks for none. */
export function platformNode({ name, node: table, options }: DraftVdev, findings: Findings): FdtNode | undefined {
  const { tree, host } = options as { readonly tree?: string; readonly host: string };
  if (tree === undefined) return undefined;
  const at = lookup(table, "tree");
  const hash = tree.indexOf("#");
  const source = hash < 0 ? tree : tree.slice(0, hash);
  try {
    const fdt =
      source === "host" ? readDirectoryTree(HOST_TREE) : readDtb(readFileSync(resolve(source)), { file: source });
    const found = hash < 0 ? nodeOfHost(fdt, host) : findNode(fdt, tree.slice(hash + 1));
    if (found) return guestsNode(found, new TreeIndex(fdt));
    const what = hash < 0 ? `the host's tree has no node for ${host}` : `${source} has no node ${tree.slice(hash + 1)}`;
    findings.error("profile/no-node", at?.place, `pass.${name}.tree: ${what}`, {
      hint: `vmrun fdt list ${source === "host" ? HOST_TREE : source} shows what it has`,
    });
  } catch (error) {
    const reason = error instanceof VmrunError ? error.diagnostics[0]!.message : (error as Error).message;
    findings.error("profile/tree", at?.place, `pass.${name}.tree: ${reason}`, {
      hint: source === "host" ? "this host shows no device tree: name a DTB" : undefined,
    });
  }
  return undefined;
}

/** By the address of its registers. */
function nodeOfHost(fdt: Fdt, host: string): FdtNode | undefined {
  const address = hostAddress(host);
  if (address === undefined) return undefined;
  const at = BigInt(address);
  const block = mapTree(fdt)
    .blocks.filter(({ start, size, kind }) => kind === "device" && start <= at && at < start + size)
    .at(-1);
  return block && findNode(fdt, block.path);
}

function hostAddress(host: string): number | undefined {
  const spec = parseHostSpec(host);
  if (spec?.kind === "devmem") return spec.at;
  if (spec?.kind !== "uio") return undefined;
  const { name: wanted } = spec;
  const device = hostSystem.uioDevices().find(({ number, name }) => name === wanted || String(number) === wanted);
  return device?.maps[0]?.address;
}

function guestsNode(from: FdtNode, index: TreeIndex): FdtNode {
  const properties = [...from.properties].filter(([name, value]) => {
    if (BOARD_SAYS.test(name) || referencesIn(index, from, name, value).length > 0) return false;
    const named = NAMES[name];
    if (named !== undefined && [...from.properties.keys()].some((each) => named.test(each))) return false;
    return !WITH_CLOCKS.test(name);
  });
  const made = node(
    from.name,
    Object.fromEntries(properties),
    from.children.map((child) => guestsNode(child, index)),
  );
  // Children are of its own bus: their addresses stay as they are.
  for (const [i, child] of from.children.entries()) {
    const reg = child.properties.get("reg");
    if (reg) made.children[i]!.properties.set("reg", reg);
  }
  return made;
}
