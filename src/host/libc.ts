/** Calls of the C library, for what the runtime has none of its own for. */
import { dlopen, type FFIFunction, type Library } from "bun:ffi";

/** Linux with glibc, and with musl. */
const NAMES = process.platform === "linux" ? ["libc.so.6", "libc.so"] : [];

/** The calls asked for, or `undefined` where the host has no C library with all of them. */
export function libc<const Calls extends Record<string, FFIFunction>>(
  calls: Calls,
): Library<Calls>["symbols"] | undefined {
  for (const name of NAMES) {
    try {
      return dlopen(name, calls).symbols;
    } catch {
      // The next name, or none.
    }
  }
  return undefined;
}

/** Where a call of {@link libc} is, for compiled code to make it. */
export function callAddress(call: unknown): bigint {
  // Bun gives each function of a library its address, and says so in no type.
  const { ptr } = call as { readonly ptr?: number };
  if (typeof ptr !== "number") throw new Error("this Bun does not tell where a library's functions are");
  return BigInt(ptr);
}

/** What `find` answers, which is asked once, when it is first needed. */
export function once<T>(find: () => T): () => T {
  let found: { readonly value: T } | undefined;
  return () => {
    found ??= { value: find() };
    return found.value;
  };
}
