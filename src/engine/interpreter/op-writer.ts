/** Code of the interpreter that works on the op being executed: where its operands are, and where its results go. */
import { HartField } from "../../isa/riscv/hart.ts";
import type { Destination, FloatField } from "../../isa/riscv/semantics.ts";
import type { FunctionWriter, Local } from "../../wasm/function.ts";
import { CodeWriter } from "../code-writer.ts";
import { at, NAN_BOX } from "../places.ts";
import { type Handler, OpField } from "./layout.ts";

export abstract class OpWriter extends CodeWriter {
  /** The op being executed. */
  protected readonly op: Local;
  /** Address of the guest page being executed, and its decoded page. */
  protected readonly pagePc: Local;
  protected readonly pageOps: Local;

  constructor(f: FunctionWriter, parallel: boolean) {
    super(f, parallel);
    this.op = f.local("i32");
    this.pagePc = f.local("i64");
    this.pageOps = f.local("i32");
  }

  protected override x(field: "rs1" | "rs2"): void {
    this.register(OpField[field], HartField.x);
  }

  protected override fBits(field: FloatField): void {
    if (field === "rs3") this.f.get(this.op).memory("i32.load", OpField.imm).memory("i64.load", at(HartField.f));
    else this.register(OpField[field], HartField.f);
  }

  /** Pushes the register of a file that a field of the op names. */
  protected register(field: number, file: number): void {
    this.f.get(this.op).memory("i32.load16_u", field).memory("i64.load", at(file));
  }

  protected override immediate(): void {
    this.f.get(this.op).memory("i64.load32_s", OpField.imm);
  }

  protected override pc(): void {
    this.currentPc();
  }

  protected override setX(value: () => void): void {
    this.f.get(this.op).memory("i32.load16_u", OpField.rd);
    value();
    this.f.memory("i64.store", at(HartField.x));
  }

  protected setFloat(to: "s" | "d", bits: () => void): void {
    this.f.get(this.op).memory("i32.load16_u", OpField.rd);
    bits();
    if (to === "s") this.f.i64(NAN_BOX).op("i64.or");
    this.f.memory("i64.store", at(HartField.f));
  }

  protected setResult(to: Destination, value: () => void): void {
    if (to === "x") this.setX(value);
    else this.setFloat(to, value);
  }

  /** Pushes the address of the instruction. */
  protected currentPc(): void {
    this.f.get(this.pagePc).get(this.op).get(this.pageOps).op("i32.sub").i32(3).op("i32.shr_u", "i64.extend_i32_u");
    this.f.op("i64.add");
  }

  /** Pushes that of the next one. */
  protected followingPc({ length }: Pick<Handler, "length">): void {
    this.currentPc();
    if (length === 0) this.f.get(this.op).memory("i64.load8_u", OpField.length);
    else this.f.i64(BigInt(length));
    this.f.op("i64.add");
  }
}
