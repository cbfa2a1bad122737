import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { bareFolder } from "./folder.ts";
import { VIRT, vmrun } from "./vmrun.ts";

const folder = bareFolder();
const profile = join(folder, "board.toml");
writeFileSync(
  profile,
  `schema = 1
include = "${VIRT}"
[[clock]]
name = "hosc"
rate = "24MHz"
[[vdev]]
name = "uart0"
clocks = "hosc"
`,
);

test("the tree as a table, and as JSON", async () => {
  const { code, out } = await vmrun(["clocks", profile]);
  expect([code, out]).toEqual([
    0,
    "CLOCK    RATE  STATE  GUEST GETS  GUEST MAY CHANGE  USED BY\nhosc   24 MHz  on     fixed       nothing           uart0\n",
  ]);
  const json = await vmrun(["clocks", "--json", profile]);
  expect(JSON.parse(json.out)).toMatchObject([{ clock: "hosc", rate: 24e6, users: ["uart0"] }]);
});

test("a board without clocks has none to show", async () => {
  const { code, err } = await vmrun(["clocks", VIRT]);
  expect(code).toBe(2);
  expect(err).toContain("has no [[clock]] tables");
});
