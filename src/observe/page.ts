/** Exits as one page that needs nothing else: pictures, the costliest guest functions, and every register in a table. */
import type { Board } from "../profile/board.ts";
import { BY_REGISTER, type Exits } from "./exits.ts";
import { escaped, heatMap, inPage, STYLE, timeBar, timeLines } from "./picture.ts";
import { duration, nameOf, placesOf, regionsOf, thousands } from "./print.ts";
import type { Step } from "./timeline.ts";

const PLACES = 40;

const PAGE_STYLE = `
  :root { color-scheme: light dark; --ink: #1d232b; --soft: #5b6672; --line: #d5dbe2; --block: #f2f4f7; --outside: #dfe4ea; --page: #ffffff; --bar: #4269d0; }
  @media (prefers-color-scheme: dark) {
    :root { --ink: #e6eaef; --soft: #9aa5b1; --line: #39424d; --block: #20262e; --outside: #333c47; --page: #14181d; --bar: #6f8fe6; }
  }
  body { margin: 0 auto; padding: 24px; max-width: 1080px; background: var(--page); color: var(--ink); font: 14px/1.5 ui-sans-serif, system-ui, "DejaVu Sans", sans-serif; }
  h1 { font-size: 22px; margin: 0; } h2 { font-size: 15px; margin: 32px 0 8px; } p { margin: 4px 0 24px; color: var(--soft); }
  svg.exits { display: block; width: 100%; height: auto; margin: 0 0 28px; }
  table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
  th { text-align: left; color: var(--soft); font-weight: 500; border-bottom: 1px solid var(--line); cursor: pointer; user-select: none; }
  th, td { padding: 3px 10px 3px 0; white-space: nowrap; } td { border-bottom: 1px solid var(--block); }
  th.n, td.n { text-align: right; } td.name { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 12.5px; }
  td.bar { width: 34%; } td.bar i { display: block; height: 10px; border-radius: 2px; background: var(--bar); min-width: 1px; }
  .wide { overflow-x: auto; }
  @media (max-width: 700px) { body { padding: 12px; } td.bar { width: 15%; } }
`;

/** A click on a heading sorts by that column: numbers from the largest, names from A. */
const SCRIPT = `
for (const th of document.querySelectorAll("th")) th.onclick = () => {
  const table = th.closest("table"), body = table.tBodies[0], i = th.cellIndex;
  const key = (row) => row.cells[i].dataset.v ?? row.cells[i].textContent;
  const number = th.classList.contains("n"), turn = th.dataset.turn === "1" ? -1 : 1;
  th.dataset.turn = turn === 1 ? "1" : "0";
  const rows = [...body.rows].sort((a, b) => turn * (number ? key(b) - key(a) : key(a).localeCompare(key(b))));
  body.append(...rows);
};`;

export function exitPage(exits: Exits, steps: readonly Step[], board: Board): string {
  const { time } = exits;
  const drawings = [timeBar(exits), timeLines(steps, exits), heatMap(exits, board)].filter(({ height }) => height > 0);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(board.name)}: exits</title><style>${PAGE_STYLE}${STYLE}</style></head><body>
<h1>${escaped(board.name)}: ${thousands(exits.total)} exits</h1>
<p>${duration(time.total)} of host time, ${duration(time.guest)} of guest time, ${thousands(time.instructions)} instructions.
An exit is when the guest leaves its own code for the monitor. Times are of the host; hold the pointer over a picture for figures.</p>
${drawings.map(inPage).join("\n")}
<h2>Costliest guest functions</h2>
<div class="wide">${functionTable(exits)}</div>
<h2>Every register and event</h2>
<div class="wide">${registerTable(exits)}</div>
<script>${SCRIPT}</script></body></html>
`;
}

function functionTable(exits: Exits): string {
  const places = placesOf(exits).slice(0, PLACES);
  const amount = ({ ns, count }: (typeof places)[number]) => ns ?? count;
  const most = Math.max(...places.map(amount), 1);
  const rows = places.map(
    (place) =>
      `<tr><td class="name">${escaped(place.place)}</td>${number(place.count, thousands(place.count))}${number(place.ns ?? 0, place.ns === undefined ? "" : duration(place.ns))}<td class="bar" data-v="${amount(place)}"><i style="width:${((amount(place) / most) * 100).toFixed(2)}%"></i></td></tr>`,
  );
  return `<table><thead><tr><th>guest code</th><th class="n">exits</th><th class="n">time</th><th class="n"></th></tr></thead><tbody>${rows.join("\n")}</tbody></table>`;
}

function registerTable(exits: Exits): string {
  const all = exits.by(...BY_REGISTER);
  const regions = regionsOf(all);
  const rows = all.map((row) => {
    const { kind, width, count, ns, cost } = row;
    const spread = (["min", "median", "p99", "max"] as const).map((name) =>
      number(cost?.[name] ?? 0, cost ? duration(cost[name]) : ""),
    );
    return `<tr><td class="name">${escaped(nameOf(row, regions))}</td><td>${kind}</td>${number(width ?? 0, String(width ?? ""))}${number(count, thousands(count))}${number(ns ?? 0, ns ? duration(ns) : "")}${spread.join("")}</tr>`;
  });
  const head = ["bytes", "exits", "time", "min", "median", "p99", "max"].map((name) => `<th class="n">${name}</th>`);
  return `<table><thead><tr><th>what</th><th>kind</th>${head.join("")}</tr></thead><tbody>${rows.join("\n")}</tbody></table>`;
}

function number(value: number, text: string): string {
  return `<td class="n" data-v="${value}">${text}</td>`;
}
