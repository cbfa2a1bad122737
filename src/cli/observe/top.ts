/** `--top`: exits in the upper part of a terminal, the guest's console in the rest, which scrolls by itself. */
import { fail } from "../../diagnostics/diagnostic.ts";

/** Between two pictures, ms. */
const REFRESH = 500;
const SHORTEST = 16;

/** `table` gives the text for so many rows. Answers what ends it, and gives the terminal back. */
export function showTop(table: (rows: number) => string): () => void {
  const { stderr } = process;
  if (!stderr.isTTY) return fail("cli/top", "--top needs a terminal", { hint: "--exits tells it at the end" });
  const height = () => Math.max(6, Math.floor(stderr.rows / 2));
  if (stderr.rows < SHORTEST) return fail("cli/top", `--top needs a terminal of ${SHORTEST} lines`);
  // The screen is cleared, and only the lines below the table scroll. DECSTBM, ECMA-48 CUP
  const begin = () => stderr.write(`\x1b[2J\x1b[${height() + 1};${stderr.rows}r\x1b[${height() + 1};1H`);
  const paint = () => {
    const lines = table(height() - 5)
      .split("\n")
      .slice(0, height() - 1);
    while (lines.length < height() - 1) lines.push("");
    const clipped = lines.map((line, i) => `\x1b[${i + 1};1H\x1b[K${line.slice(0, stderr.columns)}`);
    const rule = `\x1b[${height()};1H\x1b[K${"─".repeat(stderr.columns)}`;
    // Where the guest's cursor was, it is again: DECSC, DECRC.
    stderr.write(`\x1b7${clipped.join("")}${rule}\x1b8`);
  };
  begin();
  paint();
  const timer = setInterval(paint, REFRESH);
  const resized = () => {
    begin();
    paint();
  };
  stderr.on("resize", resized);
  return () => {
    clearInterval(timer);
    stderr.off("resize", resized);
    stderr.write(`\x1b[r\x1b[${stderr.rows};1H\n`);
  };
}
