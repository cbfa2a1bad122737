import { describe, expect, test } from "bun:test";
import { BASE, codes, load, refusal, refused } from "./support.ts";

const UART = '[[vdev]]\ntype = "test-uart"\n';

describe("names and keys", () => {
  test("unknown keys, with the nearest known one", () => {
    expect(
      refused(`nmae = "x"\n${BASE}speed = 3\n${UART}sped = 3\n[cpu]\nhart = 2\n[[reserv]]\n`),
    ).toMatchInlineSnapshot(`
      "board.toml:1:1: error[profile/unknown-key]: a profile has no key nmae
          1 | nmae = "x"
            | ^^^^
        hint: did you mean "name"?
      board.toml:10:1: error[profile/unknown-key]: vdev.plic has no key speed
         10 | speed = 3
            | ^^^^^
        hint: known keys: sources, type, name, at, irq, on_fault, log, node, fdt, group, clocks, delayed
      board.toml:13:1: error[profile/unknown-key]: vdev.uart0 has no key sped
         13 | sped = 3
            | ^^^^
        hint: did you mean "speed"?
      board.toml:15:1: error[profile/unknown-key]: cpu has no key hart
         15 | hart = 2
            | ^^^^
        hint: did you mean "harts"?
      board.toml:16:3: error[profile/unknown-key]: a profile has no key reserv
         16 | [[reserv]]
            |   ^^^^^^
        hint: did you mean "reserve"?"
    `);
  });

  test("a key with control characters is shown without them", () => {
    expect(refused(`"\\u001b[31m" = 1\n${BASE}`)).toMatchInlineSnapshot(`
      "board.toml:1:1: error[profile/unknown-key]: a profile has no key "\\x1b[31m"
          1 | "\\u001b[31m" = 1
            | ^^^^^^^^^^^^
        hint: known keys: schema, name, model, compatible, include, use, models, seed, hang_after, cpu, time, memory, vdev, pass, clock, blob, group, reserve, boot, fdt, unsupported, budget"
    `);
  });

  test("missing keys", () => {
    expect(refused('[[memory]]\nname = "dram"\n[[vdev]]\nname = "uart0"\n')).toMatchInlineSnapshot(`
      "board.toml:1:1: error[profile/missing-key]: the profile lacks the key "schema"
          1 | [[memory]]
            | ^
        hint: begin the file with: schema = 1
      board.toml:1:3: error[profile/missing-key]: memory.dram lacks the key "size"
          1 | [[memory]]
            |   ^^^^^^
      board.toml:3:3: error[profile/missing-key]: vdev.uart0 lacks the key "type"
          3 | [[vdev]]
            |   ^^^^
        hint: only a vdev that an included profile defines can do without"
    `);
  });

  test("another schema", () => {
    expect(refused(BASE.replace("schema = 1", "schema = 2"))).toMatchInlineSnapshot(`
      "board.toml:1:10: error[profile/value]: schema: this vmrun reads profiles of schema 1, not 2
          1 | schema = 2
            |          ^"
    `);
  });

  test("unknown vdev types", () => {
    expect(refused(`${BASE}[[vdev]]\ntype = "test-urat"\n[[vdev]]\ntype = "floppy"\n`)).toMatchInlineSnapshot(`
      "board.toml:10:8: error[profile/unknown-type]: vdev urat0: there is no type "test-urat"
         10 | type = "test-urat"
            |        ^^^^^^^^^^^
        hint: did you mean "test-uart"?
      board.toml:12:8: error[profile/unknown-type]: vdev floppy0: there is no type "floppy"
         12 | type = "floppy"
            |        ^^^^^^^^
        hint: types: plic, test-broken, test-disk, test-dma, test-uart"
    `);
  });

  test("two of a name", () => {
    expect(refused(`${BASE}${UART}name = "com"\n${UART}name = "com"\n`)).toMatchInlineSnapshot(`
      "board.toml:14:8: error[profile/duplicate-name]: two [[vdev]] have the name "com"
         14 | name = "com"
            |        ^^^^^
      board.toml:11:8: note: the first one
         11 | name = "com"
            |        ^^^^^
        hint: give one of them another name"
    `);
  });

  test("a table where a list of tables is meant", () => {
    expect(refused('schema = 1\n[memory]\nsize = "1MiB"\n')).toMatchInlineSnapshot(`
      "board.toml:2:2: error[profile/type]: memory: expected a list of tables
          2 | [memory]
            |  ^^^^^^
        hint: write [[memory]]"
    `);
  });
});

