/**
 * From a board's `[boot]` to what is laid into guest memory before the first instruction, and where that one is.
 * Addresses follow QEMU's `virt` machine and OpenSBI, so that images made for them run unmodified.
 */
import { fail, type Place, VmrunError } from "../../diagnostics/diagnostic.ts";
import type { Board, BoardBlob, BoardMemory, BoardReserve } from "../../profile/board.ts";
import { alignUp, hex, shownSpan } from "../../profile/place.ts";
import { bytesOf, type Contents, Held } from "./contents.ts";
import { FIRMWARE_INFO_SIZE, firmwareInfo } from "./firmware-info.ts";
import { type ElfBootImage, type LinuxImage, type RawImage, readImage, UNPACKED_LIMIT } from "./image.ts";
import { Room, type Span, shownSize } from "./room.ts";

export interface BootLoad {
  /** For people: `kernel`, `firmware segment 1`, `rom "flash"`. */
  readonly name: string;
  readonly at: number;
  readonly contents: Contents;
}

export interface BootPlan {
  /** In no particular order: no two meet, and each lies in one block of the board's memory. */
  readonly loads: readonly BootLoad[];
  /** What must be zero, though no load says so: the bss of ELF segments. */
  readonly clears: readonly Span[];
  /** Where the device tree is: a1 of every hart. */
  readonly fdtAt: number;
  /** The first pc of every hart that starts. */
  readonly entry: number;
  readonly mode: "machine" | "supervisor";
  /** Where `struct fw_dynamic_info` is: a2 of every hart, with firmware from a file. */
  readonly info?: number;
  /** Closes what contents are read from, when the machine ends. */
  readonly close?: () => void;
}

export interface BootFiles {
  /** Read whenever the machine is switched on. */
  open(path: string): Contents;
}

/** Makes the device tree (DTB) once it is known where the initrd lies. */
export type MakeTree = (initrd?: { start: number; end: number }) => Uint8Array;

const KIB = 1024;
const MIB = 2 ** 20;
const GIB = 2 ** 30;
const PAGE = 4096;

/** The first RAM of at least this size holds the guest; less than that is a scratchpad. */
const MAIN_RAM = 16 * MIB;
/** Where firmware starts its payload, from its own start: OpenSBI's FW_JUMP_OFFSET and FW_PAYLOAD_OFFSET. */
const PAYLOAD_OFFSET = 2 * MIB;
/** Linux, Documentation/arch/riscv/boot.rst, "Kernel location": the alignment of a PMD. */
const LINUX_ALIGN = 2 * MIB;
/** fw_jump copies the device tree to its own start + 0x220_0000; a wide berth, for trees may be large. */
const JUMP_TREE: Span = { at: 32 * MIB, size: 4 * MIB };
/** An initrd this far from the start of RAM is clear of a kernel that unpacks or relocates itself. */
const INITRD_OFFSET = 64 * MIB;
/** Firmware and boot loaders add nodes to the tree in place. */
const TREE_GROWTH = 64 * KIB;
/** Devicetree Specification 0.4 §5.6.1: the blob's own alignment. */
const TREE_ALIGN = 8;

export function planBoot(board: Board, files: BootFiles, makeTree: MakeTree): BootPlan {
  return new Planner(board, files).plan(makeTree);
}

type Role = "firmware" | "kernel" | "initrd";
const MOVERS = {
  firmware: "boot.firmware_at",
  kernel: "boot.kernel_at",
  initrd: "boot.initrd_at",
  tree: "boot.fdt_at",
} as const;

/** A program that has its place. */
interface Placed {
  readonly entry: number;
  /** The lowest address that it takes, and the end of the highest. */
  readonly start: number;
  readonly end: number;
}

class Planner {
  readonly #room: Room;
  readonly #ram: BoardMemory;
  readonly #loads: BootLoad[] = [];
  readonly #clears: Span[] = [];
  /** What firmware takes beyond its file: its heap and its stacks. */
  readonly #firmwareRoom: Span[] = [];
  /** Left alone by what has no address of its own. */
  readonly #avoid: Span[] = [];

