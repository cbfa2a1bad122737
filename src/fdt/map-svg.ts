/** A tree's memory map and interrupt tree as a picture: one SVG file that needs nothing else. */
import {
  type BlockKind,
  type InterruptController,
  lineText,
  type MemoryBlock,
  mapTree,
  roughSize,
  sizeText,
  visible,
} from "./map.ts";
import type { Fdt } from "./tree.ts";

const MARGIN = 24;
const TITLE = 34;
const GAP = 18;
const INDENT = 22;
const ADDRESS_WIDTH = 130;
const BLOCK_WIDTH = 420;
const BLOCK_HEIGHT = 36;
const LINE_HEIGHT = 20;
const BOX_WIDTH = 320;
const BOX_DISTANCE = 56;
const NUMBER_WIDTH = 112;

const COLOURS: Readonly<Record<BlockKind, { readonly fill: string; readonly edge: string }>> = {
  memory: { fill: "#dcebfa", edge: "#2f6fab" },
  reserved: { fill: "#fbe3e1", edge: "#b5433a" },
  device: { fill: "#e6f3e1", edge: "#4b8a3a" },
  window: { fill: "#f7ecd3", edge: "#a67c1b" },
};

const STYLE = `
  text { font: 12px ui-sans-serif, system-ui, "DejaVu Sans", sans-serif; fill: #1d232b; }
  .title { font-size: 16px; font-weight: 600; }
  .name { font-weight: 600; }
  .small { font-size: 11px; fill: #56616e; }
  .number { font: 11px ui-monospace, "DejaVu Sans Mono", monospace; fill: #3a4450; }
  .off { opacity: 0.5; }
`;

