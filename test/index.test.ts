// The library's face, on the boards that ship: boot, talk, and look at what happened.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import * as v from "valibot";
import {
  boardTree,
  boot,
  builtins,
  createRegistry,
  defineVdev,
  loadProfile,
  printDts,
  render,
  VmrunError,
  writeDtb,
} from "../src/index.ts";
import { assemble } from "./engine/program.ts";

const VIRT = resolve(import.meta.dir, "../profiles/virt-rv64.toml");
const PROMPT = "> ";

describe("a guest of the library", () => {
  test("is talked to like at a terminal", () => {
    using guest = boot(VIRT);
    expect(guest.console).toBe("");
    expect(guest.runUntil({ text: PROMPT })).toBe("text");
    expect(guest.console).toContain("rv64imafdc");
    guest.type("poweroff 7\n");
    expect(guest.runUntil()).toBe("ended");
    expect(guest.ending).toEqual({ kind: "failed", code: 7 });
    expect(guest.log).toEqual([]);
  });

  test("counts its exits where that is asked for", () => {
    using guest = boot(VIRT, { exits: true });
    guest.runUntil({ text: PROMPT });
    const booted = guest.exits;
    guest.type("poweroff\n");
    expect(guest.runUntil()).toBe("ended");
    expect(booted.count({ vdev: "uart0", register: "THR", kind: "write" })).toBe(Buffer.byteLength(guest.console) - 10);
    expect(guest.exits.count({ vdev: "power" })).toBe(1);
    expect(booted.count({ vdev: "power" })).toBe(0);
    using other = boot(VIRT);
    expect(() => other.exits).toThrow("boot it with { exits: true }");
  });

  test("needs just so many exits: a driver that needs more is seen here", () => {
    using guest = boot(VIRT, { exits: true });
    guest.type("rtc\nrng 16\npoweroff\n");
    expect(guest.runUntil()).toBe("ended");
    const rows = guest.exits.by("kind", "vdev", "register", "event");
    expect(
      Object.fromEntries(
        rows.map(({ kind, vdev, register, event, count }) => [`${kind} ${vdev ?? ""} ${register ?? event}`, count]),
      ),
    ).toMatchInlineSnapshot(`
      {
        "read clint MTIME": 6,
        "read plic ENABLE[]": 1,
        "read rng0 DeviceFeatures": 2,
        "read rng0 DeviceID": 2,
        "read rng0 InterruptStatus": 1,
        "read rng0 MagicValue": 2,
        "read rng0 QueueReady": 1,
        "read rng0 QueueSizeMax": 1,
        "read rng0 Status": 3,
        "read rng0 Version": 2,
        "read rtc TIME_HIGH": 1,
        "read rtc TIME_LOW": 1,
        "read uart0 LSR": 2043,
        "read uart0 RBR": 20,
        "write plic ENABLE[]": 1,
        "write plic PRIORITY[]": 1,
        "write plic THRESHOLD[]": 1,
        "write power FINISHER": 1,
        "write rng0 DeviceFeaturesSel": 2,
        "write rng0 DriverFeatures": 2,
        "write rng0 DriverFeaturesSel": 2,
        "write rng0 InterruptACK": 1,
        "write rng0 QueueDescHigh": 1,
        "write rng0 QueueDescLow": 1,
        "write rng0 QueueDeviceHigh": 1,
        "write rng0 QueueDeviceLow": 1,
        "write rng0 QueueDriverHigh": 1,
        "write rng0 QueueDriverLow": 1,
        "write rng0 QueueNotify": 1,
        "write rng0 QueueReady": 1,
        "write rng0 QueueSel": 1,
        "write rng0 QueueSize": 1,
        "write rng0 Status": 6,
        "write uart0 DLL": 1,
        "write uart0 DLM": 1,
        "write uart0 IER": 2,
        "write uart0 LCR": 2,
        "write uart0 MCR": 1,
        "write uart0 THR": 2021,
      }
    `);
    expect(guest.exits.count({ kind: "read" }) + guest.exits.count({ kind: "write" })).toBe(guest.machine.bus.exits);
  });

  test("does the same in every run", () => {
    const session = () => {
      using guest = boot(VIRT, { set: ["seed=5"] });
      guest.runUntil({ text: PROMPT });
      guest.type("irq\nrtc\npoweroff\n");
      expect(guest.runUntil()).toBe("ended");
      return [guest.console, guest.machine.instructions, guest.machine.clock.now()];
    };
    expect(session()).toEqual(session());
  });

  test("finds text behind what it found before", () => {
    using guest = boot(VIRT);
    guest.runUntil({ text: PROMPT });
    guest.type("time\n");
    expect(guest.runUntil({ text: PROMPT })).toBe("text");
    expect(guest.console.split(PROMPT).length).toBeGreaterThanOrEqual(3);
    // A third prompt does not come by itself: the guest waits for input.
    expect(guest.runUntil({ text: PROMPT })).toBe("stuck");
  });

  test("stops at its limits", () => {
    using guest = boot(VIRT);
    expect(guest.runUntil({ instructions: 1000 })).toBe("limit");
    expect(guest.machine.instructions).toBe(1000);
    guest.runUntil({ text: PROMPT });
    guest.type("sleep 5\n");
    const begun = guest.machine.clock.now();
    expect(guest.runUntil({ guestTime: 0.5 })).toBe("limit");
    expect((guest.machine.clock.now() - begun) / 1e9).toBeCloseTo(0.5, 1);
    expect(guest.runUntil({ text: PROMPT, guestTime: 10 })).toBe("text");
    expect((guest.machine.clock.now() - begun) / 1e9).toBeGreaterThanOrEqual(5);
  });

  test("reboots, or ends there", () => {
    {
      using guest = boot(VIRT);
      guest.runUntil({ text: PROMPT });
      guest.type("reboot\n");
      expect(guest.runUntil({ text: "rv64imafdc" })).toBe("text");
      expect(guest.machine.reboots).toBe(1);
    }
    using guest = boot(VIRT, { reboot: false });
    guest.runUntil({ text: PROMPT });
    guest.type("reboot\n");
    expect(guest.runUntil()).toBe("ended");
    expect(guest.ending).toEqual({ kind: "reboot" });
  });

  test("cannot run once closed", () => {
    const guest = boot(VIRT);
    guest.close();
    guest.close();
    expect(() => guest.runUntil()).toThrow("closed");
  });
});

