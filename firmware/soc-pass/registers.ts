/** Registers of 32 bits that are accessed in any width: the bytes of a device, and what a write to one of them does. */

export class Registers {
  readonly view: DataView;

  constructor(size: number) {
    this.view = new DataView(new ArrayBuffer(size));
  }

  get(offset: number): number {
    return this.view.getUint32(offset, true);
  }
  set(offset: number, value: number): void {
    this.view.setUint32(offset, value >>> 0, true);
  }

  load(offset: number, width: number): number {
    return width === 1
      ? this.view.getUint8(offset)
      : width === 2
        ? this.view.getUint16(offset, true)
        : this.view.getUint32(offset, true);
  }

  /** What the register at `offset` would hold after the write. */
  written(offset: number, width: number, value: number): number {
    const shift = 8 * (offset % 4);
    const mask = (2 ** (8 * width) - 1) * 2 ** shift;
    return ((this.get(offset & ~3) & ~mask) | (value << shift)) >>> 0;
  }
}