describe("values", () => {
  test("of the wrong type, range or form: all at once", () => {
    expect(
      refused(`schema = 1
seed = 1.5
name = "a b"
[cpu]
isa = "rv64gcv"
harts = 17
mmu = "sv32"
pmp = 8
[time]
clock = "1Ghz"
epoch = "now"
[[memory]]
name = "dram"
at = "0x80000000"
size = "256MB"
[[memory]]
name = "huge"
at = 99999999999999999
size = 4096
[boot]
cmdline = ["console=ttyS0"]
`),
    ).toMatchInlineSnapshot(`
      "board.toml:2:8: error[profile/range]: seed: a seed is an integer, not 1.5
          2 | seed = 1.5
            |        ^^^
      board.toml:3:8: error[profile/value]: name: expected a name: a letter, then letters, digits, - and _
          3 | name = "a b"
            |        ^^^^^
      board.toml:5:14: error[profile/isa]: cpu.isa: extension "v" is not supported
          5 | isa = "rv64gcv"
            |              ^
        hint: supported: i m a f d c zicbom zicboz zicntr zicsr zifencei zihpm zba zbb zbs sstc svade svadu
      board.toml:6:9: error[profile/range]: cpu.harts: the number of harts is at most 16, not 17
          6 | harts = 17
            |         ^^
      board.toml:7:7: error[profile/value]: cpu.mmu: expected one of "none", "sv39", "sv48", "sv57"; got "sv32"
          7 | mmu = "sv32"
            |       ^^^^^^
      board.toml:8:7: error[profile/value]: cpu.pmp: expected 0, 16 or 64 PMP entries; got 8
          8 | pmp = 8
            |       ^
      board.toml:10:9: error[profile/value]: time.clock: expected a frequency: an integer of hertz, or text such as "32768Hz", "10MHz"; got "1Ghz"
         10 | clock = "1Ghz"
            |         ^^^^^^
      board.toml:11:9: error[profile/type]: time.epoch: expected a date such as 2026-01-01T00:00:00Z, seconds since 1970, or "host"; got "now"
         11 | epoch = "now"
            |         ^^^^^
      board.toml:14:6: error[profile/type]: memory.dram.at: expected an address: an integer such as 0x1000_0000, without quotes; got "0x80000000"
         14 | at = "0x80000000"
            |      ^^^^^^^^^^^^
      board.toml:15:8: error[profile/value]: memory.dram.size: expected a size: an integer of bytes, or text such as "4KiB", "256MiB", "1GiB"; got "256MB"; did you mean "256MiB"?
         15 | size = "256MB"
            |        ^^^^^^^
      board.toml:18:6: error[profile/range]: memory.huge.at: an address must be below 2^53
         18 | at = 99999999999999999
            |      ^^^^^^^^^^^^^^^^^
      board.toml:21:11: error[profile/type]: boot.cmdline: expected the kernel's command line in quotes; got a list
         21 | cmdline = ["console=ttyS0"]
            |           ^^^^^^^^^^^^^^^^^"
    `);
  });

  test("a vdev's own", () => {
    expect(refused(`${BASE}${UART}host = "tty"\nspeed = 0\nat = "0x1000"\nirq = 10\n`)).toMatchInlineSnapshot(`
      "board.toml:11:8: error[profile/value]: vdev.uart0.host: expected "tty:PATH" or "tty:PATH,BAUD", e.g. "tty:/dev/ttyUSB0,115200"; got "tty"
         11 | host = "tty"
            |        ^^^^^
      board.toml:12:9: error[profile/range]: vdev.uart0.speed: the speed is at least 1, not 0
         12 | speed = 0
            |         ^
      board.toml:13:6: error[profile/type]: vdev.uart0.at: expected an address: an integer such as 0x1000_0000, without quotes; got "0x1000"
         13 | at = "0x1000"
            |      ^^^^^^^^
      board.toml:14:7: error[profile/type]: vdev.uart0.irq: expected an interrupt such as "plic:10": controller and line; got 10
         14 | irq = 10
            |       ^^"
    `);
  });
});

