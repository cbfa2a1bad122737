// Images that a machine is started with: laid into memory at power-on, and again at each reboot.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { VmrunError } from "../../src/diagnostics/diagnostic.ts";
import { type BootOptions, boot } from "../../src/index.ts";
import { assemble } from "../engine/program.ts";
import { RAM, UART } from "./rig.ts";

const VIRT = resolve(import.meta.dir, "../../profiles/virt-rv64.toml");
const POWER = 0x10_0000;
const SIZE = 2 ** 21;

const folder = mkdtempSync(join(tmpdir(), "vmrun-assemble-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Prints the image's last byte, writes over it and over where it began, and starts over. */
const PROGRAM = assemble(
  RAM,
  `
  li t0, ${RAM + SIZE - 1}
  lbu a0, 0(t0)
  li t1, ${UART}
  sb a0, 0(t1)
  li a1, 0x21
  sb a1, 0(t0)
  li t1, ${RAM}
  sd zero, 0(t1)
  sd zero, 8(t1)
  li t0, ${POWER}
  li t1, 0x7777
  sw t1, 0(t0)
  end: j end`,
).bytes;

function image(letter: string, name: string): string {
  const bytes = new Uint8Array(SIZE);
  bytes.set(PROGRAM);
  bytes[SIZE - 1] = letter.charCodeAt(0);
  const path = join(folder, name);
  writeFileSync(path, bytes);
  utimesSync(path, 1, 1);
  return path;
}

function guestOf(firmware: string, options: BootOptions = {}) {
  return boot(VIRT, { ...options, set: [`boot.firmware=${firmware}`] });
}

test("a large image is laid anew at each reboot", () => {
  using guest = guestOf(image("a", "again.bin"));
  expect(guest.runUntil({ text: "aaaaa" })).toBe("text");
  expect(guest.machine.reboots).toBe(4);
});

test("and is what it was, whatever lies at its path meanwhile", () => {
  const path = image("b", "moved.bin");
  using guest = guestOf(path);
  expect(guest.runUntil({ text: "bb" })).toBe("text");
  renameSync(image("c", "other.bin"), path);
  expect(guest.runUntil({ text: "bb" })).toBe("text");
  rmSync(path);
  expect(guest.runUntil({ text: "bb" })).toBe("text");
});

test("unless it was written over: the reboot says so", () => {
  const path = image("d", "over.bin");
  using guest = guestOf(path);
  expect(guest.runUntil({ text: "dd" })).toBe("text");
  writeFileSync(path, new Uint8Array(SIZE));
  let error: unknown;
  try {
    guest.runUntil({ text: "ddd" });
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(VmrunError);
  expect((error as VmrunError).diagnostics).toMatchObject([{ code: "boot/changed", place: { file: path } }]);
});
