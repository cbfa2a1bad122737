import { expect, test } from "bun:test";
import { SeededRandom } from "../../src/machine/random.ts";

const draw = (random: SeededRandom, count: number) => Array.from({ length: count }, () => random.next());

test("the same seed gives the same numbers, another seed others", () => {
  const numbers = draw(new SeededRandom(1), 100);
  expect(draw(new SeededRandom(1), 100)).toEqual(numbers);
  expect(draw(new SeededRandom(2), 100)).not.toEqual(numbers);
  // Seeds that differ above 32 bits only.
  expect(draw(new SeededRandom(1 + 2 ** 40), 100)).not.toEqual(numbers);
});

test("its state can be taken and put back", () => {
  const random = new SeededRandom(7);
  draw(random, 5);
  const { state } = random;
  const next = draw(random, 10);
  random.state = state;
  expect(draw(random, 10)).toEqual(next);
});

test("fills with every byte about as often", () => {
  const into = new Uint8Array(1 << 16);
  new SeededRandom(3).fill(into);
  const counts = new Array(256).fill(0);
  for (const byte of into) counts[byte]++;
  expect(Math.min(...counts)).toBeGreaterThan(180);
  expect(Math.max(...counts)).toBeLessThan(340);
});

test("numbers are unsigned", () => {
  for (const number of draw(new SeededRandom(5), 1000)) expect(number).toBeWithin(0, 2 ** 32);
});
