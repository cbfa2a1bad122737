// The encodings of the binary format, at their edges. WebAssembly Core §5.2
import { describe, expect, test } from "bun:test";
import { ByteWriter } from "../../src/wasm/bytes.ts";

function written(write: (out: ByteWriter) => void): number[] {
  const out = new ByteWriter();
  write(out);
  expect(out.length).toBe(out.finish().length);
  return [...out.finish()];
}

/** LEB128 read back, for a check that does not share the writer's ideas. */
function decode(bytes: readonly number[], signed: boolean): bigint {
  let value = 0n;
  bytes.forEach((byte, i) => {
    value |= BigInt(byte & 127) << BigInt(7 * i);
    expect(byte >> 7).toBe(i === bytes.length - 1 ? 0 : 1);
  });
  const bits = 7 * bytes.length;
  return signed ? BigInt.asIntN(bits, value) : value;
}

const edges = [0, 1, 63, 64, 65, 127, 128, 8191, 8192, 16383, 16384, 2 ** 20, 2 ** 27 - 1, 2 ** 28, 2 ** 31 - 1];

describe("LEB128", () => {
  test.each([...edges, 2 ** 31, 2 ** 32 - 1])("unsigned %d", (value) => {
    const bytes = written((out) => out.unsigned(value));
    expect(decode(bytes, false)).toBe(BigInt(value));
    expect(bytes.length).toBe(Math.max(1, Math.ceil(Math.log2(value + 1) / 7)));
  });

  test.each([...edges, ...edges.map((n) => -n), -(2 ** 31)])("signed 32 %d", (value) => {
    const bytes = written((out) => out.signed32(value));
    expect(decode(bytes, true)).toBe(BigInt(value));
    expect(bytes.length).toBeLessThanOrEqual(5);
  });

  test.each([0n, 1n, -1n, 63n, 64n, -64n, -65n, 2n ** 31n, -(2n ** 31n), 2n ** 62n, 2n ** 63n - 1n, -(2n ** 63n)])(
    "signed 64 %d",
    (value) => {
      const bytes = written((out) => out.signed64(value));
      expect(decode(bytes, true)).toBe(value);
      expect(bytes.length).toBeLessThanOrEqual(10);
    },
  );

  test("takes a 64-bit pattern for what it is signed", () => {
    expect(written((out) => out.signed64(2n ** 64n - 1n))).toEqual([0x7f]);
  });

  test("is as short as can be", () => {
    expect(written((out) => out.unsigned(127))).toEqual([0x7f]);
    expect(written((out) => out.signed32(63))).toEqual([0x3f]);
    expect(written((out) => out.signed32(64))).toEqual([0xc0, 0x00]);
    expect(written((out) => out.signed32(-64))).toEqual([0x40]);
    expect(written((out) => out.signed32(-65))).toEqual([0xbf, 0x7f]);
  });
});

test("floating-point numbers are little-endian IEEE 754", () => {
  expect(written((out) => out.float32(1))).toEqual([0, 0, 0x80, 0x3f]);
  expect(written((out) => out.float64(-2))).toEqual([0, 0, 0, 0, 0, 0, 0, 0xc0]);
});

test("names are UTF-8 with their length in bytes", () => {
  expect(written((out) => out.name("hé"))).toEqual([3, 0x68, 0xc3, 0xa9]);
});

test("the buffer grows by bytes and by leaps", () => {
  const bytes = written((out) => {
    for (let i = 0; i < 1000; i++) out.byte(i & 255);
    out.append(new Uint8Array(5000).fill(7));
  });
  expect(bytes).toHaveLength(6000);
  expect([bytes[256], bytes[999], bytes[1000], bytes[5999]]).toEqual([0, 999 & 255, 7, 7]);
});

test("what was finished does not change any more", () => {
  const out = new ByteWriter();
  out.byte(1);
  const bytes = out.finish();
  out.byte(2);
  expect([...bytes]).toEqual([1]);
});
