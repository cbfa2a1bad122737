/** All of TOML to located values: one lossless reading gives values, places and syntax errors alike. */
import { type AST, ParseError, parseTOML } from "toml-eslint-parser";
import type { Place } from "../diagnostics/diagnostic.ts";
import type { Findings } from "./findings.ts";
import { type Located, MAX_DEPTH, type Origin, type Scalar, scalar, type TableNode, table } from "./located.ts";

/** The file as a table, or `undefined` after reporting why not. */
export function parseFullText(text: string, file: string, origin: Origin, findings: Findings): TableNode | undefined {
  const source = text.startsWith("\uFEFF") ? text.slice(1) : text;
  const lines = source.split(/\r?\n/);
  try {
    return new Reader(file, lines, origin).program(parseTOML(source).body[0]);
  } catch (error) {
    if (error instanceof TooDeep || error instanceof RangeError) {
      const place = error instanceof TooDeep ? error.place : { file };
      findings.error("profile/too-deep", place, `values are nested more than ${MAX_DEPTH} levels deep`);
      return undefined;
    }
    if (!(error instanceof ParseError)) throw error;
    reportSyntax(error, file, lines, findings);
    return undefined;
  }
}

/** A single value, or `undefined` where the text is none. */
export function parseFullValue(text: string, place: Place, origin: Origin): Located | undefined {
  try {
    const [body] = parseTOML(`value = ${text}`).body;
    const [only, ...others] = body.body;
    if (only?.type !== "TOMLKeyValue" || others.length > 0 || only.key.keys.length > 1) return undefined;
    return new Reader("", [], origin, place).value(only.value, 0);
  } catch (error) {
    if (error instanceof ParseError || error instanceof RangeError || error instanceof TooDeep) return undefined;
    throw error;
  }
}

class TooDeep extends Error {
  constructor(readonly place: Place) {
    super();
  }
}

class Reader {
  constructor(
    readonly file: string,
    readonly lines: readonly string[],
    readonly origin: Origin,
    /** Where everything is said to stand, for text that is no file. */
    readonly fixed?: Place,
  ) {}

  program(body: AST.TOMLTopLevelTable): TableNode {
    const root = table({ file: this.file, line: 1, column: 1, source: this.lines[0] }, this.origin);
    for (const part of body.body) {
      if (part.type === "TOMLKeyValue") this.assign(root, part, 0);
      else this.section(root, part);
    }
    return root;
  }

  /** `[a.b]` and `[[a.b]]`: the parser has already numbered the elements of lists. */
  section(root: TableNode, part: AST.TOMLTable): void {
    const { keys } = part.key;
    const header = this.place(part.key);
    if (part.resolvedKey.length > MAX_DEPTH) throw new TooDeep(header);
    let at: Located = root;
    part.resolvedKey.forEach((key, i) => {
      const next = part.resolvedKey[i + 1];
      const fresh = (): Located =>
        typeof next === "number"
          ? { kind: "list", place: header, origin: this.origin, items: [] }
          : table(header, this.origin);
      if (at.kind === "list" && typeof key === "number") {
        at.items[key] ??= fresh();
        at = at.items[key];
      } else if (at.kind === "table" && typeof key === "string") {
        const own = keys.findLast((name) => nameOf(name) === key);
        const known = at.entries.get(key);
        const entry = known ?? { key: own ? this.place(own) : header, value: fresh() };
        if (!known) at.entries.set(key, entry);
        at = entry.value;
      }
    });
    for (const pair of part.body) this.assign(at, pair, part.resolvedKey.length);
  }

  /** `a.b = value`, with the tables that dotted keys imply. */
  assign(target: Located, pair: AST.TOMLKeyValue, depth: number): void {
    const { keys } = pair.key;
    if (depth + keys.length > MAX_DEPTH) throw new TooDeep(this.place(pair.key));
    let at = target;
    keys.forEach((key, i) => {
      if (at.kind !== "table") return;
      const name = nameOf(key);
      const place = this.place(key);
      if (i === keys.length - 1) {
        at.entries.set(name, { key: place, value: this.value(pair.value, depth + keys.length) });
        return;
      }
      const known = at.entries.get(name);
      const entry = known ?? { key: place, value: table(place, this.origin) };
      if (!known) at.entries.set(name, entry);
      at = entry.value;
    });
  }

