/** A region as people read it: the guest's code as comments, each instruction above the WebAssembly that it became. */
import { disassemble } from "../../isa/riscv/disassemble.ts";
import { CsrSlot, HartField } from "../../isa/riscv/hart.ts";
import { floatNames, integerNames } from "../../isa/riscv/register-names.ts";
import { FunctionWriter } from "../../wasm/function.ts";
import { functionText, indented } from "../../wasm/text.ts";
import { at } from "../places.ts";
import { REGION_SIGNATURE } from "./contract.ts";
import { type RegionPlace, writeRegion } from "./emit.ts";
import { isBlock, type Region } from "./region.ts";

/** A region that was written, and where. */
export interface WrittenRegion {
  readonly region: Region;
  readonly place: RegionPlace;
  /** Guest address of the page that the entry is on. */
  readonly page: bigint;
  /** The 16 or 32 bits of the instruction at an address relative to that page. */
  bitsOf(at: number): number;
}

/** Parameters of a region's function. */
const PARAMS = ["budget", "page"];
/** Declarations of locals are joined up to this many characters. */
const WIDTH = 110;

/** Writes the region anew and answers its text, without a newline at the end. */
export function regionText({ region, place, page, bitsOf }: WrittenRegion): string {
  const f = new FunctionWriter(0, 0, REGION_SIGNATURE.params);
  const address = (relative: number) => BigInt.asUintN(64, page + BigInt(relative));
  const functions = new Map<number, string>();
  for (const [name, { index }] of Object.entries(place.devices?.calls ?? {})) functions.set(index, `device_${name}`);
  const remarks: { readonly offset: number; readonly text: string }[] = [];
  const remark = (offset: number, text: string) => void remarks.push({ offset, text: `;; ${text}` });
  writeRegion(f, region, {
    ...place,
    floatHelper: (operation) => {
      const helper = place.floatHelper(operation);
      functions.set(helper.index, operation);
      return helper;
    },
    shared: {
      get pagesPart() {
        functions.set(place.shared.pagesPart.index, "pages_part");
        return place.shared.pagesPart;
      },
      get goOn() {
        functions.set(place.shared.goOn.index, "go_on");
        return place.shared.goOn;
      },
      get takeOver() {
        functions.set(place.shared.takeOver.index, "take_over");
        return place.shared.takeOver;
      },
    },
    listener: {
      block: ({ order }, offset) => {
        // Where the edge has no code of its own, the block tells as much.
        const last = remarks.at(-1);
        if (last?.offset === offset && last.text === `;; to block ${order}`) remarks.pop();
        remark(offset, `block ${order}`);
      },
      operation: (operation, offset) => {
        const here = address(operation.at);
        remark(offset, `${hex(here)}  ${disassemble(bitsOf(operation.at), here, operation.length)}`);
      },
      edge: (to, offset) => {
        if (isBlock(to)) remark(offset, `to block ${to.order}`);
        else remark(offset, to === undefined ? "leaves to where it jumps" : `leaves to ${hex(address(to))}`);
      },
    },
  });
  const { locals, labels } = f.names;
  const names = {
    locals: new Map([...PARAMS.entries(), ...locals]),
    labels,
    functions,
    place: (offset: number) => places.get(offset),
  };
  const { params, results } = REGION_SIGNATURE;
  const text = functionText(f.finish(), { names, params: params.length, unlikely: f.unlikely });
  const parameters = params.map((type, i) => `(param $${PARAMS[i]} ${type})`);
  const code: string[] = [];
  let next = 0;
  const remarksTo = (offset: number) => {
    while (next < remarks.length && remarks[next].offset <= offset) code.push(remarks[next++].text);
  };
  for (const line of text.lines) {
    remarksTo(line.offset);
    code.push(indented(line, 1));
  }
  const head = `(func ${parameters.join(" ")} (result ${results.join(" ")})`;
  return [head, ...joined(text.locals).map((line) => `  ${line}`), ...code, ")"].join("\n");
}

/** Several to a line. */
function joined(words: readonly string[]): string[] {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length >= WIDTH) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

/** What lies where in the resident hart. */
const places: ReadonlyMap<number, string> = new Map([
  ...Object.entries(HartField).map(([name, field]): [number, string] => [at(field), name]),
  ...integerNames.map((name, i): [number, string] => [at(HartField.x) + i * 8, name]),
  ...floatNames.map((name, i): [number, string] => [at(HartField.f) + i * 8, name]),
  ...Object.entries(CsrSlot).map(([name, slot]): [number, string] => [at(HartField.csr) + slot * 8, name]),
]);

function hex(address: bigint): string {
  return `0x${address.toString(16)}`;
}
