// Guests that do anything at all: random code in every mode, under random page tables, at every device. Whatever happens
// to the guest, the machine neither throws nor hangs, keeps to its budget, and does the same again for the same seed.
import { describe, expect, test } from "bun:test";
import { CsrSlot, type Hart, HartField, type Privilege } from "../../src/isa/riscv/hart.ts";
import { FakeDisk } from "../../src/vdev/testing.ts";
import { below, chance, createRandom, pick, type Random, random64, randomInstruction } from "../isa/riscv/random.ts";
import { fingerprint, RAM, type Rig, rig } from "./rig.ts";

/** Every built-in vdev; what the profile of the other tests lacks. */
const DEVICES = `
[[vdev]]
type = "goldfish-rtc"
at = 0x0010_1000
irq = "plic:11"
[[vdev]]
type = "virtio-entropy"
at = 0x1000_1000
irq = "plic:1"
[[vdev]]
type = "virtio-blk"
at = 0x1000_2000
irq = "plic:2"
file = "disk.img"
[[vdev]]
type = "virtio-console"
at = 0x1000_3000
irq = "plic:3"
host = "null"
[[vdev]]
type = "virtio-empty"
at = 0x1000_4000
[[vdev]]
type = "sifive-uart"
at = 0x1001_0000
irq = "plic:4"
host = "null"
[[vdev]]
type = "pl011"
at = 0x1002_0000
irq = "plic:5"
host = "null"
[[vdev]]
type = "pl031"
at = 0x1003_0000
irq = "plic:6"
[[vdev]]
type = "sp805"
at = 0x1004_0000
irq = "plic:7"
action = "interrupt"
[[vdev]]
type = "stopwatch"
at = 0x1005_0000
irq = "plic:8"
[[vdev]]
type = "host-power"
at = 0x1006_0000
[[vdev]]
type = "unimplemented"
at = 0x1007_0000
`;
const RAM_SIZE = 4 << 20;
const CODE_PAGES = 16;
const CODE = RAM + 0x1_0000;
const TABLES = RAM + 0x20_0000;
const TABLE_PAGES = 16;

/** A number of 64 bits that is worth having in a register. */
function value(random: Random, places: readonly number[]): bigint {
  switch (below(random, 8)) {
    case 0:
    case 1:
      return BigInt(RAM + below(random, RAM_SIZE));
    case 2:
      return BigInt(CODE + below(random, CODE_PAGES * 2048) * 2);
    case 3:
    case 4:
      return BigInt(pick(random, places) + below(random, 0x200));
    case 5:
      return BigInt(below(random, 256));
    case 6:
      return BigInt.asUintN(64, -BigInt(below(random, 4096)));
    default:
      return random64(random);
  }
}

/** Instructions of the table for the most part, halves of them compressed or nothing at all. */
function writeCode({ machine }: Rig, random: Random, page: number): void {
  const words = new Uint32Array(1024);
  for (let i = 0; i < words.length; i++) words[i] = chance(random, 0.85) ? randomInstruction(random).bits : random();
  machine.memory.write(CODE + page * 4096, new Uint8Array(words.buffer));
}

/** Entries that lead to tables, to RAM, to devices, and nowhere. */
function writeTable({ machine }: Rig, random: Random, page: number, places: readonly number[]): void {
  const entries = new BigUint64Array(512);
  for (let i = 0; i < entries.length; i++) {
    const kind = below(random, 8);
    const leaf = (at: number) => (BigInt(Math.floor(at / 4096)) << 10n) | BigInt(below(random, 256) | 1);
    if (kind < 3) entries[i] = (BigInt(TABLES / 4096 + below(random, TABLE_PAGES)) << 10n) | 1n;
    else if (kind < 5) entries[i] = leaf(RAM + below(random, RAM_SIZE));
    else if (kind < 6) entries[i] = leaf(CODE + below(random, CODE_PAGES) * 4096) | 0xcfn;
    else if (kind < 7) entries[i] = leaf(pick(random, places));
    else entries[i] = random64(random);
  }
  machine.memory.write(TABLES + page * 4096, new Uint8Array(entries.buffer));
}

