/** Macros of the C preprocessor: their definitions, and what their uses become. */
import { MAX_EXPANSIONS, MAX_MACRO_TOKENS, MAX_NESTING } from "./limits.ts";

export interface MacroToken {
  readonly kind: "word" | "number" | "string" | "space" | "other";
  readonly text: string;
  /** A macro's own name inside its expansion: it is never expanded again (C11 §6.10.3.4). */
  readonly blocked?: boolean;
}

export interface Macro {
  readonly name: string;
  /** Undefined for a macro without parentheses. */
  readonly parameters: readonly string[] | undefined;
  /** The last parameter takes all further arguments. */
  readonly variadic: boolean;
  readonly body: readonly MacroToken[];
  /** While its expansion is being read. */
  active: number;
}

/** The text behind a macro's name, where the arguments are looked for. */
export interface Tail {
  /** Passes blanks and `(` if that comes next; else nothing is passed. */
  acceptParenthesis(): boolean;
  /** The next token; undefined at the end. */
  next(): MacroToken | undefined;
}

/** How an error leaves: the preprocessor knows where the macro is used. */
export type MacroFault = (code: string, message: string) => never;

const TOKEN =
  /([A-Za-z_]\w*)|(\d[\w.]*)|("[^"\\\n]*(?:\\.[^"\\\n]*)*"?|'[^'\\\n]*(?:\\.[^'\\\n]*)*'?)|(\s+)|<<|>>|<=|>=|==|!=|&&|\|\||##|[\s\S]/y;
const SPACE: MacroToken = { kind: "space", text: " " };
/** What an empty argument leaves beside `##` (C11 §6.10.3.3). */
const PLACEMARKER: MacroToken = { kind: "other", text: "" };

/** The tokens of one line that holds no comments. */
export function tokenize(text: string): MacroToken[] {
  const tokens: MacroToken[] = [];
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(text); match; match = TOKEN.exec(text)) {
    const [whole, word, number, string, space] = match;
    if (word !== undefined) tokens.push({ kind: "word", text: word });
    else if (number !== undefined) tokens.push({ kind: "number", text: number });
    else if (string !== undefined) tokens.push({ kind: "string", text: string });
    else if (space !== undefined) tokens.push(SPACE);
    else tokens.push({ kind: "other", text: whole });
  }
  return tokens;
}

/** The definition behind `#define`, or what is wrong with it. */
export function parseMacro(text: string): Macro | string {
  const head = /^([A-Za-z_]\w*)(\()?/.exec(text);
  if (!head) return "#define needs a name";
  const name = head[1]!;
  if (name === "defined" || name === "__VA_ARGS__") return `${name} cannot be defined`;
  if (!head[2])
    return { name, parameters: undefined, variadic: false, body: trim(tokenize(text.slice(name.length))), active: 0 };
  const close = text.indexOf(")");
  if (close < 0) return `the parameters of ${name} have no ")"`;
  const list = text.slice(head[0].length, close).trim();
  const parameters = list === "" ? [] : list.split(",").map((parameter) => parameter.trim());
  const last = parameters.at(-1);
  const variadic = last?.endsWith("...") ?? false;
  if (variadic) parameters[parameters.length - 1] = last === "..." ? "__VA_ARGS__" : last!.slice(0, -3).trim();
  if (parameters.some((parameter) => !/^[A-Za-z_]\w*$/.test(parameter)))
    return `the parameters of ${name} are not names`;
  if (new Set(parameters).size < parameters.length) return `two parameters of ${name} have the same name`;
  const body = trim(tokenize(text.slice(close + 1)));
  if (isPaste(body[0]) || isPaste(body.at(-1))) return "## stands between two things";
  return { name, parameters, variadic, body, active: 0 };
}

interface Frame {
  readonly tokens: readonly MacroToken[];
  at: number;
  readonly macro: Macro | undefined;
}

/** The macros of one run, and what their expansion has cost so far. */
export class Macros {
  readonly #macros = new Map<string, Macro>();
  #expansions = 0;
  #tokens = 0;

  get(name: string): Macro | undefined {
    return this.#macros.get(name);
  }

  define(macro: Macro): void {
    this.#macros.set(macro.name, macro);
  }

  undefine(name: string): void {
    this.#macros.delete(name);
  }

  /** Expands a list of tokens; what follows a macro's name there is all its arguments can come from. */
  expand(tokens: readonly MacroToken[], fault: MacroFault, depth = 0, tail?: Tail): MacroToken[] {
    if (depth > MAX_NESTING) fault("dts/limit", `macro arguments are nested more than ${MAX_NESTING} levels deep`);
    const frames: Frame[] = [{ tokens, at: 0, macro: undefined }];
    const out: MacroToken[] = [];
    for (let token = nextOf(frames); token; token = nextOf(frames)) {
      const macro = token.kind === "word" && !token.blocked ? this.#macros.get(token.text) : undefined;
      if (!macro) {
        out.push(token);
      } else if (macro.active > 0) {
        out.push({ ...token, blocked: true });
      } else if (!macro.parameters) {
        this.#push(frames, macro, macro.body, fault);
      } else if (acceptParenthesis(frames) || (frames.length === 0 && tail?.acceptParenthesis())) {
        const args = this.#arguments(macro, frames, tail, fault);
        this.#push(frames, macro, this.#substitute(macro, args, fault, depth), fault);
      } else {
        out.push(token);
      }
    }
    return out;
  }

  #push(frames: Frame[], macro: Macro, tokens: readonly MacroToken[], fault: MacroFault): void {
    if (++this.#expansions > MAX_EXPANSIONS) fault("dts/limit", `more than ${MAX_EXPANSIONS} macros are expanded`);
    this.#charge(tokens.length, fault);
    macro.active++;
    frames.push({ tokens, at: 0, macro });
  }

  #charge(tokens: number, fault: MacroFault): void {
    this.#tokens += tokens;
    if (this.#tokens > MAX_MACRO_TOKENS) fault("dts/limit", `macros expand to more than ${MAX_MACRO_TOKENS} tokens`);
  }

  /** The arguments up to the closing parenthesis; the opening one is passed. */
  #arguments(macro: Macro, frames: Frame[], tail: Tail | undefined, fault: MacroFault): MacroToken[][] {
    const wanted = macro.parameters!.length;
    const args: MacroToken[][] = [[]];
    let nesting = 0;
    for (;;) {
      const token = nextOf(frames) ?? tail?.next();
      if (!token) fault("dts/macro", `the arguments of ${macro.name} have no ")"`);
      this.#charge(1, fault);
      if (token.text === ")" && nesting === 0) break;
      if (token.text === "(") nesting++;
      if (token.text === ")") nesting--;
      const takesRest = macro.variadic && args.length === wanted;
      if (token.text === "," && nesting === 0 && !takesRest) args.push([]);
      else args.at(-1)!.push(token);
    }
    const trimmed = args.map(trim);
    if (wanted === 0 && trimmed.length === 1 && trimmed[0]!.length === 0) return [];
    if (macro.variadic && trimmed.length === wanted - 1) trimmed.push([]);
    if (trimmed.length !== wanted) {
      fault("dts/macro", `macro ${macro.name} takes ${wanted} arguments, not ${trimmed.length}`);
    }
    return trimmed;
  }

  /** The body with the arguments in the parameters' places (C11 §6.10.3.1 to §6.10.3.3). */
  #substitute(macro: Macro, args: MacroToken[][], fault: MacroFault, depth: number): MacroToken[] {
    const { body } = macro;
    const expanded: (MacroToken[] | undefined)[] = [];
    const argumentOf = (token: MacroToken | undefined): number =>
      token?.kind === "word" ? macro.parameters!.indexOf(token.text) : -1;
    const out: MacroToken[] = [];
    let pasting = false;
    const put = (tokens: readonly MacroToken[]): void => {
      this.#charge(tokens.length, fault);
      let rest = tokens;
      if (pasting && out.length > 0 && tokens.length > 0) {
        const pasted = tokenize(out.pop()!.text + tokens[0]!.text);
        out.push(...(pasted.length > 0 ? pasted : [PLACEMARKER]));
        rest = tokens.slice(1);
      }
      for (const token of rest) out.push(token);
      pasting = false;
    };
    for (let at = 0; at < body.length; at++) {
      const token = body[at]!;
      const next = skipSpaces(body, at + 1);
      if (isPaste(token)) {
        while (out.at(-1)?.kind === "space") out.pop();
        pasting = true;
        const rest = argumentOf(body[next]);
        // `, ## __VA_ARGS__` drops the comma with the arguments, as in GCC; with arguments nothing is pasted.
        if (macro.variadic && rest === macro.parameters!.length - 1 && out.at(-1)?.text === ",") {
          if (args[rest]!.length === 0) out.pop();
          pasting = false;
        }
        at = next - 1;
        continue;
      }
      if (token.text === "#" && argumentOf(body[next]) >= 0) {
        put([stringified(args[argumentOf(body[next])]!)]);
        at = next;
        continue;
      }
      const index = argumentOf(token);
      if (index < 0) {
        if (!(pasting && token.kind === "space")) put([token]);
      } else if (pasting || isPaste(body[next])) {
        put(args[index]!.length > 0 ? args[index]! : [PLACEMARKER]);
      } else {
        expanded[index] ??= this.expand(args[index]!, fault, depth + 1);
        put(expanded[index]!);
      }
      pasting = false;
    }
    return out.filter((token) => token !== PLACEMARKER);
  }
}

