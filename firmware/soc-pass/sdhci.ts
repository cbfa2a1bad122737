/** An SD host controller with a card that is always there: programmed I/O, no DMA. SD Host Controller Simplified Specification 3.00. */
import type { Emmc, Reply, Transfer } from "./emmc.ts";

/** §2.1 */
const Register = {
  blockSize: 0x04,
  blockCount: 0x06,
  argument: 0x08,
  transferMode: 0x0c,
  command: 0x0e,
  response: 0x10,
  buffer: 0x20,
  present: 0x24,
  clock: 0x2c,
  softwareReset: 0x2f,
  status: 0x30,
  statusEnable: 0x34,
  signalEnable: 0x38,
  capabilities: 0x40,
  version: 0xfe,
} as const;

const Interrupt = {
  command: 1 << 0,
  transfer: 1 << 1,
  writeReady: 1 << 4,
  readReady: 1 << 5,
  error: 1 << 15,
  commandTimeout: 1 << 16,
} as const;

/** Present State, §2.2.9: a card, inserted, stable, not write-protected; all data lines high. */
const CARD = 0x01ff_0000;
const WRITE_BUFFER = 1 << 10;
const READ_BUFFER = 1 << 11;
/** Of {@link Register.clock}: an internal clock that is on is stable. §2.2.14 */
const CLOCK_ON = 1 << 0;
const CLOCK_STABLE = 1 << 1;
/** 50 MHz, 8 bits wide, high speed, 3.3 V, blocks of 512 bytes; timeouts by 1 MHz. §2.2.26 */
const CAPABILITIES = (1 << 24) | (1 << 21) | (1 << 18) | (50 << 8) | (1 << 7) | 1;
/** Specification 3.00. */
const VERSION = 2;
const SIZE = 0x100;

export class Sdhci {
  readonly #card: Emmc;
  /** The line changed; called with its level. */
  onInterrupt: (level: boolean) => void = () => {};
  readonly #bytes = new DataView(new ArrayBuffer(SIZE));
  #transfer: Transfer | undefined;
  #block = new Uint8Array(512);
  /** In {@link #block}: the next byte. */
  #at = 0;
  #blocksLeft = 0;
  #status = 0;

  constructor(card: Emmc) {
    this.#card = card;
    this.reset();
  }

  reset(): void {
    for (let i = 0; i < SIZE; i += 4) this.#bytes.setUint32(i, 0, true);
    this.#bytes.setUint32(Register.capabilities, CAPABILITIES, true);
    this.#bytes.setUint16(Register.version, VERSION, true);
    this.#transfer = undefined;
    this.#status = 0;
    this.onInterrupt(false);
  }

  load(offset: number, width: number): number {
    if (offset >= SIZE) return 0;
    if (offset === Register.buffer) return this.#fromBuffer(width);
    this.#bytes.setUint32(Register.present, this.#present(), true);
    this.#bytes.setUint32(Register.status, this.#visibleStatus(), true);
    return width === 1
      ? this.#bytes.getUint8(offset)
      : width === 2
        ? this.#bytes.getUint16(offset, true)
        : this.#bytes.getUint32(offset, true);
  }

  store(offset: number, width: number, value: number): void {
    if (offset === Register.buffer) return this.#toBuffer(width, value);
    for (let i = 0; i < width && offset + i < SIZE; i++) this.#storeByte(offset + i, (value >>> (8 * i)) & 0xff);
    this.#drive();
  }

