/** Which registers the instructions of the table read and write: what the translator has to keep in locals. */
import type { Instruction } from "../../isa/riscv/instructions/encoding.ts";
import type { Expr, FloatField, Semantics } from "../../isa/riscv/semantics.ts";
import { writesF, writesX } from "../../isa/riscv/semantics.ts";

export interface Operands {
  readonly readsX1: boolean;
  readonly readsX2: boolean;
  readonly readsF1: boolean;
  readonly readsF2: boolean;
  readonly readsF3: boolean;
  readonly writesX: boolean;
  readonly writesF: boolean;
  /** Needs the floating-point unit to be on. */
  readonly float: boolean;
  /** Accesses memory at x[rs1], plus the immediate or not. */
  readonly memory: "read" | "write" | undefined;
}

const known = new Map<Instruction, Operands>();

export function operandsOf(instruction: Instruction): Operands {
  let operands = known.get(instruction);
  if (operands === undefined) {
    operands = find(instruction);
    known.set(instruction, operands);
  }
  return operands;
}

function find({ semantics, extension }: Instruction): Operands {
  const x = new Set<string>();
  const f = new Set<FloatField>();
  const visit = (e: Expr): void => {
    if (e.kind === "x") x.add(e.field);
    else if (e.kind === "f") f.add(e.field);
    else if (e.kind === "op" || e.kind === "mulHigh") for (const arg of e.args) visit(arg);
    else if (e.kind === "choose") for (const arg of [e.condition, e.yes, e.no]) visit(arg);
    else if (e.kind === "let") for (const arg of [e.value, e.body]) visit(arg);
  };
  for (const e of expressions(semantics)) visit(e);
  const { does } = semantics;
  if (does === "amo" || does === "loadReserved" || does === "storeConditional" || does === "zeroBlock") x.add("rs1");
  if (does === "storeConditional") x.add("rs2");
  if (does === "float") {
    const fields = ["rs1", "rs2", "rs3"] as const;
    if (semantics.from === "x") x.add("rs1");
    else for (let i = 0; i < semantics.operands; i++) f.add(fields[i]);
  }
  return {
    readsX1: x.has("rs1"),
    readsX2: x.has("rs2"),
    readsF1: f.has("rs1"),
    readsF2: f.has("rs2"),
    readsF3: f.has("rs3"),
    writesX: writesX(semantics),
    writesF: writesF(semantics),
    float: extension === "f" || extension === "d",
    memory: accessOf(does),
  };
}

function expressions(semantics: Semantics): readonly Expr[] {
  switch (semantics.does) {
    case "set":
      return [semantics.value];
    case "setF":
      return [semantics.bits];
    case "load":
      return [semantics.address];
    case "store":
      return [semantics.address, semantics.value];
    case "branch":
      return [semantics.condition];
    case "jumpTo":
      return [semantics.target];
    case "amo":
      return [semantics.combine];
    default:
      return [];
  }
}

function accessOf(does: Semantics["does"]): Operands["memory"] {
  if (does === "load" || does === "loadReserved") return "read";
  return does === "store" || does === "amo" || does === "storeConditional" ? "write" : undefined;
}
