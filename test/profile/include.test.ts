import { describe, expect, test } from "bun:test";
import { BASE, codes, load, refused } from "./support.ts";

const names = ({ board }: ReturnType<typeof load>) => board.vdevs.map(({ placement }) => placement.name);

describe("include", () => {
  test("tables merge key by key, elements by name; the later file wins", () => {
    const { board } = load({
      "board.toml": `schema = 1
include = "parts/base.toml"
[cpu]
harts = 3
[[memory]]
name = "dram"
size = "32MiB"
[[vdev]]
name = "uart0"
speed = 9600
`,
      "parts/base.toml": `${BASE}[[vdev]]\ntype = "test-uart"\nhost = "stdio"\n[cpu]\nharts = 2\nmmu = "sv39"\n`,
    });
    expect(board.cpu).toMatchObject({ harts: 3, mmu: "sv39" });
    expect(board.memory).toMatchObject([{ at: 0x8000_0000, size: 32 << 20 }]);
    expect(board.vdevs[1]).toMatchObject({ placement: { name: "uart0" }, options: { host: "stdio", speed: 9600 } });
  });

  test("of a list, later files win over earlier ones", () => {
    const texts = {
      "board.toml": 'schema = 1\ninclude = ["a.toml", "b.toml"]\n',
      "a.toml": `${BASE}[cpu]\nharts = 2\npmp = 0\n`,
      "b.toml": "[cpu]\nharts = 4\n",
    };
    expect(load(texts).board.cpu).toMatchObject({ harts: 4, pmp: 0 });
  });

  test("an element can be removed, and its place is free again", () => {
    const texts = {
      "board.toml": `include = "base.toml"
[[vdev]]
name = "uart0"
remove = true
[[vdev]]
type = "test-uart"
name = "console"
irq = "plic:1"
`,
      "base.toml": `${BASE}[[vdev]]\ntype = "test-uart"\nirq = "plic:1"\n`,
    };
    expect(names(load(texts))).toEqual(["plic", "console"]);
  });

  test("paths are relative to the file that names them", () => {
    const { board } = load({
      "board.toml": 'include = "parts/base.toml"\n[boot]\nkernel = "kernel"\n',
      kernel: "",
      "parts/base.toml": `${BASE}[boot]\ninitrd = "initrd"\n[[vdev]]\ntype = "test-disk"\nfile = "disk.img"\n[[vdev.logs]]\nhost = "file:log"\n`,
      "parts/initrd": "",
      "parts/disk.img": "",
    });
    expect(board.boot.kernel).toBe(`${process.cwd()}/kernel`);
    expect(board.boot.initrd).toBe(`${process.cwd()}/parts/initrd`);
    const options = board.vdevs[1]!.options;
    expect(options).toEqual({
      file: `${process.cwd()}/parts/disk.img`,
      logs: [{ host: `file:${process.cwd()}/parts/log` }],
    });
  });

  test("unnamed elements get names that nobody has", () => {
    const texts = {
      "board.toml":
        'include = "base.toml"\n[[vdev]]\ntype = "test-uart"\n[[vdev]]\ntype = "test-uart"\nname = "uart1"\n',
      "base.toml": `${BASE}[[vdev]]\ntype = "test-uart"\n`,
    };
    expect(names(load(texts))).toEqual(["plic", "uart0", "uart2", "uart1"]);
  });
});

describe("refused", () => {
  test("a missing include, with the near name", () => {
    expect(refused({ "board.toml": 'include = "bsae.toml"\n', "base.toml": "" })).toMatchInlineSnapshot(`
      "board.toml:1:11: error[profile/missing-file]: include names bsae.toml, which does not exist
          1 | include = "bsae.toml"
            |           ^^^^^^^^^^^
        hint: did you mean "base.toml"?"
    `);
  });

  test("a cycle", () => {
    expect(
      refused({ "board.toml": 'include = "a.toml"\n', "a.toml": '\ninclude = "board.toml"\n' }),
    ).toMatchInlineSnapshot(`
      "a.toml:2:11: error[profile/include-cycle]: board.toml includes itself
          2 | include = "board.toml"
            |           ^^^^^^^^^^^^
      board.toml:1:11: note: on the way from here
          1 | include = "a.toml"
            |           ^^^^^^^^
        hint: take one of the includes out"
    `);
    expect(codes({ "board.toml": 'include = "./board.toml"\n' })).toEqual(["profile/include-cycle"]);
  });

  test("syntax errors of several files together", () => {
    const texts = { "board.toml": 'include = ["a.toml", "b.toml"]\n', "a.toml": "x =\n", "b.toml": "y =\n" };
    expect(codes(texts)).toEqual(["profile/syntax", "profile/syntax"]);
  });

  test("a tower of diamonds, in bounded time", () => {
    const texts: Record<string, string> = { "board.toml": 'include = ["l0.toml", "l0.toml"]\n' };
    for (let i = 0; i < 30; i++) texts[`l${i}.toml`] = `include = ["l${i + 1}.toml", "l${i + 1}.toml"]\n`;
    texts["l30.toml"] = BASE;
    expect(codes(texts)).toEqual(["profile/include-limit"]);
  });

  test("removal of what is not there", () => {
    expect(refused(`${BASE}[[vdev]]\nname = "uart9"\nremove = true\n`)).toMatchInlineSnapshot(`
      "board.toml:10:8: error[profile/unknown-name]: no included profile has a vdev "uart9" to remove
         10 | name = "uart9"
            |        ^^^^^^^"
    `);
  });
});
