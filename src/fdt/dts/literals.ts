/** What literals of the source language mean: escapes in strings and characters, and integers. */

const SIMPLE_ESCAPES: Readonly<Record<string, number>> = { a: 7, b: 8, t: 9, n: 10, v: 11, f: 12, r: 13 };
const U64_END = 1n << 64n;

/**
 * The bytes of a string between its quotes, without the NUL that ends it in a tree. `bytewise` texts carry one byte per
 * character. Undefined if `\x` has no digits.
 */
export function decodeEscapes(text: string, bytewise: boolean): Uint8Array | undefined {
  const encode = (part: string): Uint8Array => Buffer.from(part, bytewise ? "latin1" : "utf8");
  if (!text.includes("\\")) return encode(text);
  const parts: Uint8Array[] = [];
  let plain = 0;
  for (let at = text.indexOf("\\"); at >= 0; at = text.indexOf("\\", plain)) {
    parts.push(encode(text.slice(plain, at)));
    const digits = /^(?:x[0-9a-fA-F]{1,2}|[0-7]{1,3})/.exec(text.slice(at + 1, at + 4))?.[0];
    const next = text[at + 1] ?? "";
    if (digits?.startsWith("x")) parts.push(Uint8Array.of(Number.parseInt(digits.slice(1), 16)));
    else if (digits) parts.push(Uint8Array.of(Number.parseInt(digits, 8) & 0xff));
    else if (next === "x") return undefined;
    else if (next in SIMPLE_ESCAPES) parts.push(Uint8Array.of(SIMPLE_ESCAPES[next]!));
    else {
      // Any other character stands for itself, however many bytes it has.
      plain = at + 1;
      const following = text.indexOf("\\", at + 2);
      const end = following < 0 ? text.length : following;
      parts.push(encode(text.slice(plain, end)));
      plain = end;
      continue;
    }
    plain = at + 1 + (digits?.length ?? 1);
  }
  parts.push(encode(text.slice(plain)));
  return Buffer.concat(parts);
}

/** `range`: more than 64 bits; `digits`: an 8 or 9 in an octal number, or no number at all. */
export type IntegerFault = "range" | "digits";

/** The value of the digits of an integer literal, its suffix removed. A leading 0 means octal, as in C. */
export function parseInteger(digits: string): bigint | IntegerFault {
  const octal = digits.length > 1 && digits[0] === "0" && digits[1] !== "x" && digits[1] !== "X";
  if (!/^(?:0[xX][0-9a-fA-F]+|\d+)$/.test(digits) || (octal && /[89]/.test(digits))) return "digits";
  // The time to convert grows faster than the number of digits; all values in range have fewer.
  const significant = digits.replace(/^0[xX]?0*/, "");
  if (significant.length > 22) return "range";
  const value = octal ? BigInt(`0o${digits.slice(1)}`) : BigInt(digits);
  return value < U64_END ? value : "range";
}
