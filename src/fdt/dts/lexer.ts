/**
 * Source text to tokens. What a word means depends on where it stands, so the lexer keeps three states and changes them
 * at the same tokens as dtc does: names after `{` and `;`, bytes between brackets, values elsewhere.
 */
import { type Diagnostic, fail } from "../../diagnostics/diagnostic.ts";
import { type Comment, NO_COMMENTS } from "../comments.ts";
import { MAX_NAME_LENGTH } from "../format.ts";
import { quoted } from "../names.ts";
import { MAX_COMMENT_CHARACTERS, MAX_COMMENTS } from "./limits.ts";
import { decodeEscapes, parseInteger } from "./literals.ts";
import { Char, commentEnd, isBlank, isDigit, isLetter, lineEnd, quotedEnd } from "./scan.ts";
import { parseLineMarker, type SourceText, type Span } from "./source.ts";

const KEYWORDS = [
  "/dts-v1/",
  "/plugin/",
  "/memreserve/",
  "/bits/",
  "/delete-property/",
  "/delete-node/",
  "/omit-if-no-ref/",
  "/incbin/",
  "/include/",
] as const;

/** A keyword, an operator or a punctuation mark is its own kind. */
export type Kind =
  | "name"
  | "label"
  | "label reference"
  | "path reference"
  | "number"
  | "character"
  | "string"
  | "byte"
  | "end of file"
  | (typeof KEYWORDS)[number]
  | (string & {});