describe("addresses", () => {
  test("overlap: both parties and a free place", () => {
    expect(refused(`${BASE}${UART}at = 0x0c00_0000\n${UART}at = 0x0c00_0100\n`)).toMatchInlineSnapshot(`
      "board.toml:11:6: error[profile/overlap]: vdev uart0 (0xc000000-0xc0000ff) overlaps vdev plic (0xc000000-0xc5fffff)
         11 | at = 0x0c00_0000
            |      ^^^^^^^^^^^
      board.toml:8:6: note: vdev plic is here
          8 | at = 0x0c00_0000
            |      ^^^^^^^^^^^
        hint: 0x10000000 is free; without at, a free address is chosen
      board.toml:14:6: error[profile/overlap]: vdev uart1 (0xc000100-0xc0001ff) overlaps vdev plic (0xc000000-0xc5fffff)
         14 | at = 0x0c00_0100
            |      ^^^^^^^^^^^
      board.toml:8:6: note: vdev plic is here
          8 | at = 0x0c00_0000
            |      ^^^^^^^^^^^
        hint: 0x10000000 is free; without at, a free address is chosen"
    `);
  });

  test("memory and vdevs overlap too", () => {
    expect(codes(`${BASE}${UART}at = 0x8000_0000\n`)).toEqual(["profile/overlap"]);
    expect(codes(`${BASE}[[memory]]\nat = 0x80ff_f000\nsize = "8KiB"\n`)).toEqual(["profile/overlap"]);
  });

  test("misaligned", () => {
    expect(
      refused(`${BASE}${UART}at = 0x1000_0010\n[[memory]]\nat = 0x9000_0800\nsize = 5000\n`),
    ).toMatchInlineSnapshot(`
      "board.toml:11:6: error[profile/misaligned]: vdev uart0 is at 0x10000010, which is not a multiple of 0x100
         11 | at = 0x1000_0010
            |      ^^^^^^^^^^^
        hint: the nearest possible addresses are 0x10000000 and 0x10000100
      board.toml:13:6: error[profile/misaligned]: memory ram0 is at 0x90000800, which is not a multiple of 0x1000
         13 | at = 0x9000_0800
            |      ^^^^^^^^^^^
        hint: the nearest possible addresses are 0x90000000 and 0x90001000
      board.toml:14:8: error[profile/misaligned]: memory ram0 has 5000 bytes, which is not a whole number of 4 KiB pages
         14 | size = 5000
            |        ^^^^
        hint: the next possible size is 0x2000"
    `);
  });

  test("beyond 2^53, and no room", () => {
    const text = `${BASE}${UART}at = 0x1f_ffff_ffff_ff00\n[[reserve]]\nat = 0x1000_0000\nsize = "512MiB"\n[[vdev]]\ntype = "test-uart"\n`;
    expect(refused(text)).toMatchInlineSnapshot(`
      "board.toml:11:6: error[profile/range]: vdev uart0 of 0x100 bytes at 0x1fffffffffff00 ends beyond 2^53
         11 | at = 0x1f_ffff_ffff_ff00
            |      ^^^^^^^^^^^^^^^^^^^
      board.toml:15:3: error[profile/no-room]: there is no room for vdev uart1: 0x100 bytes in 0x10000000-0x2fffffff
         15 | [[vdev]]
            |   ^^^^
        hint: give it an address with at"
    `);
  });

  test("regions that the vdev does not have", () => {
    expect(refused(`${BASE}[[vdev]]\ntype = "test-dma"\nat = { contrl = 0x1000 }\n`)).toMatchInlineSnapshot(`
      "board.toml:11:8: error[profile/unknown-key]: vdev dma0 has no region contrl
         11 | at = { contrl = 0x1000 }
            |        ^^^^^^
        hint: it has: control, data"
    `);
  });

  test("memory: none, too much, an image that does not fit", () => {
    expect(refused("schema = 1\n")).toMatchInlineSnapshot(`
      "board.toml: error[profile/no-ram]: the board has no RAM
        hint: add [[memory]] name = "dram", at = 0x8000_0000, size = "256MiB""
    `);
    expect(refused(BASE.replace("16MiB", "4GiB"))).toMatchInlineSnapshot(`
      "board.toml:5:8: error[profile/too-much-memory]: the board has 4 GiB of memory; at most 3 GiB are possible
          5 | size = "4GiB"
            |        ^^^^^^"
    `);
    const image = `${BASE}[[memory]]\nkind = "rom"\nsize = "4KiB"\nat = 0x1000\nimage = "rom.bin"\n`;
    expect(refused({ "board.toml": image, "rom.bin": "x".repeat(5000) })).toMatchInlineSnapshot(`
      "board.toml:13:9: error[profile/oversized]: memory.rom0.image has 5000 bytes; the block has 4096
         13 | image = "rom.bin"
            |         ^^^^^^^^^"
    `);
  });

  test("boot addresses outside of memory", () => {
    expect(refused(`${BASE}[boot]\nentry = 0x1000\n`)).toMatchInlineSnapshot(`
      "board.toml:10:9: error[profile/outside-memory]: boot.entry: no memory is at 0x1000
         10 | entry = 0x1000
            |         ^^^^^^
        hint: memory: dram 0x80000000-0x80ffffff"
    `);
  });
});

