// Runs programs on vmrun's interpreter alone: RAM, a UART that prints and the power switch are all the machine there is.

import type { EnginePort } from "../../../../src/engine/engine.ts";
import { Interpreter } from "../../../../src/engine/interpreter/interpreter.ts";
import { resetCsrs } from "../../../../src/isa/riscv/csr.ts";
import { ENGINE_RESERVED } from "../../../../src/isa/riscv/hart.ts";
import { nativeHost } from "../../../../src/machine/native-host.ts";
import { GuestMemory } from "../../../../src/memory/guest-memory.ts";
import { FINISHER_PASS, HARNESS, TEST_FINISHER, UART } from "./layout.ts";

const RAM_SIZE = 16 << 20;
const POOL = 16 << 20;
const EXTENSIONS = ["i", "m", "a", "f", "d", "c", "zicsr", "zifencei", "zba", "zbb", "zbs", "zicbom", "zicboz"];
/** Far more than a program needs. */
const MOST_INSTRUCTIONS = 200_000_000;
const TURN = 1_000_000;
const LSR = 5;
const TRANSMITTER_EMPTY = 0x60;

/**
 * @param threshold As the engine's: 1 runs translated code from its first execution.
 * @param options `shared`: as if other threads had the memory, too. `native`: quick code is native.
 */
export function runOnInterpreter(elf: Uint8Array, threshold = 0, { shared = false, native = false } = {}): string {
  const memory = new GuestMemory([{ name: "ram", at: HARNESS, size: RAM_SIZE }], {
    reserved: ENGINE_RESERVED,
    pool: POOL,
    shared,
  });
  let poweredOff = false;
  const printed: number[] = [];
  const port: EnginePort = {
    load: (address) => (address === UART + LSR ? TRANSMITTER_EMPTY : -1),
    store(address, _width, value) {
      if (address === UART) printed.push(value & 0xff);
      else if (address === TEST_FINISHER && value === FINISHER_PASS) {
        poweredOff = true;
        engine.requestStop();
      } else return false;
      return true;
    },
    time: () => 0,
    setTimer() {},
  };
  const config = { extensions: new Set(EXTENSIONS), mmu: "none", pmp: 0, harts: 1 } as const;
  const engine = new Interpreter(memory, config, port, { threshold, native: native ? nativeHost : undefined });
  const [hart] = engine.harts;
  resetCsrs(hart);
  const view = new DataView(elf.buffer, elf.byteOffset, elf.length);
  for (let i = 0; i < view.getUint16(56, true); i++) {
    const at = 64 + i * 56;
    const [offset, address, size] = [8, 16, 32].map((field) => Number(view.getBigUint64(at + field, true)));
    if (!memory.load(address, elf.subarray(offset, offset + size))) throw new Error("a segment lies outside RAM");
  }
  hart.pc = view.getBigUint64(24, true);
  for (let spent = 0; !poweredOff; spent += TURN) {
    if (spent > MOST_INSTRUCTIONS) throw new Error(`no end in sight; pc is 0x${hart.pc.toString(16)}`);
    engine.run(0, TURN);
  }
  return new TextDecoder("latin1").decode(Uint8Array.from(printed));
}
