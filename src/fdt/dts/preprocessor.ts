/**
 * The part of the C preprocessor that device trees and their binding headers use: `#include`, macros with and without
 * arguments, conditionals, `#error`, line markers. The rest (`#include_next`, `#embed`, ...) is refused. What it makes
 * keeps its places: an error points into the file that a person wrote.
 */
import { fail } from "../../diagnostics/diagnostic.ts";
import { type ExpressionInput, evaluate, SIGNED } from "./expression.ts";
import { MAX_DIRECTIVE_LENGTH, MAX_NESTING } from "./limits.ts";
import { decodeEscapes, parseInteger } from "./literals.ts";
import { gap, type MacroFault, Macros, type MacroToken, parseMacro, type Tail, textOf, tokenize } from "./macros.ts";
import {
  blanksEnd,
  Char,
  commentEnd,
  isBlank,
  isDigit,
  isLetter,
  lineEnd,
  quotedEnd,
  spacesEnd,
  spliceEnd,
} from "./scan.ts";
import { parseLineMarker, type Segment, type SourceFile, type SourceReader, SourceText } from "./source.ts";

export interface PreprocessOptions {
  /** Macros defined from the start, as by `-D` of a compiler: name to replacement, name of parameters included. */
  readonly defines?: Readonly<Record<string, string>>;
}

const NAMES =
  "include|include_next|embed|import|define|undef|if|ifdef|ifndef|elif|elifdef|elifndef|else|endif|error|warning|pragma|line|ident";
/** `#error-cells` and the like are names of properties. */
const NAME_END = "(?![\\w,.+*?@-])";
const HAS_DIRECTIVE = new RegExp(`^[ \\t]*#[ \\t]*(?:${NAMES})${NAME_END}`, "m");
/** What makes a `#` at the start of a line a directive; the number is a line marker. */
const DIRECTIVE = new RegExp(`(${NAMES})${NAME_END}|\\d+[ \\t]+"`, "y");

