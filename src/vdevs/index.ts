/** All built-in vdevs, loaded: for what is about every one of them. Boards take from the catalogue. */
import type { AnyVdev } from "../vdev/registry.ts";
import { catalogue } from "./catalogue.ts";

export const builtins: readonly AnyVdev[] = Object.values(catalogue).map((load) => load());
