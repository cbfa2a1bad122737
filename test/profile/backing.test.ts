// What the host puts behind a block of memory: the keys, and what the tree and `check --resolved` make of them.
import { describe, expect, test } from "bun:test";
import { printDts } from "../../src/fdt/printer.ts";
import { boardTree } from "../../src/profile/devicetree.ts";
import { explainBoard } from "../../src/profile/explain.ts";
import { BASE, load, refused, registry } from "./support.ts";

const block = (keys: string) => `${BASE}[[memory]]\nname = "extra"\nat = 0x9000_0000\nsize = "64KiB"\n${keys}`;
const files = (keys: string, size = 65536) => ({ "board.toml": block(keys), "pmem.img": "x".repeat(size) });
const extra = (texts: ReturnType<typeof files>) => load(texts).board.memory.find(({ name }) => name === "extra")!;

describe("defaults", () => {
  test.each([
    ["", { kind: "anonymous" }, "memory"],
    ['kind = "rom"', { kind: "anonymous" }, "none"],
    ['backing = "memfd"', { kind: "memfd" }, "memory"],
    ['backing = "memfd"\nshare = "win"', { kind: "memfd", share: "win" }, "reserved"],
    ['backing = "file"\nfile = "pmem.img"', { kind: "file", at: 0, private: false }, "reserved"],
    ['backing = "file"\nfile = "pmem.img"\nprivate = true', { kind: "file", at: 0, private: true }, "memory"],
    ['backing = "file"\nfile = "pmem.img"\nkind = "rom"', { kind: "file", at: 0, private: true }, "none"],
    ['backing = "huge"\nsize = "4MiB"', { kind: "huge", fallback: true }, "memory"],
  ])("%j", (keys, backing, describe) => {
    const texts = files(keys.replace(/\nsize.*/, ""));
    const set = keys.includes("huge") ? ["memory.extra.size=4MiB"] : [];
    const found = load(texts, set).board.memory.find(({ name }) => name === "extra")!;
    expect(found.backing).toMatchObject(backing);
    expect(found.describe).toBe(describe as typeof found.describe);
  });

  test("a file is absolute", () => {
    expect(extra(files('backing = "file"\nfile = "pmem.img"')).backing).toMatchObject({
      file: `${process.cwd()}/pmem.img`,
    });
  });
});

