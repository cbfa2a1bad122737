/** Exits as pictures: where the time went, how that changed during the run, and which registers of the memory map it was. */
import type { Board } from "../profile/board.ts";
import { BY_REGISTER, type ExitRow, type Exits } from "./exits.ts";
import { duration, hex, nameOf, regionsOf, thousands } from "./print.ts";
import type { Step } from "./timeline.ts";

export const WIDTH = 1080;
const LABELS = 250;
const CELL = 115;
const CELL_HEIGHT = 38;
const CELL_GAP = 3;
const CELLS = Math.floor((WIDTH - LABELS) / (CELL + CELL_GAP));
const LEVELS = 7;
/** Series of a diagram that have a colour of their own. */
const SERIES = 8;
const PLOT = 150;

/** Colours as classes, so that a page may be light or dark. `heat` goes from little to much. */
export const STYLE = `
  .exits text { font: 12px ui-sans-serif, system-ui, "DejaVu Sans", sans-serif; fill: var(--ink, #1d232b); }
  .exits .title { font-size: 15px; font-weight: 600; }
  .exits .small { font-size: 11px; fill: var(--soft, #5b6672); }
  .exits .mono { font: 11px ui-monospace, "DejaVu Sans Mono", monospace; fill: var(--soft, #5b6672); }
  .exits .cell { font-size: 11px; }
  .exits .axis { stroke: var(--line, #d5dbe2); fill: none; }
  .exits .block { fill: var(--block, #f2f4f7); stroke: var(--line, #d5dbe2); }
  .exits .guest { fill: #8d99a8; } .exits .all { fill: #e06d2c; } .exits .outside { fill: var(--outside, #dfe4ea); }
  .exits .s0 { fill: #4269d0; } .exits .s1 { fill: #efb118; } .exits .s2 { fill: #ff725c; } .exits .s3 { fill: #6cc5b0; }
  .exits .s4 { fill: #3ca951; } .exits .s5 { fill: #ff8ab7; } .exits .s6 { fill: #a463f2; } .exits .s7 { fill: #9c6b4e; }
  .exits .heat0 { fill: #fdf3dc; } .exits .heat1 { fill: #fbdfa8; } .exits .heat2 { fill: #f8c06f; } .exits .heat3 { fill: #f19a44; }
  .exits .heat4 { fill: #e06d2c; } .exits .heat5 { fill: #c1432a; } .exits .heat6 { fill: #8f1f2b; }
  .exits .dark { fill: #1d232b; } .exits .bright { fill: #ffffff; }
`;

interface Drawing {
  readonly svg: string;
  readonly height: number;
}

/** All pictures under one another, as a file of its own. */
export function exitSvg(exits: Exits, steps: readonly Step[], board: Board): string {
  const drawings = [timeBar(exits), timeLines(steps, exits), heatMap(exits, board)];
  let y = 64;
  const parts = drawings.map(({ svg, height }) => {
    const part = `<g transform="translate(0 ${y})">${svg}</g>`;
    y += height + 28;
    return part;
  });
  const head = `<text x="0" y="24" class="title">${escaped(board.name)}: ${thousands(exits.total)} exits</text>
<text x="0" y="44" class="small">${duration(exits.time.total)} of host time, ${duration(exits.time.guest)} of guest time, ${thousands(exits.time.instructions)} instructions</text>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" class="exits" width="${WIDTH + 48}" height="${y}" viewBox="-24 0 ${WIDTH + 48} ${y}">
<style>${STYLE}</style><rect x="-24" width="${WIDTH + 48}" height="${y}" fill="#ffffff"/>
${head}
${parts.join("\n")}
</svg>
`;
}

/** A drawing as an element of a page. */
export function inPage({ svg, height }: Drawing): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" class="exits" role="img" viewBox="0 0 ${WIDTH} ${height}">${svg}</svg>`;
}

