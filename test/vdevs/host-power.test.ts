import { expect, test } from "bun:test";
import type { CommandResult } from "../../src/vdev/host.ts";
import { assemble } from "../../src/vdev/testing.ts";
import { hostPower } from "../../src/vdevs/host-power.ts";

const COMMAND = 0;
const STATUS = 4;
const COUNT = 8;
const KEY = 0x706f_0000;
const [IDLE, RUNNING, DONE, REFUSED, UNKNOWN] = [0, 1, 2, 3, 4];

const commands = [["true"], ["sh", "-c", "exit 3"]];

/** `confirmed`: as if started with --allow-host-power. */
function build(allow: boolean, confirmed: boolean) {
  const ran: (readonly string[])[] = [];
  const command = (argv: readonly string[]): CommandResult => {
    ran.push(argv);
    return { status: argv.length === 1 ? 0 : 3, output: "" };
  };
  const { host, vdev, read, write } = assemble(hostPower, { commands, allow }, confirmed ? { command } : {});
  vdev.reset();
  return {
    host,
    vdev,
    ran,
    status: () => read(STATUS, 4),
    count: () => read(COUNT, 4),
    order: (value: number) => write(COMMAND, 4, value),
  };
}

test("with both permissions the command runs, and its end is seen", async () => {
  const { host, ran, status, count, order } = build(true, true);
  expect([status(), count()]).toEqual([IDLE, 2]);
  order(KEY + 1);
  expect(status()).toBe(RUNNING);
  await host.settle();
  expect([ran, status()]).toEqual([[["sh", "-c", "exit 3"]], DONE | (3 << 8)]);
});

test("one at a time, resets or not", async () => {
  const { host, vdev, ran, order } = build(true, true);
  order(KEY);
  order(KEY);
  vdev.reset();
  order(KEY);
  await host.settle();
  expect(ran).toHaveLength(1);
  order(KEY);
  await host.settle();
  expect(ran).toHaveLength(2);
});

test("refused unless the profile allows it", async () => {
  const { host, ran, status, order } = build(false, true);
  order(KEY);
  await host.settle();
  expect([ran, status(), host.logged.at(-1)!.message]).toEqual([
    [],
    REFUSED,
    'refused: the profile does not allow ["true"]; set allow = true',
  ]);
});

test("refused unless the start confirms it", async () => {
  const { host, status, order } = build(true, false);
  order(KEY);
  await host.settle();
  expect([status(), host.logged.at(-1)!.level]).toEqual([REFUSED, "warn"]);
});

test("without its key, or with an unknown number, nothing runs", async () => {
  const { host, ran, status, order } = build(true, true);
  for (const value of [0, 1, 0xffff_ffff, 0x5555]) order(value);
  expect(status()).toBe(IDLE);
  order(KEY + 2);
  await host.settle();
  expect([ran, status()]).toEqual([[], UNKNOWN]);
});
