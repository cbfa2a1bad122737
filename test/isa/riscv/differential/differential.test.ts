// Programs of random instructions, and what QEMU computes with them. README.md says how they are made.

import { describe, expect, test } from "bun:test";
import { checkAgainstRecorded } from "./check.ts";
import { countRows } from "./coverage.ts";
import { COUNT, FEW, readExpected, SEED } from "./expected.ts";
import { runOnInterpreter } from "./interpreter.ts";
import { createProgram, explain, hashDump, parseDumps } from "./program.ts";
import { HOW_TO_GET_QEMU, hasQemu, runOnQemu } from "./qemu.ts";
import { ReferenceMachine, runOnReference } from "./reference.ts";

if (!hasQemu) console.warn(`skipped: comparison with QEMU itself. ${HOW_TO_GET_QEMU}`);

describe("differential programs", () => {
  test("are the same every time, however many sequences are asked for", () => {
    const [few, more] = [createProgram(SEED, 3), createProgram(SEED, 8)];
    expect(more.sequences.slice(0, 3)).toEqual([...few.sequences]);
    expect(createProgram(SEED, 8).elf).toEqual(more.elf);
    expect(createProgram(SEED + 1, 3).sequences).not.toEqual([...few.sequences]);
  });

  test("hold every row of the tables often", () => {
    const rare = [...countRows(createProgram(SEED, COUNT).sequences)].filter(([, count]) => count < 50);
    expect(rare).toEqual([]);
  });

  test("are recorded to the last sequence", async () => {
    expect((await readExpected()).length).toBe(COUNT);
  });
});

describe("recorded results", () => {
  test.skipIf(!hasQemu)("are those of the QEMU that is installed", async () => {
    expect(await checkAgainstRecorded(runOnQemu)).toEqual([]);
  });

  test("are those of the interpreter", async () => {
    expect(await checkAgainstRecorded(runOnInterpreter)).toEqual([]);
  });

  test("are those of the interpreter on memory that it shares", async () => {
    expect(await checkAgainstRecorded((elf) => runOnInterpreter(elf, 0, { shared: true }))).toEqual([]);
  });

  test("are those of the table's own semantics", async () => {
    expect(await checkAgainstRecorded(runOnReference, FEW)).toEqual([]);
  });

  test("are missed by a machine with one wrong bit, which is named", async () => {
    const wrong = (elf: Uint8Array) => {
      const lines = parseDumps(runOnReference(elf), 2);
      return `${lines[0].slice(0, 80)}${(Number.parseInt(lines[0][80], 16) ^ 1).toString(16)}${lines[0].slice(81)}\n${lines[1]}\n`;
    };
    const told = await checkAgainstRecorded(wrong, 2);
    expect(told.length).toBe(1);
    expect(told[0]).toStartWith("sequence 0:");
    expect(told[0]).toContain(hasQemu ? "x5: " : "with QEMU installed");
  });
});

describe("dumps", () => {
  const { elf } = createProgram(SEED, 1);
  const [dump] = parseDumps(runOnReference(elf), 1);

  test("hold what the machine had when the sequence ended", () => {
    const machine = new ReferenceMachine(elf);
    while (!machine.poweredOff) machine.step();
    expect(parseDumps(machine.output, 1)).toEqual([dump]);
    expect(hashDump(dump)).toMatch(/^[0-9a-f]{8}$/);
  });

  test("must be complete", () => {
    expect(() => parseDumps(`${dump}\n`, 2)).toThrow("1 of 2 sequences printed a dump");
    expect(() => parseDumps(`${dump}\nPanic!\n`, 2)).toThrow("sequence 1 printed no dump: Panic!");
  });

  test("are explained in words", () => {
    const other = `${dump.slice(0, 16)}${"0".repeat(16)}${dump.slice(32)}`;
    expect(explain(dump, other)).toEqual([expect.stringMatching(/^x1: 0x[0-9a-f]{16}, expected 0x0{16}$/)]);
  });
});
