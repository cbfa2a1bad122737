// Windows onto a machine's memory: let go when it ends, and left alone where hardware has the same pages.
import { expect, test } from "bun:test";
import type { Mirror } from "../../src/host/mirror.ts";
import { Mirrors } from "../../src/machine/mirrors.ts";
import type { Board } from "../../src/profile/board.ts";

function fake(): { readonly mirror: Mirror; readonly calls: string[] } {
  const calls: string[] = [];
  const mirror = { keep: () => calls.push("keep"), release: () => calls.push("release") };
  return { mirror: mirror as unknown as Mirror, calls };
}

const boardOf = (harts: number, ...kinds: readonly string[]) =>
  ({ cpu: { harts }, memory: kinds.map((kind) => ({ backing: { kind } })) }) as unknown as Board;
const PLAIN = boardOf(1, "anonymous");

test("those that are open and those that are opened later move nothing once hardware has the memory", () => {
  const mirrors = new Mirrors(PLAIN);
  const [early, late] = [fake(), fake()];
  mirrors.add!(early.mirror);
  expect(early.calls).toEqual([]);
  mirrors.keep();
  mirrors.add!(late.mirror);
  expect([early.calls, late.calls]).toEqual([["keep"], ["keep"]]);
});

test("all are released at the end, once", () => {
  const mirrors = new Mirrors(PLAIN);
  const all = [fake(), fake()];
  for (const { mirror } of all) mirrors.add!(mirror);
  mirrors.release();
  mirrors.release();
  expect(all.map(({ calls }) => calls)).toEqual([["release"], ["release"]]);
});

test("there are some for one hart and plain memory alone", () => {
  const boards = [PLAIN, boardOf(2, "anonymous"), boardOf(1, "anonymous", "memfd")];
  expect(boards.map((board) => new Mirrors(board).add !== undefined)).toEqual([true, false, false]);
});
