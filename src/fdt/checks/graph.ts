/** Checks of graphs of ports and endpoints (dt-schema: graph.yaml). */
import { baseName } from "../names.ts";
import type { FdtNode } from "../tree.ts";
import { cellOf, isPhandle } from "../tree-index.ts";
import { type Check, type CheckContext, type Report, unitAddress } from "./check.ts";

function isEndpoint(node: FdtNode): boolean {
  return baseName(node.name) === "endpoint" || node.properties.has("remote-endpoint");
}

function isPort({ index }: CheckContext, node: FdtNode): boolean {
  return index.parent(node) !== undefined && node.children.some(isEndpoint);
}

export const graphChecks: readonly Check[] = [
  {
    name: "graph_nodes",
    level: "warning",
    summary: "endpoints are in ports",
    run(_, { node, parent }, report) {
      if (parent) return;
      for (const child of node.children) if (isEndpoint(child)) report(`the root is no port for ${child.name}`);
    },
  },
  {
    name: "graph_port",
    level: "warning",
    summary: "ports are named and numbered as such",
    requires: ["graph_nodes"],
    run(context, { node }, report) {
      if (!context.fact(isPort, node)) return;
      checkNumber(context, node, report);
      if (!context.plugin && baseName(node.name) !== "port") report('a port is named "port"');
    },
  },
  {
    name: "graph_endpoint",
    level: "warning",
    summary: "endpoints are named and numbered as such, and connected both ways",
    requires: ["graph_nodes"],
    run(context, { node, parent }, report) {
      if (!parent || !context.fact(isPort, parent)) return;
      checkNumber(context, node, report);
      if (context.plugin) return;
      if (baseName(node.name) !== "endpoint") report('an endpoint is named "endpoint"');
      const remote = remoteEndpoint(context, node, report);
      if (remote && remoteEndpoint(context, remote, report) !== node) {
        report(`${context.index.path(remote)} is not connected back to it`);
      }
    },
  },
];

function checkNumber(context: CheckContext, node: FdtNode, report: Report): void {
  if (!node.properties.has("reg")) return;
  const number = cellOf(node, "reg");
  if (number === undefined) return report("its number is not one cell", { property: "reg" });
  if (unitAddress(node) !== number.toString(16)) report(`its unit address should be "${number.toString(16)}"`);
  const parent = context.index.parent(node)!;
  if (cellOf(parent, "#address-cells") !== 1) report("its parent's #address-cells is not 1");
  if (cellOf(parent, "#size-cells") !== 0) report("its parent's #size-cells is not 0");
}

function remoteEndpoint({ index }: CheckContext, node: FdtNode, report: Report): FdtNode | undefined {
  const phandle = cellOf(node, "remote-endpoint");
  if (phandle === undefined || !isPhandle(phandle)) return undefined;
  const remote = index.byPhandle(phandle);
  if (!remote) report("no node has that phandle", { node, property: "remote-endpoint" });
  return remote;
}
