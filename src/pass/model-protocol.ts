/**
 * How vmrun and a device model in another process talk.
 *
 * The model listens on a Unix socket that keeps messages apart (SOCK_SEQPACKET), `models/NAME.sock` in the runtime folder.
 * vmrun connects once for every [[pass]] and greets; both greetings are JSON in UTF-8, at most 64 KiB:
 *
 *     vmrun   { "vmrun": 1, "owner": "board/emmc", "window": 0, "dma": [{ "at": 2147483648, "size": 1048576 }] }
 *             with a descriptor of each block of RAM under `dma`
 *     model   { "model": 1, "windows": [{ "name": "regs", "size": 4096, "kind": "calls" }], "interrupts": 1 }
 *             with descriptors, in this order: the memory and the doorbell (where a window is of kind "memory"), then an
 *             eventfd for each interrupt. Or { "refused": "reason" }, and the end.
 *
 * A window of kind "memory" is a span of the memory, from its `at`. vmrun loads and stores there directly, and adds 1 to the
 * doorbell after every store. A window of kind "calls" is asked, one message for each access of the guest, and answers
 * before the guest goes on. All messages have 32 bytes, little-endian:
 *
 *     0   u32  what: see {@link Call} and {@link Answer}
 *     4   u32  number of the window, or of the interrupt
 *     8   u32  offset
 *     12  u32  width: 1, 2, 4 or 8
 *     16  u64  value: of a store, or of the answer to a load
 *     24  u64  0
 *
 * An interrupt is raised by adding 1 to its eventfd, as often as the model likes: vmrun reads it, and then not again before
 * the guest has handled it; it then sends `unmask`, upon which the model raises a level that is still high once more.
 * Closing the socket ends it, on either side.
 */

export const PROTOCOL = 1;
export const MESSAGE_SIZE = 32;
export const GREETING_MAX = 65_536;

/** To the model. Loads and stores are answered, the others are not. */
export const Call = { load: 1, store: 2, unmask: 3, reset: 4 } as const;
/** From the model. */
export const Answer = { done: 0x101, busError: 0x102 } as const;

export interface OwnerGreeting {
  readonly vmrun: typeof PROTOCOL;
  readonly owner: string;
  /** What is wanted, by number or name. */
  readonly window: number | string;
  readonly dma: readonly { readonly at: number; readonly size: number }[];
}

export interface ModelWindow {
  readonly name: string;
  readonly size: number;
  readonly kind: "calls" | "memory";
  /** Of kind `memory`: where it begins there, a multiple of 4 KiB. */
  readonly at?: number;
}

export interface ModelGreeting {
  readonly model: typeof PROTOCOL;
  readonly windows: readonly ModelWindow[];
  readonly interrupts: number;
}

export interface CallMessage {
  readonly what: number;
  readonly index: number;
  readonly offset: number;
  readonly width: number;
  readonly value: bigint;
}

export function encodeMessage({ what, index, offset, width, value }: CallMessage): Uint8Array {
  const view = new DataView(new ArrayBuffer(MESSAGE_SIZE));
  view.setUint32(0, what, true);
  view.setUint32(4, index, true);
  view.setUint32(8, offset, true);
  view.setUint32(12, width, true);
  view.setBigUint64(16, value, true);
  return new Uint8Array(view.buffer);
}

/** `undefined` where the bytes are no message. */
export function decodeMessage(bytes: Uint8Array): CallMessage | undefined {
  if (bytes.length !== MESSAGE_SIZE) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return {
    what: view.getUint32(0, true),
    index: view.getUint32(4, true),
    offset: view.getUint32(8, true),
    width: view.getUint32(12, true),
    value: view.getBigUint64(16, true),
  };
}

export function encodeGreeting(greeting: OwnerGreeting | ModelGreeting | { readonly refused: string }): Uint8Array {
  return Buffer.from(JSON.stringify(greeting));
}

/** Whatever JSON the bytes are; `undefined` where they are none. */
export function decodeGreeting(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {
    return undefined;
  }
}

/** Where a model of that name listens. */
export function modelSocket(runtimeFolder: string, name: string): string {
  return `${runtimeFolder}/models/${name}.sock`;
}
