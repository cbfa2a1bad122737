import { describe, expect, test } from "bun:test";
import { BufferedStream } from "../../src/machine/buffered-stream.ts";

const bytes = (...values: number[]) => Uint8Array.from(values);

describe("a buffered stream", () => {
  test("gives input byte by byte, across pieces", () => {
    const stream = new BufferedStream(() => {});
    stream.push(bytes(1, 2));
    stream.push(bytes());
    stream.push(bytes(3));
    expect(stream.waiting).toBe(3);
    expect([stream.read(), stream.read(), stream.read(), stream.read()]).toEqual([1, 2, 3, -1]);
    expect(stream.waiting).toBe(0);
  });

  test("tells its reader that input waits, but not of none", () => {
    const stream = new BufferedStream(() => {});
    let told = 0;
    stream.onInput = () => told++;
    stream.push(bytes());
    stream.push(bytes(1));
    expect(told).toBe(1);
  });

  test("keeps its own copy of input and output", () => {
    const out: Uint8Array[] = [];
    const stream = new BufferedStream((piece) => void out.push(piece));
    const input = bytes(1);
    stream.push(input);
    input[0] = 9;
    expect(stream.read()).toBe(1);
    stream.write(5);
    stream.flush();
    stream.write(6);
    stream.flush();
    expect(out.map((piece) => [...piece])).toEqual([[5], [6]]);
  });

  test("hands output on in batches, none of them empty", () => {
    const sizes: number[] = [];
    const stream = new BufferedStream((piece) => void sizes.push(piece.length));
    for (let i = 0; i < 16384 + 10; i++) stream.write(i & 255);
    expect(sizes).toEqual([16384]);
    stream.flush();
    stream.flush();
    expect(sizes).toEqual([16384, 10]);
  });

  test("asks a feeder to hold back", () => {
    const stream = new BufferedStream(() => {});
    stream.push(new Uint8Array(2 ** 20 - 1));
    expect(stream.full).toBe(false);
    stream.push(bytes(1));
    expect(stream.full).toBe(true);
    stream.read();
    expect(stream.full).toBe(false);
  });

  test("fetches input, where it is fed, when what waits has been read", () => {
    const stream = new BufferedStream(() => {});
    const pieces = [bytes(1, 2), bytes(3)];
    let asked = 0;
    stream.feed(() => {
      asked++;
      return pieces.shift();
    });
    expect([stream.waiting, asked]).toEqual([2, 1]);
    expect([stream.read(), stream.waiting, asked]).toEqual([1, 1, 1]);
    expect([stream.read(), stream.waiting, asked]).toEqual([2, 1, 2]);
    expect([stream.read(), stream.waiting, asked]).toEqual([3, 0, 3]);
    expect([stream.read(), stream.waiting, asked]).toEqual([-1, 0, 3]);
  });
});
