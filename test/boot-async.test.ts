/** The library boots a profile that brings vdevs of its own. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { newVdev } from "../src/cli/new/vdev.ts";
import { boot, bootAsync } from "../src/index.ts";
import { bareFolder } from "./cli/folder.ts";

test("bootAsync imports a profile's vdevs, and boot says that it would have to", async () => {
  const folder = bareFolder();
  for (const [path, text] of Object.entries(newVdev("mine", folder).files)) writeFileSync(path, text);
  const profile = join(folder, "mine.toml");
  using guest = await bootAsync(profile, { set: ["boot.cmdline=nocolor"] });
  expect(guest.runUntil({ text: "monitor> " })).toBe("text");
  guest.type("md.w 10100000 1\n");
  expect(guest.runUntil({ text: "766d7275" })).toBe("text");
  expect(() => boot(profile)).toThrow("profile/use");
});
