/** Checks of buses whose addresses have a form of their own: PCI, simple-bus, I2C, SPI. */
import { addressCells, sizeCells } from "../addresses.ts";
import { baseName } from "../names.ts";
import type { FdtNode } from "../tree.ts";
import { cellAt } from "../tree-index.ts";
import { type Check, type CheckContext, isCompatible, type Report, textOf, unitAddress } from "./check.ts";

/** What its own properties make of a bus. */
export function busKind(_: CheckContext, node: FdtNode): "pci" | "simple-bus" | undefined {
  if (isCompatible(node, "simple-bus")) return "simple-bus";
  return textOf(node, "device_type") === "pci" ? "pci" : undefined;
}

function isI2cBus(_: CheckContext, node: FdtNode): boolean {
  const base = baseName(node.name);
  if (base === "i2c-bus" || base === "i2c-arb") return true;
  // A controller whose bus is a node of its own.
  return base === "i2c" && !node.children.some((child) => baseName(child.name) === "i2c-bus");
}

/** By its name, or by children that tell a clock rate or mode of SPI. */
function isSpiBus(_: CheckContext, node: FdtNode): boolean {
  if (baseName(node.name) === "spi") return true;
  if (addressCells(node) !== 1 || sizeCells(node) !== 0) return false;
  return node.children.some((child) => [...child.properties.keys()].some((name) => name.startsWith("spi-")));
}

/** The n-th cell of a property, where it has so many. */
function cell(value: Uint8Array | undefined, n: number): number | undefined {
  return value && value.length >= 4 * (n + 1) ? cellAt(value, 4 * n) : undefined;
}

function expectCells(node: FdtNode, address: number, size: number, report: Report): void {
  const [actualAddress, actualSize] = [addressCells(node), sizeCells(node)];
  if (actualAddress !== address) report(`#address-cells is ${actualAddress}; this bus takes ${address}`);
  if (actualSize !== size) report(`#size-cells is ${actualSize}; this bus takes ${size}`);
}

function expectUnit(node: FdtNode, units: readonly string[], report: Report): void {
  if (!units.includes(unitAddress(node))) report(`its unit address should be "${units.join('" or "')}"`);
}

/** IEEE 1275 PCI bus binding §2.2.1: the configuration address of a function. */
function pciFunction(address: number) {
  return {
    space: address >>> 24,
    bus: (address >>> 16) & 0xff,
    device: (address >>> 11) & 0x1f,
    function: (address >>> 8) & 7,
    register: address & 0xff,
  };
}

const I2C_OWN_ADDRESS = 2 ** 30;
const I2C_TEN_BITS = 2 ** 31;

