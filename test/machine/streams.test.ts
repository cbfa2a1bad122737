import { describe, expect, test } from "bun:test";
import { VmrunError } from "../../src/diagnostics/diagnostic.ts";
import { BufferedStream, Streams } from "../../src/machine/streams.ts";

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
});

describe("the streams of a machine", () => {
  const make = () => {
    const files: Record<string, number[]> = {};
    const stdio = new BufferedStream(() => {});
    const createFile = (path: string) => {
      files[path] = [];
      return (piece: Uint8Array) => void files[path].push(...piece);
    };
    return { files, stdio, streams: new Streams({ stdio, createFile }) };
  };

  test("are the terminal, files, or nothing", () => {
    const { files, stdio, streams } = make();
    expect(streams.open("stdio")).toBe(stdio);
    const file = streams.open("file:/a:b");
    const nothing = streams.open("null");
    file.write(65);
    nothing.write(66);
    expect(files).toEqual({ "/a:b": [] });
    streams.flush();
    expect(files).toEqual({ "/a:b": [65] });
  });

  test("are nothing else", () => {
    const { streams } = make();
    for (const spec of ["", "stdout", "FILE:x"]) expect(() => streams.open(spec)).toThrow(VmrunError);
  });
});