describe("interrupts", () => {
  test("dangling, out of range, taken, malformed, too many", () => {
    expect(
      refused(`${BASE}
${UART}irq = "plik:1"
${UART}irq = "uart0:1"
${UART}irq = "plic:9"
${UART}irq = "plic:0"
${UART}irq = "plic:3"
${UART}irq = "plic:3"
${UART}irq = "10"
${UART}irq = ["plic:1", "plic:2"]
[[vdev]]
type = "test-dma"
irq = { dine = "plic:1" }
`),
    ).toMatchInlineSnapshot(`
      "board.toml:12:7: error[profile/unknown-controller]: the board has no interrupt controller "plik"
         12 | irq = "plik:1"
            |       ^^^^^^^^
        hint: did you mean "plic:1"?
      board.toml:15:7: error[profile/unknown-controller]: vdev uart0 is not an interrupt controller
         15 | irq = "uart0:1"
            |       ^^^^^^^^^
        hint: controllers: plic
      board.toml:18:7: error[profile/interrupt-range]: plic has no interrupt 9
         18 | irq = "plic:9"
            |       ^^^^^^^^
        hint: its lines are 1 to 8
      board.toml:21:7: error[profile/interrupt-range]: plic has no interrupt 0
         21 | irq = "plic:0"
            |       ^^^^^^^^
        hint: its lines are 1 to 8
      board.toml:27:7: error[profile/interrupt-taken]: vdev uart5 and vdev uart4 both use interrupt plic:3
         27 | irq = "plic:3"
            |       ^^^^^^^^
      board.toml:24:7: note: uart4 has it
         24 | irq = "plic:3"
            |       ^^^^^^^^
        hint: "plic:1" is free; without irq, a free line is chosen
      board.toml:30:7: error[profile/value]: vdev.uart6.irq: expected controller and line; got "10"
         30 | irq = "10"
            |       ^^^^
        hint: write "plic:10"
      board.toml:33:7: error[profile/interrupt-count]: vdev uart7 has one interrupt, not 2
         33 | irq = ["plic:1", "plic:2"]
            |       ^^^^^^^^^^^^^^^^^^^^
      board.toml:36:9: error[profile/unknown-key]: vdev dma0 has no interrupt dine
         36 | irq = { dine = "plic:1" }
            |         ^^^^
        hint: it has: done, error"
    `);
  });

  test("no controller, and no free line", () => {
    expect(refused(`schema = 1\n[[memory]]\nsize = "1MiB"\n${UART}${UART}`)).toMatchInlineSnapshot(`
      "board.toml:4:3: error[profile/no-controller]: vdev uart0 raises an interrupt, but the board has no interrupt controller
          4 | [[vdev]]
            |   ^^^^
        hint: add [[vdev]] type = "plic", or leave the interrupt unwired with irq = "none""
    `);
    expect(refused(`${BASE}sources = 2\n${UART.repeat(3)}`)).toMatchInlineSnapshot(`
      "board.toml:14:3: error[profile/no-free-interrupt]: plic has no free line for vdev uart2
         14 | [[vdev]]
            |   ^^^^
        hint: its lines are 1 to 2"
    `);
  });

  test("a mistake in the controller does not make its users wrong", () => {
    expect(codes(`${BASE}sources = 0\n${UART}irq = "plic:3"\n`)).toEqual(["profile/range"]);
    expect(codes(`${BASE.replace('"plic"', '"plik"')}name = "plic"\n${UART}irq = "plic:3"\n`)).toEqual([
      "profile/unknown-type",
    ]);
  });
});

