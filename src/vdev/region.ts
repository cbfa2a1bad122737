/** The bytes of one region: widths 1, 2 and 4; the bus splits 8-byte accesses, low half first. */
export interface RegionHandler {
  /** `offset` is inside the region and `offset + width` does not pass its end; it may be unaligned to `width`. Result unsigned. */
  read(offset: number, width: number): number;
  /** `value` is unsigned and below 2^(8·width). */
  write(offset: number, width: number, value: number): void;
}