describe("what is wrong is said where it stands", () => {
  test("keys of another kind", () => {
    expect(refused(files('share = "win"\nfile = "pmem.img"\nfallback = false'))).toMatchInlineSnapshot(`
      "board.toml:13:9: error[profile/backing]: memory.extra.share is for backing = "memfd"; this is anonymous
         13 | share = "win"
            |         ^^^^^
        hint: add backing = "memfd"
      board.toml:14:8: error[profile/backing]: memory.extra.file is for backing = "file"; this is anonymous
         14 | file = "pmem.img"
            |        ^^^^^^^^^^
        hint: add backing = "file"
      board.toml:15:12: error[profile/backing]: memory.extra.fallback is for backing = "huge"; this is anonymous
         15 | fallback = false
            |            ^^^^^
        hint: add backing = "huge""
    `);
  });
  test("no file", () => {
    expect(refused(files('backing = "file"'))).toMatchInlineSnapshot(`
      "board.toml:13:11: error[profile/backing]: memory.extra lacks the key "file"
         13 | backing = "file"
            |           ^^^^^^"
    `);
    expect(refused(files('backing = "file"\nfile = "absent.img"'))).toMatchInlineSnapshot(`
      "board.toml:14:8: error[profile/missing-file]: memory.extra.file names absent.img, which does not exist
         14 | file = "absent.img"
            |        ^^^^^^^^^^^^"
    `);
    expect(refused(files('backing = "file"\nfile = "."'))).toMatchInlineSnapshot(`
      "board.toml:14:8: error[profile/missing-file]: memory.extra.file names ., which is a folder
         14 | file = "."
            |        ^^^"
    `);
  });
  test("a file that is too small, and a part that begins nowhere", () => {
    expect(refused(files('backing = "file"\nfile = "pmem.img"', 65535))).toMatchInlineSnapshot(`
      "board.toml:14:8: error[profile/file-size]: memory.extra.file has 65535 bytes; the memory needs 65536
         14 | file = "pmem.img"
            |        ^^^^^^^^^^
        hint: truncate -s 65536 FILE makes it larger; a smaller ROM image goes into image"
    `);
    expect(refused(files('backing = "file"\nfile = "pmem.img"\nfile_at = 100', 65636))).toMatchInlineSnapshot(`
      "board.toml:15:11: error[profile/misaligned]: memory.extra.file_at is 100, which is not a multiple of 4 KiB
         15 | file_at = 100
            |           ^^^"
    `);
  });
  test("ROM that would be written, or be used as RAM", () => {
    const rom = 'backing = "file"\nfile = "pmem.img"\nkind = "rom"\n';
    expect(refused(files(`${rom}private = false\ndescribe = "memory"`))).toMatchInlineSnapshot(`
      "board.toml:16:11: error[profile/backing]: memory.extra is ROM: its file is never written
         16 | private = false
            |           ^^^^^
      board.toml:17:12: error[profile/describe]: memory.extra is ROM: shown as memory, a kernel would use it as RAM
         17 | describe = "memory"
            |            ^^^^^^^^"
    `);
  });
  test("an image over what is there already", () => {
    expect(refused(files('backing = "memfd"\nshare = "win"\nimage = "pmem.img"'))).toMatchInlineSnapshot(`
      "board.toml:15:9: error[profile/backing]: memory.extra would have its contents from both: its image and its backing
         15 | image = "pmem.img"
            |         ^^^^^^^^^^
        hint: backing = "file" with private = true begins with what a file holds"
    `);
  });
  test("half a huge page", () => {
    expect(refused(files('backing = "huge"'))).toMatchInlineSnapshot(`
      "board.toml:12:8: error[profile/misaligned]: memory.extra is to lie in huge pages, but its size is not a multiple of 2 MiB
         12 | size = "64KiB"
            |        ^^^^^^^"
    `);
  });
});

test("the tree shows RAM, what is kept from the kernel, and persistent memory", () => {
  const keys = [
    'backing = "memfd"\nshare = "window"',
    '[[memory]]\nname = "pmem0"\nsize = "64KiB"\nbacking = "file"\nfile = "pmem.img"\ndescribe = "pmem"',
    '[[memory]]\nname = "scratch"\nsize = "64KiB"\ndescribe = "pmem"',
    '[[memory]]\nname = "hidden"\nsize = "64KiB"\ndescribe = "none"',
  ];
  const { board } = load(files(keys.join("\n")));
  const text = printDts(boardTree(board, registry));
  const from = text.indexOf("\tmemory@");
  expect(text.slice(from, text.indexOf("\tcpus", from))).toMatchInlineSnapshot(`
    "	memory@80000000 {
    		device_type = "memory";
    		reg = <0x00 0x80000000 0x00 0x1000000>;
    	};

    	pmem@81000000 {
    		compatible = "pmem-region";
    		reg = <0x00 0x81000000 0x00 0x10000>;
    	};

    	pmem@81200000 {
    		compatible = "pmem-region";
    		reg = <0x00 0x81200000 0x00 0x10000>;
    		volatile;
    	};

    	reserved-memory {
    		#address-cells = <0x02>;
    		#size-cells = <0x02>;
    		ranges;

    		extra@90000000 {
    			reg = <0x00 0x90000000 0x00 0x10000>;
    			no-map;
    		};
    	};

    "
  `);
});

test("check --resolved says what it is, and the text means the same board", () => {
  const texts = files(
    'backing = "file"\nfile = "pmem.img"\n[[memory]]\nname = "win"\nsize = "4KiB"\nbacking = "memfd"\nshare = "w"',
  );
  const { board, provenance } = load(texts);
  const text = explainBoard(board, provenance, registry);
  expect(text).toContain('share = "w"');
  expect(text).toContain("file_at = 0");
  expect(load({ ...texts, "board.toml": text }).board.memory).toEqual(board.memory);
});
