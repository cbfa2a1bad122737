/** The PrimeCells, driven by Linux's own drivers. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Guest } from "../../src/index.ts";
import { bootLinux, shell, unavailable, waitFor } from "./driver-linux.ts";

const BOOT_LIMIT = 120_000;
const BANNER = "Linux version 6.12";
if (unavailable) console.warn(`skipped: ${unavailable}`);

describe.skipIf(unavailable !== undefined)("with Linux", () => {
  const folder = mkdtempSync(join(tmpdir(), "vmrun-primecell-"));
  const output = join(folder, "uart1.log");
  let guest: Guest;

  beforeAll(() => {
    guest = bootLinux("loglevel=7", [`vdev.uart1.host=file:${output}`]);
  }, BOOT_LIMIT);
  afterAll(() => {
    guest?.close();
    rmSync(folder, { recursive: true });
  });

  test("the AMBA bus finds all three by their identification", () => {
    expect(shell(guest, "cd /sys/bus/amba/devices; cat */id; cd").split("\n")).toEqual([
      "00341011",
      "00041031",
      "00141805",
    ]);
    expect(shell(guest, "ls -1d /sys/bus/amba/drivers/*/1001*").split("\n")).toHaveLength(3);
  });

  test("amba-pl011 has a port, and what is written to it comes out", () => {
    expect(guest.console).toContain("ttyAMA1 at MMIO 0x10010000");
    expect(guest.console).toContain("is a PL011 rev3");
    // More than the FIFO holds, so that the transmit interrupt has to bring the rest.
    shell(guest, "stty -F /dev/ttyAMA1 -opost; seq 1 200 >/dev/ttyAMA1");
    const lines = Array.from({ length: 200 }, (_, i) => `${i + 1}\n`);
    expect(readFileSync(output, "latin1")).toBe(lines.join(""));
  });

  test("rtc-pl031 reads the time", () => {
    const name = shell(guest, "grep -l pl031 /sys/class/rtc/*/name")
      .replace("/sys/class/rtc/", "")
      .replace("/name", "");
    expect(shell(guest, `cat /sys/class/rtc/${name}/date`)).toBe("2026-01-01");
    const [first, second] = shell(guest, `cd /sys/class/rtc/${name}; cat since_epoch; sleep 3; cat since_epoch; cd`)
      .split("\n")
      .map(Number);
    expect(second! - first!).toBe(3);
  });

  test("its alarm comes as an interrupt", () => {
    const alarm = "cd /sys/bus/amba/drivers/rtc-pl031/*/rtc/rtc*";
    shell(guest, `${alarm}; echo 0 >wakealarm; echo $(($(cat since_epoch) + 2)) >wakealarm; sleep 3; cd`);
    expect(shell(guest, "grep -i rtc-pl031 /proc/interrupts | awk '{ print $2 }'")).toBe("1");
  });

  // The last one: it takes the guest with it.
  test("sp805_wdt is pinged, then bites, and the guest starts over", () => {
    expect(shell(guest, "cat /sys/class/watchdog/watchdog0/identity 2>/dev/null || ls /dev/watchdog")).toMatch(
      /SP805|\/dev\/watchdog/,
    );
    // Twice as long as the timeout is what it takes: while something pings, nothing happens.
    shell(guest, "watchdog -T 4 -t 2 /dev/watchdog; sleep 20");
    expect(guest.machine.reboots).toBe(0);
    expect(guest.machine.vdevs.get("watchdog")!.status!()["counting"]).toBe(true);
    guest.type("killall -9 watchdog\n");
    waitFor(guest, BANNER);
    expect([guest.machine.reboots, guest.console.split(BANNER).length - 1]).toEqual([1, 2]);
    waitFor(guest, "vmrun-initramfs: ready");
    expect(guest.log).toContainEqual({
      level: "warn",
      source: "watchdog",
      message: "expired twice without an answer: reset",
    });
  });
});

describe.skipIf(unavailable !== undefined)("the PL011 alone", () => {
  test(
    "is a console to log in at",
    () => {
      const guest = bootLinux("console=ttyAMA1", [
        "vdev.uart0.host=null",
        "vdev.uart1.host=stdio",
        "boot.cmdline=console=ttyAMA1",
      ]);
      expect(shell(guest, "cat /sys/class/tty/console/active")).toBe("ttyAMA1");
      expect(shell(guest, "echo $((6 * 7))")).toBe("42");
      guest.close();
    },
    BOOT_LIMIT,
  );
});