  constructor(
    readonly board: Board,
    readonly files: BootFiles,
  ) {
    this.#room = new Room(board.memory);
    const ramOf = (wanted: (block: BoardMemory) => boolean) =>
      board.memory.filter((block) => block.kind === "ram" && wanted(block));
    const shown = ramOf(({ describe }) => describe === "memory");
    // A board may show its guest no RAM at all: bare firmware knows where it is.
    const rams = shown.length > 0 ? shown : ramOf(() => true);
    const ram = rams.find((block) => block.size >= MAIN_RAM) ?? rams[0];
    if (!ram) fail("boot/no-ram", "the board has no RAM", { place: { path: "memory" }, hint: "add a [[memory]]" });
    this.#ram = ram;
  }

  plan(makeTree: MakeTree): BootPlan {
    const { boot } = this.board;
    for (const block of this.board.memory) this.#loadMemory(block);
    for (const blob of this.board.blobs) this.#loadBlob(blob);
    const firmware = typeof boot.firmware === "object" ? this.#firmware(boot.firmware.path) : undefined;
    if (firmware) {
      // Firmware of a board with little RAM is content with less.
      this.#firmwareRoom.push({ at: firmware.start, size: Math.min(PAYLOAD_OFFSET, this.#ram.size / 2) });
      // No reason to move a kernel: fw_jump starts it at a fixed address.
      this.#avoid.push(...this.#firmwareRoom, { at: firmware.start + JUMP_TREE.at, size: JUMP_TREE.size });
    }
    for (const range of this.board.reserve) if (range.guest) this.#reserve(range, firmware);
    if (boot.fdtAt !== undefined) this.#avoid.push({ at: boot.fdtAt, size: 2 * TREE_GROWTH });
    const initrd = boot.initrd === undefined ? undefined : this.#open(boot.initrd, "initrd");
    const kernel = boot.kernel === undefined ? undefined : this.#kernel(boot.kernel, firmware, initrd?.size ?? 0);
    const entry = this.#entry(firmware, kernel);
    const initrdAt = initrd && this.#initrd(initrd, kernel);
    const tree = makeTree(initrd && { start: initrdAt!, end: initrdAt! + initrd.size });
    const fdtAt = this.#tree(tree, kernel);
    return {
      info: firmware && this.#info(firmwareInfo(kernel?.entry ?? 0), fdtAt),
      loads: this.#loads,
      clears: this.#clears,
      fdtAt,
      entry,
      mode: boot.firmware === "builtin" ? "supervisor" : "machine",
    };
  }