const WORD = /\w+/y;
const NUMBER = /\d[\w.]*/y;
/** What can be copied without a look. */
const PLAIN = /[^\n\w"'/\\]+/y;
const BLANK_LINE = /[ \t\r]*\n/y;
const BLANK = /[ \t\r]+/y;
const PLAIN_SKIPPED = /[^\n"/]+/y;

/** The file as the lexer shall read it; as it stands if it has nothing for a preprocessor. */
export function preprocess(file: SourceFile, reader: SourceReader, options: PreprocessOptions): SourceText {
  if (!HAS_DIRECTIVE.test(file.text)) return new SourceText(file);
  const output = new Output(reader);
  new Preprocessor(reader, output, options).file(file, 0);
  return new SourceText(file, output.result(file));
}

/** The text that is made, and where it comes from. */
class Output {
  readonly #reader: SourceReader;
  readonly #parts: string[] = [];
  readonly #segments: Segment[] = [];
  #length = 0;
  #last = "";
  /** What is before this part is known to have more than blanks and comments. */
  #solid = 0;
  /** Two copied stretches were apart for a reason of their own: a directive between them, or a hidden newline. */
  #lastCopied = true;

  constructor(reader: SourceReader) {
    this.#reader = reader;
  }

  copy(file: SourceFile, start: number, end: number): void {
    if (start < end) this.#add(file.text.slice(start, end), { file, offset: start, useLength: undefined });
  }

  expansion(text: string, file: SourceFile, offset: number, useLength: number): void {
    if (text === "") return;
    this.#reader.charge(text.length, file.place(offset, useLength));
    this.#add(text, { file, offset, useLength });
  }

  /** Where it ends now, for `dropIfBlank`. */
  get mark(): number {
    return this.#parts.length;
  }

  /** Takes back what was added since `mark` if there is nothing to it but blanks and comments. */
  dropIfBlank(mark: number): void {
    // Looked at from its end, each part is seen once: what was kept stops the next look.
    if (this.#solid > mark) return;
    const text = this.#parts.slice(mark).join("");
    if (blanksEnd(text, 0) < text.length) {
      this.#solid = this.#parts.length;
      return;
    }
    this.#parts.length = mark;
    this.#segments.length = mark / 2;
    this.#length -= text.length;
    this.#last = this.#parts.at(-1)?.slice(-1) ?? "";
  }

  result(file: SourceFile): { text: string; segments: Segment[] } {
    if (this.#segments.length === 0) this.#segments.push({ start: 0, file, offset: 0, useLength: undefined });
    return { text: this.#parts.join(""), segments: this.#segments };
  }

  #add(text: string, origin: Omit<Segment, "start">): void {
    const copied = origin.useLength === undefined;
    const space = copied && this.#lastCopied ? "" : gap(this.#last, text);
    this.#lastCopied = copied;
    this.#length += space.length;
    this.#segments.push({ start: this.#length, ...origin });
    this.#parts.push(space, text);
    this.#length += text.length;
    this.#last = text.slice(-1);
  }
}

/** One `#if` that has not ended. */
interface Conditional {
  readonly offset: number;
  /** The text around it counts. */
  readonly outer: boolean;
  /** One of its branches was taken already. */
  taken: boolean;
  active: boolean;
  sawElse: boolean;
}

class Preprocessor {
  readonly #reader: SourceReader;
  readonly #output: Output;
  readonly #macros = new Macros();
  readonly #once = new Set<string>();

  constructor(reader: SourceReader, output: Output, { defines = {} }: PreprocessOptions) {
    this.#reader = reader;
    this.#output = output;
    // What the kernel's build defines, and GCC for assembler: headers for both C and device trees ask for them.
    for (const [name, value] of Object.entries({ __DTS__: "1", __ASSEMBLER__: "1", ...defines })) {
      const macro = parseMacro(`${name} ${value}`);
      if (typeof macro === "string") fail("dts/macro", macro);
      this.#macros.define(macro);
    }
  }

  file(file: SourceFile, depth: number): void {
    if (this.#once.has(file.name)) return;
    const { mark } = this.#output;
    new FilePass(file, depth, this.#reader, this.#output, this.#macros, this.#once, (inner) =>
      this.file(inner, depth + 1),
    ).run();
    // A header of macros alone: its comments are about them.
    if (depth > 0) this.#output.dropIfBlank(mark);
  }
}

/** One reading of one file. */
class FilePass {
  readonly #file: SourceFile;
  readonly #text: string;
  readonly #depth: number;
  readonly #reader: SourceReader;
  readonly #output: Output;
  readonly #macros: Macros;
  readonly #once: Set<string>;
  readonly #include: (file: SourceFile) => void;
  readonly #conditionals: Conditional[] = [];
  #at = 0;
  /** What is before has been copied or replaced. */
  #copied = 0;
  /** Where the comments begin that stand directly above this line, or -1. */
  #commentsAbove = -1;
  #line = 0;

  constructor(
    file: SourceFile,
    depth: number,
    reader: SourceReader,
    output: Output,
    macros: Macros,
    once: Set<string>,
    include: (file: SourceFile) => void,
  ) {
    this.#file = file;
    this.#text = file.text;
    this.#depth = depth;
    this.#reader = reader;
    this.#output = output;
    this.#macros = macros;
    this.#once = once;
    this.#include = include;
  }

  run(): void {
    this.#lineStart();
    while (this.#at < this.#text.length) {
      if (this.#active()) this.#piece();
      else this.#skippedPiece();
    }
    this.#flush(this.#text.length);
    const open = this.#conditionals.at(-1);
    if (open) this.#fail("dts/directive", "this conditional has no #endif", open.offset, 1);
  }

  #piece(): void {
    const start = this.#at;
    const code = this.#text.charCodeAt(start);
    if (code === Char.newline) {
      this.#at++;
      this.#lineStart();
      return;
    }
    const comment = commentEnd(this.#text, start);
    if (comment !== undefined) {
      if (comment < 0) this.#fail("dts/syntax", "this comment has no end", start, 2);
      if (this.#commentsAbove < 0 && spacesEnd(this.#text, this.#line) === start) this.#commentsAbove = start;
      this.#at = comment;
      return;
    }
    if (!isBlank(code)) this.#commentsAbove = -1;
    if (isLetter(code)) {
      const word = this.#take(WORD);
      if (this.#macros.get(word)) this.#macroUse(word, start);
    } else if (isDigit(code)) this.#take(NUMBER);
    else if (code === Char.quote || code === Char.apostrophe) this.#passQuoted();
    else {
      const splice = spliceEnd(this.#text, start);
      if (splice !== undefined) {
        this.#flush(start);
        this.#at = this.#copied = splice;
      } else this.#take(isBlank(code) ? BLANK : PLAIN);
    }
  }

  /** Text that an `#if` leaves out: only lines matter, and comments that hide them. */
  #skippedPiece(): void {
    const code = this.#text.charCodeAt(this.#at);
    if (code === Char.newline) {
      this.#at++;
      this.#lineStart();
    } else if (code === Char.quote) {
      const end = quotedEnd(this.#text, this.#at);
      const newline = lineEnd(this.#text, this.#at);
      // An apostrophe or quote in prose has no partner.
      this.#at = end < 0 || end > newline ? newline : end;
    } else {
      const comment = commentEnd(this.#text, this.#at);
      if (comment === undefined) this.#take(PLAIN_SKIPPED);
      else this.#at = comment < 0 ? this.#text.length : comment;
    }
    this.#copied = this.#at;
  }

  /** Passes what the pattern matches here, or one character. */
  #take(pattern: RegExp): string {
    const start = this.#at;
    pattern.lastIndex = start;
    this.#at = pattern.test(this.#text) ? pattern.lastIndex : start + 1;
    return this.#text.slice(start, this.#at);
  }

  #passQuoted(): void {
    const end = quotedEnd(this.#text, this.#at);
    if (end < 0) this.#fail("dts/syntax", "this quote has no partner", this.#at, 1);
    this.#at = end;
  }

  #flush(end: number): void {
    this.#output.copy(this.#file, this.#copied, end);
    this.#copied = end;
  }

  #macroUse(word: string, start: number): void {
    const fault: MacroFault = (code, message) => this.#fail(code, message, start, word.length);
    const expanded = this.#macros.expand([{ kind: "word", text: word }], fault, 0, this.#tail());
    this.#flush(start);
    this.#output.expansion(textOf(expanded), this.#file, start, this.#at - start);
    this.#copied = this.#at;
  }

  /** Arguments come from the text itself, over as many lines as they take. */
  #tail(): Tail {
    return {
      acceptParenthesis: () => {
        const at = blanksEnd(this.#text, this.#at);
        if (this.#text.charCodeAt(at) !== Char.parenthesis) return false;
        this.#at = at + 1;
        return true;
      },
      next: () => this.#argumentToken(),
    };
  }

  #argumentToken(): MacroToken | undefined {
    const start = this.#at;
    if (start >= this.#text.length) return undefined;
    const blanks = blanksEnd(this.#text, start);
    if (blanks > start) {
      for (let line = lineEnd(this.#text, start) + 1; line <= blanks; line = lineEnd(this.#text, line) + 1) {
        if (this.#directiveAt(line)) {
          this.#fail("dts/directive", "a directive stands among the arguments of a macro", line, 1);
        }
      }
      this.#at = blanks;
      return { kind: "space", text: " " };
    }
    const code = this.#text.charCodeAt(start);
    if (isLetter(code)) return { kind: "word", text: this.#take(WORD) };
    if (isDigit(code)) return { kind: "number", text: this.#take(NUMBER) };
    if (code === Char.quote || code === Char.apostrophe) {
      this.#passQuoted();
      return { kind: "string", text: this.#text.slice(start, this.#at) };
    }
    const token = tokenize(this.#text.slice(start, start + 2))[0]!;
    this.#at += token.text.length;
    return token;
  }

  /** The directive at the start of a line: its name, or none for a line marker, and where its text begins. */
  #directiveAt(line: number): { name: string | undefined; start: number; body: number } | undefined {
    const start = spacesEnd(this.#text, line);
    if (this.#text.charCodeAt(start) !== Char.hash) return undefined;
    DIRECTIVE.lastIndex = spacesEnd(this.#text, start + 1);
    const match = DIRECTIVE.exec(this.#text);
    return match ? { name: match[1], start, body: DIRECTIVE.lastIndex } : undefined;
  }

  /** At the start of a line: does the directive, if one stands here. */
  #lineStart(): void {
    this.#line = this.#at;
    const found = this.#directiveAt(this.#at);
    if (!found) {
      BLANK_LINE.lastIndex = this.#at;
      if (this.#commentsAbove >= 0 && BLANK_LINE.test(this.#text)) this.#commentsAbove = -1;
      return;
    }
    const { name, start, body } = found;
    const active = this.#active();
    // Comments on a macro go with it; those at the head of a file are about the file.
    const onMacro = this.#commentsAbove > 0 && (name === "define" || name === "undef");
    if (active) this.#flush(onMacro ? this.#commentsAbove : start);
    this.#commentsAbove = -1;
    const marker =
      name === undefined || name === "line"
        ? parseLineMarker(this.#text.slice(start, lineEnd(this.#text, start)))
        : undefined;
    const rest = this.#directiveText(body, start);
    if (marker) {
      if (active) this.#file.mark(start, marker.line, marker.name);
    } else if (name !== undefined) this.#directive(name, rest, start, this.#at - start, active);
    this.#copied = this.#at;
  }

  #active(): boolean {
    return this.#conditionals.at(-1)?.active ?? true;
  }

  /** What is behind the directive's name, joined to one line and without comments; ends before the newline. */
  #directiveText(from: number, directive: number): string {
    const text = this.#text;
    const parts: string[] = [];
    let at = from;
    let copied = from;
    while (at < text.length && text.charCodeAt(at) !== Char.newline) {
      const code = text.charCodeAt(at);
      const splice = spliceEnd(text, at);
      const comment = splice === undefined ? commentEnd(text, at) : undefined;
      if (splice !== undefined) {
        parts.push(text.slice(copied, at));
        at = copied = splice;
      } else if (comment !== undefined) {
        if (comment < 0) this.#fail("dts/syntax", "this comment has no end", at, 2);
        parts.push(text.slice(copied, at), " ");
        at = copied = comment;
      } else if (code === Char.quote || code === Char.apostrophe) {
        const end = quotedEnd(text, at);
        const newline = lineEnd(text, at);
        at = end < 0 || end > newline ? newline : end;
      } else at++;
      if (at - from > MAX_DIRECTIVE_LENGTH) {
        this.#fail("dts/limit", `a directive is longer than ${MAX_DIRECTIVE_LENGTH} characters`, directive, 1);
      }
    }
    parts.push(text.slice(copied, at));
    this.#at = at;
    return parts.join("").trim();
  }

  #directive(name: string, rest: string, start: number, length: number, active: boolean): void {
    const fault: MacroFault = (code, message) => this.#fail(code, message, start, length);
    switch (name) {
      case "if":
      case "ifdef":
      case "ifndef":
        if (this.#conditionals.length >= MAX_NESTING)
          fault("dts/limit", `#if is nested more than ${MAX_NESTING} levels deep`);
        this.#conditionals.push({ offset: start, outer: active, taken: false, active: false, sawElse: false });
        this.#branch(active && this.#holds(name, rest, fault));
        return;
      case "elif":
      case "elifdef":
      case "elifndef":
      case "else":
      case "endif": {
        const current = this.#conditionals.at(-1);
        if (!current) return fault("dts/directive", `#${name} without #if`);
        if (name === "endif") {
          this.#conditionals.pop();
          return;
        }
        if (current.sawElse) fault("dts/directive", `#${name} behind #else`);
        current.sawElse = name === "else";
        const open = current.outer && !current.taken;
        this.#branch(open && (name === "else" || this.#holds(name.slice(2), rest, fault)));
        return;
      }
    }
    if (active) this.#command(name, rest, start, length, fault);
  }

  #branch(active: boolean): void {
    const current = this.#conditionals.at(-1)!;
    current.active = active;
    current.taken ||= active;
  }

  /** Whether the condition of `#if`, `#ifdef`, `#ifndef` is true. */
  #holds(name: string, rest: string, fault: MacroFault): boolean {
    if (name === "if") return this.#condition(rest, fault) !== 0n;
    const word = /^[A-Za-z_]\w*/.exec(rest)?.[0] ?? fault("dts/directive", `#${name} needs the name of a macro`);
    return (this.#macros.get(word) !== undefined) === (name === "ifdef");
  }

  #command(name: string, rest: string, start: number, length: number, fault: MacroFault): void {
    switch (name) {
      case "include":
        return this.#includeFile(rest, start, length, fault);
      case "define": {
        const macro = parseMacro(rest);
        if (typeof macro === "string") return fault("dts/macro", macro);
        this.#macros.define(macro);
        return;
      }
      case "undef":
        this.#macros.undefine(rest);
        return;
      case "error":
        return fault("dts/error", rest === "" ? "#error" : rest.slice(0, 200));
      case "pragma":
        if (rest === "once") this.#once.add(this.#file.name);
        return;
      case "warning":
      case "ident":
        return;
      case "line":
        return fault("dts/directive", "#line needs a number");
      default:
        return fault("dts/directive", `#${name} is not known here`);
    }
  }

  #includeFile(rest: string, start: number, length: number, fault: MacroFault): void {
    const written = /^["<]/.test(rest) ? rest : textOf(this.#macros.expand(tokenize(rest), fault)).trim();
    const match = /^(?:"([^"]+)"|<([^>]+)>)$/.exec(written);
    if (!match) return fault("dts/include", '#include needs "file" or <file>');
    const place = this.#file.place(start, length);
    const beside = match[1] === undefined ? undefined : this.#file;
    this.#include(this.#reader.include(match[1] ?? match[2]!, beside, this.#depth + 1, place));
  }

  #condition(text: string, fault: MacroFault): bigint {
    const asked = text.replace(/\bdefined\b(?:\s*\(\s*([A-Za-z_]\w*)\s*\)|\s+([A-Za-z_]\w*))/g, (_, inside, bare) =>
      this.#macros.get(inside ?? bare) ? " 1 " : " 0 ",
    );
    const tokens = this.#macros.expand(tokenize(asked), fault).filter(({ kind }) => kind !== "space");
    const input = new ConditionInput(tokens, fault);
    const value = evaluate(input, SIGNED);
    if (input.kind !== "") fault("dts/directive", `the condition has ${input.kind} where an operator should be`);
    return value;
  }

  #fail(code: string, message: string, offset: number, length: number): never {
    fail(code, message, { place: this.#file.place(offset, length) });
  }
}

/** The tokens of a condition as an expression. */
class ConditionInput implements ExpressionInput {
  readonly #tokens: readonly MacroToken[];
  readonly #fault: MacroFault;
  #at = 0;

  constructor(tokens: readonly MacroToken[], fault: MacroFault) {
    this.#tokens = tokens;
    this.#fault = fault;
  }

  get kind(): string {
    return this.#tokens[this.#at]?.text ?? "";
  }

  advance(): void {
    this.#at++;
  }

  operand(): bigint {
    const token = this.#tokens[this.#at++];
    if (token?.kind === "number") {
      const value = parseInteger(token.text.replace(/[uUlL]+$/, ""));
      if (typeof value === "bigint") return BigInt.asIntN(64, value);
    }
    // A name that is no macro counts as 0 (C11 §6.10.1).
    if (token?.kind === "word") return 0n;
    const character = token?.text.startsWith("'") ? decodeEscapes(token.text.slice(1, -1), true) : undefined;
    if (character?.length === 1) return BigInt(character[0]!);
    this.#fault("dts/directive", token ? `${token.text.slice(0, 40)} is not a number` : "the condition is incomplete");
  }

  fail(code: string, message: string): never {
    this.#fault(code, message);
  }
}
