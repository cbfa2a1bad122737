// Translated code computes what the interpreter computes, to the instruction, from its first execution on.

import { describe, expect, test } from "bun:test";
import { resolve } from "node:path";
import type { EngineKind } from "../../../src/engine/engine.ts";
import { boot } from "../../../src/index.ts";
import { checkAgainstRecorded } from "../../isa/riscv/differential/check.ts";
import { runOnInterpreter } from "../../isa/riscv/differential/interpreter.ts";

const PROFILE = resolve(import.meta.dir, "../../../profiles/virt-rv64.toml");

test("the recorded programs of the differential test, translated at once", async () => {
  expect(await checkAgainstRecorded((elf) => runOnInterpreter(elf, 1))).toEqual([]);
}, 60_000);

test("the same on memory that other threads have, too", async () => {
  expect(await checkAgainstRecorded((elf) => runOnInterpreter(elf, 1, { shared: true }))).toEqual([]);
}, 60_000);

test("the same in native code", async () => {
  expect(await checkAgainstRecorded((elf) => runOnInterpreter(elf, 1, { native: true }))).toEqual([]);
}, 60_000);

describe("the monitor's session is the same on every engine", () => {
  const session = (engine: EngineKind) => {
    using guest = boot(PROFILE, { engine, set: ["cpu.harts=2"] });
    for (const line of ["memtest 1", "harts", "irq", "trap", "rng 16", "time", "regs"]) {
      expect(guest.runUntil({ text: "monitor\x1b[0m> ", guestTime: 20 })).toBe("text");
      guest.type(`${line}\n`);
    }
    guest.type("poweroff\n");
    guest.runUntil({ guestTime: 20 });
    return { console: guest.console, instructions: guest.machine.instructions, exits: guest.machine.bus.exits };
  };
  const interpreted = session("interpreter");
  test("it is a session worth comparing", () => {
    expect(interpreted.console).toContain("illegal instruction");
    expect(interpreted.instructions).toBeGreaterThan(1_000_000);
  });
  for (const engine of ["translator", "forced", "native"] as const) {
    test(engine, () => expect(session(engine)).toEqual(interpreted));
  }
});
