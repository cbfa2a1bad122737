// Small guest functions and the WebAssembly that the translator makes of them, word for word, so that a review sees what a
// change does to generated code. `bun test golden --update-snapshots` writes them anew.
import { expect, test } from "bun:test";
import type { Level } from "../../../src/engine/translator/emit.ts";
import { formRegion } from "../../../src/engine/translator/region.ts";
import { regionText } from "../../../src/engine/translator/region-text.ts";
import { createDecoder } from "../../../src/isa/riscv/decode.ts";
import { FloatOp } from "../../../src/isa/riscv/float/dispatch.ts";
import { ENGINE_RESERVED } from "../../../src/isa/riscv/hart.ts";
import { GuestMemory } from "../../../src/memory/guest-memory.ts";
import { assemble } from "../program.ts";

const CODE = 0x8000_0000;
const PAGE = 4096;
const decoder = createDecoder(new Set("i m a f d c zicsr zifencei zba zbb zbs".split(" ")));
const memory = new GuestMemory([{ name: "ram", at: CODE, size: 4 * PAGE }], { reserved: ENGINE_RESERVED, pool: 0 });

const DEVICE_CALLS = { load: { index: 100 }, store: { index: 101 } };

interface Translation {
  /** For memory that other threads have, too. */
  readonly parallel?: boolean;
  readonly level?: Level;
  /** Labels that computed jumps went to. */
  readonly targets?: readonly string[];
  /** Labels that are not worth following. */
  readonly cold?: readonly string[];
  /** Labels of loads and stores that go to devices. */
  readonly devices?: readonly string[];
}

/** The text of the region that begins where the program does, or at its label `entry`. */
function translated(
  source: string,
  { level = "thorough", targets = [], cold = [], devices = [], parallel = false }: Translation = {},
): string {
  const { bytes, labels } = assemble(CODE, source);
  memory.clear();
  memory.load(CODE, bytes);
  const ram = memory.locate(CODE, 4 * PAGE);
  const away = cold.map((label) => labels[label] - CODE);
  const region = formRegion(
    {
      memory,
      decoder,
      limit: 100,
      depth: 4,
      resolve: (page) => (page < 0 || page > 3 ? -1 : ram + page * PAGE),
      follow: (at) => !away.includes(at),
      targets: () => targets.map((label) => labels[label] - CODE),
    },
    (labels.entry ?? CODE) - CODE,
  )!;
  return `\n${regionText({
    region,
    place: {
      decodedPages: new Map([1, 2, 3].map((page) => [page, page * 0x10000])),
      slot: 5,
      level,
      floatHelper: (operation) => ({ index: FloatOp[operation] }),
      shared: { pagesPart: { index: 100 }, goOn: { index: 101 }, takeOver: { index: 102 } },
      devices: { at: new Set(devices.map((label) => labels[label] - CODE)), calls: DEVICE_CALLS },
      parallel,
    },
    page: BigInt(CODE),
    bitsOf: (at) => memory.u16[(ram + at) >>> 1] | (memory.u16[(ram + at + 2) >>> 1] << 16),
  })}\n`;
}

const SUM = `
  again:
    ld     a4, 0(a0)
    sd     a4, 8(a0)
    add    a5, a5, a4
    addi   a0, a0, 16
    addi   a1, a1, -1
    bnez   a1, again
    ret`;

test("a loop that counts, loads and stores", () => {
  expect(translated(SUM)).toMatchSnapshot();
});

test("the same loop, quickly", () => {
  expect(translated(SUM, { level: "quick" })).toMatchSnapshot();
});

test("a call, followed, and its return", () => {
  const source = `
    jal    ra, double
    addi   a0, a0, 1
    ecall
  double:
    slli   a0, a0, 1
    ret`;
  expect(translated(source)).toMatchSnapshot();
});

test("a call by AUIPC and JALR is one by JAL", () => {
  const source = `
    auipc  ra, 0
    jalr   ra, 16(ra)
    addi   a0, a0, 1
    ecall
  double:
    slli   a0, a0, 1
    ret`;
  expect(translated(source)).toContain("slli");
  // Another register may hold anything.
  expect(translated(source.replace("16(ra)", "16(a0)"))).not.toContain("slli");
});