export function renderMapSvg(fdt: Fdt): string {
  const { blocks, controllers } = mapTree(fdt);
  const memory = drawMemory(blocks, MARGIN, MARGIN);
  const interrupts = drawInterrupts(controllers, memory.right + 2 * MARGIN, MARGIN);
  const width = interrupts.right + MARGIN;
  const height = Math.max(memory.bottom, interrupts.bottom) + MARGIN;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    `<style>${STYLE}</style>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...memory.parts,
    ...interrupts.parts,
    "</svg>",
    "",
  ].join("\n");
}

interface Drawing {
  readonly parts: readonly string[];
  readonly right: number;
  readonly bottom: number;
}

/** Blocks by address, one below the other; not to scale, or devices would vanish beside memory. */
function drawMemory(blocks: readonly MemoryBlock[], left: number, top: number): Drawing {
  const parts = [text("title", left, top + 14, "Memory")];
  const x = left + ADDRESS_WIDTH;
  let y = top + TITLE;
  /** Ends of the blocks that the next one may be inside of. */
  const open: bigint[] = [];
  let reached = 0n;
  for (const block of blocks) {
    const { start, size } = block;
    while (open.length > 0 && open.at(-1)! <= start) open.pop();
    if (start > reached && open.length === 0) {
      parts.push(text("small", x + 8, y + GAP - 6, `${roughSize(start - reached)} free`));
      y += GAP;
    }
    const inset = INDENT * Math.min(open.length, 8);
    parts.push(...drawBlock(block, x + inset, y, BLOCK_WIDTH - inset));
    parts.push(text("number", x - 10, y + 14, hex(start), "end"));
    y += BLOCK_HEIGHT + 4;
    open.push(start + size);
    if (start + size > reached) reached = start + size;
  }
  if (blocks.length > 0) parts.push(text("number", x - 10, y + 4, hex(reached - 1n), "end"));
  const legend = drawLegend(x, y + GAP);
  return { parts: [...parts, ...legend], right: x + BLOCK_WIDTH, bottom: y + GAP + LINE_HEIGHT };
}

function drawBlock(block: MemoryBlock, x: number, y: number, width: number): string[] {
  const { fill, edge } = COLOURS[block.kind];
  const size = sizeText(block.size);
  const room = width - 16 - 7 * size.length;
  const name = block.part ? `${block.path} [${block.part}]` : block.path;
  return [
    `<g${block.disabled ? ' class="off"' : ""}>`,
    `<title>${escaped(`${name}: ${hex(block.start)} to ${hex(block.start + block.size - 1n)}`)}</title>`,
    `<rect x="${x}" y="${y}" width="${width}" height="${BLOCK_HEIGHT}" rx="3" fill="${fill}" stroke="${edge}"/>`,
    text("name", x + 8, y + 15, fit(name, room, 7)),
    text("small", x + 8, y + 29, fit(`${block.about ?? block.kind}${block.disabled ? ", disabled" : ""}`, room, 6)),
    text("small", x + width - 8, y + 15, size, "end"),
    "</g>",
  ];
}

function drawLegend(x: number, y: number): string[] {
  return Object.entries(COLOURS).flatMap(([kind, { fill, edge }], i) => [
    `<rect x="${x + 104 * i}" y="${y}" width="14" height="14" rx="3" fill="${fill}" stroke="${edge}"/>`,
    text("small", x + 104 * i + 20, y + 11, kind),
  ]);
}

/** Controllers as boxes of their lines; one that is fed by others stands to the right of the first, wired to all their lines. */
function drawInterrupts(controllers: readonly InterruptController[], left: number, top: number): Drawing {
  const parts = [text("title", left, top + 14, "Interrupts")];
  let [right, bottom] = [left + BOX_WIDTH, top + TITLE];
  const boxes = new Map<string, { readonly x: number; readonly y: number }>();
  const rows: { readonly path: string; readonly x: number; readonly y: number }[] = [];
  const draw = (controller: InterruptController, x: number, y: number): number => {
    const height = LINE_HEIGHT * controller.lines.length + BLOCK_HEIGHT;
    parts.push(...drawController(controller, x, y, height));
    right = Math.max(right, x + BOX_WIDTH);
    boxes.set(controller.path, { x, y: y + BLOCK_HEIGHT / 2 });
    controller.lines.forEach(({ path }, i) => {
      rows.push({ path, x: x + BOX_WIDTH, y: y + BLOCK_HEIGHT + LINE_HEIGHT * i + LINE_HEIGHT / 2 });
    });
    let next = y;
    for (const below of controller.below) next = draw(below, x + BOX_WIDTH + BOX_DISTANCE, next) + GAP;
    return Math.max(y + height, next - GAP);
  };
  for (const controller of controllers) bottom = draw(controller, left, bottom) + GAP;
  for (const { path, x, y } of rows) {
    const box = boxes.get(path);
    // What feeds a controller beside or before it has no room for a wire.
    if (!box || box.x <= x) continue;
    const middle = box.x - BOX_DISTANCE / 2;
    const curve = `M${x} ${y} C${middle} ${y} ${middle} ${box.y} ${box.x} ${box.y}`;
    parts.push(`<path d="${curve}" fill="none" stroke="#6b4fa0" stroke-width="1.5"/>`);
  }
  return { parts, right, bottom };
}

function drawController(controller: InterruptController, x: number, y: number, height: number): string[] {
  const { path, about = "", lines } = controller;
  return [
    `<rect x="${x}" y="${y}" width="${BOX_WIDTH}" height="${height}" rx="3" fill="#ece6f7" stroke="#6b4fa0"/>`,
    text("name", x + 8, y + 15, fit(path, BOX_WIDTH - 16, 7)),
    text("small", x + 8, y + 29, fit(about, BOX_WIDTH - 16, 6)),
    ...lines.flatMap((line, i) => {
      const at = y + BLOCK_HEIGHT + LINE_HEIGHT * i;
      return [
        `<line x1="${x}" y1="${at}" x2="${x + BOX_WIDTH}" y2="${at}" stroke="#6b4fa0" stroke-opacity="0.3"/>`,
        text("number", x + 8, at + 14, fit(lineText(line, controller), NUMBER_WIDTH - 8, 7)),
        text("", x + NUMBER_WIDTH + 8, at + 14, fit(line.path, BOX_WIDTH - NUMBER_WIDTH - 16, 6.5)),
      ];
    }),
  ];
}

function text(style: string, x: number, y: number, content: string, anchor?: "end"): string {
  const attributes = `${style && ` class="${style}"`} x="${x}" y="${y}"${anchor ? ` text-anchor="${anchor}"` : ""}`;
  return `<text${attributes}>${escaped(content)}</text>`;
}

/** Cut at the front, where paths say least. */
function fit(content: string, room: number, perCharacter: number): string {
  const most = Math.max(4, Math.floor(room / perCharacter));
  return content.length <= most ? content : `…${content.slice(content.length - most + 1)}`;
}

function escaped(content: string): string {
  const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return visible(content).replace(/[&<>"]/g, (character) => entities[character]!);
}

function hex(address: bigint): string {
  return `0x${address.toString(16).padStart(8, "0")}`;
}
