/** The device tree library on the shipped board's tree, beside JSON with the same content. */
import { readDtb } from "../../src/fdt/reader.ts";
import type { FdtNode } from "../../src/fdt/tree.ts";
import { writeDtb } from "../../src/fdt/writer.ts";
import { boardTree } from "../../src/profile/devicetree.ts";
import type { Benchmark } from "../benchmark.ts";
import { loadBoard, registry } from "./board.ts";
import { race } from "./race.ts";

export const deviceTree: Benchmark = {
  name: "device-tree",
  summary: "DTB written and read",
  kind: "parts",

  async run(context) {
    const tree = boardTree(loadBoard(), registry);
    const blob = writeDtb(tree);
    const plain = toPlain(tree.root);
    const text = JSON.stringify(plain);
    return {
      rows: [
        await race(
          context,
          "DTB written, beside JSON.stringify",
          () => writeDtb(tree),
          () => JSON.stringify(plain),
        ),
        await race(
          context,
          "DTB read and checked, beside JSON.parse",
          () => readDtb(blob),
          () => JSON.parse(text),
        ),
      ],
    };
  },
};

/** Property values as base64, which is how JSON would carry them. */
function toPlain(node: FdtNode): object {
  const properties = [...node.properties].map(([name, value]) => [name, Buffer.from(value).toString("base64")]);
  return { name: node.name, properties: Object.fromEntries(properties), children: node.children.map(toPlain) };
}
