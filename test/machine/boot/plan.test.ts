import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { render, VmrunError } from "../../../src/diagnostics/diagnostic.ts";
import { bytesOf, Held } from "../../../src/machine/boot/contents.ts";
import { type BootPlan, planBoot } from "../../../src/machine/boot/plan.ts";
import type { Board, BoardBoot, BoardMemory } from "../../../src/profile/board.ts";
import { chance, filled, makeElf, makeLinux, refusal, spoil, text } from "./images.ts";

const BASE = 0x8000_0000;
const MIB = 2 ** 20;
const TREE = filled(5000, 0xd0);
const RAM_DEFAULTS = { backing: { kind: "anonymous" }, describe: "memory" } as const;
const ROM_DEFAULTS = { ...RAM_DEFAULTS, describe: "none" } as const;
const dram: BoardMemory = { ...RAM_DEFAULTS, name: "dram", kind: "ram", at: BASE, size: 256 * MIB };

function makeBoard(boot: BoardBoot, memory: readonly BoardMemory[] = [dram], extensions = ["i", "m", "a", "c"]): Board {
  return {
    name: "test",
    model: "vmrun,test",
    compatible: ["vmrun,test"],
    cpu: {
      parallel: false,
      harts: 1,
      isa: "rv64imac",
      extensions,
      mmu: "sv39",
      pmp: 16,
      caches: {},
      intcPhandles: [1],
    },
    time: { mode: "virtual", clock: 1e9, timebase: 1e7, epoch: 0 },
    memory,
    vdevs: [],
    groups: [],
    blobs: [],
    reserve: [],
    boot,
    fdt: { symbols: false, overlays: [] },
    hangAfter: 10,
    models: [],
    seed: 0,
    budgets: [],
    unsupported: { memory: "fault", instruction: "fault", register: "fault" },
  };
}

/** 30 MiB in memory, as a distribution's kernel. */
const linux = makeLinux({ imageSize: 30 * MIB, size: 3 * MIB });
const pieSegments = [
  { at: 0, bytes: filled(0x2000, 1) },
  { at: 0x4_0000, bytes: filled(0x100, 2), memorySize: 0x5000 },
];
const FILES: Readonly<Record<string, Uint8Array>> = {
  "/Image": linux,
  "/Image.gz": gzipSync(linux),
  "/initrd": filled(3 * MIB, 7),
  "/fw.bin": filled(0x4_2000, 0x13),
  "/fw-huge.bin": filled(3 * MIB, 0x13),
  "/fw.elf": makeElf({ entry: 0, type: 3, segments: pieSegments }),
  "/u-boot.bin": filled(0x1_0000, 0x13),
  "/bare.elf": makeElf({
    entry: BASE + 8,
    segments: [
      { at: BASE, bytes: filled(32, 0x13) },
      { at: BASE + 0x1000, memorySize: 0x3000 },
    ],
  }),
  "/flash": filled(64, 0x13),
  "/empty": new Uint8Array(),
};

const files = {
  open(path: string): Held {
    const bytes = FILES[path];
    if (!bytes) throw new Error(`ENOENT: ${path}`);
    return new Held(bytes);
  },
};

function plan(boot: BoardBoot, memory?: readonly BoardMemory[], extensions?: readonly string[]): BootPlan {
  return planBoot(makeBoard(boot, memory, extensions?.slice()), files, () => TREE);
}

/** A plan for reading: one line each, addresses in hexadecimal. */
function shown({ loads, clears, fdtAt, entry, mode, info }: BootPlan): string {
  const span = (at: number, size: number) => `${at.toString(16)}-${(at + size).toString(16)}`;
  return [
    ...loads.map(({ name, at, contents }) => `${name} ${span(at, contents.size)}`),
    ...clears.map(({ at, size }) => `zero ${span(at, size)}`),
    `entry ${entry.toString(16)} ${mode}, fdt ${fdtAt.toString(16)}, info ${info?.toString(16) ?? "none"}`,
  ].join("\n");
}

