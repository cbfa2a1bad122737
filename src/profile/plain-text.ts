/**
 * The part of TOML that profiles are written in, read line by line: headers, dotted keys, strings without escapes, numbers,
 * truth values, UTC dates, lists and inline tables. What it reads, it reads as the full reader does, places included. It
 * reports nothing: at whatever it is not sure of, it gives up, and the full reader says what is right or wrong with it.
 */
import type { Place } from "../diagnostics/diagnostic.ts";
import { type Located, MAX_DEPTH, type Origin, type Scalar, scalar, type TableNode, table } from "./located.ts";

/** `undefined` where the text is not plain. */
export function readPlainText(text: string, file: string, origin: Origin): TableNode | undefined {
  if (NOT_PLAIN.test(text)) return undefined;
  return attempt(() => new PlainReader(text.split(/\r?\n/), file, origin).program());
}

/** A value of one line. Everything is said to stand at `place`. */
export function readPlainValue(text: string, place: Place, origin: Origin): Located | undefined {
  if (NOT_PLAIN.test(text) || text.includes("\n")) return undefined;
  return attempt(() => new PlainReader([text], "", origin, place).only());
}

/** Control characters, carriage returns that end no line, a byte order mark, and characters that count as two. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
const NOT_PLAIN = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufeff]|\r(?!\n)/;

const BLANK = /[ \t]*(?:#.*)?$/y;
const SPACE = /[ \t]*/y;
const BARE = /[A-Za-z0-9_-]+/y;
const STRING = /"([^"\\]*)"(?!")|'([^']*)'(?!')/y;
/** Up to what ends a value. */
const WORD = /[^\s,\]}#"'[{=]+/y;

const DECIMAL = /^[+-]?(?:0|[1-9](?:_?\d)*)$/;
const PREFIXED = /^0(?:x[0-9A-Fa-f](?:_?[0-9A-Fa-f])*|o[0-7](?:_?[0-7])*|b[01](?:_?[01])*)$/;
const FRACTION = /^[+-]?(?:0|[1-9]\d*)\.\d+$/;
const UTC = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
/** So many digits are exact in every base. */
const MOST_DIGITS = 13;

class Unsure extends Error {}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof Unsure) return undefined;
    throw error;
  }
}

interface Key {
  readonly name: string;
  readonly place: Place;
}

class PlainReader {
  #row = 0;
  #at = 0;
  #line: string;
  /** Tables that a header has named; one that a header only passes through may still be named. */
  readonly #named = new Set<TableNode>();
  /** Tables that dotted keys made, by the body that they stand in: nothing else may add to them. */
  readonly #dotted = new Map<TableNode, TableNode>();
  /** Lists that `[[headers]]` made, tables and lists that stand in values. */
  readonly #lists = new Set<Located>();
  readonly #closed = new Set<Located>();

  constructor(
    readonly lines: readonly string[],
    readonly file: string,
    readonly origin: Origin,
    readonly fixed?: Place,
  ) {
    this.#line = lines[0] ?? "";
  }

