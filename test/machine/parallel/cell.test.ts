// The words that threads of one machine share: who is woken by what, and who can tell that nobody will be.
import { describe, expect, test } from "bun:test";
import { Command, Life, Request, Shared, ThreadState } from "../../../src/machine/parallel/cell.ts";
import { total } from "../../../src/machine/parallel/statistics.ts";

test("both ends see the same, and no hart sees another's", () => {
  const here = new Shared(3);
  const there = new Shared(3, here.buffer);
  const [, mine, other] = here.cells;
  const [, theirs] = there.cells;
  mine.address = 2 ** 52 + 1;
  mine.pattern = 0xfedc_ba98_7654_3210n;
  mine.width = 8;
  mine.pc = 2n ** 63n;
  mine.setArgument(7, 77n);
  mine.executed = 5e12;
  mine.command = Command.run;
  expect([theirs.address, theirs.pattern, theirs.width]).toEqual([2 ** 52 + 1, 0xfedc_ba98_7654_3210n, 8]);
  expect([theirs.pc, theirs.argument(7), theirs.executed, theirs.command]).toEqual([2n ** 63n, 77n, 5e12, Command.run]);
  expect([other.address, other.pattern, other.width, other.argument(7)]).toEqual([0, 0n, 0, 0n]);
  expect(mine.putBytes(new Uint8Array(100_000).fill(9))).toBeLessThan(100_000);
  expect(theirs.bytes.every((byte) => byte === 9)).toBe(true);
  expect(other.bytes.length).toBe(0);
  here.shift = -5n;
  here.hooked = true;
  expect([there.shift, there.shifts, there.hooked]).toEqual([-5n, 1, true]);
});

describe("the bell rings", () => {
  test("for what changes, and not for a level that stays", () => {
    const [cell] = new Shared(1).cells;
    const rings = (act: () => void) => {
      const before = cell.rung;
      act();
      return cell.rung - before;
    };
    expect(rings(() => cell.drive(9, true))).toBe(1);
    expect(rings(() => cell.drive(9, true))).toBe(0);
    expect(rings(() => cell.drive(11, false))).toBe(0);
    expect(cell.lines).toBe(1 << 9);
    expect(rings(() => cell.drive(9, false))).toBe(1);
    expect(rings(() => cell.raise(1))).toBe(1);
    expect([cell.takeRaised(), cell.takeRaised()]).toEqual([2, 0]);
    expect(rings(() => cell.flush())).toBe(1);
    expect([cell.takeFlush(), cell.takeFlush()]).toEqual([true, false]);
  });

  test("for a request at the machine, for its answer at the hart", () => {
    const shared = new Shared(2);
    const [cell] = shared.cells;
    cell.ask(Request.load);
    expect([shared.bell[0], cell.request, cell.rung]).toEqual([1, Request.load, 0]);
    cell.answer();
    expect([shared.bell[0], cell.request, cell.rung]).toEqual([1, Request.none, 1]);
  });
});

test("a hart sleeps only as long as its bell is silent", () => {
  const [cell] = new Shared(1).cells;
  expect(cell.asleepSince).toBe(-1);
  cell.noteSeen(cell.rung);
  cell.state = ThreadState.asleep;
  expect(cell.asleepSince).toBe(0);
  cell.raise(1);
  expect(cell.asleepSince).toBe(-1);
  cell.noteSeen(cell.rung);
  cell.state = ThreadState.waiting;
  expect(cell.asleepSince).toBe(-1);
});

test("of two who start a hart, one does", () => {
  const [, cell] = new Shared(2).cells;
  expect([cell.start(1n, 2n), cell.start(3n, 4n)]).toEqual([true, false]);
  expect([cell.life, cell.startPc, cell.startOpaque]).toEqual([Life.starting, 1n, 2n]);
  cell.startOver();
  expect([cell.life, cell.powerOns]).toEqual([Life.stopped, 1]);
});

test("a fence is done when all have done it", () => {
  const { cells } = new Shared(3);
  cells[2].askForFence([cells[0], cells[1]], false, 0x1000n, 0x2000n);
  expect(cells.map((cell) => cell.takeFences())).toEqual([4, 4, 0]);
  expect(cells[2].fence).toEqual({ instructions: false, start: 0x1000n, size: 0x2000n });
  cells[2].fenceDone();
  expect(cells[2].fencesLeft).toBe(1);
  cells[2].fenceDone();
  expect(cells[2].fencesLeft).toBe(0);
});

test("figures of several harts are added up", () => {
  const asked = { fetch: 1, load: 2, store: 3, atomic: 4, decode: 5, service: 6 };
  const one = { translation: undefined, found: { interpreter: 1, quick: 2, thorough: 3 }, asked };
  expect(total([one, one])).toMatchObject({ found: { interpreter: 2, thorough: 6 }, asked: { load: 4, service: 12 } });
  expect(total([])).toMatchObject({ translation: undefined, found: { quick: 0 } });
});