describe("usual boards", () => {
  test("builtin SBI, Linux, initrd", () => {
    expect(shown(plan({ firmware: "builtin", kernel: "/Image", initrd: "/initrd" }))).toMatchInlineSnapshot(`
      "kernel 80200000-80500000
      initrd 84000000-84300000
      device tree 8fe00000-8fe01388
      entry 80200000 supervisor, fdt 8fe00000, info none"
    `);
  });

  test("Linux unpacked from gzip goes the same way", () => {
    const packed = plan({ firmware: "builtin", kernel: "/Image.gz" });
    expect(packed).toEqual(plan({ firmware: "builtin", kernel: "/Image" }));
  });

  test("nothing lies in reserved memory but the firmware that it is reserved for", () => {
    const guest = { as: "node", phandle: 1, noMap: true, reusable: false } as const;
    const taken = [BASE, BASE + 2 * MIB, BASE + 64 * MIB].map((at, i) => ({ name: `r${i}`, at, size: MIB, guest }));
    const board = makeBoard({ firmware: { path: "/fw.bin" }, kernel: "/Image", initrd: "/initrd" });
    const { loads } = planBoot({ ...board, reserve: taken }, files, () => TREE);
    const meets = loads.filter(({ at, contents: { size } }) =>
      taken.some((r) => at < r.at + r.size && r.at < at + size),
    );
    expect(meets.map(({ name }) => name)).toEqual(["firmware"]);
    const fixed = makeBoard({ firmware: "builtin", kernel: "/Image", kernelAt: BASE + 2 * MIB });
    expect(refusal(() => planBoot({ ...fixed, reserve: taken }, files, () => TREE)).message).toContain('reserve "r1"');
  });

  test("OpenSBI raw, Linux, initrd", () => {
    expect(shown(plan({ firmware: { path: "/fw.bin" }, kernel: "/Image", initrd: "/initrd" }))).toMatchInlineSnapshot(`
      "firmware 80000000-80042000
      kernel 80200000-80500000
      initrd 84000000-84300000
      device tree 8fe00000-8fe01388
      firmware info 8fdff000-8fdff030
      entry 80000000 machine, fdt 8fe00000, info 8fdff000"
    `);
  });

  test("OpenSBI as an ELF that relocates itself, U-Boot", () => {
    expect(shown(plan({ firmware: { path: "/fw.elf" }, kernel: "/u-boot.bin" }))).toMatchInlineSnapshot(`
      "firmware segment 0 80000000-80002000
      firmware segment 1 80040000-80040100
      kernel 80200000-80210000
      device tree 8fe00000-8fe01388
      firmware info 8fdff000-8fdff030
      zero 80040100-80045000
      entry 80000000 machine, fdt 8fe00000, info 8fdff000"
    `);
  });

  test("bare ELF in M-mode, as kernel and as firmware", () => {
    expect(shown(plan({ firmware: "none", kernel: "/bare.elf" }))).toMatchInlineSnapshot(`
      "kernel segment 0 80000000-80000020
      device tree 8fe00000-8fe01388
      zero 80001000-80004000
      entry 80000008 machine, fdt 8fe00000, info none"
    `);
    expect(shown(plan({ firmware: { path: "/bare.elf" } }))).toMatchInlineSnapshot(`
      "firmware segment 0 80000000-80000020
      device tree 8fe00000-8fe01388
      firmware info 8fdff000-8fdff030
      zero 80001000-80004000
      entry 80000008 machine, fdt 8fe00000, info 8fdff000"
    `);
  });

  test("bare raw binary in M-mode starts at the start of RAM", () => {
    expect(plan({ firmware: "none", kernel: "/u-boot.bin" }).entry).toBe(BASE);
  });

  test("ROM with its contents, and `entry` in it", () => {
    const flash: BoardMemory = {
      ...ROM_DEFAULTS,
      name: "flash",
      kind: "rom",
      at: 0x2000_0000,
      size: 4096,
      image: "/flash",
    };
    expect(shown(plan({ firmware: "none", entry: 0x2000_0000 }, [flash, dram]))).toMatchInlineSnapshot(`
      "rom "flash" 20000000-20000040
      device tree 8fe00000-8fe01388
      entry 20000000 machine, fdt 8fe00000, info none"
    `);
  });

  test("8 GiB: the tree stays below 4 GiB", () => {
    expect(plan({ firmware: "builtin", kernel: "/Image" }, [{ ...dram, size: 8 * 2 ** 30 }]).fdtAt).toBe(0xffe0_0000);
  });

  test("RAM at 0: the tree stays below 3 GiB", () => {
    const { fdtAt, entry } = plan({ firmware: "builtin", kernel: "/Image" }, [{ ...dram, at: 0, size: 8 * 2 ** 30 }]);
    expect([fdtAt, entry]).toEqual([0xbfe0_0000, 0x20_0000]);
  });

  test("RAM above 4 GiB", () => {
    const { fdtAt, entry } = plan({ firmware: "builtin", kernel: "/Image" }, [{ ...dram, at: 2 ** 36 }]);
    expect([fdtAt, entry]).toEqual([2 ** 36 + 254 * MIB, 2 ** 36 + 2 * MIB]);
  });

  test("a scratchpad below the RAM is not taken for it", () => {
    const scratch: BoardMemory = { ...RAM_DEFAULTS, name: "scratch", kind: "ram", at: 0x800_0000, size: 2 * MIB };
    expect(plan({ firmware: "builtin", kernel: "/Image" }, [scratch, dram]).entry).toBe(BASE + 2 * MIB);
  });

  test("RAM of 128 KiB holds a bare program and its tree", () => {
    const tiny = { ...dram, size: 128 * 1024 };
    expect(shown(plan({ firmware: { path: "/bare.elf" } }, [tiny]))).toMatchInlineSnapshot(`
      "firmware segment 0 80000000-80000020
      device tree 8001ec78-80020000
      firmware info 8001e000-8001e030
      zero 80001000-80004000
      entry 80000008 machine, fdt 8001ec78, info 8001e000"
    `);
  });

  test("RAM of 40 MiB: initrd and tree go close above the kernel", () => {
    const small = { ...dram, size: 40 * MIB };
    expect(shown(plan({ firmware: "builtin", kernel: "/Image", initrd: "/initrd" }, [small]))).toMatchInlineSnapshot(`
      "kernel 80200000-80500000
      initrd 82000000-82300000
      device tree 82600000-82601388
      entry 80200000 supervisor, fdt 82600000, info none"
    `);
  });

  test("the monitor that ships", () => {
    const path = new URL("../../../firmware/monitor.elf", import.meta.url);
    const board = makeBoard({ firmware: { path: "monitor.elf" } });
    const { entry, mode, loads } = planBoot(board, { open: () => new Held(readFileSync(path)) }, () => TREE);
    expect([entry, mode, loads[0].at]).toEqual([BASE, "machine", BASE]);
  });
});

