import { describe, expect, test } from "bun:test";
import {
  accessCsr,
  CsrOperation,
  csrName,
  csrNumber,
  pendingInterrupts,
  readCsr,
  resetCsrs,
  setPending,
  writeCsr,
} from "../../../src/isa/riscv/csr.ts";
import { csrs } from "../../../src/isa/riscv/csr-table.ts";
import { CsrSlot, HartField, Privilege } from "../../../src/isa/riscv/hart.ts";
import { Chance, clear, EXTENSIONS, enterMode, makeHart, memory, read, set, write } from "./privileged.ts";

const { user: U, supervisor: S, machine: M } = Privilege;
const ALL = (1n << 64n) - 1n;
const without = (...names: string[]): Set<string> => new Set(EXTENSIONS.filter((e) => !names.includes(e)));

describe("table", () => {
  test("numbers and names are unique", () => {
    expect(new Set(csrs.map((c) => c.number)).size).toBe(csrs.length);
    expect(new Set(csrs.map((c) => c.name)).size).toBe(csrs.length);
  });

  test("names both ways", () => {
    expect(csrName(0x300)).toBe("mstatus");
    expect(csrName(0x3ba)).toBe("pmpaddr10");
    expect(csrName(0xc1f)).toBe("hpmcounter31");
    expect(csrName(0x33f)).toBe("mhpmevent31");
    expect(csrName(0x7c0)).toBe("0x7c0");
    expect(csrNumber("stimecmp")).toBe(0x14d);
    expect(() => csrNumber("nonesuch")).toThrow("no CSR is called nonesuch");
  });

  test("a register whose number says read-only has no write", () => {
    expect(csrs.filter((c) => c.number >> 10 === 3 && c.write !== undefined)).toEqual([]);
  });
});

describe("privilege", () => {
  test("bits 9:8 of the number are the least privilege, for every register", () => {
    const { hart } = makeHart();
    write(hart, "mcounteren", ALL);
    write(hart, "scounteren", ALL);
    write(hart, "menvcfg", ALL);
    set(hart, "mstatus", 1n << 13n);
    for (const privilege of [U, S, M]) {
      enterMode(hart, privilege);
      for (const { number, name } of csrs) {
        expect([name, privilege, readCsr(hart, number) !== undefined]).toEqual([
          name,
          privilege,
          privilege >= ((number >> 8) & 3),
        ]);
      }
    }
  });

  test("registers that do not exist are illegal in every mode", () => {
    const { hart } = makeHart();
    const known = new Set(csrs.map((c) => c.number));
    for (let number = 0; number < 4096; number++) {
      if (known.has(number)) continue;
      expect(readCsr(hart, number)).toBeUndefined();
      expect(writeCsr(hart, number, 0n)).toBe(false);
    }
    // Odd configuration registers are RV32's; so are the high halves.
    for (const number of [0x3a1, 0x3a3, 0xc80, 0xb80, 0x310, 0x31a, 0x15d]) expect(known.has(number)).toBe(false);
  });

  test("read-only registers refuse writes, and only writes", () => {
    const { hart } = makeHart();
    expect(write(hart, "mhartid", 0n)).toBe(false);
    expect(write(hart, "cycle", 0n)).toBe(false);
    const number = csrNumber("mhartid");
    expect(accessCsr(hart, number, CsrOperation.set, 0n, true, false)).toBe(0n);
    // CSRRS with a register operand writes even where that register is zero.
    expect(accessCsr(hart, number, CsrOperation.set, 0n, true, true)).toBeUndefined();
  });
});

