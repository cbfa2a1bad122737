// Random bytes of the host: more than one call gives, and all of them.
import { expect, test } from "bun:test";
import { hostRandom } from "../../src/host/random.ts";

test("fills everything, however much it is", () => {
  const bytes = new Uint8Array(200_001);
  hostRandom(bytes);
  // Of 65536 random bytes and their rest, no stretch of 64 is all zeroes.
  for (let at = 0; at + 64 <= bytes.length; at += 64) expect(bytes.subarray(at, at + 64).some(Boolean)).toBe(true);
  expect(bytes.subarray(-64).some(Boolean)).toBe(true);
});
