/** What kind of file a firmware or kernel is: ELF, Linux `Image`, or raw bytes; gzip around any of them is taken off. */
import { fail } from "../../diagnostics/diagnostic.ts";
import { bytesOf, type Contents, Held } from "./contents.ts";
import { type ElfImage, isElf, readElf } from "./elf.ts";
import { shownSize } from "./room.ts";

export type BootImage = ElfBootImage | LinuxImage | RawImage;

export interface ElfBootImage extends ElfImage {
  readonly kind: "elf";
}

export interface LinuxImage {
  readonly kind: "linux";
  readonly contents: Contents;
  /** Where the kernel wants to lie, from the start of RAM. */
  readonly textOffset: number;
  /** Bytes that it takes in memory, with what its file does not hold. 0 where it does not say. */
  readonly imageSize: number;
}

export interface RawImage {
  readonly kind: "raw";
  readonly contents: Contents;
}

/** What a compressed image may unpack to. */
export const UNPACKED_LIMIT = 2 ** 30;

// Linux, Documentation/arch/riscv/boot-image-header.rst
const LinuxHeader = { textOffset: 8, imageSize: 16, flags: 24, magic: 0x38, size: 64 } as const;
const BIG_ENDIAN = 1;

/** Of a file's beginning, as much as tells what it is: the last thing to see is x86's `HdrS`. */
const HEAD = 0x400;

const RISCV_IMAGE = "RSC\x05";
/** Linux, Documentation/arch/arm64/booting.rst: at the same offset as RISC-V's. */
const ARM64_IMAGE = "ARM\x64";

const USE_IMAGE = "use arch/riscv/boot/Image or Image.gz of the kernel's build, or a distribution's riscv64 vmlinuz";

/** Files that people name by mistake, by what they begin with. */
const REFUSED: readonly {
  readonly magic: string;
  readonly at?: number;
  readonly what: string;
  readonly hint: string;
}[] = [
  { magic: "\xfd7zXZ\0", what: "compressed with xz", hint: "unpack it first: `xz -dk FILE`" },
  { magic: "\x28\xb5\x2f\xfd", what: "compressed with zstd", hint: "unpack it first: `zstd -d FILE`" },
  // "BZh" and a level alone could be code; with the first block's signature it cannot.
  { magic: "1AY&SY", at: 4, what: "compressed with bzip2", hint: "unpack it first: `bzip2 -dk FILE`" },
  { magic: "\x02\x21\x4c\x18", what: "compressed with lz4", hint: "unpack it first: `lz4 -d FILE`" },
  { magic: "\x04\x22\x4d\x18", what: "compressed with lz4", hint: "unpack it first: `lz4 -d FILE`" },
  { magic: "\x89LZO\0", what: "compressed with lzop", hint: "unpack it first: `lzop -d FILE`" },
  {
    magic: "MZ\0\0zimg",
    what: "an EFI zboot image, which unpacks itself under UEFI only",
    hint: USE_IMAGE,
  },
  {
    magic: ARM64_IMAGE,
    at: LinuxHeader.magic,
    what: "a Linux kernel for AArch64; vmrun's CPU is riscv64",
    hint: USE_IMAGE,
  },
  { magic: "HdrS", at: 0x202, what: "a Linux kernel for x86 (bzImage); vmrun's CPU is riscv64", hint: USE_IMAGE },
  {
    magic: "\x27\x05\x19\x56",
    what: "a U-Boot uImage",
    hint: "take the kernel out of it: `dumpimage -p 0 -o Image FILE`",
  },
  {
    magic: "\xd0\x0d\xfe\xed",
    what: "a device tree or a FIT image, not a program",
    hint: "vmrun makes the device tree itself; `dumpimage` takes the kernel out of a FIT image",
  },
];