describe("rules", () => {
  test("the tree is made for where the initrd lies", () => {
    const made: unknown[] = [];
    const makeTree = (initrd?: { start: number; end: number }) => {
      made.push(initrd);
      return TREE;
    };
    planBoot(makeBoard({ firmware: "builtin", kernel: "/Image", initrd: "/initrd" }), files, makeTree);
    planBoot(makeBoard({ firmware: "builtin", kernel: "/Image" }), files, makeTree);
    expect(made).toEqual([{ start: BASE + 64 * MIB, end: BASE + 67 * MIB }, undefined]);
  });

  test("fw_dynamic is told where the kernel starts", () => {
    const infoOf = (boot: BoardBoot) => {
      const { loads, info } = plan(boot);
      const load = loads.find(({ name }) => name === "firmware info")!;
      expect(load.at).toBe(info!);
      const view = new DataView(bytesOf(load.contents).buffer);
      return Array.from({ length: 6 }, (_, i) => view.getBigUint64(8 * i, true));
    };
    const firmware = { path: "/fw.bin" };
    expect(infoOf({ firmware, kernel: "/Image" })).toEqual([0x4942534fn, 2n, BigInt(BASE + 2 * MIB), 1n, 0n, 0n]);
    expect(infoOf({ firmware })[2]).toBe(0n);
  });

  test("every address can be given", () => {
    const { loads, fdtAt, entry } = plan({
      firmware: { path: "/fw.bin" },
      kernel: "/Image",
      initrd: "/initrd",
      firmwareAt: BASE + 0x10_0000,
      kernelAt: BASE + 16 * MIB,
      initrdAt: BASE + 96 * MIB + 4096,
      fdtAt: BASE + 8 * MIB + 8,
      entry: BASE + 0x10_0040,
    });
    const at = Object.fromEntries(loads.map((load) => [load.name, load.at - BASE]));
    expect(at).toMatchObject({ firmware: MIB, kernel: 16 * MIB, initrd: 96 * MIB + 4096, "device tree": 8 * MIB + 8 });
    expect([fdtAt, entry]).toEqual([BASE + 8 * MIB + 8, BASE + 0x10_0040]);
  });

  test("an ELF that relocates itself follows its key", () => {
    const { entry, clears } = plan({ firmware: { path: "/fw.elf" }, firmwareAt: BASE + 0x1000 });
    expect(entry).toBe(BASE + 0x1000);
    expect(clears).toEqual([{ at: BASE + 0x1000 + 0x4_0100, size: 0x4f00 }]);
  });

  test("Linux makes way for large firmware", () => {
    expect(plan({ firmware: { path: "/fw-huge.bin" }, kernel: "/Image" }).loads[1].at).toBe(BASE + 4 * MIB);
  });

  test("Linux that wants the start of RAM does not get OpenSBI's", () => {
    const own = { open: (path: string) => new Held(path === "/Image" ? makeLinux({ textOffset: 0 }) : FILES[path]) };
    const kernelAt = (firmware: BoardBoot["firmware"]) =>
      planBoot(makeBoard({ firmware, kernel: "/Image" }), own, () => TREE).loads.find(({ name }) => name === "kernel")!
        .at;
    expect(kernelAt("none")).toBe(BASE);
    expect(kernelAt({ path: "/fw.bin" })).toBe(BASE + 2 * MIB);
  });

  test("an initrd keeps clear of where fw_jump copies the tree", () => {
    for (const size of [34, 36, 40, 48]) {
      const memory = [{ ...dram, size: size * MIB }];
      const boot: BoardBoot = { firmware: { path: "/fw.bin" }, kernel: "/u-boot.bin", initrd: "/initrd" };
      const { at, contents } = plan(boot, memory).loads.find(({ name }) => name === "initrd")!;
      expect(at + contents.size <= BASE + 32 * MIB || at >= BASE + 36 * MIB).toBe(true);
    }
  });

  test("an initrd keeps clear of a tree that has its address", () => {
    const fdtAt = BASE + 64 * MIB;
    const { loads } = plan({ firmware: "builtin", kernel: "/Image", initrd: "/initrd", fdtAt });
    expect(loads.find(({ name }) => name === "initrd")!.at).toBe(BASE + 66 * MIB);
  });
});

