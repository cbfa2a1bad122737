/** What native code of a machine is made for, if this host's processor is one that we write code for. */
import { DATA_SIZE } from "../engine/native/common-code.ts";
import type { NativeHost } from "../engine/native/native-code.ts";
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
  return { bytes, data, address, functionAt, ...featuresOf(space), memory: addressOf(memory.buffer) };
}

/** CPUID with its argument for eax, 0 for ecx: what it gives in ecx, and in ebx. */
const ECX = [0x53, 0x89, 0xf8, 0x31, 0xc9, 0x0f, 0xa2, 0x89, 0xc8, 0x5b, 0xc3];
const EBX = [0x53, 0x89, 0xf8, 0x31, 0xc9, 0x0f, 0xa2, 0x89, 0xd8, 0x5b, 0xc3];
/** Leaf 1, ecx: FMA3; AVX, and a system that saves its registers. */
const FMA = 1 << 12;
const AVX = (1 << 28) | (1 << 27);
/** Leaf 7, ebx. */
const BMI2 = 1 << 8;

/** What the code that asks takes is written over afterwards. */
function featuresOf({ bytes, functionAt }: CodeSpace): Pick<NativeHost, "fusedMultiplyAdd" | "bitManipulation"> {
  const ask = (code: readonly number[], leaf: number) => {
    bytes.set(code);
    return functionAt(0)(leaf);
  };
  const hasLeaf7 = ask([0x53, 0x89, 0xf8, 0x31, 0xc9, 0x0f, 0xa2, 0x5b, 0xc3], 0) >= 7;
  return {
    fusedMultiplyAdd: (ask(ECX, 1) & (FMA | AVX)) === (FMA | AVX),
    bitManipulation: hasLeaf7 && (ask(EBX, 7) & BMI2) !== 0,
  };
}
