import { describe, expect, test } from "bun:test";
import { BASE, codes, load, refused } from "./support.ts";

const TEXT = `${BASE}[[vdev]]\ntype = "test-uart"\n`;

describe("--set", () => {
  test("changes tables, elements and top-level keys; what is no TOML value is text", () => {
    const { board } = load(TEXT, [
      "cpu.harts=4",
      "name=other",
      "memory.dram.size=1GiB",
      "vdev.uart0.host=stdio",
      "vdev.uart0.speed = 9600",
      "boot.cmdline=console=ttyS0 root=/dev/vda rw",
      'compatible=["a,b", "c,d"]',
    ]);
    expect(board).toMatchObject({ name: "other", cpu: { harts: 4 }, compatible: ["a,b", "c,d"] });
    expect(board.memory[0]!.size).toBe(2 ** 30);
    expect(board.vdevs[1]!.options).toEqual({ host: "stdio", speed: 9600 });
    expect(board.boot.cmdline).toBe("console=ttyS0 root=/dev/vda rw");
  });

  test("the last one wins, and makes elements that a profile does not have", () => {
    const { board } = load(TEXT, ["cpu.harts=2", "cpu.harts=3", "vdev.com.type=test-uart", "vdev.uart0.remove=true"]);
    expect(board.cpu.harts).toBe(3);
    expect(board.vdevs.map(({ placement }) => placement.name)).toEqual(["plic", "com"]);
  });

  test("errors point to the setting", () => {
    expect(
      refused(TEXT, ["cpu.hart=4", "vdev.uart0.host=tty", "vdev=1", "cpu", "memory.dram.size.x=1", "include=x"]),
    ).toMatchInlineSnapshot(`
      "--set vdev=1: error[profile/set]: vdev is a list of tables
        hint: name the element and its key, for example --set vdev.NAME.at=0x10000000
      --set cpu: error[profile/set]: a setting is written path=value
        hint: for example --set cpu.harts=4
      --set memory.dram.size.x=1: error[profile/set]: memory.dram.size is not a table
        hint: set the key itself
      --set include=x: error[profile/set]: include cannot be set on the command line
        hint: write a profile that includes both
      --set cpu.hart=4: error[profile/unknown-key]: cpu has no key hart
        hint: did you mean "harts"?
      --set vdev.uart0.host=tty: error[profile/value]: vdev.uart0.host: expected "tty:PATH" or "tty:PATH,BAUD", e.g. "tty:/dev/ttyUSB0,115200"; got "tty""
    `);
  });

  test("keys of hostile shape", () => {
    for (const set of ["=", "a..b=1", ".=1", "__proto__.x=1", "vdev.uart0.irq.foo.bar=1", "cpu=3", "memory.dram=3"]) {
      expect(codes(TEXT, [set]).length).toBeGreaterThan(0);
    }
    expect(({} as Record<string, unknown>)["x"]).toBeUndefined();
  });
});
