/** Numbers that VIRTIO 1.3 fixes for every device and transport. */

/** Feature bits that belong to no device type. VIRTIO 1.3 §6 */
export const Feature = {
  indirectDescriptors: 28,
  eventIndex: 29,
  version1: 32,
  ringReset: 40,
} as const;

/** Device status bits. VIRTIO 1.3 §2.1 */
export const Status = {
  acknowledge: 1,
  driver: 2,
  driverOk: 4,
  featuresOk: 8,
  needsReset: 0x40,
  failed: 0x80,
} as const;

/** A set of feature bits, in words of 32. VIRTIO 1.3 §2.2 gives 128 bits a meaning or a reservation. */
export class FeatureSet {
  static readonly words = 4;
  readonly #words = new Uint32Array(FeatureSet.words);

  constructor(bits: readonly number[] = []) {
    for (const bit of bits) this.#words[bit >>> 5] |= 1 << (bit & 31);
  }

  has(bit: number): boolean {
    return ((this.#words[bit >>> 5] >>> (bit & 31)) & 1) === 1;
  }

  /** Word `index` of the set; 0 beyond its end. */
  word(index: number): number {
    return index < FeatureSet.words ? this.#words[index] : 0;
  }

  /** `false` where `index` is beyond the set. */
  setWord(index: number, value: number): boolean {
    if (index >= FeatureSet.words) return false;
    this.#words[index] = value;
    return true;
  }

  /** Whether every bit of this set is in `other`. */
  within(other: FeatureSet): boolean {
    return this.#words.every((word, index) => (word & ~other.word(index)) === 0);
  }

  clear(): void {
    this.#words.fill(0);
  }

  toJSON(): number[] {
    return [...this.#words];
  }
}