describe("access", () => {
  test("write, set and clear answer the old value", () => {
    const { hart } = makeHart();
    const number = csrNumber("mscratch");
    expect(accessCsr(hart, number, CsrOperation.write, 0xf0n, true, true)).toBe(0n);
    expect(accessCsr(hart, number, CsrOperation.set, 0x0fn, true, true)).toBe(0xf0n);
    expect(accessCsr(hart, number, CsrOperation.clear, 0x3cn, true, true)).toBe(0xffn);
    expect(accessCsr(hart, number, CsrOperation.clear, ALL, true, false)).toBe(0xc3n);
    expect(accessCsr(hart, number, CsrOperation.write, -1n, false, true)).toBe(0n);
    expect(read(hart, "mscratch")).toBe(ALL);
    expect(accessCsr(hart, number, CsrOperation.clear, -2n, true, true)).toBe(ALL);
    expect(read(hart, "mscratch")).toBe(1n);
  });

  test("anything may be written anywhere without a throw, and reads back as a legal 64-bit value", () => {
    const { hart } = makeHart();
    const chance = new Chance(1);
    for (let round = 0; round < 40_000; round++) {
      enterMode(hart, chance.pick([U, S, M, M]));
      const { number } = chance.pick(csrs);
      accessCsr(hart, number, chance.pick([0, 1, 2] as const), chance.pick([chance.wide(), ALL, 0n]), true, true);
      enterMode(hart, M);
      const value = readCsr(hart, number);
      if (value !== undefined) expect(value).toBe(BigInt.asUintN(64, value));
      const mpp = ((read(hart, "mstatus") ?? 0n) >> 11n) & 3n;
      expect(mpp).not.toBe(2n);
      // What a legal value reads as, writing keeps.
      if (value !== undefined && number >> 10 !== 3 && !csrName(number).match(/^(mcycle|minstret|mip|sip)$/)) {
        writeCsr(hart, number, value);
        expect([csrName(number), readCsr(hart, number)]).toEqual([csrName(number), value]);
      }
    }
  });
});

describe("identity", () => {
  test("misa tells the extensions", () => {
    expect(read(makeHart().hart, "misa")).toBe((2n << 62n) | 0x14112fn);
    expect(read(makeHart({ extensions: new Set(["i"]) }).hart, "misa")).toBe((2n << 62n) | 0x140100n);
  });

  test("misa ignores writes, mhartid is the index", () => {
    const { hart } = makeHart({ index: 3 });
    expect(write(hart, "misa", 0n)).toBe(true);
    expect(read(hart, "misa")).toBe((2n << 62n) | 0x14112fn);
    expect(read(hart, "mhartid")).toBe(3n);
    for (const name of ["mvendorid", "marchid", "mimpid", "mconfigptr"]) expect(read(hart, name)).toBe(0n);
  });
});

describe("mstatus and sstatus", () => {
  const WIDTHS = 0xa_0000_0000n;

  test("only the fields that exist can be written", () => {
    const { hart } = makeHart();
    write(hart, "mstatus", ALL);
    expect(read(hart, "mstatus")).toBe((1n << 63n) | WIDTHS | 0x7e79aan);
    expect(read(hart, "sstatus")).toBe((1n << 63n) | 0x2_0000_0000n | 0xc6122n);
    write(hart, "sstatus", 0n);
    expect(read(hart, "mstatus")).toBe(WIDTHS | (0x7e79aan & ~0xc6122n));
    write(hart, "mstatus", 0n);
    expect(read(hart, "mstatus")).toBe(WIDTHS);
  });

  test("SD follows FS", () => {
    const { hart } = makeHart();
    for (const fs of [0n, 1n, 2n, 3n]) {
      write(hart, "mstatus", fs << 13n);
      expect(read(hart, "mstatus")! >> 63n).toBe(fs === 3n ? 1n : 0n);
      expect(read(hart, "sstatus")! >> 63n).toBe(fs === 3n ? 1n : 0n);
    }
  });

  test("MPP keeps what it has when 2 is written", () => {
    const { hart } = makeHart();
    for (const mpp of [0n, 1n, 3n]) {
      write(hart, "mstatus", mpp << 11n);
      write(hart, "mstatus", 2n << 11n);
      expect((read(hart, "mstatus")! >> 11n) & 3n).toBe(mpp);
    }
  });

  test("without F there is no FS, without paging no SUM", () => {
    const { hart } = makeHart({ extensions: without("f", "d"), mmu: "none" });
    write(hart, "mstatus", ALL);
    expect(read(hart, "mstatus")).toBe(WIDTHS | (0x7e79aan & ~0x46000n));
    expect(read(hart, "fcsr")).toBeUndefined();
  });

  test("a change of the data's mode selects other TLB tables", () => {
    const { hart } = makeHart();
    const tables = (): number => hart.word(HartField.tlbRead);
    const machine = tables();
    write(hart, "mstatus", (1n << 17n) | (1n << 11n));
    const lent = tables();
    expect(lent).not.toBe(machine);
    set(hart, "mstatus", 1n << 18n);
    expect(tables()).not.toBe(lent);
    write(hart, "mstatus", 0n);
    expect(tables()).toBe(machine);
  });

  test("enabling interrupts demands attention where one is pending", () => {
    const { hart } = makeHart();
    for (const name of ["mstatus", "sstatus", "mie", "mip"]) {
      hart.setWord(HartField.attention, 0);
      write(hart, name, 0n);
      set(hart, name, 2n);
      expect([name, hart.word(HartField.attention)]).toEqual([name, name === "mip" ? 1 : 0]);
    }
    write(hart, "mstatus", 0n);
    write(hart, "mie", 1n << 7n);
    setPending(hart, 7, true);
    for (const [name, bit] of [
      ["mstatus", 3n],
      ["sstatus", 1n],
      ["mie", 7n],
      ["mip", 1n],
      ["mideleg", 5n],
    ] as const) {
      hart.setWord(HartField.attention, 0);
      set(hart, name, 1n << bit);
      expect([name, hart.word(HartField.attention)]).toEqual([name, 1]);
    }
  });
});

