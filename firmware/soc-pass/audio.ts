/**
 * One interface of an audio device: counts frames at the rate of the clock that both interfaces share, and interrupts after
 * every period. Nothing sounds.
 */
import { Registers } from "./registers.ts";

/** Control: bit 0 runs, bit 1 interrupts. Position: frames so far. Status: bit 0, a period has ended; written as 1, cleared. */
const Register = { control: 0x0, period: 0x4, position: 0x8, status: 0xc } as const;
const SIZE = 0x10;
/** A frame takes so many cycles of the master clock. */
const CYCLES = 256;

export class AudioInterface {
  readonly #registers = new Registers(SIZE);
  readonly #masterClock: () => number;
  /** The line changed; called with its level. */
  onInterrupt: (level: boolean) => void = () => {};
  /** When position was brought up to date, ms. */
  #then = 0;
  #position = 0;

  /** @param masterClock Hertz at this moment; 0 while its gate is closed. */
  constructor(masterClock: () => number) {
    this.#masterClock = masterClock;
  }

  reset(): void {
    for (let offset = 0; offset < SIZE; offset += 4) this.#registers.set(offset, 0);
    this.#position = 0;
    this.onInterrupt(false);
  }

  load(offset: number, width: number): number {
    this.tick(performance.now());
    return offset < SIZE ? this.#registers.load(offset, width) : 0;
  }

  store(offset: number, width: number, value: number): void {
    this.tick(performance.now());
    const register = offset & ~3;
    const written = this.#registers.written(offset, width, value);
    if (register === Register.control || register === Register.period) this.#registers.set(register, written);
    if (register === Register.status) this.#registers.set(register, this.#registers.get(register) & ~(value & 1));
    this.#drive();
  }

  /** Time has come to `now`, ms. */
  tick(now: number): void {
    const passed = now - this.#then;
    this.#then = now;
    const period = this.#registers.get(Register.period);
    if ((this.#registers.get(Register.control) & 1) === 0) return;
    const before = Math.floor(this.#position);
    this.#position += (passed / 1000) * (this.#masterClock() / CYCLES);
    const after = Math.floor(this.#position);
    this.#registers.set(Register.position, after);
    if (period > 0 && Math.floor(after / period) !== Math.floor(before / period))
      this.#registers.set(Register.status, 1);
    this.#drive();
  }

  #drive(): void {
    const enabled = (this.#registers.get(Register.control) & 2) !== 0;
    this.onInterrupt(enabled && (this.#registers.get(Register.status) & 1) !== 0);
  }
}
