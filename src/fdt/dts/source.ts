/**
 * Source texts, and the places in them that errors point at. A text may be what the preprocessor made of several files:
 * segments lead each of its characters back to the file a person wrote.
 */
import { posix } from "node:path";
import { fail, type Place } from "../../diagnostics/diagnostic.ts";
import { MAX_INCLUDE_DEPTH, MAX_INCLUDES, MAX_SOURCE_SIZE } from "./limits.ts";
import { quotedEnd } from "./scan.ts";

/** How included files are read. The library touches no file system by itself. */
export interface DtsFiles {
  /** The bytes of a file, or undefined if there is none. Paths are relative as the source's own name is. */
  read(path: string): Uint8Array | undefined;
}

/** Of a longer line, an error shows no text. */
const MAX_SHOWN_LINE = 400;

/** A line that says where the following text comes from: `# 12 "board.dts"` or `#line 12 "board.dts"`. */
interface LineMarker {
  /** The physical line after the marker, from 0. */
  readonly physicalLine: number;
  readonly line: number;
  readonly name: string;
}

export class SourceFile {
  readonly name: string;
  readonly text: string;
  /** The text is not UTF-8: each character stands for one byte. */
  readonly bytewise: boolean;
  #lineStarts: number[] | undefined;
  readonly #markers: LineMarker[] = [];

  constructor(name: string, content: string | Uint8Array) {
    this.name = name;
    const decoded = typeof content === "string" ? content : decodeUtf8(content);
    this.bytewise = decoded === undefined;
    this.text = decoded ?? Buffer.from(content as Uint8Array).toString("latin1");
  }

  /** From the line after `offset` on, lines count from `line` of `name`. Markers come in the order of the text. */
  mark(offset: number, line: number, name: string | undefined): void {
    const before = this.#markers.at(-1);
    this.#markers.push({ physicalLine: this.#lineOf(offset) + 1, line, name: name ?? before?.name ?? this.name });
  }

  place(offset: number, length: number): Place {
    const physical = this.#lineOf(offset);
    const start = this.#starts()[physical]!;
    const column = offset - start + 1;
    const source = column > MAX_SHOWN_LINE ? undefined : shown(this.text.slice(start, start + MAX_SHOWN_LINE));
    const marker = this.#markers.findLast(({ physicalLine }) => physicalLine <= physical);
    return {
      file: marker?.name ?? this.name,
      line: marker ? marker.line + physical - marker.physicalLine : physical + 1,
      column,
      length: Math.max(1, Math.min(length, (source?.length ?? MAX_SHOWN_LINE) - column + 1)),
      source,
    };
  }

  #starts(): number[] {
    if (!this.#lineStarts) {
      this.#lineStarts = [0];
      for (let at = this.text.indexOf("\n"); at >= 0; at = this.text.indexOf("\n", at + 1)) {
        this.#lineStarts.push(at + 1);
      }
    }
    return this.#lineStarts;
  }

  #lineOf(offset: number): number {
    return lastAtMost(this.#starts(), offset, (start) => start);
  }
}

/** A stretch of text and the file it comes from. */
export interface Segment {
  /** Where it begins in the text. */
  readonly start: number;
  readonly file: SourceFile;
  readonly offset: number;
  /** What a macro made: every character of it comes from the macro's use, this long. */
  readonly useLength: number | undefined;
}

/** What the lexer reads. */
export class SourceText {
  readonly text: string;
  /** The file that was asked for: what paths in the text are relative to. */
  readonly file: SourceFile;
  readonly #segments: readonly Segment[];

  constructor(file: SourceFile, preprocessed?: { text: string; segments: readonly Segment[] }) {
    this.file = file;
    this.text = preprocessed?.text ?? file.text;
    this.#segments = preprocessed?.segments ?? [{ start: 0, file, offset: 0, useLength: undefined }];
  }

  place(start: number, end: number): Place {
    const segment = this.segmentAt(start);
    if (segment.useLength !== undefined) return segment.file.place(segment.offset, segment.useLength);
    return segment.file.place(segment.offset + start - segment.start, end - start);
  }

  segmentAt(offset: number): Segment {
    return this.#segments[lastAtMost(this.#segments, offset, ({ start }) => start)]!;
  }
}