describe("floating point", () => {
  test("fcsr is fflags and frm together", () => {
    const { hart } = makeHart();
    set(hart, "mstatus", 1n << 13n);
    write(hart, "fcsr", ALL);
    expect(read(hart, "fcsr")).toBe(0xffn);
    expect(read(hart, "fflags")).toBe(31n);
    expect(read(hart, "frm")).toBe(7n);
    write(hart, "frm", 2n);
    write(hart, "fflags", 9n);
    expect(read(hart, "fcsr")).toBe(0x49n);
    expect(hart.word(HartField.frm)).toBe(2);
    expect(hart.word(HartField.fflags)).toBe(9);
  });

  test("off means illegal, writing means dirty", () => {
    const { hart } = makeHart();
    for (const name of ["fflags", "frm", "fcsr"]) {
      write(hart, "mstatus", 0n);
      expect(read(hart, name)).toBeUndefined();
      expect(write(hart, name, 0n)).toBe(false);
      set(hart, "mstatus", 1n << 13n);
      expect(read(hart, name)).toBe(0n);
      expect((read(hart, "mstatus")! >> 13n) & 3n).toBe(1n);
      write(hart, name, 0n);
      expect((read(hart, "mstatus")! >> 13n) & 3n).toBe(3n);
    }
  });
});

describe("counters", () => {
  test("S needs mcounteren, U needs scounteren too", () => {
    const { hart } = makeHart();
    for (const [index, name] of ["cycle", "time", "instret", "hpmcounter3"].entries()) {
      for (let choice = 0; choice < 4; choice++) {
        enterMode(hart, M);
        write(hart, "mcounteren", choice & 1 ? 1n << BigInt(index) : 0n);
        write(hart, "scounteren", choice & 2 ? 1n << BigInt(index) : 0n);
        expect(read(hart, name)).toBeDefined();
        enterMode(hart, S);
        expect(read(hart, name) !== undefined).toBe((choice & 1) !== 0);
        enterMode(hart, U);
        expect(read(hart, name) !== undefined).toBe(choice === 3);
      }
    }
  });

  test("time is the timebase's", () => {
    const { hart, port } = makeHart();
    port.now = 2 ** 40 + 5;
    expect(read(hart, "time")).toBe(2n ** 40n + 5n);
  });

  test("counting and setting", () => {
    const { hart } = makeHart();
    let count = 100;
    hart.instret = () => count;
    expect(read(hart, "minstret")).toBe(100n);
    write(hart, "minstret", 0n);
    count++;
    // The value written is the value that the next instruction reads.
    expect(read(hart, "instret")).toBe(0n);
    expect(read(hart, "mcycle")).toBe(101n);
    write(hart, "mcycle", ALL);
    count += 2;
    expect(read(hart, "cycle")).toBe(0n);
  });

  test("inhibited counters stand still and go on from there", () => {
    const { hart } = makeHart();
    let count = 10;
    hart.instret = () => count;
    write(hart, "mcountinhibit", ALL);
    expect(read(hart, "mcountinhibit")).toBe(5n);
    count = 50;
    expect(read(hart, "minstret")).toBe(10n);
    write(hart, "minstret", 1000n);
    count = 60;
    expect(read(hart, "minstret")).toBe(1000n);
    write(hart, "mcountinhibit", 1n);
    count = 61;
    expect(read(hart, "minstret")).toBe(1000n);
    count = 71;
    expect(read(hart, "minstret")).toBe(1010n);
    expect(read(hart, "mcycle")).toBe(10n);
  });

  test("event counters are zero", () => {
    const { hart } = makeHart();
    for (const name of ["mhpmcounter3", "mhpmevent31", "hpmcounter17"]) {
      if (!name.startsWith("hpm")) expect(write(hart, name, ALL)).toBe(true);
      expect(read(hart, name)).toBe(0n);
    }
  });
});

