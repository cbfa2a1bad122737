import { describe, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { VmrunError } from "../../../src/diagnostics/diagnostic.ts";
import { bytesOf, Held } from "../../../src/machine/boot/contents.ts";
import { readImage as readImageFrom } from "../../../src/machine/boot/image.ts";
import { chance, filled, makeElf, makeLinux, refusal, spoil, text } from "./images.ts";

const elf = makeElf({ entry: 0x8000_0000, segments: [{ at: 0x8000_0000, bytes: filled(8, 1) }] });
const linux = makeLinux();

/** With the bytes of kernels and raw images in place of where they are. */
function readImage(bytes: Uint8Array, file: string, limit?: number) {
  const image = readImageFrom(new Held(bytes), file, limit);
  if (image.kind === "elf") return image;
  const { contents, ...rest } = image;
  return { ...rest, bytes: bytesOf(contents) };
}

function at(offset: number, characters: string, size = 0x400): Uint8Array {
  const bytes = filled(size, 0x13);
  bytes.set(text(characters), offset);
  return bytes;
}

describe("kinds", () => {
  test("ELF", () => expect(readImage(elf, "x")).toMatchObject({ kind: "elf", entry: 0x8000_0000 }));

  test("Linux `Image`", () => {
    expect(readImage(linux, "x")).toEqual({ kind: "linux", bytes: linux, textOffset: 0x20_0000, imageSize: 0x2000 });
  });

  test("anything else is raw", () => {
    for (const bytes of [Uint8Array.of(0x13), text("RSC\x05"), at(0x38, "RSC\x04"), at(0, "BZh9"), at(0, "MZ")]) {
      expect(readImage(bytes, "x")).toEqual({ kind: "raw", bytes });
    }
  });

  test("gzip is taken off all of them", () => {
    expect(readImage(gzipSync(elf), "x")).toEqual(readImage(elf, "x"));
    expect(readImage(gzipSync(linux), "x")).toEqual(readImage(linux, "x"));
    expect(readImage(gzipSync(text("raw")), "x")).toEqual({ kind: "raw", bytes: text("raw") });
  });
});

describe("refusing", () => {
  const gz = gzipSync(linux);
  const damaged = new Uint8Array(gz);
  damaged[damaged.length - 6] ^= 1;
  const cases: readonly (readonly [name: string, bytes: Uint8Array, code: string, message: RegExp, hint: RegExp])[] = [
    ["xz", at(0, "\xfd7zXZ\0"), "image/unsupported", /xz/, /xz -dk/],
    ["zstd", at(0, "\x28\xb5\x2f\xfd"), "image/unsupported", /zstd/, /zstd -d/],
    ["bzip2", at(0, "BZh91AY&SY"), "image/unsupported", /bzip2/, /bzip2 -dk/],
    ["lz4", at(0, "\x02\x21\x4c\x18"), "image/unsupported", /lz4/, /lz4 -d/],
    ["lzop", at(0, "\x89LZO\0"), "image/unsupported", /lzop/, /lzop -d/],
    ["EFI zboot", at(0, "MZ\0\0zimg"), "image/unsupported", /zboot/, /Image/],
    [
      "EFI program",
      at(0x40, "PE\0\0").with(0, 0x4d).with(1, 0x5a).with(0x3c, 0x40).fill(0, 0x3d, 0x40),
      "image/unsupported",
      /EFI program/,
      /UEFI/,
    ],
    ["arm64", at(0x38, "ARM\x64"), "image/unsupported", /AArch64; vmrun's CPU is riscv64/, /riscv64/],
    ["bzImage", at(0x202, "HdrS"), "image/unsupported", /x86/, /riscv64/],
    ["uImage", at(0, "\x27\x05\x19\x56"), "image/unsupported", /uImage/, /dumpimage/],
    ["FIT or tree", at(0, "\xd0\x0d\xfe\xed"), "image/unsupported", /device tree/, /itself/],
    ["gzip twice", gzipSync(gz), "image/unsupported", /twice/, /gunzip/],
    ["gzip of xz", gzipSync(at(0, "\xfd7zXZ\0")), "image/unsupported", /xz/, /xz/],
    ["gzip cut short", gz.subarray(0, -9), "image/truncated", /ends too early/, /fetch it again/],
    ["gzip cut in its header", gz.subarray(0, 5), "image/truncated", /ends too early/, /fetch it again/],
    ["gzip with a wrong checksum", damaged, "image/gzip", /damaged/, /gzip -t/],
    ["Linux cut in its header", linux.subarray(0, 0x3c), "image/truncated", /60 of the Linux header's 64/, /cut short/],
    ["text_offset", makeLinux({ textOffset: 1n << 63n }), "image/header", /text_offset/, /damaged/],
    ["image_size", makeLinux({ imageSize: 2n ** 64n - 1n }), "image/header", /image_size/, /damaged/],
  ];
  for (const [name, bytes, code, message, hint] of cases) {
    test(name, () => {
      const found = refusal(() => readImage(bytes, "Image"));
      expect(found.code).toBe(code);
      expect(found.message).toMatch(message);
      expect(found.hint).toMatch(hint);
      expect(found.place?.file).toBe("Image");
    });
  }

  test("an empty file, and one that unpacks to nothing", () => {
    expect(refusal(() => readImage(new Uint8Array(), "x")).message).toBe("the file is empty");
    expect(refusal(() => readImage(gzipSync(""), "x")).message).toBe("the file unpacks to nothing");
  });

  test("big endian Linux", () => {
    expect(refusal(() => readImage(makeLinux({ flags: 1 }), "x")).code).toBe("image/byte-order");
  });
});

test("a gzip bomb stops at the limit", () => {
  const bomb = gzipSync(new Uint8Array(64 << 20));
  expect(bomb.length).toBeLessThan(100_000);
  const before = process.memoryUsage.rss();
  const found = refusal(() => readImage(bomb, "x", 1 << 20));
  expect(found).toMatchObject({ code: "image/too-large", message: expect.stringContaining("1 MiB") });
  expect(process.memoryUsage.rss() - before).toBeLessThan(32 << 20);
});

test("what unpacks to exactly the limit is taken", () => {
  expect(readImage(gzipSync(filled(4096, 1)), "x", 4096).kind).toBe("raw");
  expect(refusal(() => readImage(gzipSync(filled(4097, 1)), "x", 4096)).code).toBe("image/too-large");
});

test("spoilt files are read or refused, nothing else", () => {
  const next = chance(0x1a9e);
  const kinds = new Set<string>();
  const originals = [elf, linux, new Uint8Array(gzipSync(linux)), new Uint8Array(gzipSync(elf))];
  for (let round = 0; round < 12_000; round++) {
    try {
      kinds.add(readImage(spoil(originals[round % 4], next), "x", 1 << 20).kind);
    } catch (error) {
      if (!(error instanceof VmrunError)) throw error;
      kinds.add(error.diagnostics[0].code);
    }
  }
  for (const kind of ["elf", "linux", "raw", "image/gzip", "image/truncated", "image/empty", "elf/truncated"]) {
    expect(kinds).toContain(kind);
  }
});
