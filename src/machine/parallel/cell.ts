/**
 * What the machine's thread and the thread of a hart know of each other: a few words of shared memory for each hart, and a
 * bell on either side. Everything goes by atomic accesses, so whoever has heard the bell sees what was written before.
 */
const STRIDE = 256;
const TEXT_SIZE = 16384;
/** Of the machine: its bell, and what all harts have in common. */
const COMMON = 64;

/** 4-byte words of a hart, by index. */
const Word = {
  /** Rung by whoever has something for the hart. */
  bell: 0,
  command: 1,
  /** Counts power-ons. */
  powerOn: 2,
  state: 3,
  /** The bell's count that the hart has seen when it began to wait. */
  seen: 4,
  lines: 5,
  raised: 6,
  flush: 7,
  fencesFrom: 8,
  fenceKind: 9,
  fencesLeft: 10,
  life: 11,
  request: 12,
  width: 13,
  textLength: 14,
} as const;
/** 8-byte numbers and patterns, by index in 8-byte slots of a hart. */
const Slot = {
  address: 8,
  value: 9,
  executed: 10,
  pc: 11,
  fenceStart: 12,
  fenceSize: 13,
  startPc: 14,
  startOpaque: 15,
  registers: 16,
} as const;

/** What the machine wants of a hart's thread. */
export const Command = { halt: 0, run: 1, quit: 2 } as const;
export type Command = (typeof Command)[keyof typeof Command];

/** What a hart's thread is at. */
export const ThreadState = {
  /** Not there yet. */
  starting: 0,
  /** Executes no guest code, as the machine wanted. */
  halted: 1,
  running: 2,
  /** Waits, and a timer of its own may wake it. */
  waiting: 3,
  /** Waits for somebody else to wake it. */
  asleep: 4,
  /** Has left, or never came. */
  gone: 5,
  /** Has failed: its text says how. */
  failed: 6,
} as const;
export type ThreadState = (typeof ThreadState)[keyof typeof ThreadState];

/** Whether the hart has been started, as SBI has it. SBI 2.0 §9 */
export const Life = { stopped: 0, claimed: 1, starting: 2, started: 3 } as const;

/** What a hart's thread asks of the machine's. */
export const Request = {
  none: 0,
  load: 1,
  store: 2,
  load64: 3,
  store64: 4,
  firmware: 5,
  unsupportedInstruction: 6,
  unsupportedRegister: 7,
  write: 8,
  read: 9,
  powerOff: 10,
  reboot: 11,
  fail: 12,
} as const;
export type Request = (typeof Request)[keyof typeof Request];

/** Argument registers of a firmware call. */
export const FIRST_ARGUMENT = 10;
export const ARGUMENTS = 8;

/** What all threads of a machine share. */
export class Shared {
  readonly buffer: SharedArrayBuffer;
  readonly cells: readonly HartCell[];
  readonly #words: Int32Array;
  readonly #shift: BigInt64Array;

  constructor(harts: number, buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(COMMON + harts * (STRIDE + TEXT_SIZE));
    this.#words = new Int32Array(this.buffer, 0, 4);
    this.#shift = new BigInt64Array(this.buffer, 16, 1);
    this.cells = Array.from({ length: harts }, (_, index) => new HartCell(this, index, harts));
  }

  /** The machine's bell. */
  get bell(): Int32Array {
    return this.#words;
  }

