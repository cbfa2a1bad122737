/** What native code of a machine is made for, if this host's processor is one that we write code for. */
import type { NativeHost } from "../engine/native/native-code.ts";
import { createCodeSpace } from "../host/machine-code.ts";
import { addressOf } from "../host/mapping.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";

/** More than this and all of it is let go: a Linux guest of many programs needs a tenth. */
const CODE_SIZE = 0x400_0000;

export function nativeHost({ memory }: GuestMemory): NativeHost | undefined {
  const space = createCodeSpace("x64", CODE_SIZE);
  if (space === undefined) return undefined;
  const { bytes, address, functionAt } = space;
  return { bytes, address, functionAt, memory: addressOf(memory.buffer) };
}