  value(content: AST.TOMLContentNode, depth: number): Located {
    const place = this.place(content);
    if (depth > MAX_DEPTH) throw new TooDeep(place);
    if (content.type === "TOMLArray") {
      const items = content.elements.map((element) => this.value(element, depth + 1));
      return { kind: "list", place, origin: this.origin, items };
    }
    if (content.type === "TOMLInlineTable") {
      const made = table(place, this.origin);
      for (const pair of content.body) this.assign(made, pair, depth);
      return made;
    }
    return scalar(scalarOf(content), place, this.origin);
  }

  place({ loc }: AST.HasLocs): Place {
    if (this.fixed) return this.fixed;
    const { start, end } = loc;
    const source = this.lines[start.line - 1];
    const stop = end.line === start.line ? end.column : (source?.length ?? 0);
    return {
      file: this.file,
      line: start.line,
      column: start.column + 1,
      length: Math.max(1, stop - start.column),
      source,
    };
  }
}

/** Integers beyond 2^53 become inexact here; every schema refuses them by their size. */
function scalarOf(value: AST.TOMLValue): Scalar {
  switch (value.kind) {
    case "offset-date-time":
      return value.value;
    case "local-date-time":
      return new Date(`${value.datetime.replace(" ", "T")}Z`);
    case "local-date":
      return new Date(`${value.datetime}T00:00:00Z`);
    case "local-time":
      return value.datetime;
    default:
      return value.value;
  }
}

function nameOf(key: AST.TOMLBare | AST.TOMLQuoted): string {
  return key.type === "TOMLBare" ? key.name : key.value;
}

function reportSyntax(error: ParseError, file: string, lines: readonly string[], findings: Findings): void {
  const unfinished = unfinishedLine(error, lines);
  if (unfinished) {
    const place = { file, line: unfinished.line, column: unfinished.source.length + 1, source: unfinished.source };
    findings.error("profile/syntax", place, `this is not TOML: ${unfinished.message}`);
    return;
  }
  const line = Math.min(error.lineNumber, lines.length);
  const source = lines[line - 1] ?? "";
  const column = error.column + 1;
  const place: Place = { file, line, column, length: 1, source };
  if (!error.message.startsWith("Defining a key")) {
    const message = `${error.message.charAt(0).toLowerCase()}${error.message.slice(1)}`;
    findings.error("profile/syntax", place, `this is not TOML: ${message}`, { hint: syntaxHint(source, error.column) });
    return;
  }
  const key = /^[\w."'-]+/.exec(source.slice(error.column))?.[0] ?? "";
  const first = firstDefinition(lines, line - 1, key);
  findings.error(
    "profile/syntax",
    { ...place, length: Math.max(1, key.length) },
    `${key || "a key"} is defined twice`,
    {
      related: first && [{ place: { file, ...first, length: key.length }, message: "the first definition" }],
    },
  );
}

/** The parser notices at the start of a line what the line before it lacks; a person looks for it there. */
function unfinishedLine(
  error: ParseError,
  lines: readonly string[],
): { line: number; source: string; message: string } | undefined {
  if (error.column > 0) return undefined;
  let index = Math.min(error.lineNumber, lines.length + 1) - 2;
  while (index > 0 && /^\s*(#.*)?$/.test(lines[index]!)) index--;
  const source = lines[index];
  if (source === undefined) return undefined;
  if (/^[^#"']*=\s*(#.*)?$/.test(source)) return { line: index + 1, source, message: "a value is missing" };
  if (/^\s*\[[^\]=]*$/.test(source)) return { line: index + 1, source, message: "a bracket is not closed" };
  return undefined;
}

/** Searches upward: for a header through the file, for a key up to its table's header. */
function firstDefinition(
  lines: readonly string[],
  from: number,
  key: string,
): Pick<Place, "line" | "column" | "source"> | undefined {
  const isHeader = /^\s*\[/.test(lines[from] ?? "");
  for (let i = from - 1; i >= 0; i--) {
    const source = lines[i]!;
    const header = /^(\s*\[+\s*)([\w."'-]+)/.exec(source);
    const pair = /^(\s*)([\w."'-]+)\s*=/.exec(source);
    const match = isHeader ? header : pair;
    if (match && match[2] === key) return { line: i + 1, column: match[1]!.length + 1, source };
    if (header && !isHeader) return undefined;
  }
  return undefined;
}

function syntaxHint(source: string, column: number): string | undefined {
  const value = /=\s*([^\s#"'[{]+)/.exec(source);
  if (value && column >= value.index && /^[A-Za-z/.]|^\d[\d_]*[A-Za-z]/.test(value[1]!)) {
    return `text needs quotes: "${value[1]}"`;
  }
  return undefined;
}
