/** What native code of a machine is made for, if this host's processor is one that we write code for. */
import { DATA_SIZE, type NativeHost } from "../engine/native/native-code.ts";
import { type CodeSpace, createCodeSpace } from "../host/machine-code.ts";
import { addressOf } from "../host/mapping.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";

/** More than this and all of it is let go: a Linux guest of many programs needs a tenth. */
const CODE_SIZE = 0x400_0000;
/** x86-64's. */
const PAGE = 4096;

export function nativeHost({ memory }: GuestMemory): NativeHost | undefined {
  const space = createCodeSpace("x64", CODE_SIZE, Math.ceil(DATA_SIZE / PAGE) * PAGE);
  if (space === undefined) return undefined;
  const { bytes, data, address, functionAt } = space;
  const fusedMultiplyAdd = hasFusedMultiplyAdd(space);
  return { bytes, data, address, functionAt, fusedMultiplyAdd, memory: addressOf(memory.buffer) };
}

/** CPUID, leaf 1: what it gives in ecx. */
const FEATURES = [0x53, 0x89, 0xf8, 0x31, 0xc9, 0x0f, 0xa2, 0x89, 0xc8, 0x5b, 0xc3];
const FMA = 1 << 12;
/** AVX, and a system that saves its registers. */
const AVX = (1 << 28) | (1 << 27);

/** What the code that asks takes is written over afterwards. */
function hasFusedMultiplyAdd({ bytes, functionAt }: CodeSpace): boolean {
  bytes.set(FEATURES);
  return (functionAt(0)(1) & (FMA | AVX)) === (FMA | AVX);
}