/** `limit` bounds what a compressed image may unpack to. */
export function readImage(found: Contents, file: string, limit: number = UNPACKED_LIMIT): BootImage {
  const packed = isGzip(bytesOf(found, 0, HEAD));
  const contents = packed ? new Held(unpack(bytesOf(found), file, limit)) : found;
  if (contents.size === 0) {
    fail("image/empty", packed ? "the file unpacks to nothing" : "the file is empty", { place: { file } });
  }
  const head = bytesOf(contents, 0, HEAD);
  if (isElf(head)) return { kind: "elf", ...readElf(contents, file) };
  if (hasText(head, LinuxHeader.magic, RISCV_IMAGE)) return readLinux(contents, head, file);
  for (const { magic, at = 0, what, hint } of REFUSED) {
    if (hasText(head, at, magic))
      fail("image/unsupported", `this file is ${what}`, { place: { file, offset: at }, hint });
  }
  if (isGzip(head)) {
    fail("image/unsupported", "this file is compressed with gzip twice", { place: { file }, hint: "`gunzip` it once" });
  }
  if (isPortableExecutable(contents, head)) {
    fail("image/unsupported", "this file is an EFI program and no Linux `Image`; vmrun has no UEFI of its own", {
      place: { file, offset: 0 },
      hint: `${USE_IMAGE}; or boot a UEFI firmware with it`,
    });
  }
  return { kind: "raw", contents };
}

function isGzip(bytes: Uint8Array): boolean {
  // RFC 1952 §2.3.1: ID1, ID2, and the only method, deflate.
  return bytes[0] === 0x1f && bytes[1] === 0x8b && bytes[2] === 8;
}

function unpack(bytes: Uint8Array, file: string, limit: number): Uint8Array {
  try {
    // Loaded when it is needed: with the streams behind it, node:zlib takes 7 ms of every start.
    const { gunzipSync } = process.getBuiltinModule("node:zlib");
    const unpacked = gunzipSync(bytes, { maxOutputLength: limit });
    return new Uint8Array(unpacked.buffer, unpacked.byteOffset, unpacked.byteLength);
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: unknown };
    const place = { file };
    if (code === "ERR_BUFFER_TOO_LARGE") {
      fail("image/too-large", `this gzip file unpacks to more than ${shownSize(limit)}, the most that is taken`, {
        place,
        hint: "give the board more RAM, or name another file",
      });
    }
    if (code === "Z_BUF_ERROR") {
      fail("image/truncated", "this gzip file ends too early", {
        place,
        hint: "it was cut short: copy or fetch it again",
      });
    }
    const hint = "`gzip -t FILE` checks it: copy or fetch it again";
    return fail("image/gzip", `this gzip file is damaged: ${String(message)}`, { place, hint });
  }
}

function readLinux(contents: Contents, head: Uint8Array, file: string): LinuxImage {
  if (head.length < LinuxHeader.size) {
    fail("image/truncated", `the file ends after ${head.length} of the Linux header's 64 bytes`, {
      place: { file, offset: head.length },
      hint: "it was cut short: copy or fetch it again",
    });
  }
  const view = new DataView(head.buffer);
  const field = (at: number, name: string): number => {
    const value = view.getBigUint64(at, true);
    if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
    const message = `${name} in the Linux header is 0x${value.toString(16)}, beyond 2^53`;
    return fail("image/header", message, { place: { file, offset: at }, hint: "the file is damaged" });
  };
  if (view.getUint32(LinuxHeader.flags, true) & BIG_ENDIAN) {
    fail("image/byte-order", "this Linux kernel is big endian; vmrun's CPU is little endian", {
      place: { file, offset: LinuxHeader.flags },
    });
  }
  return {
    kind: "linux",
    contents,
    textOffset: field(LinuxHeader.textOffset, "text_offset"),
    imageSize: field(LinuxHeader.imageSize, "image_size"),
  };
}

/** `MZ`, and `PE\0\0` where the field at 0x3c points. */
function isPortableExecutable(contents: Contents, head: Uint8Array): boolean {
  if (head.length < 0x40 || !hasText(head, 0, "MZ")) return false;
  const header = new DataView(head.buffer).getUint32(0x3c, true);
  return hasText(bytesOf(contents, header, header + 4), 0, "PE\0\0");
}

function hasText(bytes: Uint8Array, at: number, text: string): boolean {
  if (bytes.length < at + text.length) return false;
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false;
  return true;
}