describe("interrupts", () => {
  test("masks", () => {
    const { hart } = makeHart();
    for (const [name, mask] of [
      ["medeleg", 0xb3ffn],
      ["mideleg", 0x222n],
      ["mie", 0xaaan],
      ["mip", 0x222n],
      ["mcounteren", 0xffff_ffffn],
      ["scounteren", 0xffff_ffffn],
    ] as const) {
      write(hart, name, ALL);
      expect([name, read(hart, name)]).toEqual([name, mask]);
    }
  });

  test("sie and sip show what is delegated, and sip only lets SSIP be written", () => {
    const { hart } = makeHart();
    write(hart, "mie", ALL);
    write(hart, "mip", 0x222n);
    expect(read(hart, "sie")).toBe(0n);
    write(hart, "mideleg", 0x202n);
    expect(read(hart, "sie")).toBe(0x202n);
    expect(read(hart, "sip")).toBe(0x202n);
    enterMode(hart, S);
    write(hart, "sie", 0n);
    write(hart, "sip", 0n);
    enterMode(hart, M);
    expect(read(hart, "mie")).toBe(0x8a8n);
    expect(read(hart, "mip")).toBe(0x220n);
  });

  test("the external line and the software bit of SEIP stay apart", () => {
    const { hart } = makeHart();
    setPending(hart, 9, true);
    // Read-modify-write of another bit must not latch the line. RISC-V Priv §3.1.9
    expect(set(hart, "mip", 2n)).toBe(0x200n);
    setPending(hart, 9, false);
    expect(read(hart, "mip")).toBe(2n);
    set(hart, "mip", 0x200n);
    setPending(hart, 9, true);
    setPending(hart, 9, false);
    expect(read(hart, "mip")).toBe(0x202n);
    expect(clear(hart, "mip", 0x200n)).toBe(0x202n);
    expect(read(hart, "mip")).toBe(2n);
  });

  test("machine interrupts are lines only", () => {
    const { hart } = makeHart();
    for (const bit of [3, 7, 11]) {
      setPending(hart, bit, true);
      write(hart, "mip", 0n);
      expect(read(hart, "mip")).toBe(1n << BigInt(bit));
      setPending(hart, bit, false);
      expect(read(hart, "mip")).toBe(0n);
    }
  });

  test("SSIP is set from outside and cleared by software", () => {
    const { hart } = makeHart();
    setPending(hart, 1, true);
    expect(clear(hart, "mip", 2n)).toBe(2n);
    expect(read(hart, "mip")).toBe(0n);
  });

  test("inputs that do not exist change nothing", () => {
    const { hart } = makeHart();
    for (const bit of [0, 2, 4, 6, 8, 10, 12, 31]) setPending(hart, bit, true);
    expect(read(hart, "mip")).toBe(0n);
  });

  test("pending and enabled", () => {
    const { hart } = makeHart();
    setPending(hart, 7, true);
    set(hart, "mip", 2n);
    expect(pendingInterrupts(hart)).toBe(0);
    write(hart, "mie", 0x82n);
    expect(pendingInterrupts(hart)).toBe(0x82);
  });
});

