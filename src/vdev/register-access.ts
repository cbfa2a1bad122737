/** Accesses to one register of a bank, as wide as it is stored: what there is to find out about it is found out once. */
import type { RegisterReader, RegisterWriter, StoredRegister } from "./region.ts";
import type { RegisterHooks } from "./register-bank.ts";

/** Where a register is in its bank. */
export interface RegisterPlace {
  /** Its word in the storage. */
  readonly word: number;
  /** The bits of its width: a register of 8 bytes is two of 4. */
  readonly mask: number;
  readonly index: number;
  readonly half: number;
}

/** A read gives what is stored. */
export class StoredReader implements RegisterReader {
  readonly stored: StoredRegister;

  constructor(words: Uint32Array, { word, mask }: RegisterPlace) {
    this.stored = { words, word, mask, clears: 0 };
  }

  read(): number {
    const { words, word, mask } = this.stored;
    return (words[word]! & mask) >>> 0;
  }
}

/** A read looks at the device first, or clears bits that it gives, or both. */
export class ClearingReader implements RegisterReader {
  readonly stored: StoredRegister | undefined;
  readonly #words: Uint32Array;
  readonly #word: number;
  readonly #mask: number;
  readonly #index: number;
  readonly #half: number;
  readonly #cleared: number;
  readonly #hooks: RegisterHooks | undefined;
  readonly #refreshes: boolean;
  readonly #tells: boolean;

  constructor(
    words: Uint32Array,
    { word, mask, index, half }: RegisterPlace,
    clears: boolean,
    cleared: number,
    hooks: RegisterHooks | undefined,
  ) {
    this.#words = words;
    this.#word = word;
    this.#mask = mask;
    this.#index = index;
    this.#half = half;
    this.#cleared = cleared;
    this.#hooks = hooks;
    this.#refreshes = hooks?.refresh !== undefined;
    this.#tells = clears && hooks?.taken !== undefined;
    if (!this.#refreshes && !this.#tells) this.stored = { words, word, mask, clears: cleared };
  }

  read(): number {
    if (this.#refreshes) this.#hooks!.refresh!();
    const stored = this.#words[this.#word]!;
    const value = (stored & this.#mask) >>> 0;
    this.#words[this.#word] = stored & ~this.#cleared;
    if (this.#tells) this.#hooks!.taken!(value, this.#index, this.#half);
    return value;
  }
}

/** A read is a hook's affair. */
export class HookReader implements RegisterReader {
  readonly #hooks: RegisterHooks;
  readonly #index: number;
  readonly #half: number;
  readonly #mask: number;

  constructor(hooks: RegisterHooks, { index, half, mask }: RegisterPlace) {
    this.#hooks = hooks;
    this.#index = index;
    this.#half = half;
    this.#mask = mask;
  }

  read(): number {
    return (this.#hooks.read!(this.#index, this.#half) & this.#mask) >>> 0;
  }
}

/** A write stores, and a hook may be told. */
export class StoredWriter implements RegisterWriter {
  readonly stored: StoredRegister | undefined;
  readonly #words: Uint32Array;
  readonly #word: number;
  readonly #writable: number;
  readonly #index: number;
  readonly #half: number;
  readonly #hooks: RegisterHooks | undefined;

  constructor(
    words: Uint32Array,
    { word, index, half }: RegisterPlace,
    writable: number,
    hooks: RegisterHooks | undefined,
  ) {
    this.#words = words;
    this.#word = word;
    this.#writable = writable;
    this.#index = index;
    this.#half = half;
    this.#hooks = hooks;
    if (hooks === undefined) this.stored = { words, word, mask: writable, clears: 0 };
  }

  write(value: number): void {
    const before = this.#words[this.#word]!;
    const stored = ((before & ~this.#writable) | (value & this.#writable)) >>> 0;
    this.#words[this.#word] = stored;
    if (this.#hooks !== undefined) this.#hooks.write!(stored, this.#index, this.#half, before);
  }
}
