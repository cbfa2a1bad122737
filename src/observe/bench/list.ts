/** The list of commands that the guest of `vmrun bench` works through, as it lies in memory: firmware/bench/vdevs/list.h. */

/** From the guest's first instruction. */
export const LIST_OFFSET = 0x10_0000;
/** Behind the list: ticks that timers were late, and buffers. */
export const SAMPLES_OFFSET = LIST_OFFSET + 0x8_0000;
export const BUFFERS_OFFSET = LIST_OFFSET + 0xa_0000;
/** RAM that the guest needs from its first instruction on. */
export const GUEST_SIZE = 0x20_0000;

const MAGIC = 0x6863_6e65_6272_766dn;
const HEADER = 64;
const COMMAND = 176;
/** What fits before {@link SAMPLES_OFFSET}. */
export const MOST_COMMANDS = Math.floor((SAMPLES_OFFSET - LIST_OFFSET - HEADER) / COMMAND);

const Kind = { nothing: 0, read: 1, write: 2, interrupt: 3, accesses: 4, timer: 5, virtqueue: 6, uart: 7 } as const;

/** A loop that does one thing `count` times. */
export interface Command {
  /**
   * `nothing`: the loop alone. `interrupt`: a 4-byte write of `value` to `address`, and taking the interrupt that comes of
   * it; `accesses`: its accesses without the interrupt. `timer`: `address` is `mtimecmp`. `virtqueue`: offers a chain,
   * rings, waits until it is used. `uart`: characters through a 16550 (`width` 1) or a PL011 (`width` 4).
   */
  readonly kind: keyof typeof Kind;
  readonly count: number;
  readonly width?: number;
  readonly address?: number;
  readonly value?: bigint;
  /** Of interrupts: the 4-byte write that ends the cause. */
  readonly lower?: { readonly address: number; readonly value: number };
  /** The claim register of a PLIC. */
  readonly claim?: number;
  /** What the handler's first instruction writes to. */
  readonly mark?: number;
  /** Of timers, in ticks. */
  readonly delay?: number;
  readonly queue?: number;
  readonly size?: number;
  /** How far the first buffer moves each time, and after how much it starts over. Of `uart`: characters at a time. */
  readonly step?: number;
  readonly wrap?: number;
  readonly chain?: readonly ChainPart[];
}

export interface ChainPart {
  readonly address: number;
  readonly length: number;
  /** By the device. */
  readonly writable: boolean;
}

/** What the guest says of a command. */
export interface Answer {
  readonly done: number;
  /** Of the board's own counter, where the list names one. */
  readonly ticks: number;
  /** Of timers: ticks late, of all together. Of virtqueues: looks at the used ring that found nothing. */
  readonly sum: number;
  /** Accesses that faulted. */
  readonly faults: number;
}

export interface ListHeader {
  readonly doorbell?: number;
  readonly clock?: number;
  /** A 16550 to print answers on, before powering off through `finisher`. */
  readonly console?: number;
  readonly finisher?: number;
  readonly samples?: number;
}

/** The bytes of a list that is ready to be worked through. */
export function encodeList(commands: readonly Command[], header: ListHeader): Uint8Array {
  if (commands.length > MOST_COMMANDS) throw new RangeError(`a list has at most ${MOST_COMMANDS} commands`);
  const view = new DataView(new ArrayBuffer(HEADER + commands.length * COMMAND));
  const { doorbell = 0, clock = 0, console = 0, finisher = 0, samples = 0 } = header;
  const words = [MAGIC, 1n, ...[commands.length, doorbell, clock, console, finisher, samples].map(BigInt)];
  for (const [i, word] of words.entries()) view.setBigUint64(i * 8, word, true);
  for (const [i, command] of commands.entries()) encode(view, HEADER + i * COMMAND, command);
  return new Uint8Array(view.buffer);
}

function encode(view: DataView, at: number, command: Command): void {
  const { kind, width = 0, address = 0, count, value = 0n, lower, claim = 0, mark = 0, delay = 0 } = command;
  const { queue = 0, size = 0, step = 0, wrap = 0, chain = [] } = command;
  const half = (offset: number, number: number) => view.setUint32(at + offset, number, true);
  const word = (offset: number, number: number | bigint) => view.setBigUint64(at + offset, BigInt(number), true);
  half(0, Kind[kind]);
  half(4, width);
  const words = [address, count, value, lower?.address ?? 0, lower?.value ?? 0, claim, mark, delay];
  for (const [i, number] of words.entries()) word(8 + 8 * i, number);
  half(72, queue);
  half(76, size);
  word(80, step);
  word(88, wrap);
  for (const [i, part] of chain.entries()) {
    word(96 + 16 * i, part.address);
    half(104 + 16 * i, part.length);
    half(108 + 16 * i, part.writable ? 1 : 0);
  }
}

/** The answers in a list of `count` commands that was worked through. */
export function decodeAnswers(bytes: Uint8Array, count: number): Answer[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: count }, (_, i) => {
    const [done, ticks, sum, faults] = [144, 152, 160, 168].map((offset) =>
      Number(view.getBigUint64(HEADER + i * COMMAND + offset, true)),
    ) as [number, number, number, number];
    return { done, ticks, sum, faults };
  });
}

/** How many bytes a list of so many commands has. */
export function listSize(count: number): number {
  return HEADER + count * COMMAND;
}
