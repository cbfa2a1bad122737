// devmem, uio and files: what the host says about its devices, and what a person is told to do.
import { afterAll, describe, expect, test } from "bun:test";
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { VmrunError } from "../../src/diagnostics/diagnostic.ts";
import { FdWatch } from "../../src/host/fd-watch.ts";
import type { Opening } from "../../src/pass/hardware.ts";
import { openDevmem } from "../../src/pass/objects/devmem.ts";
import { systemAt } from "../../src/pass/objects/sysfs.ts";
import { openUio } from "../../src/pass/objects/uio.ts";
import type { HostObjectRequest } from "../../src/vdev/host-object.ts";
import { passRig } from "./support.ts";

const root = mkdtempSync(join(tmpdir(), "vmrun-sys-"));
afterAll(() => rmSync(root, { recursive: true }));
const put = (path: string, text: string) => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), `${text}\n`);
};
const link = (path: string, target: string) => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  symlinkSync(target, join(root, path));
};

put(
  "proc/iomem",
  ["00001000-0009ffff : System RAM", "04020000-04020fff : 4020000.mmc mmc@4020000", "04030000-04030fff : gpio"].join(
    "\n",
  ),
);
link("sys/bus/platform/devices/4020000.mmc/driver", "../../../../bus/platform/drivers/sunxi-mmc");
put("sys/class/uio/uio3/name", "emmc");
put("sys/class/uio/uio3/maps/map0/name", "regs");
put("sys/class/uio/uio3/maps/map0/addr", "0x0000000005000000");
put("sys/class/uio/uio3/maps/map0/size", "0x1000");
put("sys/class/uio/uio3/maps/map0/offset", "0x0");
const system = systemAt(root);

function opening(request: HostObjectRequest): Opening {
  const none = { exclusively: <T>(act: () => T) => act(), release: () => {} };
  return {
    spec: "it",
    request,
    owner: { name: "board/it", ram: () => [] },
    watch: new FdWatch(),
    shared: new Map(),
    hold: () => none,
    claim: () => none,
  };
}

function refusal(act: () => unknown): string {
  try {
    act();
    return "none";
  } catch (error) {
    if (!(error instanceof VmrunError)) throw error;
    const [{ code, message, hint }] = error.diagnostics as [VmrunError["diagnostics"][number]];
    return `${code}: ${message}; ${hint}`;
  }
}

describe("devmem is refused", () => {
  test("where a driver of the host has it, with how to take it away", () => {
    expect(refusal(() => openDevmem(0x402_0800, opening({ size: 16 }), system))).toBe(
      "pass/driver: it is in use by the host's driver sunxi-mmc (4020000.mmc); " +
        "echo 4020000.mmc > /sys/bus/platform/drivers/sunxi-mmc/unbind",
    );
  });
  test("where the host's own RAM is", () => {
    expect(refusal(() => openDevmem(0x9_0000, opening({ size: 16 }), system))).toStartWith("pass/host-ram");
  });
  test("with an interrupt", () => {
    expect(refusal(() => openDevmem(0x403_0000, opening({ size: 16, interrupts: 1 }), system))).toStartWith(
      "pass/interrupt",
    );
  });
});

describe("uio is refused", () => {
  const open = (name: string, request: Partial<HostObjectRequest> = {}) =>
    refusal(() => openUio(name, opening({ size: 16, ...request }), system));
  test("where there is none of that name", () => {
    expect(open("emmx")).toBe(
      'pass/no-device: it: the host has no UIO device of that name or number; did you mean "uio:emmc"?',
    );
    expect(open("9")).toEndWith("there are: emmc (3)");
  });
  test("where another driver has the device", () => {
    expect(open("4020000")).toContain("4020000.mmc belongs to the driver sunxi-mmc: echo 4020000.mmc >");
  });
  test("where a map is not there, or too small", () => {
    expect(open("emmc", { window: 1 })).toBe("pass/window: it has no map 1; it has: 0 (regs, 0x1000 bytes)");
    expect(open("3", { window: "x" })).toStartWith("pass/window");
    expect(open("emmc", { window: "regs", offset: 0xff8, size: 16 })).toStartWith("pass/size");
    expect(open("emmc", { interrupts: 2 })).toStartWith("pass/interrupt");
  });
  test("where the host does not let it be opened", () => {
    expect(open("emmc")).toStartWith("pass/open: it: /dev/uio3 cannot be opened: ENOENT");
  });
});

describe("a file", () => {
  const END = "li t2, 0x100000\nli t3, 0x5555\nsw t3, 0(t2)\nwait: j wait";
  const path = join(root, "regs");
  closeSync(openSync(path, "w"));
  const profile = (more = "") =>
    `[[pass]]\nname = "it"\nat = 0x19000000\nsize = "8KiB"\nhost = "file:${path}"\n${more}`;

  test("too short is refused", () => {
    expect(() => passRig(END, profile())).toThrow("has 0 bytes; the profile wants 8192 from 0 on");
  });

  test("has one writer, and is there again when that has ended", () => {
    truncateSync(path, 8192);
    const first = passRig(END, profile());
    expect(() => passRig(END, profile())).toThrow("belongs to board/it");
    const shared = passRig(END, profile("override = true\n"));
    shared.machine.terminate();
    first.machine.terminate();
    passRig(END, profile()).machine.terminate();
  });

  test.each(["device", "cached"])("cut short under a guest is an access fault there, and vmrun lives: %s", (memory) => {
    truncateSync(path, 0);
    truncateSync(path, 8192);
    const { machine, run, log } = passRig(
      `
      la t0, handler
      csrw mtvec, t0
      li s0, 0x19000000
      li s1, 0x19001000
      lw a0, 0(s1)
      li a1, 1
      sw a1, 0(s0)
    until:
      lw a0, 0(s1)
      beqz s11, until
      ${END}
    handler:
      addi s11, s11, 1
      csrr t0, mepc
      addi t0, t0, 4
      csrw mepc, t0
      mret`,
      profile(`memory = "${memory}"\n`),
    );
    machine.run(1000);
    truncateSync(path, 4096);
    expect(run(50)).toBe("poweroff");
    const cut =
      "error memory it.window: what lies behind it was cut short, 4096 of its 8192 bytes are left; accesses beyond fault from here on";
    expect(log.filter((line) => line.startsWith("error"))).toEqual([
      ...(memory === "cached" ? [cut] : []),
      `error it: file:${path} is gone: the host took its pages away`,
    ]);
    machine.terminate();
  });
});
