/** Device accesses of translated code that does not leave its region for them. */
import { HartField, RESIDENT } from "../../isa/riscv/hart.ts";
import type { GuestMemory } from "../../memory/guest-memory.ts";
import { DeviceStatus } from "./device-ways.ts";
import type { MemoryAccess } from "./memory-access.ts";

/**
 * What translated code calls, with pc and budget saved as of the instruction. The address comes in halves; answers a
 * {@link DeviceStatus}. Behind `done` nothing has changed that the region relies on. Behind `disturbed` and `fault` it is to
 * leave; `unknown` is not done, and the interpreter's.
 */
export interface DeviceCalls {
  /** The value is in mail0, zero-extended. */
  load(low: number, high: number, width: number): number;
  /** The value's low word; the whole of 8 bytes is in mail1. */
  store(low: number, high: number, width: number, value: number): number;
}

const word = (field: number) => (RESIDENT + field) >> 2;
const ADDRESS = word(HartField.mail0);
const VALUE = word(HartField.mail1);

/** @param attend Has generated code end where something demands attention. */
export function deviceCalls({ i32 }: GuestMemory, access: MemoryAccess, attend: () => void): DeviceCalls {
  const { ways } = access;

  const after = (done: boolean): number => {
    attend();
    const status = ways.status();
    ways.calm();
    return done ? status : DeviceStatus.fault;
  };
  const load = ways.loader((status, low, high, width) => {
    if (status === DeviceStatus.disturbed) return after(true);
    i32[ADDRESS] = low;
    i32[ADDRESS + 1] = high;
    if (status === DeviceStatus.fault) return after(access.fault(false));
    const done = access.loadKnown(width);
    return done === undefined ? status : after(done);
  });
  const store = ways.storer((status, low, high, width, value) => {
    if (status === DeviceStatus.disturbed) return after(true);
    i32[ADDRESS] = low;
    i32[ADDRESS + 1] = high;
    if (status === DeviceStatus.fault) return after(access.fault(true));
    if (width < 8) i32[VALUE] = value;
    const done = access.storeKnown(width);
    return done === undefined ? status : after(done);
  });
  return { load, store };
}