/** Puts the hart into a state from which it may do something of interest. */
function stir(hart: Hart, random: Random, places: readonly number[]): void {
  for (let i = 1; i < 32; i++) if (chance(random, 0.6)) hart.setX(i, value(random, places));
  const paged = chance(random, 0.5);
  hart.privilege = pick<Privilege>(random, [3, 3, 1, 0]);
  hart.setCsr(CsrSlot.satp, paged ? (BigInt(8 + below(random, 3)) << 60n) | BigInt(TABLES / 4096) : 0n);
  hart.setCsr(CsrSlot.pmpaddr, (1n << 54n) - 1n);
  hart.setCsr(CsrSlot.pmpcfg, 0x1fn);
  hart.setCsr(CsrSlot.mtvec, BigInt(CODE + below(random, CODE_PAGES * 1024) * 4));
  hart.setCsr(CsrSlot.stvec, value(random, places) & ~2n);
  hart.setCsrLow(CsrSlot.mstatus, hart.csrLow(CsrSlot.mstatus) | 0x6000);
  // A pending interrupt ends the WFI that random code comes across now and then.
  hart.setCsr(CsrSlot.mie, BigInt((below(random, 4096) & 0xaaa) | 2));
  hart.setCsrLow(CsrSlot.mip, 2);
  hart.setCsr(CsrSlot.medeleg, BigInt(below(random, 65536) & 0xb3ff));
  hart.pc = chance(random, 0.9) ? BigInt(CODE + below(random, CODE_PAGES * 2048) * 2) : value(random, places) & ~1n;
  hart.setWord(HartField.attention, 1);
  hart.flushTlb();
  hart.refreshMode();
}

interface Torture {
  readonly seed: number;
  readonly harts: number;
  readonly chunks: number;
  readonly chunk: number;
}

function torture({ seed, harts, chunks, chunk }: Torture) {
  const random = createRandom(seed);
  const made = rig("end: j end", {
    profile: DEVICES,
    set: [`cpu.harts=${harts}`, `unsupported.memory=${seed % 2 ? "fault" : "ignore"}`],
    disk: new FakeDisk(new Uint8Array(0x1_0000)),
  });
  const { machine } = made;
  const places = [0x10_0000, 0x10_1000, 0x200_0000, 0x200_4000, 0x200_bff8, 0xc00_0000, 0xc00_2000, 0xc20_0000].concat([
    0x1000_0000, 0x1000_1000, 0x1000_2000, 0x1000_3000, 0x1000_4000, 0x1001_0000, 0x1002_0000, 0x1003_0000, 0x1004_0000,
    0x1005_0000, 0x1006_0000, 0x1007_0000,
  ]);
  for (let page = 0; page < TABLE_PAGES; page++) writeTable(made, random, page, places);
  for (let page = 0; page < CODE_PAGES; page++) writeCode(made, random, page);
  const seen = { ended: 0, idle: 0, trapped: 0 };
  for (let i = 0; i < chunks; i++) {
    for (const hart of machine.harts) if (chance(random, 0.7)) stir(hart, random, places);
    if (chance(random, 0.2)) writeCode(made, random, below(random, CODE_PAGES));
    if (chance(random, 0.1)) writeTable(made, random, below(random, TABLE_PAGES), places);
    if (chance(random, 0.1)) made.stdio.push(Uint8Array.of(random() & 255));
    const before = machine.instructions;
    const then = machine.clock.now();
    const progress = machine.run(chunk);
    expect(machine.instructions - before).toBeLessThanOrEqual((chunk + 1) * harts);
    expect(machine.clock.now()).toBeGreaterThanOrEqual(then);
    if (progress === "ended") {
      seen.ended++;
      machine.reboot();
      for (let page = 0; page < TABLE_PAGES; page++) writeTable(made, random, page, places);
      for (let page = 0; page < CODE_PAGES; page++) writeCode(made, random, page);
    } else if (progress === "idle") {
      seen.idle++;
      machine.skipTo(Math.min(machine.deadline, machine.clock.now() + 1_000_000));
    }
    machine.streams.flush();
  }
  for (const hart of machine.harts) seen.trapped += hart.trapped;
  return { ...seen, instructions: machine.instructions, exits: machine.bus.exits, log: made.seen.log, made };
}

