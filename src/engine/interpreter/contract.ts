/** What the generated interpreter and its host agree on: what it calls, what that answers, and where it finds its tables. */
import type { Service } from "../../isa/riscv/semantics.ts";

/** What the interpreter calls. Results: 0 goes on, {@link Status.moved} takes up `pc` anew, {@link Status.exit} leaves. */
export interface InterpreterImports {
  /** Makes the page at `pc` executable; its decoded page's offset is then in mail0. */
  fetch(): number;
  /** Decodes from this op on. */
  decode(op: number): void;
  /** Decodes the instruction at `pc`, which straddles two pages, into the scratch page. */
  straddle(): number;
  /** Loads `width` bytes at mail0 into mail0, zero-extended. */
  load(width: number): number;
  /** Stores the low `width` bytes of mail1 at mail0. */
  store(width: number): number;
  /** Finds where the RAM at mail0 lies, for an atomic access: offset in mail0. `access`: 0 load, 1 store. */
  locate(width: number, access: number): number;
  /** Everything that is not computation; `op` is the instruction's decoded op. */
  service(service: number, op: number): number;
  /** Floating-point operation on mail0..2, result in mail0, flags accrued. */
  float(operation: number, rounding: number): void;
  /** Control has arrived at this op often; `pc` is its address. */
  hot(op: number): void;
  /** Runs native code that begins here, with `nativePage` set; answers the instructions left, as regions do. */
  native(entry: number): number;
}

export const Status = { next: 0, moved: 1, exit: 2 } as const;

/** Services by number, as `InterpreterImports.service` gets them. */
export const services: readonly Service[] = [
  "illegal",
  "csr",
  "ecall",
  "ebreak",
  "sret",
  "mret",
  "wfi",
  "sfence.vma",
  "cbo.inval",
  "cbo.clean",
  "cbo.flush",
  "fence.i",
];

export interface InterpreterPlan {
  /** Size of the memory, in 64 KiB pages. */
  readonly memoryPages: number;
  /** Offset of the decoded page for single instructions. */
  readonly scratch: number;
  /** Offset of an op's counter less its own, shifted. */
  readonly counters: number;
  /** Offset of the table of computed jumps' goals, and of that of native code. */
  readonly sites: number;
  readonly entries: number;
  /** Offsets of what is known of each page: see `PageTables`. */
  readonly codePages: number;
  readonly decodedPages: number;
  /** Whether there are 16-bit instructions. */
  readonly compressed: boolean;
  /** The bits of sstatus that the hart has. */
  readonly status: number;
  /** Arrivals that make an op hot; 0 where nothing is translated. */
  readonly threshold: number;
  /** Harts run on threads of their own, on memory that they share. */
  readonly parallel: boolean;
}