  #storeByte(offset: number, value: number): void {
    if (offset >= Register.status && offset < Register.statusEnable) {
      this.#status &= ~(value << (8 * (offset - Register.status)));
      return;
    }
    if (offset === Register.softwareReset) return this.#softwareReset(value);
    const constant = offset >= Register.capabilities && offset !== 0xfc;
    if (constant || (offset >= Register.response && offset < Register.present + 4)) return;
    const clock = offset === Register.clock && (value & CLOCK_ON) !== 0;
    this.#bytes.setUint8(offset, clock ? value | CLOCK_STABLE : value);
    // The upper byte of the command starts it. §2.2.6
    if (offset === Register.command + 1) this.#command();
  }

  /** Bit 0 all, bit 1 the command line, bit 2 the data lines. §2.2.16 */
  #softwareReset(value: number): void {
    if ((value & 1) !== 0) this.reset();
    else if ((value & 4) !== 0) this.#transfer = undefined;
  }

  #command(): void {
    const command = this.#bytes.getUint16(Register.command, true);
    const index = (command >>> 8) & 0x3f;
    const withData = (command & (1 << 5)) !== 0;
    const { reply, transfer } = this.#card.command(index, this.#bytes.getUint32(Register.argument, true));
    const expected = (command & 3) !== 0;
    if (expected && reply.kind === "none") return this.#raise(Interrupt.commandTimeout);
    if (index === 8 && !withData) return this.#raise(Interrupt.commandTimeout);
    this.#respond(reply);
    this.#raise(Interrupt.command);
    if (withData && transfer) this.#begin(transfer);
    // A response with busy ends with the transfer. §2.2.18
    else if ((command & 3) === 3) this.#raise(Interrupt.transfer);
  }

  #respond(reply: Reply): void {
    if (reply.kind === "short") this.#bytes.setUint32(Register.response, reply.value, true);
    if (reply.kind === "long") {
      for (const [i, byte] of reply.bytes.entries()) this.#bytes.setUint8(Register.response + 14 - i, byte);
    }
  }

  #begin(transfer: Transfer): void {
    const mode = this.#bytes.getUint16(Register.transferMode, true);
    const multiple = (mode & (1 << 5)) !== 0;
    this.#block = new Uint8Array(this.#bytes.getUint16(Register.blockSize, true) & 0xfff || 512);
    this.#blocksLeft = multiple ? this.#bytes.getUint16(Register.blockCount, true) : 1;
    this.#transfer = transfer;
    this.#next();
  }

  /** The buffer is ready for another block, or the transfer is done. */
  #next(): void {
    this.#at = 0;
    if (this.#blocksLeft === 0) {
      this.#transfer = undefined;
      return this.#raise(Interrupt.transfer);
    }
    this.#blocksLeft--;
    if (this.#transfer?.kind === "from-card") {
      const whole = new Uint8Array(512);
      this.#transfer.read(whole);
      this.#block.set(whole.subarray(0, this.#block.length));
      this.#raise(Interrupt.readReady);
    } else this.#raise(Interrupt.writeReady);
  }

  #fromBuffer(width: number): number {
    if (this.#transfer?.kind !== "from-card") return 0;
    let value = 0;
    for (let i = 0; i < width; i++) value += (this.#block[this.#at++] ?? 0) * 2 ** (8 * i);
    if (this.#at >= this.#block.length) this.#next();
    this.#drive();
    return value;
  }

  #toBuffer(width: number, value: number): void {
    if (this.#transfer?.kind !== "to-card") return;
    for (let i = 0; i < width; i++) this.#block[this.#at++] = value >>> (8 * i);
    if (this.#at >= this.#block.length) {
      this.#transfer.write(this.#block);
      this.#next();
    }
    this.#drive();
  }

  #present(): number {
    const { kind } = this.#transfer ?? {};
    return CARD | (kind === "from-card" ? READ_BUFFER : 0) | (kind === "to-card" ? WRITE_BUFFER : 0);
  }

  #raise(bits: number): void {
    // Only what is enabled is ever seen. §2.2.21
    this.#status |= bits & this.#bytes.getUint32(Register.statusEnable, true);
  }

  #visibleStatus(): number {
    return (this.#status | (this.#status >>> 16 === 0 ? 0 : Interrupt.error)) >>> 0;
  }

  #drive(): void {
    this.onInterrupt((this.#visibleStatus() & this.#bytes.getUint32(Register.signalEnable, true)) !== 0);
  }
}
