/** A guest that starts a watchdog and leaves it alone: the run ends with a code of its own. */
import { expect, test } from "bun:test";
import { vmrun } from "../cli/vmrun.ts";

test("terminate: exit code 11", async () => {
  // WdogLoad, then WdogControl: interrupt and reset output.
  const input = "mw 10012000 1000\nmw 10012008 3\nsleep 1000\n";
  const set = ["--set", "vdev.watchdog.action=terminate"];
  const { code, err } = await vmrun(["profiles/devices-rv64.toml", ...set], input);
  expect(err).toContain("watchdog: expired twice without an answer: terminate\n");
  expect(err).toContain("vmrun: ended by a watchdog that the guest did not answer: ");
  expect(code).toBe(11);
});