describe("the supervisor's timer", () => {
  const STCE = 1n << 63n;

  test("stimecmp arms the machine's timer and decides STIP", () => {
    const { hart, port } = makeHart();
    set(hart, "menvcfg", STCE);
    expect(port.timers.at(-1)).toBe(Number.POSITIVE_INFINITY);
    write(hart, "stimecmp", 500n);
    expect(port.timers.at(-1)).toBe(500);
    expect(read(hart, "mip")).toBe(0n);
    // Not writable, neither as software bit nor after the timer's hardware took over.
    set(hart, "mip", 0x20n);
    expect(read(hart, "mip")).toBe(0n);
    port.now = 499;
    expect(read(hart, "mip")).toBe(0n);
    port.now = 500;
    expect(read(hart, "mip")).toBe(0x20n);
    write(hart, "stimecmp", 501n);
    expect(read(hart, "mip")).toBe(0n);
    write(hart, "stimecmp", 7n);
    expect(hart.csrHigh(CsrSlot.mip)).toBe(0x20);
    write(hart, "stimecmp", ALL);
    expect(port.timers.at(-1)).toBe(Number.POSITIVE_INFINITY);
    expect(read(hart, "mip")).toBe(0n);
  });

  test("turning STCE off gives STIP back to software", () => {
    const { hart, port } = makeHart();
    set(hart, "mip", 0x20n);
    expect(read(hart, "mip")).toBe(0x20n);
    set(hart, "menvcfg", STCE);
    expect(read(hart, "mip")).toBe(0n);
    write(hart, "stimecmp", 0n);
    expect(read(hart, "mip")).toBe(0x20n);
    clear(hart, "menvcfg", STCE);
    expect(read(hart, "mip")).toBe(0n);
    expect(port.timers.at(-1)).toBe(Number.POSITIVE_INFINITY);
    set(hart, "mip", 0x20n);
    expect(read(hart, "mip")).toBe(0x20n);
  });

  test("access from S needs STCE and mcounteren.TM; U never has it", () => {
    const { hart } = makeHart();
    for (let choice = 0; choice < 4; choice++) {
      enterMode(hart, M);
      write(hart, "menvcfg", choice & 1 ? STCE : 0n);
      write(hart, "mcounteren", choice & 2 ? 2n : 0n);
      write(hart, "scounteren", ALL);
      expect(read(hart, "stimecmp")).toBeDefined();
      enterMode(hart, S);
      expect(read(hart, "stimecmp") !== undefined).toBe(choice === 3);
      expect(write(hart, "stimecmp", ALL)).toBe(choice === 3);
      enterMode(hart, U);
      expect(read(hart, "stimecmp")).toBeUndefined();
    }
  });

  test("without Sstc there is neither", () => {
    const { hart } = makeHart({ extensions: without("sstc") });
    write(hart, "menvcfg", ALL);
    expect(read(hart, "menvcfg")! >> 63n).toBe(0n);
    expect(read(hart, "stimecmp")).toBeUndefined();
  });
});

