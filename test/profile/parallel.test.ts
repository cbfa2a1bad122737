// Harts that run at once, and what they cannot have.
import { expect, test } from "bun:test";
import { BASE, codes, load, refused } from "./support.ts";

const PARALLEL = "[cpu]\nharts = 2\nparallel = true\n";
const HOST = '[time]\nmode = "host"\n';

test("harts take turns unless the profile says otherwise", () => {
  expect(load(BASE).board.cpu.parallel).toBe(false);
  expect(load(BASE + PARALLEL + HOST).board.cpu).toMatchObject({ harts: 2, parallel: true });
});

test("virtual time cannot be had", () => {
  expect(refused(BASE + PARALLEL)).toMatchInlineSnapshot(`
    "board.toml:11:12: error[profile/parallel]: cpu.parallel: harts that run at once pass no virtual time, which counts the instructions of all in order
       11 | parallel = true
          |            ^^^^
      hint: mode = "host" in [time], or parallel = false: harts take turns"
  `);
  expect(codes(BASE + PARALLEL.replace("2", "1"))).toEqual(["profile/parallel"]);
});

test("memory that cannot be shared, devices with memory of their own, and counts of exits", () => {
  const memory = '[[memory]]\nname = "big"\nsize = "2MiB"\nbacking = "huge"\n';
  const vdev = '[[pass]]\nname = "window"\nat = 0x5000_0000\nsize = "4KiB"\nhost = "shm:x"\nmemory = "cached"\n';
  expect(refused(`${BASE}${memory}${vdev}${PARALLEL}${HOST}[budget.boot]\nexits = 5\n`)).toMatchInlineSnapshot(`
    "board.toml:12:11: error[profile/parallel]: memory.big.backing = "huge" cannot be shared by harts that run at once
       12 | backing = "huge"
          |           ^^^^^^
    board.toml:21:12: note: harts are to run at once
       21 | parallel = true
          |            ^^^^
      hint: backing = "memfd" can, and so can memory of its own; or parallel = false: harts take turns
    board.toml:14:8: error[profile/parallel]: pass.window has memory behind its region "window", which harts that run at once cannot share
       14 | name = "window"
          |        ^^^^^^^^
    board.toml:21:12: note: harts are to run at once
       21 | parallel = true
          |            ^^^^
      hint: parallel = false: harts take turns
    board.toml:24:9: error[profile/parallel]: budget.boot counts exits, which are not counted where harts run at once
       24 | [budget.boot]
          |         ^^^^
    board.toml:21:12: note: harts are to run at once
       21 | parallel = true
          |            ^^^^
      hint: parallel = false: harts take turns"
  `);
  const shared = '[[memory]]\nname = "a"\nsize = "1MiB"\nbacking = "memfd"\n';
  expect(load(BASE + shared + PARALLEL + HOST).board.memory.map(({ backing }) => backing.kind)).toContain("memfd");
});
