/** `vmrun run`, as it is kept. */
import { run } from "../run.ts";
import { programOf } from "./program.ts";

export const main = programOf(run);