describe("refusing", () => {
  const builtin = { firmware: "builtin" } as const;
  const rom: BoardMemory = { ...ROM_DEFAULTS, name: "flash", kind: "rom", at: 0x2000_0000, size: 32, image: "/flash" };
  const cases: readonly (readonly [string, BoardBoot, string, RegExp, RegExp, (readonly BoardMemory[])?])[] = [
    ["builtin without a kernel", builtin, "boot/nothing-to-start", /no kernel to start/, /kernel = "Image"/],
    ["none without a kernel", { firmware: "none" }, "boot/nothing-to-start", /nothing to start/, /kernel = /],
    ["no RAM", builtin, "boot/no-ram", /no RAM/, /memory/, [rom]],
    ["missing file", { ...builtin, kernel: "/none" }, "boot/unreadable", /cannot read \/none: ENOENT/, /./],
    ["empty kernel", { ...builtin, kernel: "/empty" }, "boot/empty", /boot.kernel is empty/, /./],
    ["empty initrd", { ...builtin, kernel: "/Image", initrd: "/empty" }, "boot/empty", /boot.initrd/, /./],
    ["Linux as firmware", { firmware: { path: "/Image" } }, "boot/firmware-is-kernel", /M-mode/, /kernel = /],
    [
      "Linux off its boundary",
      { ...builtin, kernel: "/Image", kernelAt: BASE + MIB },
      "boot/misaligned",
      /2 MiB/,
      /0x80200000/,
    ],
    [
      "tree off its boundary",
      { ...builtin, kernel: "/Image", fdtAt: BASE + 4 },
      "boot/misaligned",
      /8-byte/,
      /0x80000008/,
    ],
    [
      "PIE off its page",
      { firmware: { path: "/fw.elf" }, firmwareAt: BASE + 8 },
      "boot/misaligned",
      /4 KiB/,
      /0x80001000/,
    ],
    [
      "odd entry",
      { firmware: "none", kernel: "/bare.elf", entry: BASE + 1 },
      "boot/misaligned",
      /multiples of 2/,
      /low bit/,
    ],
    [
      "entry in nothing",
      { firmware: "none", kernel: "/bare.elf", entry: 16 },
      "boot/outside-memory",
      /start at 0x10/,
      /"dram"/,
    ],
    [
      "fixed ELF with a key",
      { firmware: "none", kernel: "/bare.elf", kernelAt: BASE + MIB },
      "boot/not-movable",
      /0x80000000/,
      /kernel_at/,
    ],
    [
      "kernel in nothing",
      { ...builtin, kernel: "/u-boot.bin", kernelAt: 0x1000 },
      "boot/outside-memory",
      /0x1000-0x10fff/,
      /boot.kernel_at moves it.*"dram" 0x80000000-0x8fffffff/,
    ],
    [
      "ELF in nothing",
      { firmware: "none", kernel: "/bare.elf" },
      "boot/outside-memory",
      /0x80000000/,
      /linked to go.*0x0-/,
      [{ ...dram, at: 0 }],
    ],
    [
      "initrd past the end",
      { ...builtin, kernel: "/Image", initrd: "/initrd", initrdAt: BASE + 255 * MIB },
      "boot/too-small",
      /3 MiB at 0x8ff00000/,
      /258 MiB or more/,
    ],
    [
      "initrd in the kernel",
      { ...builtin, kernel: "/Image", initrd: "/initrd", initrdAt: BASE + 4 * MIB },
      "boot/overlap",
      /initrd.*kernel/,
      /boot.initrd_at moves initrd, boot.kernel_at moves kernel/,
    ],
    [
      "tree in the kernel's bss",
      { ...builtin, kernel: "/Image", fdtAt: BASE + 31 * MIB },
      "boot/overlap",
      /device tree.*kernel/,
      /boot.fdt_at/,
    ],
    [
      "raw kernel in large firmware",
      { firmware: { path: "/fw-huge.bin" }, kernel: "/u-boot.bin" },
      "boot/overlap",
      /kernel.*firmware/,
      /kernel_at.*firmware_at/,
    ],
    [
      "two ELFs in one place",
      { firmware: { path: "/bare.elf" }, kernel: "/bare.elf" },
      "boot/overlap",
      /segment 0/,
      /link one/,
    ],
    [
      "ROM's image too large",
      { ...builtin, kernel: "/Image" },
      "boot/too-small",
      /64 bytes, the memory 32 bytes/,
      /larger/,
      [rom, dram],
    ],
    [
      "RAM too small for the kernel",
      { ...builtin, kernel: "/Image" },
      "boot/too-small",
      /"dram".*16 MiB.*kernel \(30 MiB\)/,
      /MiB" of memory "dram"/,
      [{ ...dram, size: 16 * MIB }],
    ],
    [
      "RAM too small for the tree",
      { firmware: "none", kernel: "/flash" },
      "boot/too-small",
      /device tree \(4.9 KiB\)/,
      /MiB"/,
      [{ ...dram, size: 4096 }],
    ],
  ];
  for (const [name, boot, code, message, hint, memory] of cases) {
    test(name, () => {
      const found = refusal(() => plan(boot, memory));
      expect(found.code).toBe(code);
      expect(found.message).toMatch(message);
      expect(found.hint ?? ".").toMatch(hint);
      expect(found.place).toBeDefined();
    });
  }

  test("without C, an entry lies at a multiple of 4", () => {
    const boot: BoardBoot = { firmware: "none", kernel: "/bare.elf", entry: BASE + 2 };
    expect(plan(boot).entry).toBe(BASE + 2);
    expect(refusal(() => plan(boot, undefined, ["i", "m"])).message).toMatch(/multiples of 4/);
  });

  test("as a person reads it", () => {
    const boot: BoardBoot = { ...builtin, kernel: "/Image", initrd: "/initrd", initrdAt: BASE + 4 * MIB };
    expect(render(refusal(() => plan(boot)))).toMatchInlineSnapshot(`
      "/initrd, boot.initrd: error[boot/overlap]: initrd (0x80400000-0x806fffff) and kernel (0x80200000-0x81ffffff) are to lie in the same memory
      /Image, boot.kernel: note: kernel comes from here
        hint: boot.initrd_at moves initrd, boot.kernel_at moves kernel"
    `);
  });
});