const NAME = /\\?[\w,.+*#?@-]+/y;
const WORD = /[A-Za-z_]\w*/y;
const INTEGER = /(?:0[xX][0-9a-fA-F]+|[0-9]+)(?:ULL|UL|LL|U|L)?/y;
const BYTE = /[0-9a-fA-F]{2}/y;
const PATH_REFERENCE = /&\{[\w,.+*#?@/-]*\}/y;
const KEYWORD = /\/(?:dts-v1|plugin|memreserve|bits|delete-property|delete-node|omit-if-no-ref|incbin|include)\//y;
const TWO_CHARACTERS: ReadonlySet<string> = new Set(["<<", ">>", "<=", ">=", "==", "!=", "&&", "||"]);

type State = "value" | "name" | "bytes";

/** Opens what `/include/` asks for, given the texts that are open already. */
export type Includer = (name: string, from: Span, open: readonly SourceText[]) => SourceText;

/** A comment that nobody has taken yet. */
interface PendingComment extends Comment {
  /** It begins on a line that a token, or such a comment, stands on. */
  readonly behind: boolean;
}

export class Lexer {
  kind: Kind = "";
  start = 0;
  end = 0;
  source: SourceText;
  #text: string;
  #at = 0;
  /** At first, so that a missing header is told as such whatever word stands there. */
  #state: State = "name";
  readonly #include: Includer;
  /** The texts that wait for an included one to end. */
  readonly #waiting: { source: SourceText; at: number }[] = [];
  #comments: PendingComment[] = [];
  #commentCount = 0;
  #commentCharacters = 0;
  /** Where the latest comment ended, and whether it was behind a token; where an /include/ did. */
  #commentEnd = -1;
  #commentBehind = false;
  #includeEnd = -1;

  constructor(source: SourceText, include: Includer) {
    this.source = source;
    this.#text = source.text;
    this.#include = include;
  }

  /** Moves to the next token; its kind and place are then in the fields. */
  advance(): void {
    for (;;) {
      this.#skipBlanks();
      if (this.#at < this.#text.length) {
        this.start = this.#at;
        this.#scan(this.#text.charCodeAt(this.#at));
        this.end = this.#at;
        if (this.kind !== "/include/") return;
        this.#openIncluded();
        continue;
      }
      const outer = this.#waiting.pop();
      if (!outer) {
        this.start = this.end = this.#at;
        this.kind = "end of file";
        return;
      }
      this.source = outer.source;
      this.#text = outer.source.text;
      this.#at = this.#includeEnd = outer.at;
      this.#commentEnd = -1;
    }
  }

  /** The name of a name, a label or a reference, without what marks it as one. */
  word(): string {
    const text = this.#text.slice(this.start, this.end);
    switch (this.kind) {
      case "label":
        return text.slice(0, -1);
      case "label reference":
        return text.slice(1);
      case "path reference":
        return text.slice(2, -1);
      default:
        return text.startsWith("\\") ? text.slice(1) : text;
    }
  }

  /** A number that is written so short that it certainly fits a cell, or -1. */
  smallNumber(): number {
    const { start, end } = this;
    const length = end - start;
    let value = 0;
    if (this.#text.charCodeAt(start) === Char.zero && length > 1) {
      if (length > 10 || (this.#text.charCodeAt(start + 1) | 0x20) !== 0x78) return -1;
      for (let at = start + 2; at < end; at++) {
        const code = this.#text.charCodeAt(at);
        const digit = code <= Char.nine ? code - Char.zero : (code | 0x20) - 0x57;
        if (digit > 15) return -1;
        value = value * 16 + digit;
      }
      return value;
    }
    if (length > 9) return -1;
    for (let at = start; at < end; at++) {
      const digit = this.#text.charCodeAt(at) - Char.zero;
      if (digit > 9) return -1;
      value = value * 10 + digit;
    }
    return value;
  }

  /** The value of a number or a character. */
  number(): bigint {
    if (this.kind === "character") return this.#character();
    const written = this.#text.slice(this.start, this.end);
    const value = parseInteger(written.replace(/[UL]+$/, ""));
    if (value === "range") this.fail("dts/number", `${shortened(written)} does not fit in 64 bits`);
    if (value === "digits") {
      this.fail("dts/number", `${written} begins with 0 and is not octal`, "leave out the leading 0");
    }
    return value;
  }

  /** The bytes of a string, without a NUL at the end. */
  stringBytes(): Uint8Array {
    const bytes = decodeEscapes(this.#text.slice(this.start + 1, this.end - 1), this.source.file.bytewise);
    return bytes ?? this.fail("dts/string", "\\x needs hexadecimal digits");
  }

  byte(): number {
    return Number.parseInt(this.#text.slice(this.start, this.end), 16);
  }

  span(): Span {
    return { text: this.source, start: this.start, end: this.end };
  }

  /** The token as an error should call it. */
  describe(): string {
    switch (this.kind) {
      case "end of file":
        return "the end of the file";
      case "string":
        return "a string";
      default:
        return quoted(shortened(this.#text.slice(this.start, this.end)));
    }
  }

  /** There were more comments than are kept. */
  get commentsLost(): boolean {
    return this.#commentCount > MAX_COMMENTS || this.#commentCharacters > MAX_COMMENT_CHARACTERS;
  }

  /** The comments before this token that were not taken yet. */
  takeComments(): readonly Comment[] {
    if (this.#comments.length === 0) return NO_COMMENTS;
    const taken = this.#comments;
    this.#comments = [];
    return taken;
  }

  /** Of these, the ones that stand on the line of the token before. */
  takeCommentsBehind(): readonly Comment[] {
    if (this.#comments.length === 0) return NO_COMMENTS;
    const own = this.#comments.findIndex(({ behind }) => !behind);
    return this.#comments.splice(0, own < 0 ? this.#comments.length : own);
  }

  fail(code: string, message: string, hint?: string): never {
    const more: Pick<Diagnostic, "place" | "hint"> = { place: this.source.place(this.start, this.end), hint };
    fail(code, message, more);
  }

  #scan(code: number): void {
    switch (code) {
      case Char.quote:
        return this.#quotedToken("string");
      case Char.apostrophe:
        return this.#quotedToken("character");
      case Char.ampersand:
        return this.#reference();
      case Char.slash:
        if (this.#matches(KEYWORD)) return this.#keyword();
        return this.#punctuation();
    }
    if (this.#state === "name" && this.#matches(NAME)) {
      // A label is a word with a colon right behind it, also where a name could stand.
      if (this.#text.charCodeAt(this.#at) === Char.colon && this.#isWord(this.start, this.#at)) return this.#label();
      this.#nameLength(this.#at - this.start, "name");
      this.#state = "value";
      this.kind = "name";
      return;
    }
    if (isLetter(code) && this.#matches(WORD)) {
      if (this.#text.charCodeAt(this.#at) === Char.colon) return this.#label();
      // A word is also two hexadecimal digits, or begins with them.
      if (this.#state === "bytes") this.#at = this.start;
      else return this.#strayWord();
    }
    if (this.#state === "bytes" && this.#matches(BYTE)) {
      this.kind = "byte";
      return;
    }
    if (this.#state === "value" && isDigit(code)) {
      this.#matches(INTEGER);
      this.kind = "number";
      return;
    }
    this.#punctuation();
  }

  #matches(pattern: RegExp): boolean {
    pattern.lastIndex = this.start;
    if (!pattern.test(this.#text)) return false;
    this.#at = pattern.lastIndex;
    return true;
  }

  #isWord(start: number, end: number): boolean {
    WORD.lastIndex = start;
    return WORD.test(this.#text) && WORD.lastIndex === end;
  }

  #label(): void {
    this.#nameLength(this.#at - this.start, "label");
    this.#at++;
    this.kind = "label";
  }

  #nameLength(length: number, what: string): void {
    if (length <= MAX_NAME_LENGTH) return;
    this.end = this.#at;
    this.fail("dts/name", `a ${what} is longer than ${MAX_NAME_LENGTH} characters`);
  }

  #strayWord(): never {
    this.end = this.#at;
    this.fail(
      "dts/syntax",
      `${this.describe()} is not known here`,
      "a macro without its #include or #define? a reference is written &label, text in double quotes",
    );
  }

  #keyword(): void {
    this.kind = this.#text.slice(this.start, this.#at);
    switch (this.kind) {
      case "/delete-property/":
      case "/delete-node/":
      case "/omit-if-no-ref/":
        this.#state = "name";
        break;
      case "/dts-v1/":
      case "/memreserve/":
      case "/bits/":
        this.#state = "value";
        break;
    }
  }

  #reference(): void {
    const next = this.#text.charCodeAt(this.#at + 1);
    if (next === Char.brace && this.#matches(PATH_REFERENCE)) {
      this.kind = "path reference";
      return;
    }
    if (isLetter(next)) {
      WORD.lastIndex = this.start + 1;
      WORD.test(this.#text);
      this.#at = WORD.lastIndex;
      this.#nameLength(this.#at - this.start - 1, "label");
      this.kind = "label reference";
      return;
    }
    this.#punctuation();
  }

  #punctuation(): void {
    const two = this.#text.slice(this.start, this.start + 2);
    this.kind = TWO_CHARACTERS.has(two) ? two : two[0]!;
    this.#at = this.start + this.kind.length;
    if (this.kind === "{" || this.kind === ";") this.#state = "name";
    else if (this.kind === "[") this.#state = "bytes";
    else if (this.kind === "]" && this.#state === "bytes") this.#state = "value";
  }

  #quotedToken(kind: "string" | "character"): void {
    this.kind = kind;
    this.#at = quotedEnd(this.#text, this.start);
    if (this.#at >= 0) return;
    this.end = this.start + 1;
    this.fail("dts/syntax", `this ${kind} has no end`);
  }

  #character(): bigint {
    const bytes = this.stringBytes();
    if (bytes.length === 1) return BigInt(bytes[0]!);
    this.fail("dts/number", `a character literal holds one byte, not ${bytes.length}`);
  }

  #skipBlanks(): void {
    const text = this.#text;
    for (;;) {
      const code = text.charCodeAt(this.#at);
      if (isBlank(code)) this.#at++;
      else if (code === Char.hash && this.#atLineStart() && this.#lineMarker()) this.#at = lineEnd(text, this.#at);
      else if (code === Char.slash) {
        const end = commentEnd(text, this.#at);
        if (end === undefined) return;
        if (end < 0) this.#endlessComment();
        this.#keepComment(this.#at, end);
        this.#at = end;
      } else return;
    }
  }

  #keepComment(start: number, end: number): void {
    const text = this.#text;
    let before = start - 1;
    let newlines = 0;
    for (; before >= 0 && isBlank(text.charCodeAt(before)); before--) {
      if (text.charCodeAt(before) === Char.newline) newlines++;
    }
    // What follows an /include/ is not about what was included.
    const begins = before < 0 || newlines > 0 || before + 1 === this.#includeEnd;
    const behind = !begins && (before + 1 !== this.#commentEnd || this.#commentBehind);
    this.#commentEnd = end;
    this.#commentBehind = behind;
    this.#commentCount++;
    this.#commentCharacters += end - start;
    if (!this.commentsLost) this.#comments.push({ text: text.slice(start, end), apart: newlines > 1, behind });
  }

  #endlessComment(): never {
    this.start = this.#at;
    this.end = this.#at + 2;
    this.fail("dts/syntax", "this comment has no end");
  }

  #atLineStart(): boolean {
    return this.#at === 0 || this.#text.charCodeAt(this.#at - 1) === Char.newline;
  }

  /** Takes the line for what it says about places, if it is a line marker. */
  #lineMarker(): boolean {
    const marker = parseLineMarker(this.#text.slice(this.#at, lineEnd(this.#text, this.#at)));
    if (!marker) return false;
    const { file, offset, start } = this.source.segmentAt(this.#at);
    file.mark(offset + this.#at - start, marker.line, marker.name);
    return true;
  }

  #openIncluded(): void {
    let start = this.#at;
    while (isBlank(this.#text.charCodeAt(start))) start++;
    const end = this.#text.charCodeAt(start) === Char.quote ? quotedEnd(this.#text, start) : -1;
    if (end < 0) this.fail("dts/syntax", "/include/ needs the name of a file in double quotes");
    this.end = end;
    const open = [...this.#waiting.map(({ source }) => source), this.source];
    const included = this.#include(this.#text.slice(start + 1, end - 1), this.span(), open);
    this.#waiting.push({ source: this.source, at: this.end });
    this.source = included;
    this.#text = included.text;
    this.#at = 0;
    this.#commentEnd = this.#includeEnd = -1;
  }
}

function shortened(text: string): string {
  return text.length > 40 ? `${text.slice(0, 37)}...` : text;
}
