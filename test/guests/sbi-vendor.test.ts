/** A kernel that makes firmware calls of the vendor extension: on vmrun's own SBI, and over OpenSBI's head. */
import { expect, test } from "bun:test";
import { vmrun } from "../cli/vmrun.ts";
import { findImage } from "./images.ts";

const DEVICES = "profiles/devices-rv64.toml";
const KERNEL = "firmware/sbi/vendor.elf";
/** Error and value of each call; of values that come with an error nothing is promised. */
const ANSWERS = [
  /^probe 0 1$/,
  /^version 0 1$/,
  /^count 0 5$/,
  /^count 0 10$/,
  /^count 0 15$/,
  /^count -3 /,
  /^unknown function -2 /,
  /^other extension -2 /,
];

async function answers(firmware: string): Promise<string[]> {
  const set = ["--set", `boot.firmware=${firmware}`, "--set", `boot.kernel=${KERNEL}`];
  const { code, out } = await vmrun([DEVICES, "--quiet", "--timeout", "60s", ...set]);
  expect(code).toBe(0);
  return out.split(/\r?\n/).filter((line) => ANSWERS.some((answer) => answer.test(line)));
}

test("on vmrun's own SBI", async () => {
  const lines = await answers("builtin");
  expect(lines).toHaveLength(ANSWERS.length);
  for (const [i, answer] of ANSWERS.entries()) expect(lines[i]).toMatch(answer);
});

const opensbi = findImage("debian/fw_dynamic.bin");
test.skipIf(opensbi === undefined)(
  "over the head of OpenSBI",
  async () => {
    const lines = await answers(opensbi!);
    expect(lines).toHaveLength(ANSWERS.length);
    for (const [i, answer] of ANSWERS.entries()) expect(lines[i]).toMatch(answer);
  },
  60_000,
);
