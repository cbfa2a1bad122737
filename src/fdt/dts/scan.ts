/**
 * Where the pieces of a text end: strings, comments, blanks. Loops rather than patterns, so that no text, however it is
 * made, takes more than linear time or a deep stack.
 */
export const Char = {
  tab: 0x09,
  newline: 0x0a,
  carriageReturn: 0x0d,
  space: 0x20,
  quote: 0x22,
  hash: 0x23,
  ampersand: 0x26,
  apostrophe: 0x27,
  parenthesis: 0x28,
  star: 0x2a,
  slash: 0x2f,
  zero: 0x30,
  nine: 0x39,
  colon: 0x3a,
  backslash: 0x5c,
  brace: 0x7b,
} as const;

export function isBlank(code: number): boolean {
  return code === Char.space || (code >= Char.tab && code <= Char.carriageReturn);
}

export function isLetter(code: number): boolean {
  const lower = code | 0x20;
  return (lower >= 0x61 && lower <= 0x7a) || code === 0x5f;
}

export function isDigit(code: number): boolean {
  return code >= Char.zero && code <= Char.nine;
}

/** Behind the closing quote of the string or character that begins at `start`, or -1 if it has none. */
export function quotedEnd(text: string, start: number): number {
  const quote = text.charCodeAt(start);
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === Char.backslash) at++;
    else if (code === quote) return at + 1;
  }
  return -1;
}

/** Behind the comment that begins at `start`: undefined if none does, -1 if it has no end. Keeps the newline of `//`. */
export function commentEnd(text: string, start: number): number | undefined {
  if (text.charCodeAt(start) !== Char.slash) return undefined;
  const second = text.charCodeAt(start + 1);
  if (second === Char.slash) return lineEnd(text, start);
  if (second !== Char.star) return undefined;
  const end = text.indexOf("*/", start + 2);
  return end < 0 ? -1 : end + 2;
}

export function lineEnd(text: string, start: number): number {
  const newline = text.indexOf("\n", start);
  return newline < 0 ? text.length : newline;
}

/** Behind a backslash and the newline it hides, or undefined. */
export function spliceEnd(text: string, start: number): number | undefined {
  if (text.charCodeAt(start) !== Char.backslash) return undefined;
  const at = text.charCodeAt(start + 1) === Char.carriageReturn ? start + 2 : start + 1;
  return text.charCodeAt(at) === Char.newline ? at + 1 : undefined;
}

/** Behind spaces, tabs, and nothing else. */
export function spacesEnd(text: string, start: number): number {
  let at = start;
  while (text.charCodeAt(at) === Char.space || text.charCodeAt(at) === Char.tab) at++;
  return at;
}

/** Behind blanks, comments and hidden newlines. */
export function blanksEnd(text: string, start: number): number {
  for (let at = start; ; ) {
    if (isBlank(text.charCodeAt(at))) at++;
    else {
      const end = commentEnd(text, at) ?? spliceEnd(text, at);
      if (end === undefined || end < 0) return at;
      at = end;
    }
  }
}