describe("laws", () => {
  /** Every load in one block of memory, clear of all others. */
  function check({ loads, clears, fdtAt, entry, info }: BootPlan, memory: readonly BoardMemory[]): void {
    const inside = (at: number, size: number) => memory.some((m) => at >= m.at && at + size <= m.at + m.size);
    const spans = [...loads.map(({ at, contents: { size } }) => ({ at, size })), ...clears].sort((a, b) => a.at - b.at);
    const wrong = spans.filter(({ at, size }, i) => {
      const next = spans[i + 1];
      return size === 0 || !inside(at, size) || (next && at + size > next.at);
    });
    expect(wrong).toEqual([]);
    expect(loads.some(({ at, contents }) => at === fdtAt && (contents as Held).bytes === TREE)).toBe(true);
    expect(inside(entry, 2)).toBe(true);
    if (info !== undefined) expect(loads.find(({ at }) => at === info)?.contents.size).toBe(48);
  }

  test("the size that a refusal names is enough", () => {
    const pick = ["/Image", "/u-boot.bin", "/bare.elf", undefined];
    let refused = 0;
    for (const kernel of pick) {
      for (const initrd of ["/initrd", undefined]) {
        for (const firmware of ["builtin", "none", { path: "/fw.bin" }, { path: "/fw.elf" }] as const) {
          for (const size of [8192, 64 * 1024, MIB, 3 * MIB, 6 * MIB, 16 * MIB, 31 * MIB, 32 * MIB, 34 * MIB]) {
            const boot: BoardBoot = { firmware, kernel, initrd };
            try {
              check(plan(boot, [{ ...dram, size }]), [{ ...dram, size }]);
            } catch (error) {
              if (!(error instanceof VmrunError)) throw error;
              const [, enough] = /^size = "(\d+)MiB"/.exec(error.diagnostics[0].hint ?? "") ?? [];
              if (!enough) continue;
              const memory = [{ ...dram, size: Number(enough) * MIB }];
              check(plan(boot, memory), memory);
              refused++;
            }
          }
        }
      }
    }
    expect(refused).toBeGreaterThan(40);
  });

  test("any addresses and any spoilt files give a plan or a refusal", () => {
    const next = chance(0xb007);
    const flash: BoardMemory = {
      ...ROM_DEFAULTS,
      name: "flash",
      kind: "rom",
      at: 0x2000_0000,
      size: 4 * MIB,
      image: "/flash",
    };
    const sources = [
      makeLinux(),
      new Uint8Array(gzipSync(makeLinux())),
      FILES["/bare.elf"],
      FILES["/fw.elf"],
      text("raw code"),
    ];
    const own = {
      open: (path: string) => {
        const source = path === "/flash" ? FILES[path] : sources[next(sources.length)];
        return new Held(next(2) === 0 ? source : spoil(source, next));
      },
    };
    const address = (): number | undefined => {
      if (next(3) !== 0) return undefined;
      return [next(2 ** 32), BASE + next(1 << 28), BASE + 4096 * next(1 << 16), 2 ** 53 - 1 - next(4096), 0][next(5)];
    };
    const outcomes = { planned: 0, refused: 0 };
    for (let round = 0; round < 10_000; round++) {
      const memory = [flash, { ...dram, size: [4096, MIB, 64 * MIB, 2 ** 34][next(4)] }].slice(next(2));
      const boot: BoardBoot = {
        firmware: (["builtin", "none", { path: "/fw" }] as const)[next(3)],
        kernel: next(4) === 0 ? undefined : "/kernel",
        initrd: next(3) === 0 ? "/initrd" : undefined,
        entry: address(),
        firmwareAt: address(),
        kernelAt: address(),
        initrdAt: address(),
        fdtAt: address(),
      };
      try {
        const made = planBoot(makeBoard(boot, memory), own, () => TREE);
        if (outcomes.planned++ % 8 === 0) check(made, memory);
      } catch (error) {
        if (!(error instanceof VmrunError)) throw error;
        if (render(error.diagnostics[0]).includes("NaN")) throw error;
        outcomes.refused++;
      }
    }
    expect(outcomes.planned).toBeGreaterThan(500);
    expect(outcomes.refused).toBeGreaterThan(500);
  });
});
