import { describe, expect, test } from "bun:test";
import { VmrunError } from "../../src/diagnostics/diagnostic.ts";
import { fieldMasks, type RegisterMap, registerLabel, registerMap } from "../../src/vdev/registers.ts";

function refusal(map: RegisterMap): string | undefined {
  try {
    registerMap(map);
  } catch (error) {
    if (error instanceof VmrunError) return error.message;
    throw error;
  }
  return undefined;
}

describe("registerMap refuses", () => {
  const cases: [string, RegisterMap, string][] = [
    ["a width that no bus has", { A: { at: 0, width: 3 as 4 } }, "A is 3 bytes wide"],
    ["a register that is not aligned", { A: { at: 2, width: 4 } }, "A is not aligned"],
    ["a reset value that does not fit", { A: { at: 0, width: 1, reset: 256 } }, "A cannot hold 256"],
    ["a fractional reset value", { A: { at: 0, width: 4, reset: 0.5 } }, "A cannot hold 0.5"],
    ["a field beyond the register", { A: { at: 0, width: 1, fields: { f: 8 } } }, "A.f has bits 8:8"],
    ["a field the wrong way round", { A: { at: 0, width: 1, fields: { f: [0, 3] } } }, "A.f has bits 0:3"],
    ["a stride below the width", { A: { at: 0, width: 4, count: 2, stride: 2 } }, "A has a stride of 2"],
    ["no registers at all", { A: { at: 0, width: 4, count: 0 } }, "A has a count of 0"],
    ["two registers at one place", { A: { at: 0, width: 4 }, B: { at: 2, width: 2 } }, "registers A and B lie over"],
    ["arrays that meet", { A: { at: 0, width: 4, count: 9 }, B: { at: 32, width: 4 } }, "registers A and B lie over"],
    [
      "interleaved arrays that meet late",
      { A: { at: 0, width: 4, count: 100, stride: 12 }, B: { at: 4, width: 4, count: 100, stride: 8 } },
      "registers A and B lie over",
    ],
  ];
  test.each(cases)("%s", (_what, map, message) => expect(refusal(map)).toContain(message));
});

describe("registerMap allows", () => {
  const cases: [string, RegisterMap][] = [
    [
      "a readable and a writable register at one place",
      { A: { at: 0, width: 1, access: "r" }, B: { at: 0, width: 1, access: "w" } },
    ],
    ["registers of another window", { A: { at: 0, width: 1 }, B: { at: 0, width: 1, window: "other" } }],
    [
      "interleaved arrays",
      { A: { at: 0, width: 4, count: 15872, stride: 4096 }, B: { at: 4, width: 4, count: 15872, stride: 4096 } },
    ],
    ["neighbours", { A: { at: 0, width: 4, count: 8 }, B: { at: 32, width: 4 } }],
    ["a register in a gap of an array", { A: { at: 0, width: 4, count: 8, stride: 16 }, B: { at: 20, width: 4 } }],
  ];
  test.each(cases)("%s", (_what, map) => expect(refusal(map)).toBeUndefined());
});

test("overlap agrees with a walk over all bytes", () => {
  let state = 7;
  const next = (below: number) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 16) % below;
  };
  const seen = { meeting: 0, apart: 0 };
  for (let round = 0; round < 2000; round++) {
    const make = () => {
      const width = ([1, 2, 4, 8] as const)[next(4)]!;
      return { at: next(12) * width, width, count: 1 + next(6), stride: width * (1 + next(4)) };
    };
    const [A, B] = [make(), make()];
    const bytes = (r: ReturnType<typeof make>) =>
      Array.from({ length: r.count }, (_, i) =>
        Array.from({ length: r.width }, (_, b) => r.at + i * r.stride + b),
      ).flat();
    const inA = new Set(bytes(A));
    const meeting = bytes(B).some((b) => inA.has(b));
    seen[meeting ? "meeting" : "apart"]++;
    expect(refusal({ A, B }) !== undefined).toBe(meeting);
  }
  expect(Math.min(seen.meeting, seen.apart)).toBeGreaterThan(200);
});

test("field masks are the bits in place", () => {
  const map = registerMap({
    A: { at: 0, width: 4, fields: { low: 0, middle: [7, 4], top: 31, all: { bits: [31, 0], about: "everything" } } },
  });
  expect(fieldMasks(map.A)).toEqual({ low: 1, middle: 0xf0, top: 0x8000_0000, all: 0xffff_ffff });
});

test("labels name what a trace shows", () => {
  const map = registerMap({
    RBR: { at: 0, width: 1, access: "r" },
    THR: { at: 0, width: 1, access: "w" },
    DLL: { at: 0, width: 1, window: "divisor" },
    COMPARE: { at: 0x40, width: 8, count: 4 },
    CLAIM: { at: 0x100, width: 4, count: 2, stride: 0x100 },
  });
  expect(registerLabel(map, 0, "read")).toBe("RBR");
  expect(registerLabel(map, 0, "write")).toBe("THR");
  expect(registerLabel(map, 0, "write", "divisor")).toBe("DLL");
  expect(registerLabel(map, 0x4c, "read")).toBe("COMPARE[1]+4");
  expect(registerLabel(map, 0x200, "read")).toBe("CLAIM[1]");
  expect(registerLabel(map, 0x204, "read")).toBeUndefined();
  expect(registerLabel(map, 0x300, "read")).toBeUndefined();
});
