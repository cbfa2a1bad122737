/** An eMMC device behind its bus: commands with their responses, and blocks. JEDEC JESD84-A441 (eMMC 4.41), the part that a driver needs. */

const BLOCK = 512;

/** R1. §7.13 */
const Status = { readyForData: 1 << 8, illegalCommand: 1 << 22, addressOutOfRange: 1 << 31 } as const;
const State = { idle: 0, ready: 1, identification: 2, standby: 3, transfer: 4 } as const;
/** Power-up is done, blocks are addressed by sectors, 2.7 to 3.6 V and 1.8 V. §8.1 */
const OCR = 0xc0ff_8080;

/** Bytes of the extended CSD. §8.4 */
const ExtCsd = {
  eraseGroupDef: 175,
  busWidth: 183,
  timing: 185,
  revision: 192,
  structure: 194,
  deviceType: 196,
  sectors: 212,
  writeProtectGroup: 221,
  reliableSectors: 222,
  eraseGroup: 224,
} as const;

export type Reply =
  /** R1, R1b, R3. */
  | { readonly kind: "short"; readonly value: number }
  /** R2: 15 bytes, the first one highest. */
  | { readonly kind: "long"; readonly bytes: Uint8Array }
  /** Nobody answers. */
  | { readonly kind: "none" };

/** Data that goes along with a command. */
export type Transfer =
  | { readonly kind: "from-card"; read(into: Uint8Array): void }
  | { readonly kind: "to-card"; write(block: Uint8Array): void };

export class Emmc {
  readonly #blocks = new Map<number, Uint8Array>();
  readonly #sectors: number;
  readonly #extCsd = new Uint8Array(BLOCK);
  #state: number = State.idle;

  /** @param sectors Of 512 bytes; they read as zeroes until they are written. */
  constructor(sectors: number) {
    this.#sectors = sectors;
    this.reset();
  }

  reset(): void {
    const bytes = this.#extCsd.fill(0);
    bytes[ExtCsd.revision] = 5;
    bytes[ExtCsd.structure] = 2;
    bytes[ExtCsd.deviceType] = 0b11;
    new DataView(bytes.buffer).setUint32(ExtCsd.sectors, this.#sectors, true);
    bytes[ExtCsd.writeProtectGroup] = bytes[ExtCsd.reliableSectors] = bytes[ExtCsd.eraseGroup] = 1;
    this.#state = State.idle;
  }

  command(index: number, argument: number): { readonly reply: Reply; readonly transfer?: Transfer } {
    switch (index) {
      case 0:
        this.reset();
        return { reply: { kind: "none" } };
      case 1:
        this.#state = State.ready;
        return { reply: { kind: "short", value: OCR } };
      case 2:
        this.#state = State.identification;
        return { reply: { kind: "long", bytes: CID } };
      case 3:
        return this.#answer(State.standby);
      case 6:
        this.#switch(argument);
        return this.#answer();
      case 7:
        return this.#answer(State.transfer);
      case 8:
        // Without data it is the SEND_IF_COND of SD cards, which nobody answers here.
        return { ...this.#answer(), transfer: { kind: "from-card", read: (into) => into.set(this.#extCsd) } };
      case 9:
        return { reply: { kind: "long", bytes: CSD } };
      // SLEEP_AWAKE, at the end.
      case 5:
      case 12:
      case 13:
      case 16:
      case 23:
        return this.#answer();
      case 17:
      case 18:
        return this.#sectorsFrom(argument, (next) => ({
          kind: "from-card",
          read: (into) => into.set(this.#blocks.get(next()) ?? ZEROES),
        }));
      case 24:
      case 25:
        return this.#sectorsFrom(argument, (next) => ({
          kind: "to-card",
          write: (block) => this.#write(next(), block),
        }));
      default:
        return { reply: { kind: "none" } };
    }
  }

  #sectorsFrom(first: number, transfer: (next: () => number) => Transfer) {
    if (first >= this.#sectors) return this.#answer(undefined, Status.addressOutOfRange);
    let sector = first;
    return { ...this.#answer(), transfer: transfer(() => sector++) };
  }

  #write(sector: number, block: Uint8Array): void {
    if (sector < this.#sectors) this.#blocks.set(sector, block.slice());
  }

  /** SWITCH: writes a byte of the extended CSD, or sets or clears bits of it. §7.6.1 */
  #switch(argument: number): void {
    const [access, index, value] = [(argument >>> 24) & 3, (argument >>> 16) & 0xff, (argument >>> 8) & 0xff];
    const old = this.#extCsd[index]!;
    if (access === 1) this.#extCsd[index] = old | value;
    if (access === 2) this.#extCsd[index] = old & ~value;
    if (access === 3) this.#extCsd[index] = value;
  }

  /** The state in an answer is that before the command. */
  #answer(next?: number, errors = 0): { readonly reply: Reply } {
    const value = ((this.#state << 9) | Status.readyForData | errors) >>> 0;
    this.#state = next ?? this.#state;
    return { reply: { kind: "short", value } };
  }
}

const ZEROES = new Uint8Array(BLOCK);

/** Manufacturer 0, embedded, named VMRUN1. §8.2 */
const CID = Uint8Array.of(0x00, 0x01, 0x00, ...Buffer.from("VMRUN1"), 0x10, 0x00, 0x00, 0x00, 0x01, 0x1d);

/** §8.3; its size is the largest, which refers to the extended CSD. */
const CSD = fields(
  [127, 126, 3], // CSD_STRUCTURE: see EXT_CSD
  [125, 122, 4], // SPEC_VERS: 4.x
  [119, 112, 0x2f], // TAAC
  [103, 96, 0x32], // TRAN_SPEED: 26 MHz
  [95, 84, 0x0f5], // CCC
  [83, 80, 9], // READ_BL_LEN: 512
  [73, 62, 0xfff], // C_SIZE
  [49, 47, 7], // C_SIZE_MULT
  [46, 42, 31], // ERASE_GRP_SIZE
  [41, 37, 31], // ERASE_GRP_MULT
  [28, 26, 2], // R2W_FACTOR
  [25, 22, 9], // WRITE_BL_LEN: 512
);

/** Bits 127 to 8 of a register, the highest byte first. */
function fields(...list: readonly (readonly [high: number, low: number, value: number])[]): Uint8Array {
  let bits = 0n;
  for (const [, low, value] of list) bits |= BigInt(value) << BigInt(low);
  return Uint8Array.from({ length: 15 }, (_, i) => Number((bits >> BigInt(120 - 8 * i)) & 0xffn));
}