test("branches that merge, one of them to code that never ran", () => {
  const source = `
    blt    a0, a1, less
    bltu   a1, a2, panic
    c.add  a3, zero, a0
    j      done
  less:
    mv     a3, a1
  done:
    c.addi a3, a3, 1
    lui    a4, 0x12345
    mulh   a5, a3, a4
    ecall
  panic:
    ebreak`;
  expect(translated(source, { cold: ["panic"] })).toMatchSnapshot();
});

test("a computed jump that went to two places before", () => {
  const source = `
    sh3add t0, a0, a1
    jr     t0
  one:
    addi   a2, a2, 1
    ecall
  two:
    addi   a2, a2, 2
    ecall`;
  expect(translated(source, { targets: ["one", "two"] })).toMatchSnapshot();
});

test("a loop with two entrances", () => {
  const source = `
    beqz   a0, second
  first:
    addi   a1, a1, 1
  second:
    addi   a1, a1, 2
    bltu   a1, a2, first
    ecall`;
  expect(translated(source)).toMatchSnapshot();
});

test("doubles and singles", () => {
  const source = `
    fld    fa0, 0(a0)
    fmadd.d fa1, fa0, fa1, fa2
    fcvt.s.d fa3, fa1
    fsw    fa3, 8(a0)
    feq.s  a1, fa3, fa4
    ecall`;
  expect(translated(source)).toMatchSnapshot();
});

test("atomics", () => {
  const source = `
    amoadd.w a1, a2, (a0)
    lr.d   a3, (a4)
    sc.d   a5, a3, (a4)
    ecall`;
  expect(translated(source)).toMatchSnapshot();
});

test("atomics and fences on memory that other threads have, too", () => {
  const source = `
    amoadd.w a1, a2, (a0)
    amomax.w a1, a2, (a0)
    amoswap.d a1, a2, (a0)
    fence  3, 3
    lr.w   a3, (a4)
    sc.w   a5, a3, (a4)
    fence.i
    ecall`;
  expect(translated(source, { parallel: true })).toMatchSnapshot();
});

test("code that goes on in the next page", () => {
  const source = `
    .org   0x80000ff8
  entry:
    addi   a0, a0, 1
    addi   a0, a0, 2
    addi   a0, a0, 3
    sltu   a1, a0, a2
    ecall`;
  expect(translated(source)).toMatchSnapshot();
});

test("loads by a word and of parts of one, and where they go to x0", () => {
  const source = `
    lw     a1, -4(a0)
    lbu    a2, 2(a0)
    lhu    zero, 0(a3)
    sb     a2, 700(a0)
    ecall`;
  expect(translated(source)).toMatchSnapshot();
});

test("words that stay words, but for the one that is an address", () => {
  const source = `
  again:
    lw     a2, 0(a0)
    srliw  a3, a2, 7
    slliw  a4, a2, 25
    or     a3, a3, a4
    addw   a5, a5, a3
    sw     a5, 0(a0)
    addiw  a1, a1, 1
    sh2add a0, a1, a6
    bltu   a5, a1, again
    ecall`;
  expect(translated(source)).toMatchSnapshot();
});

test("a computed jump that went to five places before", () => {
  const source = `
    jr     t0
  one:
    addi   a2, a2, 1
    ecall
  two:
    addi   a2, a2, 2
    ecall
  three:
    addi   a2, a2, 3
    ecall
  four:
    addi   a2, a2, 4
    ecall
  five:
    addi   a2, a2, 5
    ecall`;
  expect(translated(source, { targets: ["one", "two", "three", "four", "five"] })).toMatchSnapshot();
});

test("a function that calls itself", () => {
  const source = `
  again:
    beqz   a0, done
    addi   a0, a0, -1
    jal    ra, again
    addi   a1, a1, 1
  done:
    ret`;
  expect(translated(source)).toMatchSnapshot();
});

test("a driver that asks a device whether it may send, and sends", () => {
  const source = `
  ask:
    lbu    a1, 5(a0)
    andi   a1, a1, 32
    beqz   a1, ask
  send:
    sb     a2, 0(a0)
    ecall`;
  expect(translated(source, { devices: ["ask", "send"] })).toMatchSnapshot();
});
