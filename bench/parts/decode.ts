/** Filling a decoded page from a page of code: paid once for every page that a guest executes. */
import { readFileSync } from "node:fs";
import { DecodedPages, KNOWN_SIZE } from "../../src/engine/interpreter/decoded-pages.ts";
import { DECODED_PAGE_SIZE, OP_SIZE } from "../../src/engine/interpreter/layout.ts";
import { createDecoder } from "../../src/isa/riscv/decode.ts";
import { ENGINE_RESERVED } from "../../src/isa/riscv/hart.ts";
import { bytesOf, Held } from "../../src/machine/boot/contents.ts";
import { readElf } from "../../src/machine/boot/elf.ts";
import { GuestMemory, PAGE_SIZE } from "../../src/memory/guest-memory.ts";
import type { Benchmark } from "../benchmark.ts";
import { benchFirmware } from "../whole/contest.ts";
import { loadBoard } from "./board.ts";
import { race } from "./race.ts";

const RAM = 0x8000_0000;
const LAST_HALFWORD = PAGE_SIZE - 2;

export const decode: Benchmark = {
  name: "decode",
  summary: "a page of compiled code into a decoded page",
  kind: "parts",

  async run(context) {
    const specs = [{ name: "ram", at: RAM, size: 1 << 20 }];
    const memory = new GuestMemory(specs, { reserved: ENGINE_RESERVED, pool: KNOWN_SIZE + 4 * DECODED_PAGE_SIZE });
    const pages = new DecodedPages(memory, createDecoder(new Set(loadBoard().cpu.extensions)));
    memory.load(RAM, pageOfCode());
    const source = memory.locate(RAM, PAGE_SIZE);
    const decodeAll = () => {
      pages.flush();
      const ops = pages.of(source);
      for (let at = 0; at < PAGE_SIZE; ) {
        pages.decodeFrom(ops + (at / 2) * OP_SIZE);
        at += at < LAST_HALFWORD && (memory.u16[(source + at) >> 1] & 3) === 3 ? 4 : 2;
      }
      return ops;
    };
    const sum = () => {
      let total = 0;
      for (let at = source; at < source + PAGE_SIZE; at++) total += memory.u8[at];
      return total;
    };
    return { rows: [await race(context, "decode a 4 KiB page of code, beside summing its bytes", decodeAll, sum)] };
  },
};

/** Compiled code, repeated to fill a page. */
function pageOfCode(): Uint8Array {
  const file = benchFirmware("coremark-like");
  const { segments } = readElf(new Held(readFileSync(file)), file);
  const bytes = bytesOf(segments[0].contents);
  // Long enough for any instruction to be whole; the last one may straddle the page's end, as in any code.
  const code = bytes.subarray(0, bytes.length & ~3);
  return Uint8Array.from({ length: PAGE_SIZE }, (_, i) => code[i % code.length]);
}
