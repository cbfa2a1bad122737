/**
 * What the machine's thread is at, in memory that a watchdog on another thread sees: plain stores before every call into
 * a vdev, which cost next to nothing, and nobody has to wait for anybody.
 */

/** Words of the shared memory. */
export const Beat = {
  /** Changes while the thread goes on. */
  count: 0,
  /** A region of the bus, by its place among them; a callback, as -2 minus its note; or {@link NOBODY}. */
  who: 1,
  /** Of an access: twice the offset, plus 1 for a store. */
  what: 2,
  /** Address of the running hart's pc in this process, low word first; 0 where nobody knows it. */
  pc: 3,
  notes: 5,
} as const;
export const NOBODY = -1;

/** Texts about callbacks: `vdev, what it is`, a line each. */
const NOTES = 256;
const NOTE_SIZE = 128;
const WORDS = Beat.notes + (NOTES * NOTE_SIZE) / 4;

export class Heartbeat {
  readonly memory: SharedArrayBuffer;
  readonly words: Int32Array;
  #notes = 0;

  /** @param memory Of the machine's own thread, for one that watches it. */
  constructor(memory?: SharedArrayBuffer) {
    this.memory = memory ?? new SharedArrayBuffer(WORDS * 4);
    this.words = new Int32Array(this.memory);
    if (memory === undefined) this.words[Beat.who] = NOBODY;
  }

  /** The thread goes on, and is in nobody's code. */
  beat(): void {
    this.words[Beat.count]++;
    this.words[Beat.who] = NOBODY;
  }

  /** A callback's number, for {@link within}. Beyond what there is room for, one stands for all. */
  note(vdev: string, what: string): number {
    const number = Math.min(this.#notes++, NOTES - 1);
    const text = number === NOTES - 1 ? `${vdev}\na callback` : `${vdev}\n${what}`;
    const place = new Uint8Array(this.memory, noteAt(number), NOTE_SIZE);
    const short = new TextEncoder().encode(text).subarray(0, NOTE_SIZE);
    place.fill(0);
    place.set(short);
    return number;
  }

  noteText(number: number): readonly [vdev: string, what: string] {
    // A copy: what is shared is not decoded.
    const bytes = new Uint8Array(this.memory, noteAt(number), NOTE_SIZE).slice();
    const [vdev = "", what = ""] = new TextDecoder().decode(bytes).replace(/\0.*$/s, "").split("\n");
    return [vdev, what];
  }

  /** Runs a callback, which may lie within another one or within an access. */
  within<T>(note: number, act: () => T): T {
    const { words } = this;
    const who = words[Beat.who];
    const what = words[Beat.what];
    words[Beat.count]++;
    words[Beat.who] = NOBODY - 1 - note;
    try {
      return act();
    } finally {
      words[Beat.count]++;
      words[Beat.who] = who;
      words[Beat.what] = what;
    }
  }

  /** Where the running hart's pc can be read, as an address in this process. */
  set pcAddress(address: number) {
    this.words[Beat.pc] = address | 0;
    this.words[Beat.pc + 1] = Math.floor(address / 2 ** 32);
  }
  get pcAddress(): number {
    return (this.words[Beat.pc] >>> 0) + this.words[Beat.pc + 1] * 2 ** 32;
  }
}

const noteAt = (number: number) => Beat.notes * 4 + number * NOTE_SIZE;
