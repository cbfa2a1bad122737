/** Beside dtc: the same bytes from the same source, for every construct, and for trees that machines really have. */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseDts } from "../../../src/fdt/dts/parse.ts";
import { printSource } from "../../../src/fdt/dts/printer.ts";
import { printDts } from "../../../src/fdt/printer.ts";
import { readDtb } from "../../../src/fdt/reader.ts";
import { writeDtb } from "../../../src/fdt/writer.ts";
import { dtc, expectSameBytes, hasDtc, NEEDS_DTC, randomFdt } from "../support.ts";
import { CORPUS } from "./support.ts";

const golden = join(import.meta.dir, "../../profile/golden");

describe.skipIf(!hasDtc)(`what dtc makes of it${NEEDS_DTC}`, () => {
  for (const [name, source] of Object.entries(CORPUS)) {
    test(name, () => expectSameBytes(writeDtb(parseDts(source)), dtc("dts", "dtb", source)));
    test(`${name}, with symbols`, () => {
      expectSameBytes(writeDtb(parseDts(source, { symbols: true })), dtc("dts", "dtb", source, "-@"));
    });
  }

  test.each(["legacy", "both", "epapr"] as const)("phandle properties: %s", (phandles) => {
    const source = CORPUS["references"]!;
    expectSameBytes(writeDtb(parseDts(source, { phandles })), dtc("dts", "dtb", source, "-H", phandles));
  });

  test("a boot CPU that is asked for", () => {
    const source = CORPUS["boot cpu"]!;
    expectSameBytes(writeDtb(parseDts(source, { bootCpu: 9 })), dtc("dts", "dtb", source, "-b", "9"));
  });

  test("trees at random, as dtc prints them", () => {
    for (let seed = 100; seed < 140; seed++) {
      const blob = writeDtb(randomFdt(seed));
      const text = dtc("dtb", "dts", blob, "-f");
      // Not with the blob: before 1.7, dtc prints a NUL before a digit so that nobody reads it back.
      expectSameBytes(writeDtb(parseDts(text)), dtc("dts", "dtb", text, "-f"));
    }
  });
});

describe("source and back", () => {
  for (const [name, source] of Object.entries(CORPUS)) {
    test(name, () => {
      const tree = parseDts(source);
      const printed = printSource(tree);
      expectSameBytes(writeDtb(parseDts(printed)), writeDtb(tree));
      expect(printSource(parseDts(printed))).toBe(printed);
    });
  }

  test.each(readdirSync(golden))("%s", (file) => {
    const text = readFileSync(join(golden, file), "utf8");
    expect(printDts(parseDts(text))).toBe(text);
  });
});

/** Machines whose trees QEMU generates; those it is not installed for are skipped by name. */
const MACHINES = [
  ["qemu-system-riscv64", "virt"],
  ["qemu-system-riscv64", "virt,aclint=on,aia=aplic-imsic"],
  ["qemu-system-riscv64", "sifive_u"],
  ["qemu-system-riscv32", "virt"],
  ["qemu-system-arm", "virt"],
  ["qemu-system-aarch64", "virt,gic-version=3"],
] as const;

describe("trees of QEMU", () => {
  for (const [emulator, machine] of MACHINES) {
    const missing = Bun.which(emulator) === null;
    test.skipIf(missing)(`${emulator} -M ${machine}${missing ? " (skipped: not installed)" : ""}`, () => {
      const directory = mkdtempSync(join(tmpdir(), "vmrun-dts-"));
      try {
        const file = join(directory, "machine.dtb");
        const run = Bun.spawnSync([emulator, "-M", `${machine},dumpdtb=${file}`, "-display", "none", "-bios", "none"]);
        expect(run.exitCode).toBe(0);
        const fdt = readDtb(new Uint8Array(readFileSync(file)));
        const blob = writeDtb(fdt);
        const text = printDts(fdt);
        const again = parseDts(text, { bootCpu: fdt.bootCpu });
        expectSameBytes(writeDtb(again), blob);
        if (hasDtc) expectSameBytes(writeDtb(parseDts(text)), dtc("dts", "dtb", text));
      } finally {
        rmSync(directory, { recursive: true });
      }
    });
  }
});