/** One bar: guest code, exits by vdev, everything else. */
export function timeBar(exits: Exits): Drawing {
  const { total, running, exits: inExits = 0 } = exits.time;
  const groups = bySource(exits.by("kind", "vdev").map((row) => [sourceOf(row), row.ns ?? 0]));
  const style = palette(exits);
  const parts: { name: string; ns: number; style: string }[] = [
    { name: "guest code", ns: running - inExits, style: "guest" },
    ...groups.map(({ name, amount }) => ({ name, ns: amount, style: style(name) })),
    { name: "outside", ns: total - running, style: "outside" },
  ];
  const shown = parts.filter(({ ns }) => ns > total / 2000);
  let x = 0;
  const bars = shown.map(({ name, ns, style }) => {
    const width = (ns / total) * WIDTH;
    const bar = `<rect class="${style}" x="${f(x)}" y="26" width="${f(width)}" height="30"><title>${escaped(name)}: ${duration(ns)}, ${percent(ns / total)}</title></rect>`;
    x += width;
    return bar;
  });
  const legend = legendOf(
    shown.map(({ name, ns, style }) => ({ style, text: `${name} ${percent(ns / total)}` })),
    76,
  );
  return {
    svg: `<text y="12" class="title">Where host time went</text>${bars.join("")}${legend.svg}`,
    height: legend.height,
  };
}

/** What the run was busy with, and how many exits a millisecond it made, step by step. */
export function timeLines(steps: readonly Step[], exits: Exits): Drawing {
  const end = steps.at(-1)?.to ?? 0;
  if (end === 0) return { svg: "", height: 0 };
  const x = (ns: number) => (ns / end) * WIDTH;
  const shares = stacked(steps, x, PLOT / 2, 1, [
    { name: "guest code", style: "guest", of: (step) => (step.running - step.exits) / (step.to - step.from) },
    { name: "exits", style: "all", of: (step) => step.exits / (step.to - step.from) },
    {
      name: "outside",
      style: "outside",
      of: (step) => Math.max(0, 1 - Math.max(step.running, step.exits) / (step.to - step.from)),
    },
  ]);
  const sources = bySource(steps.flatMap(({ counts }) => [...counts]));
  const rate = (step: Step, names: ReadonlySet<string>) => {
    let count = 0;
    for (const [name, n] of step.counts) if (names.has(name)) count += n;
    return (count * 1e6) / (step.to - step.from);
  };
  const style = palette(exits);
  const series = sources.map(({ name, names }) => ({
    name,
    style: style(name),
    of: (step: Step) => rate(step, names),
  }));
  const most = Math.max(...steps.map((step) => series.reduce((sum, { of }) => sum + of(step), 0)), 1e-9);
  const rates = stacked(steps, x, PLOT, most, series);
  const ticks = Array.from({ length: 6 }, (_, i) => {
    const at = (end * i) / 5;
    const anchor = i === 0 ? "start" : i === 5 ? "end" : "middle";
    return `<text class="small" x="${f(x(at))}" y="${PLOT * 1.5 + 62}" text-anchor="${anchor}">${at === 0 ? "0" : duration(at)}</text>`;
  });
  const legend = legendOf(
    [
      { style: "guest", text: "guest code" },
      { style: "all", text: "exits" },
      { style: "outside", text: "outside" },
    ],
    8,
    640,
  );
  const rateLegend = legendOf(
    series.map(({ name, style }) => ({ style, text: name })),
    PLOT * 1.5 + 82,
  );
  const svg = `<text y="12" class="title">Time line</text>${legend.svg}
<g transform="translate(0 22)">${shares}</g>
<text class="small" y="${PLOT / 2 + 40}">exits per ms of host time, up to ${most >= 10 ? thousands(Math.round(most)) : most.toFixed(1)}</text>
<g transform="translate(0 ${PLOT / 2 + 46})">${rates}<path class="axis" d="M0 ${PLOT}H${WIDTH}"/></g>
${ticks.join("")}${rateLegend.svg}`;
  return { svg, height: rateLegend.height };
}

interface Series {
  readonly name: string;
  readonly style: string;
  of(step: Step): number;
}

