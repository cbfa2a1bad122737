/** A clock controller as its board has it: its registers, what a guest may do to which bits, and the clocks that come out. */

/** Widths of registers, in bytes. */
export type RegisterWidth = 1 | 2 | 4;

/**
 * What a guest's write does to bits. `pass`: it reaches the host. `pass-if`: it does where the field's new value is
 * allowed. `emulate`: it is remembered and read back, and the host does not notice. `ignore`: it changes nothing.
 * `deny`: one that would change them is a bus error.
 */
export const FIELD_ACCESS = ["pass", "pass-if", "emulate", "ignore", "deny"] as const;
export type FieldAccess = (typeof FIELD_ACCESS)[number];

/** What becomes of a write that is not let through. */
export const REFUSALS = ["ignore", "deny"] as const;
export type Refusal = (typeof REFUSALS)[number];

/** What becomes of accesses where no register is described. `read`: reads pass, and writes change nothing. */
export const UNLISTED = ["deny", "ignore", "read"] as const;
export type Unlisted = (typeof UNLISTED)[number];

/** Inclusive. */
export interface ValueRange {
  readonly from: number;
  readonly to: number;
}

/** Some neighbouring bits of a register, by their numbers; `high` is not below `low`. */
export interface ClockField {
  readonly name: string;
  readonly high: number;
  readonly low: number;
  /** `undefined`: as the register's own mask says. */
  readonly access?: FieldAccess;
  /** Of `pass-if`. */
  readonly allow: readonly ValueRange[];
  /** What becomes of a value that `pass-if` does not allow. */
  readonly refused: Refusal;
  /** Changes are told. */
  readonly log: boolean;
}

export interface ClockRegister {
  readonly name: string;
  /** From the start of the controller, a multiple of `width`. */
  readonly offset: number;
  /** How the host's register is accessed. A guest's narrower access becomes one of this width. */
  readonly width: RegisterWidth;
  /** Bits outside of the fields that have an access of their own: the guest may change these. */
  readonly pass: number;
  /** What becomes of writes to the others. */
  readonly rest: "emulate" | Refusal;
  /** Its value where there is no host to read it from, and that of emulated bits until they are written. */
  readonly reset?: number;
  /** Bits that act when written as one, such as write-one-to-clear: written as zero where they are not the guest's. */
  readonly strobes: number;
  /** Described for the sake of rates alone: to the guest it is not there. */
  readonly hidden: boolean;
  /** Changes are told. */
  readonly log: boolean;
  readonly fields: readonly ClockField[];
}

/** A span in which nothing is but the guest's: whole pages of it are mapped, the rest is forwarded. */
export interface ClockBlock {
  readonly offset: number;
  readonly size: number;
}

/** A field that a clock depends on, by the numbers of its register and bits. */
export interface FieldReference {
  /** As the profile names it: `mmc0.gate`. */
  readonly name: string;
  /** Position among the controller's registers. */
  readonly register: number;
  readonly high: number;
  readonly low: number;
}

/** A number that a rate is multiplied with or divided by. */
export type Factor =
  | { readonly kind: "fixed"; readonly value: number }
  /** The field's value and `add`. */
  | { readonly kind: "linear"; readonly field: FieldReference; readonly add: number }
  /** Two to the power of the field's value and `add`. */
  | { readonly kind: "power-of-two"; readonly field: FieldReference; readonly add: number }
  /** By the field's value; zero is one that the hardware does not have. */
  | { readonly kind: "table"; readonly field: FieldReference; readonly table: readonly number[] };

/** Input times (feedback + fraction / 2^bits) / reference / post. */
export interface Pll {
  readonly feedback: readonly Factor[];
  readonly fraction?: { readonly field: FieldReference; readonly bits: number };
  readonly reference: readonly Factor[];
  readonly post: readonly Factor[];
  /** The input comes out as it is while this is not zero. */
  readonly bypass?: FieldReference;
}

export interface Mux {
  readonly field: FieldReference;
  /** The value that selects each of the parents, in their order. */
  readonly values: readonly number[];
}

export interface Gate {
  readonly field: FieldReference;
  /** The value that lets the clock through; any but zero where omitted. */
  readonly open?: number;
}

/** A clock by its place on the board: positions of its controller and of itself in it. */
export interface ClockReference {
  readonly controller: number;
  readonly output: number;
}

/** A clock that a controller puts out, for devices or for others of its clocks. */
export interface ClockOutput {
  readonly name: string;
  /** What the guest's binding calls it: the cell behind the controller's phandle. */
  readonly index: number;
  /** Hertz, where the profile states it. */
  readonly rate?: number;
  readonly parents: readonly ClockReference[];
  /** Selects among several parents. */
  readonly mux?: Mux;
  readonly gate?: Gate;
  readonly multiply: readonly Factor[];
  readonly divide: readonly Factor[];
  readonly pll?: Pll;
  /** Its users are told a rate, and nothing of this controller. */
  readonly fixed: boolean;
}

export interface ClockController {
  readonly name: string;
  /** Guest physical address; `undefined` where nothing of it is mapped. */
  readonly at?: number;
  /** Bytes. */
  readonly size: number;
  /** The host object behind it, where there is one. */
  readonly host?: string;
  readonly unlisted: Unlisted;
  /** Of its node in the device tree. */
  readonly compatible: readonly string[];
  readonly registers: readonly ClockRegister[];
  readonly blocks: readonly ClockBlock[];
  readonly outputs: readonly ClockOutput[];
}

/** The bits from `low` to `high`. */
export function bitsOf({ high, low }: { readonly high: number; readonly low: number }): number {
  return (2 ** (high + 1) - 2 ** low) >>> 0;
}

/** All bits of a register. */
export function allBits(width: number): number {
  return 2 ** (8 * width) - 1;
}
