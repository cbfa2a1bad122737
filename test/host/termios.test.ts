// Pseudo terminals of the host: raw both ways, at any speed, and set back as they were.
import { describe, expect, test } from "bun:test";
import { closeSync, readSync, writeSync } from "node:fs";
import {
  openPseudoTerminal,
  type PseudoTerminal,
  rawOutput,
  rawTerminal,
  restoreTerminal,
  terminalSettings,
} from "../../src/host/termios.ts";

function withTerminal(act: (terminal: PseudoTerminal) => void): void {
  const terminal = openPseudoTerminal();
  try {
    act(terminal);
  } finally {
    closeSync(terminal.slave);
    closeSync(terminal.master);
  }
}

function read(fd: number): string {
  const bytes = new Uint8Array(100);
  return Buffer.from(bytes.subarray(0, readSync(fd, bytes))).toString("latin1");
}

const stty = (name: string, ...args: string[]) =>
  Bun.spawnSync(["stty", "-F", name, ...(args.length > 0 ? args : ["-a"])]).stdout.toString();

describe.skipIf(process.platform !== "linux")("a pseudo terminal", () => {
  test("passes every byte as it is, both ways, without an echo", () => {
    withTerminal(({ master, slave }) => {
      const all = Uint8Array.from({ length: 100 }, (_, i) => (i * 37) & 0xff);
      const text = Buffer.from(all).toString("latin1");
      writeSync(master, all);
      expect(read(slave)).toBe(text);
      writeSync(slave, all);
      expect(read(master)).toBe(text);
      expect(() => read(master)).toThrow("EAGAIN");
    });
  });

  test("has the speed that was asked for, which stty sees as well", () => {
    withTerminal(({ slave, name }) => {
      for (const baud of [300, 9600, 57_600, 115_200, 4_000_000]) {
        expect(rawTerminal(slave, baud)).toBe(true);
        expect(stty(name)).toContain(`speed ${baud} baud`);
      }
      // stty does not know such speeds; the kernel does.
      expect(rawTerminal(slave, 1_234_567)).toBe(true);
      expect(new Uint32Array(terminalSettings(slave)!.buffer, 36)).toEqual(Uint32Array.of(1_234_567, 1_234_567));
      expect(stty(name)).toMatch(/-icanon.*-echo\b|cs8/s);
    });
  });

  test("goes back to how it was", () => {
    withTerminal(({ slave, name }) => {
      stty(name, "sane", "cs7", "parenb", "38400");
      const before = stty(name);
      const settings = terminalSettings(slave)!;
      rawTerminal(slave, 300);
      expect(stty(name)).not.toBe(before);
      expect(restoreTerminal(slave, settings)).toBe(true);
      expect(stty(name)).toBe(before);
    });
  });

  test("can be left to add no carriage returns, and nothing else", () => {
    withTerminal(({ master, slave, name }) => {
      stty(name, "sane");
      const before = stty(name);
      writeSync(slave, "a\n");
      expect(read(master)).toBe("a\r\n");
      rawOutput(slave);
      writeSync(slave, "a\n");
      expect(read(master)).toBe("a\n");
      expect(stty(name).replace("-opost", "opost")).toBe(before);
    });
  });
});

test("a file has no settings", () => {
  expect(terminalSettings(-1)).toBeUndefined();
  expect(rawTerminal(-1)).toBe(false);
});