/** Steps as areas over one another. */
function stacked(
  steps: readonly Step[],
  x: (ns: number) => number,
  height: number,
  most: number,
  series: readonly Series[],
): string {
  const base = steps.map(() => 0);
  return series
    .map(({ name, style, of }) => {
      const low = [...base];
      for (const [i, step] of steps.entries()) base[i] += (Math.max(0, of(step)) / most) * height;
      const up = steps
        .map((step, i) => `${f(x(step.from))} ${f(height - base[i])}H${f(x(step.to))}`)
        .join("V")
        .replaceAll(/V([\d.-]+) ([\d.-]+)/g, "V$2");
      const down = steps
        .map((step, i) => `V${f(height - low[i])}H${f(x(step.from))}`)
        .reverse()
        .join("");
      return `<path class="${style}" d="M${up}${down}Z"><title>${escaped(name)}</title></path>`;
    })
    .join("");
}

/** The memory map, and in it the registers, the hotter the costlier. */
export function heatMap(exits: Exits, board: Board): Drawing {
  const timed = exits.time.exits !== undefined;
  const rows = exits.by(...BY_REGISTER.filter((column) => column !== "width"));
  const amount = (row: ExitRow) => (timed ? (row.ns ?? 0) : row.count);
  const most = Math.max(...rows.map(amount), 1);
  const regions = regionsOf(rows);
  const cells = (list: readonly ExitRow[]) => list.toSorted((a, b) => amount(b) - amount(a));
  const blocks = [
    ...board.memory.map(({ name, kind, at, size }) => ({
      name,
      note: kind === "rom" ? "ROM" : "RAM",
      at,
      size,
      rows: [],
    })),
    ...board.vdevs.flatMap(({ placement }) =>
      placement.regions.map(({ name: region, at, size }) => ({
        name: placement.regions.length > 1 ? `${placement.name}.${region}` : placement.name,
        note: placement.type,
        at,
        size,
        rows: cells(rows.filter((row) => row.vdev === placement.name && row.region === region)),
      })),
    ),
  ].sort((a, b) => a.at - b.at);
  const others = cells(rows.filter((row) => row.region === undefined && amount(row) > 0));
  let y = 26;
  const parts: string[] = [];
  const place = (name: string, note: string, where: string, list: readonly ExitRow[]) => {
    const lines = Math.max(1, Math.ceil(list.length / CELLS));
    const height = lines * (CELL_HEIGHT + CELL_GAP) - CELL_GAP;
    parts.push(`<rect class="block" x="0" y="${y}" width="${LABELS - 10}" height="${height}" rx="3"/>
<text x="10" y="${y + 16}">${escaped(clipped(name, 30))}</text><text class="mono" x="10" y="${y + 31}">${where}</text>
<text class="small" x="${LABELS - 18}" y="${y + 16}" text-anchor="end">${escaped(clipped(note, 18))}</text>`);
    for (const [i, row] of list.entries()) {
      const left = LABELS + (i % CELLS) * (CELL + CELL_GAP);
      const top = y + Math.floor(i / CELLS) * (CELL_HEIGHT + CELL_GAP);
      parts.push(cell(row, left, top, level(amount(row), most), timed, nameOf(row, regions)));
    }
    y += height + 6;
  };
  for (const { name, note, at, size, rows: list } of blocks) place(name, note, `${hex(at)} + ${roughly(size)}`, list);
  if (others.length > 0) place("no region", "", "calls, traps, interrupts", others);
  const how = timed ? "by host time" : "by count";
  return { svg: `<text y="12" class="title">Memory map, registers ${how}</text>${parts.join("")}`, height: y };
}