describe("random code", () => {
  const cases: readonly Torture[] = [
    { seed: 1, harts: 1, chunks: 400, chunk: 500 },
    { seed: 2, harts: 1, chunks: 400, chunk: 500 },
    { seed: 3, harts: 2, chunks: 200, chunk: 800 },
    { seed: 4, harts: 4, chunks: 80, chunk: 2000 },
  ];
  test.each(cases)("seed $seed, harts: $harts", (options) => {
    const once = torture(options);
    const again = torture(options);
    expect(fingerprint(again.made)).toBe(fingerprint(once.made));
    expect(again.log).toEqual(once.log);
    // It did go everywhere.
    expect(once.exits).toBeGreaterThan(100);
    expect(once.trapped).toBeGreaterThan(1000);
    expect(once.instructions).toBeGreaterThan(100_000);
    // What a guest can make the log say is bounded.
    expect(once.log.length).toBeLessThan(2000);
  });
});

describe("random accesses to every region of every vdev", () => {
  /** Stores and loads without end at addresses that it takes from a table, with data from another. */
  const HAMMER = `
    la t0, handler
    csrw mtvec, t0
    li s0, ${RAM + 0x10_0000}
    li s1, ${RAM + 0x18_0000}
  again:
    ld t1, 0(s0)
    ld t2, 8(s0)
    sb t2, 0(t1)
    andi t3, t1, -2
    sh t2, 0(t3)
    andi t3, t1, -4
    sw t2, 0(t3)
    lw t4, 0(t3)
    andi t3, t1, -8
    sd t2, 0(t3)
    ld t4, 0(t3)
    addi s0, s0, 16
    bne s0, s1, again
    li s0, ${RAM + 0x10_0000}
    j again
  handler:
    csrr t5, mepc
    addi t5, t5, 4
    csrw mepc, t5
    mret`;

  function hammer(seed: number) {
    const random = createRandom(seed);
    const made = rig(HAMMER, { profile: DEVICES, disk: new FakeDisk(new Uint8Array(0x1_0000)) });
    const { machine } = made;
    // Power off and the like would end it every time: that region is left to the other test.
    const regions: (readonly [at: number, size: number])[] = [
      [0x10_1000, 0x24],
      [0x200_0000, 8],
      [0x200_4000, 8],
      [0x200_bff8, 8],
      [0xc00_0000, 0x180],
      [0xc00_1000, 0x10],
      [0xc00_2000, 0x80],
      [0xc20_0000, 0x2000],
      [0x1000_0000, 8],
      [0x1000_4000, 0x110],
      [0x1001_0000, 0x20],
      [0x1002_0000, 0x50],
      [0x1002_0fe0, 0x20],
      [0x1003_0000, 0x20],
      [0x1004_0000, 0x20],
      [0x1004_0c00, 4],
      [0x1005_0000, 0x1010],
      [0x1006_0000, 0x10],
      [0x1007_0000, 0x40],
      ...[0x1000_1000, 0x1000_2000, 0x1000_3000].flatMap((at) => [[at, 0x110] as const, [at, 0x110] as const]),
    ];
    const table = new BigUint64Array(0x1_0000);
    const fill = () => {
      for (let i = 0; i < table.length; i += 2) {
        const [at, size] = pick(random, regions);
        table[i] = BigInt(at + below(random, size));
        const data = [
          BigInt(random()),
          BigInt(below(random, 16)),
          BigInt(RAM + below(random, RAM_SIZE)),
          random64(random),
        ];
        table[i + 1] = pick(random, data);
      }
      machine.memory.write(RAM + 0x10_0000, new Uint8Array(table.buffer));
    };
    for (let round = 0; round < 6; round++) {
      fill();
      expect(machine.run(50_000)).toBe("ran");
      machine.streams.flush();
    }
    return made;
  }

  test.each([11, 12])("seed %d", (seed) => {
    const once = hammer(seed);
    expect(once.machine.bus.exits).toBeGreaterThan(100_000);
    expect(fingerprint(hammer(seed))).toBe(fingerprint(once));
    expect(once.seen.log.length).toBeLessThan(2000);
    expect(once.seen.log.filter((line) => line.includes("failed in the vdev"))).toEqual([]);
  });
});
