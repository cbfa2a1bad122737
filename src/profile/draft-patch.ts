/** Devicetree source that turns one tree into another, but for what has to stay: a draft's way back to where it came from. */
import { sameMeaning } from "../fdt/diff.ts";
import { isNumbering, renderProperty } from "../fdt/render.ts";
import type { Fdt, FdtNode } from "../fdt/tree.ts";
import { TreeIndex } from "../fdt/tree-index.ts";

export interface PatchRules {
  /** Of nodes that both trees have: whether a property stays as it is. */
  readonly keepsProperty: (path: string, property: string) => boolean;
  /** Whether a node stays as it is, or stays away, with all below it. */
  readonly keepsNode: (path: string) => boolean;
  /** Whether a node that both trees have is taken whole from the target: its children count addresses otherwise. */
  readonly replacesNode: (path: string) => boolean;
  /** Nodes of the target that the first tree refers to by number, where it has them elsewhere or by another name. */
  readonly phandles: ReadonlyMap<FdtNode, number>;
}

/** Empty where nothing is to change. References are by path, so that they follow nodes that move. */
export function patchSource(from: Fdt, to: Fdt, rules: PatchRules): string {
  const lines = new Patch(from, to, rules).node(from.root, to.root, "");
  return lines.length > 0 ? `${lines.join("\n")}\n` : "";
}

class Patch {
  readonly before: TreeIndex;
  readonly after: TreeIndex;

  constructor(
    from: Fdt,
    to: Fdt,
    readonly rules: PatchRules,
  ) {
    this.before = new TreeIndex(from);
    this.after = new TreeIndex(to);
  }

  node(from: FdtNode, to: FdtNode, indent: string): string[] {
    const path = this.after.path(to);
    const inner = `${indent}\t`;
    const lines: string[] = [];
    const free = (name: string) => !isNumbering(name) && !this.rules.keepsProperty(path, name);
    for (const name of from.properties.keys()) {
      if (free(name) && !to.properties.has(name)) lines.push(`${inner}/delete-property/ ${name};`);
    }
    for (const name of to.properties.keys()) {
      if (!free(name)) continue;
      if (from.properties.has(name) && sameMeaning(this, from, to, name)) continue;
      lines.push(`${inner}${renderProperty(this.after, to, name)};`);
    }
    const wanted = new Map(to.children.map((child) => [child.name, child]));
    for (const child of from.children) {
      const counterpart = wanted.get(child.name);
      wanted.delete(child.name);
      if (this.rules.keepsNode(this.before.path(child))) continue;
      const merges = counterpart && !this.rules.replacesNode(this.before.path(child));
      if (merges) lines.push(...this.node(child, counterpart, inner));
      else lines.push(`${inner}/delete-node/ ${child.name};`);
      if (counterpart && !merges) wanted.set(child.name, counterpart);
    }
    for (const child of wanted.values()) {
      if (!this.rules.keepsNode(this.after.path(child))) lines.push(...this.whole(child, inner));
    }
    return lines.length > 0 ? [`${indent}${to.name || "/"} {`, ...lines, `${indent}};`] : [];
  }

  whole(node: FdtNode, indent: string): string[] {
    const inner = `${indent}\t`;
    const phandle = this.rules.phandles.get(node);
    const properties = [...node.properties.keys()].filter((name) => !isNumbering(name));
    return [
      `${indent}${node.name} {`,
      ...(phandle === undefined ? [] : [`${inner}phandle = <0x${phandle.toString(16)}>;`]),
      ...properties.map((name) => `${inner}${renderProperty(this.after, node, name)};`),
      ...node.children.flatMap((child) => this.whole(child, inner)),
      `${indent}};`,
    ];
  }
}
