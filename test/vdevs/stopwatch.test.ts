import { describe, expect, test } from "bun:test";
import { cells, getProperty, strings } from "../../src/fdt/tree.ts";
import { assemble, contribution } from "../../src/vdev/testing.ts";
import { stopwatch } from "../../src/vdevs/stopwatch.ts";

const MEM = 0;
const REGS = 1;
const [RESET, START, PAUSE, UPDATE, TIMEOUT, ACK] = [0, 1, 2, 3, 4, 5];
const Running = 0;
const Reset = 1;
const Paused = 2;
const Failed = 3;
const SECOND = 1e9;

function build(start_at_boot = false) {
  const { host, vdev, read, write } = assemble(stopwatch, { start_at_boot });
  vdev.reset();
  const command = (value: number) => write(0, 4, value, REGS);
  return {
    host,
    vdev,
    read,
    write,
    irq: host.line("irq"),
    command,
    status: () => [read(8, 4, REGS), read(12, 1, REGS)],
    waits: () => ({ armed: (read(12, 4, REGS) & 0x4000_0000) !== 0, expired: read(12, 4, REGS) >= 0x8000_0000 }),
    wait: (seconds: number) => host.clock.advance(seconds * SECOND),
    timeout(seconds: number) {
      write(0, 8, seconds, MEM);
      command(TIMEOUT);
    },
    show() {
      command(UPDATE);
      const bytes = Array.from({ length: read(0, 4, MEM) }, (_, i) => read(8 + i, 1, MEM));
      return String.fromCharCode(...bytes);
    },
  };
}

test("start, one second, pause: one second, however long it is looked at", () => {
  const { command, wait, show, status } = build();
  expect(status()).toEqual([Reset, 0]);
  command(START);
  wait(1.02);
  expect(status()).toEqual([Running, 0]);
  command(PAUSE);
  wait(5);
  expect([show(), status()]).toEqual(["1.00 seconds\0", [Paused, 0]]);
  command(PAUSE);
  command(START);
  wait(2);
  expect(show()).toBe("3.00 seconds\0");
  command(RESET);
  expect([show(), status()]).toEqual(["0.00 seconds\0", [Reset, 0]]);
});

test("it starts at power-on where the profile says so", () => {
  const { wait, show, status, vdev } = build(true);
  wait(7);
  expect([status(), show()]).toEqual([[Running, 0], "7.00 seconds\0"]);
  vdev.reset();
  expect(show()).toBe("0.00 seconds\0");
  expect(assemble(stopwatch, {}).vdev.status?.()).toBeDefined();
});

describe("timeouts", () => {
  test("raise the line until it is acknowledged", () => {
    const { timeout, wait, irq, command, status, waits } = build();
    timeout(2);
    wait(1.9);
    expect([irq.level, waits()]).toEqual([false, { armed: true, expired: false }]);
    wait(0.1);
    expect([irq.level, waits()]).toEqual([true, { armed: false, expired: true }]);
    timeout(1);
    command(ACK);
    wait(5);
    expect([irq.level, irq.changes, status()]).toEqual([false, [true, false], [Reset, 0]]);
  });

  test("outlive a RESET; of two the first counts", () => {
    const { timeout, wait, irq, command } = build();
    timeout(1);
    timeout(9);
    command(RESET);
    wait(1);
    expect(irq.level).toBe(true);
  });
});

describe("every bad command leads to ERROR, with its cause, and out of it by RESET alone", () => {
  const bad: [string, number, (made: ReturnType<typeof build>) => void][] = [
    ["an unknown command", 1, ({ command }) => command(6)],
    ["a command of 64 bits", 1, ({ write }) => write(0, 8, 1n << 40n, REGS)],
    [
      "START while it runs",
      2,
      ({ command }) => {
        command(START);
        command(START);
      },
    ],
    ["PAUSE before it ran", 3, ({ command }) => command(PAUSE)],
    ["a timeout of 11 seconds", 4, ({ timeout }) => timeout(11)],
    [
      "a timeout of 2^63 seconds",
      4,
      ({ write, command }) => {
        write(0, 8, 1n << 63n, MEM);
        command(TIMEOUT);
      },
    ],
    ["an acknowledgement of nothing", 5, ({ command }) => command(ACK)],
    [
      "an acknowledgement before the timeout",
      5,
      ({ command, timeout }) => {
        timeout(1);
        command(ACK);
      },
    ],
    ["a write to STATUS", 6, ({ write }) => write(8, 4, 0, REGS)],
  ];
  test.each(bad)("%s", (_what, cause, act) => {
    const made = build();
    act(made);
    expect(made.status()).toEqual([Failed, cause]);
    for (const command of [START, PAUSE, UPDATE, TIMEOUT, 99]) made.command(command);
    expect(made.status()).toEqual([Failed, cause]);
    made.command(RESET);
    made.command(START);
    made.wait(1);
    expect([made.status(), made.show()]).toEqual([[Running, 0], "1.00 seconds\0"]);
  });

  test("a timeout that was under way still comes and is acknowledged", () => {
    const { timeout, command, wait, irq, status } = build();
    timeout(1);
    command(ACK);
    wait(1);
    expect([irq.level, status()]).toEqual([true, [Failed, 5]]);
    command(ACK);
    expect([irq.level, status()]).toEqual([false, [Failed, 5]]);
  });
});

test("a snapshot keeps time, error and timeout", () => {
  const { vdev, command, wait, show, timeout, irq } = build();
  command(START);
  timeout(3);
  wait(2);
  const saved = JSON.parse(JSON.stringify(vdev.snapshot()));
  vdev.reset();
  vdev.restore(saved);
  wait(1);
  expect([show(), irq.level]).toEqual(["3.00 seconds\0", true]);
});

test("the device tree has two entries of reg, the memory on a page of its own", () => {
  const [own] = contribution(stopwatch, {}).bus!;
  expect(strings(own!, "compatible")).toEqual(["stopwatch"]);
  const reg = cells(own!, "reg")!;
  expect([reg[3], reg[7]]).toEqual([0x1000, 0x10]);
  expect(Math.floor(reg[1]! / 0x1000)).not.toBe(Math.floor(reg[5]! / 0x1000));
  expect(getProperty(own!, "start-at-boot")).toBeDefined();
  expect(getProperty(contribution(stopwatch, { start_at_boot: false }).bus![0]!, "start-at-boot")).toBeUndefined();
});