/** Tokens as text, with spaces where two would otherwise read as one. */
export function textOf(tokens: readonly MacroToken[]): string {
  const parts: string[] = [];
  let last = "";
  for (const { text } of tokens) {
    parts.push(gap(last, text), text);
    if (text !== "") last = text.slice(-1);
  }
  return parts.join("");
}

/** What must stand between two texts so that they stay apart. */
export function gap(before: string, after: string): string {
  const pair = before.slice(-1) + after.slice(0, 1);
  return /^(?:\w\w|<<|>>|[<>=!]=|&&|\|\||\/\/|\/\*)$/.test(pair) ? " " : "";
}

function nextOf(frames: Frame[]): MacroToken | undefined {
  for (let frame = frames.at(-1); frame; frame = frames.at(-1)) {
    if (frame.at < frame.tokens.length) return frame.tokens[frame.at++];
    if (frame.macro) frame.macro.active--;
    frames.pop();
  }
  return undefined;
}

/** Passes blanks and a parenthesis in the frames; leaves them alone if something else comes first. */
function acceptParenthesis(frames: Frame[]): boolean {
  for (let level = frames.length - 1; level >= 0; level--) {
    const frame = frames[level]!;
    const at = skipSpaces(frame.tokens, frame.at);
    if (at >= frame.tokens.length) continue;
    if (frame.tokens[at]!.text !== "(") return false;
    for (const left of frames.splice(level + 1)) if (left.macro) left.macro.active--;
    frame.at = at + 1;
    return true;
  }
  // Only blanks are left: the text behind may have the parenthesis.
  for (const left of frames.splice(0)) if (left.macro) left.macro.active--;
  return false;
}

function skipSpaces(tokens: readonly MacroToken[], from: number): number {
  let at = from;
  while (tokens[at]?.kind === "space") at++;
  return at;
}

function trim(tokens: readonly MacroToken[]): MacroToken[] {
  const start = skipSpaces(tokens, 0);
  let end = tokens.length;
  while (end > start && tokens[end - 1]!.kind === "space") end--;
  return tokens.slice(start, end);
}

function isPaste(token: MacroToken | undefined): boolean {
  return token?.kind === "other" && token.text === "##";
}

function stringified(tokens: readonly MacroToken[]): MacroToken {
  const text = tokens
    .map((token) => (token.kind === "string" ? token.text.replace(/["\\]/g, "\\$&") : token.text))
    .join("");
  return { kind: "string", text: `"${text}"` };
}
