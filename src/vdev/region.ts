/** The bytes of one region: widths 1, 2 and 4; the bus splits 8-byte accesses, low half first, where nothing takes them whole. */
export interface RegionHandler {
  /** `offset` is inside the region and `offset + width` does not pass its end; it may be unaligned to `width`. Result unsigned. */
  read(offset: number, width: number): number;
  /** `value` is unsigned and below 2^(8·width). */
  write(offset: number, width: number, value: number): void;
  /** Both or neither: for hardware on which one access is not two. Unsigned. */
  read64?(offset: number): bigint;
  write64?(offset: number, value: bigint): void;
}