describe("the host", () => {
  test("missing files: which, and which key named it", () => {
    const text = `${BASE}[[vdev]]\ntype = "test-disk"\nfile = "images/disk.img"\n[boot]\nkernel = "Imgae"\nfirmware = "."\n`;
    expect(refused({ "board.toml": text, Image: "" })).toMatchInlineSnapshot(`
      "board.toml:11:8: error[profile/missing-file]: vdev.disk0.file names images/disk.img, which does not exist
         11 | file = "images/disk.img"
            |        ^^^^^^^^^^^^^^^^^
        hint: the folder images does not exist either
      board.toml:13:10: error[profile/missing-file]: boot.kernel names Imgae, which does not exist
         13 | kernel = "Imgae"
            |          ^^^^^^^
        hint: did you mean "Image"?
      board.toml:14:12: error[profile/missing-file]: boot.firmware names ., which is a folder
         14 | firmware = "."
            |            ^^^"
    `);
  });

  test("the profile itself", () => {
    expect(refused({ "bord.toml": "" })).toMatchInlineSnapshot(`
      "error[profile/missing-file]: board.toml does not exist
        hint: did you mean "bord.toml"?"
    `);
  });

  test("advice stays with the file that gives it", () => {
    const base = `${BASE}[boot]\nkernel = "Image"\nif_missing = "run make-image"\n`;
    expect(refused(base)).toMatchInlineSnapshot(`
      "board.toml:10:10: error[profile/missing-file]: boot.kernel names Image, which does not exist
         10 | kernel = "Image"
            |          ^^^^^^^
        hint: run make-image"
    `);
    expect(refused(base, ["boot.kernel=mine"])).not.toContain("make-image");
  });

  test("one stream has one vdev", () => {
    expect(refused(`${BASE}${UART}host = "stdio"\n${UART}host = "stdio"\n`)).toMatchInlineSnapshot(`
      "board.toml:14:8: error[profile/stream-taken]: vdev uart1 and vdev uart0 both use stdio
         14 | host = "stdio"
            |        ^^^^^^^
      board.toml:11:8: note: vdev uart0 has it
         11 | host = "stdio"
            |        ^^^^^^^
        hint: give one of them "null", or something of its own such as "file:NAME""
    `);
    const both = (one: string, other: string) => codes(`${BASE}${UART}host = "${one}"\n${UART}host = "${other}"\n`);
    const taken = ["profile/stream-taken"];
    expect(both("file:log", "file:./log")).toEqual(taken);
    expect(both("file:log<a", "file:x/../log<b")).toEqual(taken);
    expect(both("unix:a.sock", "unix:./a.sock")).toEqual(taken);
    expect(both("tcp:127.0.0.1:4000", "tcp:127.0.0.1:4000")).toEqual(taken);
    expect(both("pty:link", "pty:./link")).toEqual(taken);
    expect(both("tty:/dev/ttyS0,9600", "tty:/dev/ttyS0")).toEqual(taken);
  });

  test("a delay is a time, or not", () => {
    expect(refused(`${BASE}${UART}delayed = 30\n${UART}delayed = "30 years"\n`)).toMatchInlineSnapshot(`
      "board.toml:11:11: error[profile/type]: vdev.uart0.delayed: expected true, false, a time such as "30s" or "5min", or "forever"; got 30
         11 | delayed = 30
            |           ^^
      board.toml:14:11: error[profile/value]: vdev.uart1.delayed: expected true, false, a time such as "30s" or "5min", or "forever"; got "30 years"
         14 | delayed = "30 years"
            |           ^^^^^^^^^^"
    `);
  });

  test("what two vdevs may both use", () => {
    const both = (one: string, other: string) =>
      load(`${BASE}${UART}host = "${one}"\n${UART}host = "${other}"\n`).board.vdevs.map(({ options }) => options.host);
    for (const spec of ["null", "pty", "unix-connect:/a.sock", "tcp:127.0.0.1:0", "process:cat"]) {
      expect(both(spec, spec)).toEqual([undefined, spec, spec]);
    }
    const here = process.cwd();
    expect(both("unix:a.sock", "unix-connect:./a.sock")).toEqual([
      undefined,
      `unix:${here}/a.sock`,
      `unix-connect:${here}/a.sock`,
    ]);
  });
});

