import { describe, expect, test } from "bun:test";
import { toJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";
import {
  address,
  frequency,
  inputFile,
  integer,
  parseFrequency,
  parseSize,
  size,
  stream,
} from "../../src/vdev/options.ts";

/** The first message about a value, or the value as parsed. */
function outcome<const Schema extends v.GenericSchema>(schema: Schema, input: unknown): unknown {
  const result = v.safeParse(schema, input);
  return result.success ? result.output : result.issues[0].message;
}

describe("size", () => {
  test("takes integers and binary units", () => {
    expect(outcome(size(), 4096)).toBe(4096);
    expect(outcome(size(), 0)).toBe(0);
    expect(outcome(size(), "4KiB")).toBe(4096);
    expect(outcome(size(), "256 MiB")).toBe(256 * 2 ** 20);
    expect(outcome(size(), "1.5GiB")).toBe(1.5 * 2 ** 30);
    expect(outcome(size(), "1_024B")).toBe(1024);
  });

  test("says what is wrong with others", () => {
    const expected = 'expected a size: an integer of bytes, or text such as "4KiB", "256MiB", "1GiB"';
    expect(outcome(size(), "256MB")).toBe(`${expected}; got "256MB"; did you mean "256MiB"?`);
    expect(outcome(size(), "4k")).toBe(`${expected}; got "4k"; did you mean "4KiB"?`);
    expect(outcome(size(), "0x1000")).toBe(`${expected}; got "0x1000"; write the number without quotes`);
    expect(outcome(size(), "lots")).toBe(`${expected}; got "lots"`);
    expect(outcome(size(), true)).toBe(`${expected}; got true`);
    expect(outcome(size(), {})).toBe(`${expected}; got a table`);
    expect(outcome(size(), -1)).toBe("a size is at least 0, not -1");
    expect(outcome(size(), 1.5)).toBe("a size is an integer, not 1.5");
    expect(outcome(size(), "0.3KiB")).toBe('"0.3KiB" is not a whole number of bytes below 2^53');
    expect(outcome(size(), "9000000TiB")).toBe('"9000000TiB" is not a whole number of bytes below 2^53');
  });

  test("a long run of digits is refused quickly", () => {
    expect(parseSize(`${"9".repeat(100_000)}TiB`)).toBeUndefined();
    expect(parseFrequency(`0.${"0".repeat(100_000)}1Hz`)).toBeUndefined();
  });
});

test("frequency is exact", () => {
  expect(outcome(frequency(), "10MHz")).toBe(10_000_000);
  expect(outcome(frequency(), "32768Hz")).toBe(32768);
  expect(outcome(frequency(), "3.6864MHz")).toBe(3_686_400);
  expect(outcome(frequency(), "1.8432 MHz")).toBe(1_843_200);
  expect(outcome(frequency(), 50)).toBe(50);
  expect(outcome(frequency(), 0)).toBe("a frequency is at least 1, not 0");
  expect(outcome(frequency(), "0Hz")).toBe('"0Hz" is not a whole, positive number of hertz below 2^53');
  expect(outcome(frequency(), "10Mhz")).toContain('got "10Mhz"');
});

test("address is an integer below 2^53", () => {
  expect(outcome(address(), 0x8000_0000)).toBe(0x8000_0000);
  expect(outcome(address(), 2 ** 53)).toBe("an address must be below 2^53");
  expect(outcome(address(), "0x1000")).toBe(
    'expected an address: an integer such as 0x1000_0000, without quotes; got "0x1000"',
  );
});

test("streams and files", () => {
  expect(outcome(stream(), "stdio")).toBe("stdio");
  expect(outcome(stream(), "file:a/b.log")).toBe("file:a/b.log");
  expect(outcome(stream(), "file:")).toBe(
    'expected "file:OUT", "file:OUT<IN" or "file:<IN", paths of files; got "file:"',
  );
  expect(outcome(stream(), "tcp:localhost:99999")).toContain("with a port from 0 to 65535");
  expect(outcome(stream(), "serial")).toStartWith('expected a stream: "stdio", "null", "file:PATH", ');
  expect(outcome(stream(), 4)).toEndWith('"tty:PATH" or "process:COMMAND"; got 4');
  expect(outcome(inputFile(), "")).toBe("expected the path of a file, not empty text");
  expect(v.getMetadata(inputFile())).toEqual({ vmrun: "input-file" });
  expect(v.getMetadata(stream())).toEqual({ vmrun: "stream" });
});

test("integers know their range", () => {
  expect(outcome(integer("a count", 1, 8), 9)).toBe("a count is at most 8, not 9");
  expect(outcome(integer("a count", 1, 8), "9")).toBe('expected a count: an integer, 1 to 8; got "9"');
});

test("all convert to JSON Schema", () => {
  const schema = v.object({
    size: v.optional(size(), "4KiB"),
    address: address(),
    clock: frequency(),
    file: inputFile(),
    host: v.optional(stream(), "null"),
  });
  const { properties = {}, required } = toJsonSchema(schema, { typeMode: "input" });
  expect(required).toEqual(["address", "clock", "file"]);
  expect(properties).toMatchObject({
    size: { default: "4KiB", title: "size", anyOf: [{ type: "integer", minimum: 0 }, { type: "string" }] },
    address: { type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
    clock: { anyOf: [{ type: "integer", minimum: 1 }, { type: "string" }] },
    file: { type: "string", minLength: 1, vmrun: "input-file" },
    host: { type: "string", default: "null" },
  });
});
