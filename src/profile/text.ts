/**
 * TOML text to located values. Profiles are mostly plain lines, which a small reader knows in a fraction of the time that the
 * whole language takes to load; it leaves everything else, every error above all, to the full one.
 */
import type { Place } from "../diagnostics/diagnostic.ts";
import type { Findings } from "./findings.ts";
import type { Located, Origin, TableNode } from "./located.ts";
import { readPlainText, readPlainValue } from "./plain-text.ts";

/** The file as a table, or `undefined` after reporting why not. */
export function parseText(text: string, file: string, origin: Origin, findings: Findings): TableNode | undefined {
  return readPlainText(text, file, origin) ?? fullText().parseFullText(text, file, origin, findings);
}

/** A single value such as `--set` brings, or `undefined` where the text is none. */
export function parseValue(text: string, place: Place, origin: Origin): Located | undefined {
  return readPlainValue(text, place, origin) ?? fullText().parseFullValue(text, place, origin);
}

function fullText(): typeof import("./full-text.ts") {
  return require("./full-text.ts");
}