test("code of a vdev that throws is a finding", () => {
  expect(refused(`${BASE}[[vdev]]\ntype = "test-broken"\n`)).toMatchInlineSnapshot(`
    "board.toml:9:3: error[profile/vdev-failed]: vdev broken0: the code of type "test-broken" failed: off by one
        9 | [[vdev]]
          |   ^^^^"
  `);
});

test("thousands of mistakes are cut short", () => {
  const { diagnostics } = refusal(`${BASE}[cpu]\n${Array.from({ length: 5000 }, (_, i) => `k${i} = 1`).join("\n")}`);
  expect(diagnostics).toHaveLength(101);
  expect(diagnostics.at(-1)?.message).toBe("4900 further errors are not shown");
});

describe("caches and reserved memory", () => {
  test.each<[string, string]>([
    ["[cpu.cache]\nl2 = { size = 1000 }\n", "profile/value"],
    ["[cpu.cache]\nl2 = { size = 960, line = 48 }\n", "profile/value"],
    ["[cpu.cache]\nl3 = { size = 1024 }\n", "profile/value"],
    ["[cpu.cache]\nl1i = { size = 1024, harts = 1 }\n", "profile/unknown-key"],
    [
      "[cpu]\nharts = 8\n[cpu.cache]\nl2 = { size = 1024, harts = 2 }\nl3 = { size = 1024, harts = 3 }\n",
      "profile/value",
    ],
  ])("%j", (text, code) => {
    expect(codes(BASE + text)).toEqual([code]);
  });

  const reserve = (more: string, at = "0x8000_0000", name = "r") =>
    `[[reserve]]\nname = "${name}"\nat = ${at}\nsize = "64KiB"\n${more}\n`;

  test.each<[string, string]>([
    [reserve("no_map = true", "0x3000_0000"), "profile/reserve"],
    [reserve("", "0x7fff_f000"), "profile/reserve"],
    [reserve("no_map = true\nreusable = true"), "profile/reserve"],
    [reserve("no_map = true\nmemreserve = true"), "profile/reserve"],
    [reserve("", "0x8000_0000", "a") + reserve("", "0x8000_8000", "b"), "profile/overlap"],
    [reserve("", "0x8000_0000", "plic"), "profile/duplicate-name"],
    [reserve('fdt = { x = "&nothing" }'), "profile/unknown-vdev"],
    [`${reserve("", "0x3000_0000", "hole")}${UART}fdt = { x = "&hole" }\n`, "profile/unknown-vdev"],
  ])("%j", (text, code) => {
    expect(codes(BASE + text)).toEqual([code]);
  });
});