  /** Tells the machine's thread that there is something to do. */
  ring(): void {
    Atomics.add(this.#words, 0, 1);
    Atomics.notify(this.#words, 0);
  }

  /** By how much the guest has shifted its timebase, in ticks. */
  get shift(): bigint {
    return Atomics.load(this.#shift, 0);
  }
  set shift(ticks: bigint) {
    Atomics.store(this.#shift, 0, ticks);
    Atomics.add(this.#words, 1, 1);
  }
  /** Changes with {@link shift}. */
  get shifts(): number {
    return Atomics.load(this.#words, 1);
  }

  /** Whether vdevs answer firmware calls. */
  get hooked(): boolean {
    return Atomics.load(this.#words, 2) !== 0;
  }
  set hooked(value: boolean) {
    Atomics.store(this.#words, 2, Number(value));
  }
}

/** The part of one hart. */
export class HartCell {
  readonly words: Int32Array;
  readonly #floats: Float64Array;
  readonly #patterns: BigUint64Array;
  readonly #text: Uint8Array;

  constructor(
    readonly shared: Shared,
    readonly index: number,
    harts: number,
  ) {
    const at = COMMON + index * STRIDE;
    this.words = new Int32Array(shared.buffer, at, STRIDE / 4);
    this.#floats = new Float64Array(shared.buffer, at, STRIDE / 8);
    this.#patterns = new BigUint64Array(shared.buffer, at, STRIDE / 8);
    this.#text = new Uint8Array(shared.buffer, COMMON + harts * STRIDE + index * TEXT_SIZE, TEXT_SIZE);
  }

  ring(): void {
    Atomics.add(this.words, Word.bell, 1);
    Atomics.notify(this.words, Word.bell);
  }
  /** How often the bell was rung. */
  get rung(): number {
    return Atomics.load(this.words, Word.bell);
  }
  /** Waits until the bell has been rung more than `rung` times, or for `ms`. */
  wait(rung: number, ms = Number.POSITIVE_INFINITY): void {
    Atomics.wait(this.words, Word.bell, rung, ms);
  }

  get command(): Command {
    return Atomics.load(this.words, Word.command) as Command;
  }
  set command(command: Command) {
    Atomics.store(this.words, Word.command, command);
    this.ring();
  }

  get state(): ThreadState {
    return Atomics.load(this.words, Word.state) as ThreadState;
  }
  set state(state: ThreadState) {
    Atomics.store(this.words, Word.state, state);
  }
  /** Becomes `to` if it still is `from`. */
  turn(from: ThreadState, to: ThreadState): boolean {
    return Atomics.compareExchange(this.words, Word.state, from, to) === from;
  }

  /** Begins to wait, having heard the bell so often. */
  noteSeen(rung: number): void {
    Atomics.store(this.words, Word.seen, rung);
  }
  /** Waits for others, and has heard of everything. Answers how often the bell had been rung then; -1 where it is not so. */
  get asleepSince(): number {
    const seen = Atomics.load(this.words, Word.seen);
    return this.state === ThreadState.asleep && seen === this.rung ? seen : -1;
  }

  get powerOns(): number {
    return Atomics.load(this.words, Word.powerOn);
  }
  get life(): number {
    return Atomics.load(this.words, Word.life);
  }
  set life(life: number) {
    Atomics.store(this.words, Word.life, life);
  }

  /** Starts over, while the hart is halted: nothing of what was before is left, but for what devices drive. */
  startOver(): void {
    for (const word of [Word.raised, Word.flush, Word.fencesFrom, Word.fencesLeft, Word.request, Word.life]) {
      Atomics.store(this.words, word, 0);
    }
    Atomics.add(this.words, Word.powerOn, 1);
  }

  /** Has a stopped hart begin at `pc` in S-mode; `false` where somebody else has. */
  start(pc: bigint, opaque: bigint): boolean {
    if (Atomics.compareExchange(this.words, Word.life, Life.stopped, Life.claimed) !== Life.stopped) return false;
    this.#patterns[Slot.startPc] = pc;
    this.#patterns[Slot.startOpaque] = opaque;
    this.life = Life.starting;
    this.ring();
    return true;
  }
  get startPc(): bigint {
    return this.#patterns[Slot.startPc];
  }
  get startOpaque(): bigint {
    return this.#patterns[Slot.startOpaque];
  }

  // ---- interrupts ----

  /** The levels that devices drive, as bits of mip. */
  get lines(): number {
    return Atomics.load(this.words, Word.lines);
  }
  /** Drives an input; for what is no level, see {@link raise}. */
  drive(bit: number, level: boolean): void {
    const mask = 1 << bit;
    const before = level ? Atomics.or(this.words, Word.lines, mask) : Atomics.and(this.words, Word.lines, ~mask);
    if (((before & mask) !== 0) !== level) this.ring();
  }
  /** Sets a bit of mip that software clears. */
  raise(bit: number): void {
    Atomics.or(this.words, Word.raised, 1 << bit);
    this.ring();
  }
  /** What was raised since the last time. */
  takeRaised(): number {
    return Atomics.exchange(this.words, Word.raised, 0);
  }

  // ---- fences ----

  /** Every translation is to be forgotten. */
  flush(): void {
    Atomics.store(this.words, Word.flush, 1);
    this.ring();
  }
  takeFlush(): boolean {
    return Atomics.exchange(this.words, Word.flush, 0) !== 0;
  }

  /** What this hart wants `targets` to do: their indices. */
  askForFence(targets: readonly HartCell[], instructions: boolean, start: bigint, size: bigint): void {
    Atomics.store(this.words, Word.fenceKind, Number(instructions));
    this.#patterns[Slot.fenceStart] = start;
    this.#patterns[Slot.fenceSize] = size;
    Atomics.store(this.words, Word.fencesLeft, targets.length);
    for (const target of targets) {
      Atomics.or(target.words, Word.fencesFrom, 1 << this.index);
      target.ring();
    }
  }
  /** How many have not done so yet. */
  get fencesLeft(): number {
    return Atomics.load(this.words, Word.fencesLeft);
  }
  /** The harts that want a fence of this one, as bits. */
  takeFences(): number {
    return Atomics.exchange(this.words, Word.fencesFrom, 0);
  }
  /** What this hart wants of others. */
  get fence(): { readonly instructions: boolean; readonly start: bigint; readonly size: bigint } {
    return {
      instructions: Atomics.load(this.words, Word.fenceKind) !== 0,
      start: this.#patterns[Slot.fenceStart],
      size: this.#patterns[Slot.fenceSize],
    };
  }
  /** One of the others has done it. */
  fenceDone(): void {
    Atomics.sub(this.words, Word.fencesLeft, 1);
    this.ring();
  }

  // ---- requests ----

  get request(): Request {
    return Atomics.load(this.words, Word.request) as Request;
  }
  /** The hart's thread asks; operands are in place. */
  ask(request: Request): void {
    Atomics.store(this.words, Word.request, request);
    this.shared.ring();
  }
  /** The machine's thread has answered; results are in place. */
  answer(): void {
    Atomics.store(this.words, Word.request, Request.none);
    this.ring();
  }

  /** Operands and results: plain, since {@link ask} and {@link answer} order them. */
  get address(): number {
    return this.#floats[Slot.address];
  }
  set address(address: number) {
    this.#floats[Slot.address] = address;
  }
  get width(): number {
    return this.words[Word.width];
  }
  set width(width: number) {
    this.words[Word.width] = width;
  }
  get value(): number {
    return this.#floats[Slot.value];
  }
  set value(value: number) {
    this.#floats[Slot.value] = value;
  }
  get pattern(): bigint {
    return this.#patterns[Slot.value];
  }
  set pattern(pattern: bigint) {
    this.#patterns[Slot.value] = pattern;
  }
  get pc(): bigint {
    return this.#patterns[Slot.pc];
  }
  set pc(pc: bigint) {
    this.#patterns[Slot.pc] = pc;
  }
  /** Argument registers, a0 first. */
  argument(index: number): bigint {
    return this.#patterns[Slot.registers + index];
  }
  setArgument(index: number, value: bigint): void {
    this.#patterns[Slot.registers + index] = value;
  }

  /** Instructions so far, for people. */
  get executed(): number {
    return this.#floats[Slot.executed];
  }
  set executed(count: number) {
    this.#floats[Slot.executed] = count;
  }

  get bytes(): Uint8Array<ArrayBuffer> {
    // A copy: what is shared is not decoded.
    return this.#text.slice(0, this.words[Word.textLength]) as Uint8Array<ArrayBuffer>;
  }
  /** Takes as many as there is room for; answers how many. */
  putBytes(bytes: Uint8Array): number {
    const taken = bytes.subarray(0, TEXT_SIZE);
    this.#text.set(taken);
    this.words[Word.textLength] = taken.length;
    return taken.length;
  }
}
