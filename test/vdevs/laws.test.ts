/** The laws that every built-in vdev obeys. */
import { expect, test } from "bun:test";
import { createRegistry } from "../../src/vdev/registry.ts";
import { vdevLaws } from "../../src/vdev/testing.ts";
import { builtins } from "../../src/vdevs/index.ts";

test("the registry takes all of them", () => {
  expect(createRegistry(builtins).types()).toHaveLength(builtins.length);
});

for (const descriptor of builtins) vdevLaws(descriptor, { test });
