/** One finding about something a person wrote: a profile, a tree, an image, a command line. A value first; text only at the end. */
export interface Diagnostic {
  /** Stable identifier, e.g. `profile/overlap`. Scripts may match on it. */
  readonly code: string;
  readonly severity: "error" | "warning";
  /** What is wrong, in one sentence. */
  readonly message: string;
  /** Where: a place in a text, a byte offset in a binary, or a profile path; whatever is known. */
  readonly place?: Place;
  /** Further places that take part, e.g. the other side of an overlap. */
  readonly related?: readonly RelatedPlace[];
  /** What to do about it. */
  readonly hint?: string;
}

/** A place in a file. Lines and columns count from 1; `length` is in columns, `offset` in bytes. */
export interface Place {
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
  readonly length?: number;
  readonly offset?: number;
  /** Path inside the profile or tree, e.g. `vdev[2].at` or `/soc/serial@10000000`. */
  readonly path?: string;
  /** The text of the line, so that a report can show it without reading the file again. */
  readonly source?: string;
}

export interface RelatedPlace {
  readonly place: Place;
  readonly message: string;
}

/** Thrown when work cannot go on. Carries every finding, not only the first. */
export class VmrunError extends Error {
  readonly diagnostics: readonly Diagnostic[];

  constructor(diagnostics: Diagnostic | readonly Diagnostic[]) {
    const list = Array.isArray(diagnostics) ? (diagnostics as readonly Diagnostic[]) : [diagnostics as Diagnostic];
    super(list.map((d) => `${d.code}: ${d.message}`).join("\n"));
    this.name = "VmrunError";
    this.diagnostics = list;
  }
}

/** Shorthand for the commonest case: one error. */
export function fail(
  code: string,
  message: string,
  more: Omit<Diagnostic, "code" | "message" | "severity"> = {},
): never {
  throw new VmrunError({ code, severity: "error", message, ...more });
}

/** The text a person reads: `file:line:column: error[code]: message`, the source line with the span marked, notes, and a hint. */
export function render(diagnostic: Diagnostic): string {
  const { code, severity, message, place, related = [], hint } = diagnostic;
  const out = [`${where(place)}${severity}[${code}]: ${message}`, ...excerpt(place)];
  for (const { place: other, message: note } of related) out.push(`${where(other)}note: ${note}`, ...excerpt(other));
  if (hint) out.push(`  hint: ${hint}`);
  return out.join("\n");
}

function where(place: Place | undefined): string {
  if (!place) return "";
  const parts: string[] = [];
  if (place.file !== undefined) {
    const at = place.line === undefined ? "" : `:${place.line}${place.column === undefined ? "" : `:${place.column}`}`;
    parts.push(`${place.file}${at}`);
  }
  if (place.offset !== undefined) parts.push(`offset 0x${place.offset.toString(16)}`);
  if (place.path !== undefined && place.line === undefined) parts.push(place.path);
  return parts.length ? `${parts.join(", ")}: ` : "";
}

function excerpt(place: Place | undefined): string[] {
  if (place?.source === undefined || place.line === undefined) return [];
  const gutter = String(place.line).padStart(5);
  const lines = [`${gutter} | ${place.source}`];
  if (place.column !== undefined) {
    const lead = place.source.slice(0, place.column - 1).replace(/[^\t]/g, " ");
    const room = Math.max(1, place.source.length - place.column + 1);
    lines.push(`      | ${lead}${"^".repeat(Math.min(Math.max(1, place.length ?? 1), room))}`);
  }
  return lines;
}
