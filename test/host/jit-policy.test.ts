// The start's reluctance to compile, and that a Bun without such a thing does without.
import { afterEach, expect, test } from "bun:test";
import { compileAsUsual, compileReluctantly } from "../../src/host/jit-policy.ts";

const { setJITPolicy } = Bun.unsafe;
afterEach(() => {
  Bun.unsafe.setJITPolicy = setJITPolicy;
});

test("code is compiled reluctantly until it is not any more", () => {
  const policies: number[] = [];
  Bun.unsafe.setJITPolicy = (scale) => void policies.push(scale);
  compileReluctantly();
  compileAsUsual();
  expect(policies[0]).toBeGreaterThan(1);
  expect(policies[1]).toBe(1);
});

test("a Bun that knows no policies compiles as it does", () => {
  Object.assign(Bun.unsafe, { setJITPolicy: undefined });
  expect(compileReluctantly).not.toThrow();
  expect(compileAsUsual).not.toThrow();
});
