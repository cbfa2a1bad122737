/** A mapped span of the host as a window: what is lost of it is a bus error, and told once. */
import type { DeviceMapping } from "../../host/device-access.ts";
import { BusError } from "../../vdev/errors.ts";
import type { HostWindow } from "../../vdev/host-object.ts";

const GONE = "the host took its pages away";

/** @param lost Told once when the host has taken pages away: from then on every access is a bus error. */
export function mappedWindow(
  name: string,
  size: number,
  device: DeviceMapping,
  mapping: HostWindow["mapping"],
  lost: (reason: string) => void,
): HostWindow {
  let told = false;
  const whole = <T>(value: T): T => {
    if (!device.damaged) return value;
    if (!told) lost(GONE);
    told = true;
    throw new BusError(GONE);
  };
  /** Beyond its end is memory of somebody else, or none: an access there would end the process. */
  const within = (offset: number, width: number): number => {
    if (offset >= 0 && offset + width <= size) return offset;
    throw new RangeError(`${width} bytes at ${offset} are not inside a window of ${size}`);
  };
  return {
    name,
    size,
    mapping,
    load: (offset, width) => whole(device.load(within(offset, width), width)),
    store: (offset, width, value) => whole(device.store(within(offset, width), width, value)),
    load64: (offset) => whole(device.load64(within(offset, 8))),
    store64: (offset, value) => whole(device.store64(within(offset, 8), value)),
  };
}

/** For people. */
export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