/** A stretch of a text, kept until someone asks where that is. */
export interface Span {
  readonly text: SourceText;
  readonly start: number;
  readonly end: number;
}

export function placeOf(span: Span): Place {
  return span.text.place(span.start, span.end);
}

/** Finds and reads files, and counts what they cost. */
export class SourceReader {
  readonly #files: DtsFiles | undefined;
  readonly #includePaths: readonly string[];
  #characters = 0;
  #includes = 0;

  constructor(files: DtsFiles | undefined, includePaths: readonly string[]) {
    this.#files = files;
    this.#includePaths = includePaths;
  }

  open(name: string, content: string | Uint8Array, place?: Place): SourceFile {
    // Before decoding: bytes may be many.
    this.charge(content.length, place);
    return new SourceFile(name, content);
  }

  /** `beside` is the file whose directory is searched first; without it only the include paths are. */
  find(name: string, beside: SourceFile | undefined, place: Place): { path: string; bytes: Uint8Array } {
    if (!this.#files) {
      fail("dts/include", `"${name}" cannot be read: no files are at hand here`, { place });
    }
    if (++this.#includes > MAX_INCLUDES) {
      fail("dts/limit", `more than ${MAX_INCLUDES} files are included`, { place });
    }
    const directories = [...(beside ? [posix.dirname(beside.name)] : []), ...this.#includePaths];
    const paths = name.startsWith("/") ? [name] : directories.map((directory) => posix.join(directory, name));
    for (const path of paths) {
      const bytes = this.#files.read(path);
      if (bytes) return { path, bytes };
    }
    const searched = paths.length > 0 ? `looked for ${paths.slice(0, 6).join(", ")}` : "there is no include path";
    fail("dts/include", `"${name}" is not there`, { place, hint: searched });
  }

  include(name: string, beside: SourceFile | undefined, depth: number, place: Place): SourceFile {
    if (depth > MAX_INCLUDE_DEPTH) {
      fail("dts/limit", `files are included more than ${MAX_INCLUDE_DEPTH} levels deep`, {
        place,
        hint: "does a file include itself?",
      });
    }
    const { path, bytes } = this.find(name, beside, place);
    return this.open(path, bytes, place);
  }

  charge(characters: number, place?: Place): void {
    this.#characters += characters;
    if (this.#characters > MAX_SOURCE_SIZE) {
      fail("dts/limit", `the source is larger than ${MAX_SOURCE_SIZE} characters, what it includes counted`, { place });
    }
  }
}

/** The first line of a text, fit for a terminal: what would move its cursor is shown as a dot. */
function shown(text: string): string {
  const newline = text.indexOf("\n");
  const line = (newline < 0 ? text : text.slice(0, newline)).replace(/\r$/, "");
  return line.replace(/[^\t\x20-\x7e\u00a0-\u2027\u2030-\u205f\u2070-\ufdff]/g, "·");
}

/** A line marker at the start of `line`, as the preprocessor of C leaves them and as its `#line` directive is written. */
export function parseLineMarker(line: string): { line: number; name: string | undefined } | undefined {
  const match = /^#(?:line[ \t]+|[ \t]+(?:line[ \t]+)?)(\d{1,9})(?![^ \t\r])/.exec(line);
  if (!match) return undefined;
  const rest = line.slice(match[0].length).trim();
  if (rest === "") return { line: Number(match[1]), name: undefined };
  const end = rest.startsWith('"') ? quotedEnd(rest, 0) : -1;
  // What may follow are flags of the preprocessor, numbers.
  if (end < 0 || /[^\d \t]/.test(rest.slice(end))) return undefined;
  const name = rest.slice(1, end - 1).replace(/\\([\\"])/g, "$1");
  // A name goes to terminals; dtc refuses NUL, the commonest of the rest.
  return shown(name) === name && !name.includes("\\0") ? { line: Number(match[1]), name } : undefined;
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Index of the last item whose key is at most `wanted`; the first item's key must be. */
function lastAtMost<T>(items: readonly T[], wanted: number, key: (item: T) => number): number {
  let low = 0;
  let high = items.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (key(items[middle]!) <= wanted) low = middle;
    else high = middle - 1;
  }
  return low;
}