describe("traps, environment, translation", () => {
  test("tvec keeps direct and vectored", () => {
    const { hart } = makeHart();
    for (const name of ["mtvec", "stvec"]) {
      for (const [written, kept] of [
        [0x1000n, 0x1000n],
        [0x1001n, 0x1001n],
        [0x1002n, 0x1000n],
        [ALL, ALL - 2n],
      ]) {
        write(hart, name, written);
        expect(read(hart, name)).toBe(kept);
      }
    }
  });

  test("epc holds instruction addresses", () => {
    const { hart } = makeHart();
    write(hart, "mepc", ALL);
    expect(read(hart, "mepc")).toBe(ALL - 1n);
    const wide = makeHart({ extensions: without("c") }).hart;
    write(wide, "sepc", ALL);
    expect(read(wide, "sepc")).toBe(ALL - 3n);
  });

  test("envcfg has the fields of the extensions present", () => {
    const { hart } = makeHart();
    write(hart, "menvcfg", ALL);
    expect(read(hart, "menvcfg")).toBe((5n << 61n) | 0xf1n);
    write(hart, "menvcfg", 0x20n);
    expect(read(hart, "menvcfg")).toBe(0x30n);
    write(hart, "senvcfg", ALL);
    expect(read(hart, "senvcfg")).toBe(0xf1n);
    const bare = makeHart({ extensions: new Set(["i", "svade"]) }).hart;
    write(bare, "menvcfg", ALL);
    expect(read(bare, "menvcfg")).toBe(1n);
  });

  test("A and D are updated from the start where there is Svadu alone", () => {
    expect(read(makeHart().hart, "menvcfg")).toBe(1n << 61n);
    expect(read(makeHart({ extensions: new Set([...EXTENSIONS, "svade"]) }).hart, "menvcfg")).toBe(0n);
  });

  test("satp takes the modes of the board, and 16 bits of ASID", () => {
    const modes = { none: [0], sv39: [0, 8], sv48: [0, 8, 9], sv57: [0, 8, 9, 10] } as const;
    for (const mmu of ["none", "sv39", "sv48", "sv57"] as const) {
      const { hart } = makeHart({ mmu });
      const accepted: number[] = [];
      for (let mode = 0; mode < 16; mode++) {
        write(hart, "satp", 0x123n);
        write(hart, "satp", (BigInt(mode) << 60n) | 0x0abc_def0_1234_5678n);
        const value = read(hart, "satp")!;
        if (value === 0x123n) continue;
        expect(value).toBe((BigInt(mode) << 60n) | (mode === 0 ? 0xef0_1234_5678n : 0xabc_def0_1234_5678n));
        accepted.push(mode);
      }
      expect(accepted).toEqual([...modes[mmu]]);
    }
  });

  test("TVM takes satp from S", () => {
    const { hart } = makeHart();
    enterMode(hart, S);
    expect(read(hart, "satp")).toBe(0n);
    enterMode(hart, M);
    set(hart, "mstatus", 1n << 20n);
    expect(read(hart, "satp")).toBe(0n);
    enterMode(hart, S);
    expect(read(hart, "satp")).toBeUndefined();
    expect(write(hart, "satp", 0n)).toBe(false);
  });
});

test("what changes translations forgets those in the TLB", () => {
  const { hart } = makeHart();
  write(hart, "pmpaddr1", 1n);
  const entry = hart.word(HartField.tlbRead) + 5 * 16;
  const forgotten = (change: () => unknown): boolean => {
    memory.data.setBigUint64(entry, 5n, true);
    hart.noteFill(hart.word(HartField.tlbRead), false);
    change();
    return memory.data.getBigUint64(entry, true) !== 5n;
  };
  expect(forgotten(() => write(hart, "satp", 8n << 60n))).toBe(true);
  expect(forgotten(() => set(hart, "mstatus", 1n << 19n))).toBe(true);
  expect(forgotten(() => clear(hart, "sstatus", 1n << 19n))).toBe(true);
  expect(forgotten(() => write(hart, "pmpaddr0", 1n))).toBe(true);
  expect(forgotten(() => write(hart, "pmpcfg0", 0x1fn))).toBe(true);
  expect(forgotten(() => resetCsrs(hart))).toBe(true);
  // The rest does not: these are written often.
  for (const name of ["sscratch", "sepc", "sie", "stimecmp"])
    expect(forgotten(() => write(hart, name, 2n))).toBe(false);
  expect(forgotten(() => set(hart, "sstatus", 2n))).toBe(false);
});

test("reset forgets everything but the lines that devices drive", () => {
  const { hart, port } = makeHart();
  setPending(hart, 11, true);
  for (const { number } of csrs) writeCsr(hart, number, ALL);
  resetCsrs(hart);
  expect(hart.privilege).toBe(M);
  expect(read(hart, "mip")).toBe(0x800n);
  expect(port.timers.at(-1)).toBe(Number.POSITIVE_INFINITY);
  expect(hart.pmp.active).toBe(0);
  const left = csrs
    .filter(({ name }) => !["mip", "misa", "mstatus", "sstatus", "menvcfg", "stimecmp"].includes(name))
    .filter(({ read }) => read(hart) !== 0n);
  expect(left.map((c) => c.name)).toEqual([]);
});
