/** What Arm's PrimeCells have in common: the identification that the AMBA bus matches drivers by, and clocks in the tree. */
import { type FdtNode, node } from "../fdt/tree.ts";

/** Arm's number among designers, bits 19:12 of the peripheral id. */
const DESIGNER = 0x41;

/** The peripheral id in four registers and the PrimeCell id in four more, at the end of a 4 KiB region. */
export function identification(part: number, revision: number) {
  const peripheral = (revision << 20) | (DESIGNER << 12) | part;
  return {
    PERIPHID0: byteOf(0xfe0, peripheral, 0),
    PERIPHID1: byteOf(0xfe4, peripheral, 1),
    PERIPHID2: byteOf(0xfe8, peripheral, 2),
    PERIPHID3: byteOf(0xfec, peripheral, 3),
    PCELLID0: byteOf(0xff0, 0xb105_f00d, 0),
    PCELLID1: byteOf(0xff4, 0xb105_f00d, 1),
    PCELLID2: byteOf(0xff8, 0xb105_f00d, 2),
    PCELLID3: byteOf(0xffc, 0xb105_f00d, 3),
  } as const;
}

function byteOf(at: number, id: number, index: number) {
  return { at, width: 4, access: "r", reset: (id >>> (8 * index)) & 0xff, about: "identification" } as const;
}

/** Linux Documentation/devicetree/bindings/clock/fixed-clock.yaml */
export function fixedClock(name: string, phandle: number, frequency: number): FdtNode {
  return node(`clock-${name}`, {
    compatible: "fixed-clock",
    "#clock-cells": 0,
    "clock-frequency": frequency,
    phandle,
  });
}
