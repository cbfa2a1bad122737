/** Register banks are made with devices. Their code is loaded then: a device tree does without. */
import type { BankOptions, RegisterBank } from "./register-bank.ts";
import type { RegisterMap } from "./registers.ts";

/** A bank of the map's registers, all at their reset value. */
export function registerBank<const Map extends RegisterMap>(map: Map, options?: BankOptions<Map>): RegisterBank<Map> {
  const { RegisterBank } = require("./register-bank.ts") as typeof import("./register-bank.ts");
  return new RegisterBank(map, options);
}
