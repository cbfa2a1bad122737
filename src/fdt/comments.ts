/**
 * Comments of source text: what is kept of them, and how they are printed again. They stand beside a tree, never in it:
 * no comparison, no diff and no blob can depend on them.
 */

export interface Comment {
  /** As written, with what marks it as a comment. */
  readonly text: string;
  /** An empty line is above it. */
  readonly apart: boolean;
}

/** Of a property, a reservation or a header. */
export interface Comments {
  /** On lines of their own, above. */
  readonly before: readonly Comment[];
  /** At the end of the last line; also those from inside a value. */
  readonly after: readonly Comment[];
}

export interface NodeComments extends Comments {
  /** At the end of the line that opens the node. */
  readonly open: readonly Comment[];
  /** On lines of their own, before the closing brace. */
  readonly last: readonly Comment[];
}

/** Of the text as a whole. */
export interface SourceComments {
  /** Of `/dts-v1/` and `/plugin/`. */
  readonly header: Comments | undefined;
  readonly plugin: Comments | undefined;
  readonly end: readonly Comment[];
}

export const NO_COMMENTS: readonly Comment[] = [];

export function commentsOf(before: readonly Comment[], after: readonly Comment[]): Comments | undefined {
  return before.length + after.length > 0 ? { before, after } : undefined;
}

/** What a later part of a source says of a node takes the place of what an earlier one said there. */
export function mergeComments(earlier: NodeComments | undefined, later: NodeComments | undefined) {
  if (!earlier || !later) return later ?? earlier;
  const latest = (part: keyof NodeComments) => (later[part].length > 0 ? later[part] : earlier[part]);
  return { before: latest("before"), after: latest("after"), open: latest("open"), last: latest("last") };
}

/** Adds comments as lines of their own. */
export function pushComments(lines: string[], comments: readonly Comment[] | undefined, indent: string): void {
  if (!comments) return;
  for (const [i, { text, apart }] of comments.entries()) {
    if (apart && i > 0) lines.push("");
    lines.push(indent + printComment(text, indent, true));
  }
}

/** Comments behind what stands on a line already. */
export function commentsAtEnd(comments: readonly Comment[] | undefined, indent: string): string {
  if (!comments) return "";
  return comments.map(({ text }, i) => ` ${printComment(text, indent, i === comments.length - 1)}`).join("");
}

function printComment(text: string, indent: string, endsLine: boolean): string {
  const lines = text.split("\n").map((line) => harmless(line.trimEnd()));
  if (!text.startsWith("//")) return printBlock(lines, indent);
  const line = lines.join(" ");
  // For a preprocessor, a backslash at the end of a line would draw the next one into the comment.
  if (endsLine && !line.endsWith("\\")) return line;
  return `/* ${line.slice(2).trim().replaceAll("*/", "* /")} */`;
}

/** What terminals and editors act on is shown as a dot: controls, and marks that change the order of the text. */
function harmless(line: string): string {
  return line.replace(/[^\t\P{Cc}]|[\p{Cf}\p{Cs}\u2028\u2029]/gu, "·");
}

/** The lines of a block under each other: by their stars, or as far apart from the edge as they were from each other. */
function printBlock([first, ...rest]: readonly string[], indent: string): string {
  if (rest.length === 0) return first!;
  const bodies = rest.filter((line) => line !== "" && line.trim() !== "*/");
  const starred = bodies.every((line) => /^\s*\*/.test(line));
  const edge = commonIndent(bodies);
  const lines = rest.map((line) => {
    if (line === "") return "";
    if (starred || line.trim() === "*/") return `${indent} ${line.trimStart()}`;
    return `${indent}   ${line.slice(edge)}`;
  });
  return [first, ...lines].join("\n");
}

function commonIndent([first = "", ...rest]: readonly string[]): number {
  let length = /^\s*/.exec(first)![0].length;
  for (const line of rest) {
    let same = 0;
    while (same < length && line[same] === first[same]) same++;
    length = same;
  }
  return length;
}