describe("a board of one's own, with a vdev of one's own", () => {
  const folder = mkdtempSync(join(tmpdir(), "vmrun-index-"));
  const profile = join(folder, "board.toml");
  beforeAll(() => {
    // Asks the adder, and tells the finisher whether the sum is right.
    const { bytes } = assemble(
      0x8000_0000,
      `
      li t0, 0x20000000
      li t1, 40
      sw t1, 0(t0)
      li t1, 2
      sw t1, 0(t0)
      lw a0, 4(t0)
      li t2, 0x100000
      li t3, 0x5555
      li t4, 42
      beq a0, t4, right
      li t3, 0x13333
    right:
      sw t3, 0(t2)
    end: j end`,
    );
    writeFileSync(join(folder, "guest.bin"), bytes);
    writeFileSync(
      profile,
      `schema = 1
[[memory]]
name = "dram"
at = 0x8000_0000
size = "1MiB"
[[vdev]]
type = "syscon-power"
at = 0x0010_0000
[[vdev]]
type = "adder"
at = 0x2000_0000
start = 0
[boot]
firmware = "none"
kernel = "guest.bin"
kernel_at = 0x8000_0000
`,
    );
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const adder = defineVdev({
    type: "adder",
    summary: "Adds what is written",
    options: v.object({ start: v.number() }),
    regions: [{ name: "registers", size: 8 }],
    create(_, { start }) {
      let sum = start;
      return {
        regions: [
          {
            read: (offset) => (offset === 4 ? sum : 0),
            write: (_, __, value) => {
              sum += value;
            },
          },
        ],
        reset: () => {
          sum = start;
        },
        snapshot: () => sum,
        restore: (state) => {
          sum = Number(state);
        },
      };
    },
  });

  test("works", () => {
    using guest = boot(profile, { vdevs: [adder] });
    expect(guest.runUntil()).toBe("ended");
    expect(guest.ending).toEqual({ kind: "poweroff" });
  });

  test("is changed by `set`", () => {
    using guest = boot(profile, { vdevs: [adder], set: ["vdev.adder0.start=1"] });
    guest.runUntil();
    expect(guest.ending).toEqual({ kind: "failed", code: 1 });
  });

  test("may come as a board", () => {
    const registry = createRegistry([...builtins, adder]);
    const { board } = loadProfile(profile, { registry });
    using guest = boot(board, { vdevs: [adder] });
    expect(guest.runUntil()).toBe("ended");
    const tree = boardTree(board, registry);
    expect(printDts(tree)).toContain("memory@80000000");
    expect(new DataView(writeDtb(tree).buffer).getUint32(0)).toBe(0xd00d_feed);
  });

  test("is refused with every reason, ready to be shown", () => {
    try {
      boot(profile);
      throw new Error("it was accepted");
    } catch (error) {
      if (!(error instanceof VmrunError)) throw error;
      expect(error.diagnostics.map(render).join("\n")).toContain('"adder"');
    }
  });
});
