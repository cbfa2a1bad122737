/** What native code of a machine is made for, if this host's processor is one that we write code for. */
import { DATA_SIZE } from "../engine/native/common-code.ts";
import type { NativeHost } from "../engine/native/native-code.ts";
import { type PageWindow, WINDOW_SIZE } from "../engine/native/runs.ts";
import { type CodeSpace, createCodeSpace } from "../host/machine-code.ts";
import { addressOf } from "../host/mapping.ts";
import { Mirror } from "../host/mirror.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";

/** More than this and all of it is let go: a Linux guest of many programs needs a tenth. */
const CODE_SIZE = 0x400_0000;
/** x86-64's. */
const PAGE = 4096;

/** @param onOpen Told of a window onto the memory, which is to be released when the guest has ended. Without it there is none. */
export function nativeHost(guest: GuestMemory, onOpen?: (mirror: Mirror) => void): NativeHost | undefined {
  const { memory } = guest;
  const space = createCodeSpace("x64", CODE_SIZE, Math.ceil(DATA_SIZE / PAGE) * PAGE);
  if (space === undefined) return undefined;
  const { bytes, data, address, functionAt } = space;
  const host = { bytes, data, address, functionAt, ...featuresOf(space), memory: addressOf(memory.buffer) };
  return onOpen ? { ...host, openWindow: () => windowOnto(guest, onOpen) } : host;
}

/** Onto the largest block. */
function windowOnto({ memory, blocks }: GuestMemory, onOpen: (mirror: Mirror) => void): PageWindow | undefined {
  const { offset, size } = blocks.reduce((largest, block) => (block.size > largest.size ? block : largest));
  const mirror = Mirror.open({ buffer: memory.buffer, offset, length: size }, WINDOW_SIZE);
  if (mirror === undefined) return undefined;
  onOpen(mirror);
  const window = { address: mirror.address, start: offset, length: size };
  return {
    ...window,
    show: (page, at) => mirror.show(page, at),
    hide: (at, length) => mirror.hide(at, length),
  };
}

/** CPUID with its argument for eax, 0 for ecx: what it gives in ecx, and in ebx. */
const ECX = [0x53, 0x89, 0xf8, 0x31, 0xc9, 0x0f, 0xa2, 0x89, 0xc8, 0x5b, 0xc3];
const EBX = [0x53, 0x89, 0xf8, 0x31, 0xc9, 0x0f, 0xa2, 0x89, 0xd8, 0x5b, 0xc3];
/** Leaf 1, ecx: FMA3; AVX, and a system that saves its registers. */
const FMA = 1 << 12;
const AVX = (1 << 28) | (1 << 27);
/** Leaf 7, ebx. */
const BMI = (1 << 3) | (1 << 8);

/** What the code that asks takes is written over afterwards. */
function featuresOf({ bytes, functionAt }: CodeSpace): Pick<NativeHost, "fusedMultiplyAdd" | "bitManipulation"> {
  const ask = (code: readonly number[], leaf: number) => {
    bytes.set(code);
    return functionAt(0)(leaf);
  };
  const hasLeaf7 = ask([0x53, 0x89, 0xf8, 0x31, 0xc9, 0x0f, 0xa2, 0x5b, 0xc3], 0) >= 7;
  return {
    fusedMultiplyAdd: (ask(ECX, 1) & (FMA | AVX)) === (FMA | AVX),
    bitManipulation: hasLeaf7 && (ask(EBX, 7) & BMI) === BMI,
  };
}
