/** The stopwatch driven by Linux: by the kernel's own UIO driver with a program, and by a driver of ours. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Guest } from "../../src/index.ts";
import { bootLinux, shell, unavailable } from "./driver-linux.ts";

const BOOT_LIMIT = 120_000;
if (unavailable) console.warn(`skipped: ${unavailable}`);

describe.skipIf(unavailable !== undefined)("from user space, through uio_pdrv_genirq", () => {
  let guest: Guest;
  const steps = (...words: string[]) => shell(guest, `/stopwatch/stopwatch-uio ${words.join(" ")}`);

  beforeAll(() => {
    guest = bootLinux("uio_pdrv_genirq.of_id=stopwatch");
  }, BOOT_LIMIT);
  afterAll(() => guest?.close());

  test("the kernel maps both regions", () => {
    expect(shell(guest, "cat /sys/class/uio/uio0/name /sys/class/uio/uio0/maps/map*/addr")).toBe(
      "stopwatch@10020000\n0x0000000010020000\n0x0000000010021000",
    );
  });

  test("it has run since power-on", () => {
    expect(steps("status")).toBe("status: RUNNING, cause 0");
  });

  test("a second is a second", () => {
    expect(steps("reset start sleep 1 pause show")).toBe("time: 1.00 seconds");
  });

  test("two timeouts are two interrupts, in about five seconds", () => {
    const seen = steps("start timeout 1 sleep 2 timeout 1 sleep 2 show interrupts");
    expect(seen).toBe("time: 5.00 seconds\ninterrupts: 2");
  });

  test("reset goes back to zero", () => {
    expect(steps("reset show")).toBe("time: 0.00 seconds");
  });

  test("the guest reads the memory without exits", () => {
    const exits = (reads: number) => {
      const before = guest.machine.bus.exits;
      steps("peek", String(reads));
      return guest.machine.bus.exits - before;
    };
    expect(exits(100_000) - exits(1)).toBeLessThan(1000);
  });

  test.each([
    ["6", 1],
    ["4294967295", 1],
    ["start start", 2],
    ["pause", 3],
    ["timeout 11", 4],
    ["ack", 5],
    ["timeout 1 ack", 5],
    ["write-status", 6],
  ])("`%s` is an error with cause %d, and a RESET away from being none", (bad, cause) => {
    expect(steps(`reset ${bad} status start pause update status`)).toBe(
      `status: ERROR, cause ${cause}\nstatus: ERROR, cause ${cause}`,
    );
    expect(steps("sleep 1.1 reset start sleep 1 pause show status")).toBe(
      "time: 1.00 seconds\nstatus: PAUSED, cause 0",
    );
  });
});

describe.skipIf(unavailable !== undefined)("by a kernel module", () => {
  const ATTRIBUTES = "/sys/class/misc/stopwatch/device";
  let guest: Guest;
  const command = (word: string) => shell(guest, `echo ${word} >${ATTRIBUTES}/command`);
  const attribute = (name: string) => shell(guest, `cat ${ATTRIBUTES}/${name}`);

  beforeAll(() => {
    guest = bootLinux("loglevel=4");
  }, BOOT_LIMIT);
  afterAll(() => guest?.close());

  test("it loads, finds the device by its compatible, and makes a character device", () => {
    shell(guest, "insmod /stopwatch/stopwatch.ko");
    expect(shell(guest, "dmesg | grep -c 'stopwatch 10020000.stopwatch: started at power-on'")).toBe("1");
    expect(shell(guest, "ls /dev/stopwatch")).toBe("/dev/stopwatch");
    expect(attribute("state")).toBe("running");
  });

  test("a second is a second, by sysfs and by the character device", () => {
    shell(guest, "echo reset >/dev/stopwatch; echo start >/dev/stopwatch; sleep 1; echo pause >/dev/stopwatch");
    expect(shell(guest, "cat /dev/stopwatch")).toBe("1.00 seconds");
    expect([attribute("time"), attribute("state")]).toEqual(["1.00 seconds", "paused"]);
  });

  test("two timeouts are two interrupts, in about five seconds", () => {
    const at = `>${ATTRIBUTES}/command`;
    shell(guest, `echo start ${at}; echo timeout 1 ${at}; sleep 2; echo timeout 1 ${at}; sleep 2`);
    expect([attribute("time"), attribute("interrupts")]).toEqual(["5.00 seconds", "2"]);
    expect(shell(guest, "grep stopwatch /proc/interrupts | awk '{ print $2, $3, $4 }'")).toMatch(/^2 SiFive PLIC/);
  });

  test("reset goes back to zero", () => {
    command("reset");
    expect([attribute("time"), attribute("state")]).toEqual(["0.00 seconds", "reset"]);
  });

  test.each([
    ["99", "1"],
    ["pause", "3"],
    ["timeout 11", "4"],
    ["ack", "5"],
  ])("`%s` is an error with cause %s", (bad, cause) => {
    command("reset");
    command(bad);
    expect([attribute("state"), attribute("cause")]).toEqual(["error", cause]);
    command("start");
    expect(attribute("state")).toBe("error");
    command("reset");
    expect(attribute("state")).toBe("reset");
  });

  test("a nonsense word is the driver's to refuse", () => {
    expect(command("jump")).toContain("Invalid argument");
  });

  test("its exit leaves the stopwatch reset, and it loads again", () => {
    command("start");
    shell(guest, "rmmod stopwatch");
    const stopwatch = guest.machine.vdevs.get("stopwatch")!;
    expect(stopwatch.status!()["state"]).toBe("reset");
    shell(guest, "insmod /stopwatch/stopwatch.ko");
    expect(attribute("state")).toBe("reset");
  });
});
