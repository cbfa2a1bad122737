/** `vmrun fdt PROFILE`, as it is kept. */
import { generate } from "../fdt/generate.ts";
import { programOf } from "./program.ts";

export const main = programOf(generate);