  /** Nothing is loaded there; but firmware's own memory may be reserved to keep the guest off it. */
  #reserve({ name, at, size }: BoardReserve, firmware: Placed | undefined): void {
    const isFirmware = firmware && at < firmware.end && firmware.start < at + size;
    if (isFirmware) this.#firmwareRoom.push({ at, size });
    if (isFirmware) this.#avoid.push({ at, size });
    else this.#room.claim({ name: `reserve "${name}"`, at, size, place: { path: `reserve.${name}` } });
  }

  /** What a block of memory holds at power-on. */
  #loadMemory(block: BoardMemory): void {
    if (block.image === undefined) return;
    const place = { file: block.image, path: `memory "${block.name}"` };
    const contents = this.#openFile(block.image, place);
    const name = `${block.kind} "${block.name}"`;
    if (contents.size > block.size) {
      const message = `the image of ${name} has ${shownSize(contents.size)}, the memory ${shownSize(block.size)}`;
      fail("boot/too-small", message, { place, hint: "make the memory larger or the image smaller" });
    }
    this.#room.claim({ name, at: block.at, size: contents.size, place });
    if (contents.size > 0) this.#loads.push({ name, at: block.at, contents });
  }

  #loadBlob({ name, at, size, path, kind }: BoardBlob): void {
    const place = { file: path, path: `blob.${name}` };
    const contents = this.#openFile(path, place);
    // The file may be another one than when the profile was checked.
    if (contents.size > size) {
      fail("boot/too-small", `blob "${name}" has ${shownSize(size)}, its file ${shownSize(contents.size)}`, { place });
    }
    if (kind === "fdt") {
      const { readDtb } = require("../../fdt/reader.ts") as typeof import("../../fdt/reader.ts");
      readDtb(bytesOf(contents), { file: path });
    }
    this.#room.claim({ name: `blob "${name}"`, at, size, place, mover: `blob.${name}.at` });
    if (contents.size > 0) this.#loads.push({ name: `blob "${name}"`, at, contents });
  }

  #firmware(path: string): Placed {
    const { firmwareAt } = this.board.boot;
    const image = readImage(this.#open(path, "firmware"), path, this.#unpackedLimit());
    if (image.kind === "elf") return this.#elf("firmware", path, image, firmwareAt, this.#ram.at);
    if (image.kind === "linux") {
      fail("boot/firmware-is-kernel", "boot.firmware names a Linux kernel, which cannot start in M-mode on its own", {
        place: placeOf("firmware", path),
        hint: 'write `kernel = …` for it, and `firmware = "builtin"`',
      });
    }
    return this.#raw("firmware", path, image, firmwareAt ?? this.#ram.at);
  }

  #kernel(path: string, firmware: Placed | undefined, initrdSize: number): Placed {
    const { boot } = this.board;
    const image = readImage(this.#open(path, "kernel"), path, this.#unpackedLimit());
    if (image.kind === "linux") return this.#linux(path, image, initrdSize);
    const bare = !firmware && boot.firmware === "none";
    const usual = bare ? this.#ram.at : this.#ram.at + PAYLOAD_OFFSET;
    if (image.kind === "elf") return this.#elf("kernel", path, image, boot.kernelAt, usual);
    return this.#raw("kernel", path, image, boot.kernelAt ?? usual);
  }

  #linux(path: string, image: LinuxImage, initrdSize: number): Placed {
    const { kernelAt } = this.board.boot;
    const place = placeOf("kernel", path);
    if (kernelAt !== undefined && kernelAt % LINUX_ALIGN !== 0) {
      fail("boot/misaligned", `boot.kernel_at is ${hex(kernelAt)}; a Linux kernel lies on a 2 MiB boundary`, {
        place,
        hint: `${hex(alignUp(kernelAt, LINUX_ALIGN))} is the next one`,
      });
    }
    const { contents } = image;
    const size = Math.max(image.imageSize, contents.size);
    const from = this.#ram.at + image.textOffset;
    const at = kernelAt ?? this.#room.lowest(this.#ram, size, LINUX_ALIGN, from, this.#firmwareRoom);
    if (at === undefined) this.#noRoom("kernel", place, size, alignUp(from, LINUX_ALIGN), initrdSize);
    this.#room.claim({ name: "kernel", at, size, place, mover: MOVERS.kernel });
    this.#loads.push({ name: "kernel", at, contents });
    return { entry: at, start: at, end: at + size };
  }

  #raw(role: "firmware" | "kernel", path: string, { contents }: RawImage, at: number): Placed {
    this.#room.claim({ name: role, at, size: contents.size, place: placeOf(role, path), mover: MOVERS[role] });
    this.#loads.push({ name: role, at, contents });
    return { entry: at, start: at, end: at + contents.size };
  }

  /** An ELF goes where it is linked; one that relocates itself goes where it is told, or where there is memory. */
  #elf(role: "firmware" | "kernel", path: string, image: ElfBootImage, key: number | undefined, usual: number): Placed {
    const place = placeOf(role, path);
    const linked = image.segments[0].at;
    const start = key ?? (image.movable && (linked === 0 || !this.#room.blockAt(linked)) ? usual : linked);
    const slide = start - linked;
    if (slide !== 0 && !image.movable) {
      fail("boot/not-movable", `${MOVERS[role]} is ${hex(start)}, but this ELF is linked to run at ${hex(linked)}`, {
        place,
        hint: `leave ${MOVERS[role]} out, or link the ${role} to ${hex(start)}`,
      });
    }
    if (slide % PAGE !== 0) {
      fail(
        "boot/misaligned",
        `${MOVERS[role]} would move this ELF by ${hex(Math.abs(slide))}, which is no multiple of 4 KiB`,
        {
          place,
          hint: `${hex(linked + alignUp(slide, PAGE))} is the next address that works`,
        },
      );
    }
    let end = start;
    image.segments.forEach(({ at: linkedAt, contents, memorySize }, i) => {
      const name = image.segments.length > 1 ? `${role} segment ${i}` : role;
      const at = linkedAt + slide;
      this.#room.claim({ name, at, size: memorySize, place, mover: image.movable ? MOVERS[role] : undefined });
      const { size } = contents;
      if (size > 0) this.#loads.push({ name, at, contents });
      if (memorySize > size) this.#clears.push({ at: at + size, size: memorySize - size });
      end = at + memorySize;
    });
    return { entry: image.entry + slide, start, end };
  }

  #entry(firmware: Placed | undefined, kernel: Placed | undefined): number {
    const { boot, cpu } = this.board;
    const [role, file] = typeof boot.firmware === "object" ? ["firmware", boot.firmware.path] : ["kernel", boot.kernel];
    const place = boot.entry === undefined ? { path: `boot.${role}`, file } : { path: "boot.entry" };
    const entry = boot.entry ?? firmware?.entry ?? kernel?.entry;
    if (entry === undefined) {
      const builtin = boot.firmware === "builtin";
      const what = builtin
        ? "the builtin SBI has no kernel to start"
        : "nothing to start: no firmware, kernel or entry";
      fail("boot/nothing-to-start", what, {
        place: { path: "boot" },
        hint: builtin ? 'add `kernel = "Image"`, or a firmware of its own: `firmware = "fw.elf"`' : "add `kernel = …`",
      });
    }
    if (!this.#room.blockAt(entry)) {
      fail("boot/outside-memory", `execution would start at ${hex(entry)}, where the board has no memory`, {
        place,
        hint: `the board's memory: ${this.#room.describe()}`,
      });
    }
    // RISC-V Unprivileged 20240411 §1.5: IALIGN is 16 with C, 32 without.
    const align = cpu.extensions.includes("c") || cpu.extensions.includes("zca") ? 2 : 4;
    if (entry % align !== 0) {
      const message = `execution would start at ${hex(entry)}, but instructions lie at multiples of ${align}`;
      fail("boot/misaligned", message, { place, hint: "is this the address of a symbol with its low bit set?" });
    }
    return entry;
  }

  #initrd(contents: Contents, kernel: Placed | undefined): number {
    const { initrd: path = "", initrdAt } = this.board.boot;
    const place = placeOf("initrd", path);
    const [ram, size] = [this.#ram, contents.size];
    const behind = kernel && kernel.end > ram.at ? kernel.end : ram.at;
    const far = Math.max(behind, ram.at + INITRD_OFFSET);
    const find = (from: number, align: number) => this.#room.lowest(ram, size, align, from, this.#avoid);
    const at = initrdAt ?? find(far, 2 * MIB) ?? find(behind, 2 * MIB) ?? find(behind, PAGE) ?? find(ram.at, PAGE);
    if (at === undefined) this.#noRoom("initrd", place, size, behind);
    this.#room.claim({ name: "initrd", at, size, place, mover: MOVERS.initrd });
    this.#loads.push({ name: "initrd", at, contents });
    return at;
  }

  #tree(bytes: Uint8Array, kernel: Placed | undefined): number {
    const { fdtAt } = this.board.boot;
    const place = { path: MOVERS.tree };
    if (fdtAt !== undefined && fdtAt % TREE_ALIGN !== 0) {
      fail("boot/misaligned", `boot.fdt_at is ${hex(fdtAt)}; a device tree lies on an 8-byte boundary`, {
        place,
        hint: `${hex(alignUp(fdtAt, TREE_ALIGN))} is the next one`,
      });
    }
    const at = fdtAt ?? this.#roomForTree(bytes.length, kernel);
    if (at === undefined) this.#noRoom("device tree", place, bytes.length, this.#room.endOfClaims(this.#ram));
    this.#room.claim({ name: "device tree", at, size: bytes.length, place, mover: MOVERS.tree });
    this.#loads.push({ name: "device tree", at, contents: new Held(bytes) });
    return at;
  }

  /** Near the top of RAM, as QEMU has it: out of the way of kernels, but where 32-bit DMA and page tables reach. */
  #roomForTree(size: number, kernel: Placed | undefined): number | undefined {
    const ram = this.#ram;
    const low = Math.min(ram.at + 3 * GIB, ram.at < 4 * GIB ? 4 * GIB : Infinity);
    const floor = Math.max(ram.at, kernel?.end ?? 0);
    // Linux has at times given up what lies below itself.
    const aboveKernel = { at: floor, size: ram.at + ram.size - floor };
    const find = (block: Span, room: number, align: number) => this.#room.highest(block, room, align, low, this.#avoid);
    // A small RAM may have no aligned room, or none to grow; the tree itself must fit.
    const grown = size + TREE_GROWTH;
    return (
      find(aboveKernel, grown, 2 * MIB) ??
      find(aboveKernel, grown, PAGE) ??
      find(ram, grown, PAGE) ??
      find(ram, size, TREE_ALIGN) ??
      this.#room.highest(ram, size, TREE_ALIGN, Infinity, [])
    );
  }

  /** Below the tree, because firmware may grow the tree before every hart has read this. */
  #info(bytes: Uint8Array, fdtAt: number): number {
    const [ram, place] = [this.#ram, { path: "boot.firmware" }];
    const find = (end: number, align: number, avoid: readonly Span[]) =>
      this.#room.highest(ram, FIRMWARE_INFO_SIZE, align, end, avoid);
    const at = find(fdtAt, PAGE, this.#avoid) ?? find(fdtAt, TREE_ALIGN, this.#avoid) ?? find(Infinity, TREE_ALIGN, []);
    if (at === undefined) this.#noRoom("firmware info", place, bytes.length, this.#room.endOfClaims(ram));
    this.#room.claim({ name: "firmware info", at, size: bytes.length, place });
    this.#loads.push({ name: "firmware info", at, contents: new Held(bytes) });
    return at;
  }

  /** `later` is the size of what will still want room after this. */
  #noRoom(name: string, place: Place, size: number, from: number, later = 0): never {
    const ram = this.#ram;
    // What lies between: alignment, the berth for fw_jump's tree, the device tree at the end.
    const between = 16 * MIB;
    const top = Math.max(from, this.#room.endOfClaims(ram), ram.at);
    const enough = alignUp(top - ram.at + size + later + between, MIB);
    fail(
      "boot/too-small",
      `ram "${ram.name}" (${shownSpan(ram)}, ${shownSize(ram.size)}) has no room for ${name} (${shownSize(size)})`,
      {
        place,
        hint: `size = "${enough / MIB}MiB" of memory "${ram.name}" is enough`,
      },
    );
  }

  #open(path: string, role: Role): Contents {
    const place = placeOf(role, path);
    const contents = this.#openFile(path, place);
    if (contents.size === 0) {
      fail("boot/empty", `the file of boot.${role} is empty`, { place, hint: "was it written to the end?" });
    }
    return contents;
  }

  #openFile(path: string, place: Place): Contents {
    try {
      return this.files.open(path);
    } catch (error) {
      if (error instanceof VmrunError) throw error;
      return fail("boot/unreadable", `cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`, {
        place,
      });
    }
  }

  /** Enough to say how much RAM a usual kernel needs; beyond that, no file is unpacked to more than could be loaded. */
  #unpackedLimit(): number {
    const largest = this.board.memory.reduce((most, { size }) => Math.max(most, size), 256 * MIB);
    return Math.min(UNPACKED_LIMIT, largest);
  }
}

function placeOf(role: Role, file: string): Place {
  return { file, path: `boot.${role}` };
}
