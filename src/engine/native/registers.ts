/** Where native code has the guest's state: some integer registers in the host's, everything else in the resident hart's block. */
import { HartField, RESIDENT } from "../../isa/riscv/hart.ts";
import { type Assembler, isRegister, memory, type Operand, Reg } from "./assembler.ts";

/** `rbp` leads to the middle of the integer registers in memory: all of them are within reach of a byte. */
const MIDDLE = 0x80;
/** Added to linear-memory offsets, gives distances from `rbp`. */
export const LINEAR = -(RESIDENT + MIDDLE);

/** Of a field of the resident hart. */
export const field = (offset: number): Operand => memory(offset - MIDDLE);

/** Instructions left. */
export const BUDGET = Reg.r15;

/** Those that compilers use most, and where they are kept. */
const KEPT: Readonly<Record<number, Reg>> = {
  ...{ 1: Reg.r14, 2: Reg.rbx, 8: Reg.rsi, 9: Reg.rdi },
  ...{ 10: Reg.r8, 11: Reg.r9, 12: Reg.r10, 13: Reg.r11, 14: Reg.r12, 15: Reg.r13 },
};

/** An integer register's place in memory; x0's holds 0. */
const homeOf = (n: number): Operand => field(HartField.x + n * 8);
const FLOATS: readonly Operand[] = Array.from({ length: 32 }, (_, n) => field(HartField.f + n * 8));

export const float = (n: number): Operand => FLOATS[n];

/** What is to be taken up from memory when native code is entered, and put back when it is left. */
export const kept: readonly { readonly reg: Reg; readonly home: Operand }[] = Object.entries(KEPT).map(([n, reg]) => ({
  reg,
  home: homeOf(Number(n)),
}));

/** A register that a region has in the host's, and whose place there it has. */
interface Exchange {
  readonly reg: Reg;
  readonly usual: number;
  readonly instead: number;
}

/** Where code has integer registers: as all native code has them, or others of them in the host's. */
export class RegisterPlaces {
  #places: readonly Operand[];

  /** @param base What registers are exchanged of. */
  constructor(
    readonly exchanged: readonly Exchange[],
    base?: RegisterPlaces,
  ) {
    const places = base === undefined ? Array.from({ length: 32 }, (_, n) => KEPT[n] ?? homeOf(n)) : [...base.#places];
    for (const { reg, usual, instead } of exchanged) {
      places[usual] = homeOf(usual);
      places[instead] = reg;
    }
    this.#places = places;
  }

  /** Of a register, by its number. */
  of(n: number): Operand {
    return this.#places[n];
  }

  /** The same, but for one that is in `reg`. */
  with(n: number, reg: Reg): RegisterPlaces {
    const places = new RegisterPlaces(this.exchanged, this);
    places.#places = this.#places.with(n, reg);
    return places;
  }

  /** Registers are where `others` has them, as long as something is written. */
  during(others: RegisterPlaces, write: () => void): void {
    const own = this.#places;
    this.#places = others.#places;
    write();
    this.#places = own;
  }

  /** Code that brings registers from the places that these were exchanged of, or back there. */
  write(code: Assembler, back: boolean): void {
    for (const { reg, usual, instead } of this.exchanged) {
      code.move(homeOf(back ? instead : usual), reg);
      code.move(reg, homeOf(back ? usual : instead));
    }
  }

  /**
   * The same, with others in the host's registers where they are used more.
   * @param uses How often each register is used, as far as that can be told.
   * @param worth How much more that has to be: coming and going are not for nothing.
   */
  exchange(uses: ArrayLike<number>, worth: number): RegisterPlaces {
    const exchanged: Exchange[] = [];
    // Bit 0 is x0's, which has no use for a register.
    for (let left = -2; ; ) {
      let usual = 0;
      let instead = 0;
      for (let n = 1; n < 32; n++) {
        if (((left >>> n) & 1) === 0) continue;
        if (isRegister(this.#places[n])) {
          if (usual === 0 || uses[n] < uses[usual]) usual = n;
        } else if (instead === 0 || uses[n] > uses[instead]) instead = n;
      }
      if (usual === 0 || instead === 0 || uses[instead] - uses[usual] < worth) break;
      exchanged.push({ reg: this.#places[usual] as Reg, usual, instead });
      left &= ~((1 << usual) | (1 << instead));
    }
    return exchanged.length === 0 ? this : new RegisterPlaces(exchanged, this);
  }
}

const USUAL = new RegisterPlaces([]);

const USUALLY_KEPT: readonly number[] = Object.keys(KEPT).map(Number);
const OTHERS: readonly number[] = Array.from({ length: 31 }, (_, i) => i + 1).filter((n) => KEPT[n] === undefined);

/** For a region: it is entered and left often. */
const WORTH = 24;

/** @param uses How often each register is used, as far as that can be told. */
export function placesFor(uses: ArrayLike<number>): RegisterPlaces {
  let most = 0;
  let least = Number.POSITIVE_INFINITY;
  for (const n of OTHERS) most = Math.max(most, uses[n]);
  for (const n of USUALLY_KEPT) least = Math.min(least, uses[n]);
  return most - least < WORTH ? USUAL : USUAL.exchange(uses, WORTH);
}
