/**
 * What the bindings of the devices that vmrun has ask of a node: facts from Linux Documentation/devicetree/bindings,
 * dt-schema and DTSpec v0.4, as a table. Only what a guest's driver cannot do without.
 */
import type { FdtNode } from "../tree.ts";
import { cellOf } from "../tree-index.ts";
import { isCompatible, textOf } from "./check.ts";

export interface Binding {
  /** One of these in `compatible`; or, for nodes that are known otherwise, a test. */
  readonly applies: readonly string[] | ((node: FdtNode, path: string) => boolean);
  /** The document. */
  readonly source: string;
  /** Properties; of a list within the list, one is enough. */
  readonly required?: readonly (string | readonly string[])[];
  /** Values that cells have to have. */
  readonly cells?: Readonly<Record<string, number>>;
  /** For controllers: the interrupts that they have, from and to. */
  readonly interrupts?: (node: FdtNode) => readonly [number, number] | undefined;
}

/** Either form of telling an interrupt (DTSpec §2.4.1). */
const INTERRUPTS = ["interrupts", "interrupts-extended"] as const;

export const BINDINGS: readonly Binding[] = [
  {
    applies: ["sifive,plic-1.0.0", "riscv,plic0"],
    source: "interrupt-controller/sifive,plic-1.0.0.yaml",
    required: ["reg", "interrupt-controller", "interrupts-extended", "riscv,ndev"],
    cells: { "#address-cells": 0, "#interrupt-cells": 1 },
    interrupts: (node) => upTo(node, "riscv,ndev"),
  },
  {
    applies: ["riscv,cpu-intc"],
    source: "interrupt-controller/riscv,cpu-intc.yaml",
    required: ["interrupt-controller"],
    cells: { "#interrupt-cells": 1 },
    // RISC-V Priv 20240411 §3.1.9: mip has a bit for each, and no hart has more than 64.
    interrupts: () => [0, 63],
  },
  {
    applies: ["riscv,aplic"],
    source: "interrupt-controller/riscv,aplic.yaml",
    required: ["reg", "interrupt-controller", "riscv,num-sources", ["interrupts-extended", "msi-parent"]],
    cells: { "#interrupt-cells": 2 },
    interrupts: (node) => upTo(node, "riscv,num-sources"),
  },
  {
    applies: ["riscv,imsics"],
    source: "interrupt-controller/riscv,imsics.yaml",
    required: ["reg", "interrupt-controller", "msi-controller", "interrupts-extended", "riscv,num-ids"],
    cells: { "#interrupt-cells": 0 },
  },
  {
    applies: ["sifive,clint0", "riscv,clint0"],
    source: "timer/sifive,clint.yaml",
    required: ["reg", "interrupts-extended"],
  },
  {
    applies: ["riscv,aclint-mswi", "riscv,aclint-sswi"],
    source: "interrupt-controller/thead,c900-aclint-mswi.yaml",
    required: ["reg", "interrupts-extended"],
  },
  {
    applies: ["riscv,aclint-mtimer"],
    source: "timer/thead,c900-aclint-mtimer.yaml",
    required: ["reg", "interrupts-extended"],
  },
  {
    applies: ["ns16550a", "ns16550"],
    source: "serial/8250.yaml",
    required: ["reg", ["clock-frequency", "clocks"]],
  },
  { applies: ["sifive,uart0"], source: "serial/sifive-serial.yaml", required: ["reg", "interrupts", "clocks"] },
  { applies: ["google,goldfish-rtc"], source: "rtc/google,goldfish-rtc.yaml", required: ["reg", "interrupts"] },
  { applies: ["virtio,mmio"], source: "virtio/mmio.yaml", required: ["reg", INTERRUPTS] },
  { applies: ["syscon"], source: "mfd/syscon.yaml", required: ["reg"] },
  {
    applies: ["syscon-poweroff"],
    source: "power/reset/syscon-poweroff.yaml",
    required: [
      ["offset", "reg"],
      ["value", "mask"],
    ],
  },
  {
    applies: ["syscon-reboot"],
    source: "power/reset/syscon-reboot.yaml",
    required: [
      ["offset", "reg"],
      ["value", "mask"],
    ],
  },
  {
    applies: ["fixed-clock"],
    source: "dt-schema clock/fixed-clock.yaml",
    required: ["clock-frequency"],
    cells: { "#clock-cells": 0 },
  },
  {
    applies: ["pci-host-ecam-generic", "pci-host-cam-generic"],
    source: "pci/host-generic-pci.yaml",
    required: ["device_type", "reg", "ranges"],
    cells: { "#address-cells": 3, "#size-cells": 2 },
  },
  {
    applies: ["simple-bus"],
    source: "DTSpec v0.4 §4.5",
    required: ["#address-cells", "#size-cells", "ranges"],
  },
  {
    applies: (node) => textOf(node, "device_type") === "memory",
    source: "DTSpec v0.4 §3.4",
    required: ["reg"],
  },
  {
    applies: (_, path) => path === "/cpus",
    source: "DTSpec v0.4 §3.7",
    required: ["#address-cells"],
    cells: { "#size-cells": 0 },
  },
  {
    applies: (node, path) => path.startsWith("/cpus/cpu@") && isCompatible(node, "riscv"),
    source: "riscv/cpus.yaml",
    required: ["reg", ["riscv,isa", "riscv,isa-base"]],
  },
];

/** Sources are numbered from 1 (RISC-V PLIC §1, AIA §4.2); the property tells the last. */
function upTo(node: FdtNode, property: string): readonly [number, number] | undefined {
  const last = cellOf(node, property);
  return last === undefined ? undefined : [1, last];
}