function cell(row: ExitRow, x: number, y: number, heat: number, timed: boolean, name: string): string {
  const ink = heat >= 4 ? "bright" : "dark";
  const short = row.register ?? row.event ?? row.kind ?? "";
  const figures = timed && row.ns ? `${rough(row.count)} · ${duration(row.ns)}` : rough(row.count);
  const arrow = row.kind === "write" ? "→ " : row.kind === "read" ? "← " : "";
  return `<g><title>${escaped(`${row.kind} ${name}: ${thousands(row.count)} exits${row.ns ? `, ${duration(row.ns)}` : ""}${row.cost ? `, median ${duration(row.cost.median)}, p99 ${duration(row.cost.p99)}, max ${duration(row.cost.max)}` : ""}`)}</title>
<rect class="heat${heat}" x="${x}" y="${y}" width="${CELL}" height="${CELL_HEIGHT}" rx="3"/>
<text class="cell ${ink}" x="${x + 6}" y="${y + 15}">${escaped(arrow + clipped(short, 16 - arrow.length))}</text>
<text class="cell ${ink}" x="${x + 6}" y="${y + 30}">${figures}</text></g>`;
}

/** Logarithmic: the hottest register is a million times as hot as the coolest. */
function level(amount: number, most: number): number {
  if (amount <= 0) return 0;
  return Math.max(0, Math.min(LEVELS - 1, Math.floor(LEVELS + Math.log10(amount / most) * 1.4)));
}

/** What a diagram tells exits apart by: the vdev, or the kind of what is no access. */
function sourceOf({ kind, vdev }: ExitRow): string {
  return kind === "read" || kind === "write" ? (vdev ?? "nothing there") : (kind ?? "");
}

/** One colour for each source, the same in all pictures: the costliest have their own. */
function palette(exits: Exits): (name: string) => string {
  const sums = new Map<string, number>();
  for (const row of exits.by("kind", "vdev")) {
    const name = sourceOf(row);
    sums.set(name, (sums.get(name) ?? 0) + (row.ns ?? 0) + row.count);
  }
  const names = [...sums].sort((a, b) => b[1] - a[1]).map(([name]) => name);
  return (name) => {
    const rank = names.indexOf(name);
    return `s${rank < 0 || rank >= SERIES ? SERIES - 1 : rank}`;
  };
}

interface Source {
  readonly name: string;
  readonly names: ReadonlySet<string>;
  readonly amount: number;
}

/** The largest ones, and all others as one. */
function bySource(amounts: readonly (readonly [string, number])[]): Source[] {
  const sums = new Map<string, number>();
  for (const [name, amount] of amounts) sums.set(name, (sums.get(name) ?? 0) + amount);
  const sorted = [...sums].filter(([, amount]) => amount > 0).sort((a, b) => b[1] - a[1]);
  const first = sorted.slice(0, sorted.length > SERIES ? SERIES - 1 : SERIES);
  const rest = sorted.slice(first.length);
  const own = first.map(([name, amount]) => ({ name, names: new Set([name]), amount }));
  if (rest.length === 0) return own;
  const amount = rest.reduce((sum, [, each]) => sum + each, 0);
  return [...own, { name: `${rest.length} others`, names: new Set(rest.map(([name]) => name)), amount }];
}

function legendOf(
  entries: readonly { readonly style: string; readonly text: string }[],
  y: number,
  from = 0,
): { svg: string; height: number } {
  let [x, top] = [from, y];
  const parts = entries.map(({ style, text }) => {
    const width = 30 + text.length * 6.6;
    if (x + width > WIDTH) [x, top] = [from, top + 20];
    const part = `<rect class="${style}" x="${f(x)}" y="${top - 8}" width="11" height="11" rx="2"/><text class="small" x="${f(x + 16)}" y="${top + 2}">${escaped(text)}</text>`;
    x += width;
    return part;
  });
  return { svg: parts.join(""), height: top + 12 };
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)}%`;
}

function rough(count: number): string {
  if (count < 10_000) return thousands(count);
  return count < 1e6 ? `${(count / 1e3).toFixed(0)}k` : `${(count / 1e6).toFixed(1)}M`;
}

function roughly(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < units.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${units[unit]}`;
}

function clipped(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

export function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]!);
}

function f(value: number): string {
  return Number(value.toFixed(2)).toString();
}