export const busChecks: readonly Check[] = [
  {
    name: "pci_bridge",
    level: "warning",
    summary: "PCI bridges have the properties of one",
    requires: ["device_type_is_string", "addr_size_cells"],
    run(_, { node }, report) {
      if (textOf(node, "device_type") !== "pci") return;
      const { properties } = node;
      if (!["pci", "pcie"].includes(baseName(node.name))) report('its name is neither "pci" nor "pcie"');
      if (!properties.has("ranges")) report("a PCI bridge has ranges");
      expectCells(node, 3, 2, report);
      const buses = properties.get("bus-range");
      if (!buses) return;
      if (buses.length !== 8) return report("it is two cells", { property: "bus-range" });
      const [first, last] = [cellAt(buses, 0), cellAt(buses, 4)];
      if (first > last) report(`it ends before it begins: ${first} to ${last}`, { property: "bus-range" });
      if (last > 0xff) report(`bus ${last} is beyond 255`, { property: "bus-range" });
    },
  },
  {
    name: "pci_device_reg",
    level: "warning",
    summary: "addresses of PCI functions name their configuration space",
    requires: ["reg_format", "pci_bridge"],
    run(context, { node, parent }, report) {
      const reg = node.properties.get("reg");
      const address = cell(reg, 0);
      if (!parent || context.fact(busKind, parent) !== "pci" || address === undefined) return;
      const at = { property: "reg" };
      if (cell(reg, 1) || cell(reg, 2)) report("the second and third cell of a configuration address are 0", at);
      const { space, device, function: number, register } = pciFunction(address);
      if (space !== 0) report("its address is not in configuration space", at);
      if (register !== 0) report("its configuration address names a register", at);
      const unit = `${device.toString(16)},${number}`;
      expectUnit(node, number === 0 ? [device.toString(16), unit] : [unit], report);
    },
  },
  {
    name: "pci_device_bus_num",
    level: "warning",
    summary: "PCI functions are on a bus of their bridge",
    requires: ["reg_format", "pci_bridge"],
    run(context, { node, parent }, report) {
      const address = cell(node.properties.get("reg"), 0);
      if (!parent || context.fact(busKind, parent) !== "pci" || address === undefined) return;
      const buses = parent.properties.get("bus-range");
      const [first, last] = [cell(buses, 0) ?? 0, cell(buses, 1) ?? 0];
      const { bus } = pciFunction(address);
      if (bus < first || bus > last) {
        report(`bus ${bus} is not of the bridge's ${first} to ${last}`, { property: "reg" });
      }
    },
  },
  {
    name: "simple_bus_bridge",
    level: "warning",
    summary: "simple buses are known as such",
    requires: ["addr_size_cells", "compatible_is_string_list"],
    run() {},
  },
  {
    name: "simple_bus_reg",
    level: "warning",
    summary: "nodes on a simple bus have the unit address of their reg",
    requires: ["reg_format", "simple_bus_bridge"],
    run(context, { node, parent }, report) {
      if (!parent || context.fact(busKind, parent) !== "simple-bus") return;
      const reg = node.properties.get("reg");
      const ranges = node.properties.get("ranges");
      const value = reg ?? (ranges?.length ? ranges : undefined);
      if (!value) {
        const nested = context.fact(busKind, node) === "simple-bus";
        if (context.index.parent(parent) && !nested) report("a node on a simple bus has reg or ranges");
        return;
      }
      const start = reg ? 0 : addressCells(node);
      let address = 0n;
      for (let i = 0; i < addressCells(parent); i++) {
        const next = cell(value, start + i);
        if (next === undefined) return;
        address = BigInt.asUintN(64, (address << 32n) | BigInt(next));
      }
      expectUnit(node, [address.toString(16)], report);
    },
  },
  {
    name: "i2c_bus_bridge",
    level: "warning",
    summary: "I2C buses have one address cell and no size",
    requires: ["addr_size_cells"],
    run(context, { node }, report) {
      if (context.fact(isI2cBus, node) && node.children.length > 0) expectCells(node, 1, 0, report);
    },
  },
  {
    name: "i2c_bus_reg",
    level: "warning",
    summary: "nodes on an I2C bus have addresses of 7 or 10 bits",
    requires: ["reg_format", "i2c_bus_bridge"],
    run(context, { node, parent }, report) {
      if (!parent || !context.fact(isI2cBus, parent)) return;
      const reg = node.properties.get("reg");
      if (!reg || reg.length < 4) return report("a node on an I2C bus has reg");
      const address = (at: number) => (cellAt(reg, at) & ~I2C_OWN_ADDRESS) >>> 0;
      expectUnit(node, [address(0).toString(16)], report);
      for (let at = 0; at + 4 <= reg.length; at += 4) {
        const bits = address(at) >= I2C_TEN_BITS ? 10 : 7;
        if (address(at) % I2C_TEN_BITS >= 1 << bits) {
          report(`0x${address(at).toString(16)} is more than ${bits} bits`, { property: "reg" });
        }
      }
    },
  },
  {
    name: "spi_bus_bridge",
    level: "warning",
    summary: "SPI buses have one address cell and no size",
    requires: ["addr_size_cells"],
    run(context, { node }, report) {
      if (!context.fact(isSpiBus, node)) return;
      const misnamed = baseName(node.name) !== "spi" && node.properties.has("reg");
      if (misnamed) report('a SPI controller is named "spi"');
      const slave = node.properties.has("spi-slave");
      if (node.children.length > 0) expectCells(node, slave ? 0 : 1, 0, report);
    },
  },
  {
    name: "spi_bus_reg",
    level: "warning",
    summary: "nodes on a SPI bus have the unit address of their chip select",
    requires: ["reg_format", "spi_bus_bridge"],
    run(context, { node, parent }, report) {
      if (!parent || !context.fact(isSpiBus, parent) || parent.properties.has("spi-slave")) return;
      const select = cell(node.properties.get("reg"), 0);
      if (select === undefined) report("a node on a SPI bus has reg");
      else expectUnit(node, [select.toString(16)], report);
    },
  },
];