  program(): TableNode {
    const root = table({ file: this.file, line: 1, column: 1, source: this.lines[0] }, this.origin);
    let body = root;
    let depth = 0;
    for (; this.#row < this.lines.length; this.#row++) {
      this.#line = this.lines[this.#row]!;
      this.#at = 0;
      if (this.#atEnd()) continue;
      this.#skip(SPACE);
      if (this.#line[this.#at] === "[") [body, depth] = this.#header(root);
      else this.#pair(body, body, depth);
      if (!this.#atEnd()) throw new Unsure();
    }
    return root;
  }

  only(): Located {
    this.#skip(SPACE);
    const value = this.#value(0);
    if (!this.#atEnd()) throw new Unsure();
    return value;
  }

  /** `[a.b]` or `[[a.b]]`: the table that the lines below go to, and its depth, elements of lists counted. */
  #header(root: TableNode): [TableNode, number] {
    const isList = this.#line.startsWith("[[", this.#at);
    this.#at += isList ? 2 : 1;
    this.#skip(SPACE);
    const start = this.#at;
    const keys = this.#keys();
    const place = this.#place(start);
    this.#skip(SPACE);
    this.#expect(isList ? "]]" : "]");
    let at = root;
    let depth = 0;
    keys.forEach(({ name }, i) => {
      depth++;
      const isLast = i === keys.length - 1;
      const known = at.entries.get(name)?.value;
      if (known === undefined) {
        // Of a name that occurs twice in a header, the full reader takes the last place.
        const key = keys.findLast((each) => each.name === name)!.place;
        const made = table(place, this.origin);
        if (isLast && isList) {
          const value: Located = { kind: "list", place, origin: this.origin, items: [made] };
          this.#lists.add(value);
          at.entries.set(name, { key, value });
          depth++;
        } else at.entries.set(name, { key, value: made });
        at = made;
      } else if (known.kind === "list" && this.#lists.has(known)) {
        depth++;
        if (isLast && !isList) throw new Unsure();
        if (isLast) known.items.push(table(place, this.origin));
        at = known.items.at(-1) as TableNode;
      } else if (known.kind === "table" && !this.#dotted.has(known) && !this.#closed.has(known)) {
        if (isLast && (isList || this.#named.has(known))) throw new Unsure();
        at = known;
      } else throw new Unsure();
    });
    if (depth > MAX_DEPTH) throw new Unsure();
    this.#named.add(at);
    return [at, depth];
  }

  /** `a.b = value` in `body`; inside an inline table, that table is the body. */
  #pair(target: TableNode, body: TableNode, depth: number): void {
    const keys = this.#keys();
    if (depth + keys.length > MAX_DEPTH) throw new Unsure();
    this.#skip(SPACE);
    this.#expect("=");
    this.#skip(SPACE);
    let at = target;
    keys.forEach(({ name, place }, i) => {
      const known = at.entries.get(name)?.value;
      if (i === keys.length - 1) {
        if (known) throw new Unsure();
        // Set before the value is read, for the order of keys; nothing can see it until then.
        at.entries.set(name, { key: place, value: this.#value(depth + keys.length) });
      } else if (known === undefined) {
        const made = table(place, this.origin);
        this.#dotted.set(made, body);
        at.entries.set(name, { key: place, value: made });
        at = made;
      } else if (known.kind === "table" && this.#dotted.get(known) === body) at = known;
      else throw new Unsure();
    });
  }

  #keys(): Key[] {
    const keys: Key[] = [];
    do {
      if (keys.length > 0) this.#skip(SPACE);
      const start = this.#at;
      const name = this.#match(BARE)?.[0] ?? this.#string();
      if (name === undefined) throw new Unsure();
      keys.push({ name, place: this.#place(start) });
      const end = this.#at;
      this.#skip(SPACE);
      if (this.#line[this.#at] !== ".") {
        this.#at = end;
        return keys;
      }
      this.#at++;
    } while (keys.length <= MAX_DEPTH);
    throw new Unsure();
  }

  #value(depth: number): Located {
    if (depth > MAX_DEPTH) throw new Unsure();
    const start = this.#at;
    switch (this.#line[start]) {
      case "[":
        return this.#list(depth);
      case "{":
        return this.#inlineTable(depth);
      default: {
        const value = this.#string() ?? plainScalar(this.#match(WORD)?.[0] ?? "");
        if (value === undefined) throw new Unsure();
        return scalar(value, this.#place(start), this.origin);
      }
    }
  }

  #string(): string | undefined {
    const match = this.#match(STRING);
    return match ? (match[1] ?? match[2]) : undefined;
  }

  #list(depth: number): Located {
    const [row, start] = [this.#row, this.#at];
    const items: Located[] = [];
    this.#at++;
    for (this.#nextInList(); this.#line[this.#at] !== "]"; this.#nextInList()) {
      items.push(this.#value(depth + 1));
      this.#nextInList();
      if (this.#line[this.#at] === ",") this.#at++;
      else if (this.#line[this.#at] !== "]") throw new Unsure();
    }
    this.#at++;
    return { kind: "list", place: this.#place(start, row), origin: this.origin, items };
  }

  /** Over blanks, comments and ends of lines. */
  #nextInList(): void {
    while (this.#atEnd()) {
      this.#line = this.lines[++this.#row] ?? "";
      this.#at = 0;
      if (this.#row >= this.lines.length) throw new Unsure();
    }
    this.#skip(SPACE);
  }

  #inlineTable(depth: number): Located {
    const start = this.#at;
    const row = this.#row;
    const made = table({}, this.origin);
    this.#at++;
    this.#skip(SPACE);
    while (this.#line[this.#at] !== "}") {
      this.#pair(made, made, depth);
      this.#skip(SPACE);
      if (this.#line[this.#at] === ",") {
        this.#at++;
        this.#skip(SPACE);
        if (this.#line[this.#at] === "}") throw new Unsure();
      } else if (this.#line[this.#at] !== "}") throw new Unsure();
    }
    this.#at++;
    // Lists inside may span lines; a table that does is beyond TOML 1.0.
    if (row !== this.#row) throw new Unsure();
    const whole: TableNode = { ...made, place: this.#place(start) };
    this.#closed.add(whole);
    return whole;
  }

  #atEnd(): boolean {
    BLANK.lastIndex = this.#at;
    return BLANK.test(this.#line);
  }

  #skip(pattern: RegExp): void {
    this.#match(pattern);
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#line);
    if (match) this.#at = pattern.lastIndex;
    return match;
  }

  #expect(text: string): void {
    if (!this.#line.startsWith(text, this.#at)) throw new Unsure();
    this.#at += text.length;
  }

  /** From `start` to here; of what began on an earlier line, to the end of that line. */
  #place(start: number, row = this.#row): Place {
    if (this.fixed) return this.fixed;
    const source = this.lines[row]!;
    const end = row === this.#row ? this.#at : source.length;
    return { file: this.file, line: row + 1, column: start + 1, length: Math.max(1, end - start), source };
  }
}

function plainScalar(word: string): Scalar | undefined {
  if (word === "true") return true;
  if (word === "false") return false;
  const digits = word.replaceAll("_", "");
  if (digits.length > MOST_DIGITS + 2) return UTC.test(word) ? date(word) : undefined;
  if (PREFIXED.test(word)) return Number(digits);
  // A zero may have a sign, and keep it.
  if ((DECIMAL.test(word) || FRACTION.test(word)) && Number(digits) !== 0) return Number(digits);
  return word === "0" ? 0 : undefined;
}

/** Undefined for a day that no month has: what becomes of it is not ours to say. */
function date(word: string): Date | undefined {
  const value = new Date(word);
  return !Number.isNaN(value.getTime()) && value.toISOString() === word.replace("Z", ".000Z") ? value : undefined;
}
