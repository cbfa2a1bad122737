/**
 * Generates the interpreter: one WebAssembly function with a `br_table` over pre-decoded ops, made from the instruction
 * table. Registers live in the resident hart's block at constant addresses; loads and stores go through TLB tables.
 */

import { Access, Environment } from "../../isa/riscv/fields.ts";
import { defineFloatHelpers, type FloatHelpers } from "../../isa/riscv/float/fast.ts";
import { importSoftFloat } from "../../isa/riscv/float/mail.ts";
import { CsrSlot, HartField } from "../../isa/riscv/hart.ts";
import type { Destination, Expr, Semantics, Service, Width } from "../../isa/riscv/semantics.ts";
import { PAGE_SIZE } from "../../memory/guest-memory.ts";
import type { Callable, FunctionWriter, Label, Local } from "../../wasm/function.ts";
import { ModuleWriter } from "../../wasm/module.ts";
import type { ValueType } from "../../wasm/opcodes.ts";
import { at, FLOAT_PLACES, LOADS, MSTATUS, MSTATUS_FS, PAGE_MASK, STORES } from "../places.ts";
import { ADDEND } from "../tlb-code.ts";
import { REGION_SIGNATURE } from "../translator/contract.ts";
import { type InterpreterImports, type InterpreterPlan, Status, services } from "./contract.ts";
import {
  COUNTER_SHIFT,
  HANDLER_COUNT,
  type Handler,
  handlerNumber,
  handlers,
  OP_SIZE,
  OPS_PER_PAGE,
  OpField,
  Site,
  Special,
  Straddle,
} from "./layout.ts";
import { OpWriter } from "./op-writer.ts";
import { defineSystem, type SystemFunctions } from "./system.ts";
import { defineWalker } from "./walker.ts";

/** The interpreter as a module. Exports `run` and a function for every floating-point operation, by its name. */
export function generateInterpreter(plan: InterpreterPlan): Uint8Array<ArrayBuffer> {
  const module = new ModuleWriter();
  module.importMemory("env", "memory", plan.memoryPages, plan.memoryPages);
  const i32: ValueType[] = ["i32"];
  const imports: Record<keyof InterpreterImports, Callable> = {
    fetch: module.importFunction("env", "fetch", { results: i32 }),
    decode: module.importFunction("env", "decode", { params: i32 }),
    straddle: module.importFunction("env", "straddle", { results: i32 }),
    load: module.importFunction("env", "load", { params: i32, results: i32 }),
    store: module.importFunction("env", "store", { params: i32, results: i32 }),
    locate: module.importFunction("env", "locate", { params: ["i32", "i32"], results: i32 }),
    service: module.importFunction("env", "service", { params: ["i32", "i32"], results: i32 }),
    float: importSoftFloat(module, "env", "float"),
    hot: module.importFunction("env", "hot", { params: i32 }),
    native: module.importFunction("env", "native", { params: i32, results: i32 }),
  };
  module.importTable("env", "regions", 0);
  const helpers = defineFloatHelpers(module, FLOAT_PLACES, imports.float);
  for (const [name, helper] of Object.entries(helpers)) module.export(name, helper);
  const walker = defineWalker(module, plan);
  const system = defineSystem(module, plan);
  module.export("walk", walker);
  const signature = module.signature(REGION_SIGNATURE);
  new InterpreterWriter(module.func({}, "run"), imports, { ...helpers, ...system, walker }, plan, signature).write();
  return module.finish();
}

type FloatSemantics = Extract<Semantics, { does: "float" }>;
/** Where the operands of floating-point instructions are named in an op. */
const FLOAT_FIELDS = [OpField.rs1, OpField.rs2, OpField.imm] as const;

class InterpreterWriter extends OpWriter {
  /** Instructions left. */
  readonly #budget: Local;
  /** Where execution goes when it leaves the page. */
  readonly #pc: Local;
  readonly #status: Local;
  readonly #handler: Local;
  #next!: Label;
  /** The handlers' code, by number. */
  readonly #handlers: Label[] = [];
  #lookup!: Label;
  #left!: Label;

  constructor(
    f: FunctionWriter,
    readonly imports: Record<keyof InterpreterImports, Callable>,
    readonly helpers: FloatHelpers & SystemFunctions & { readonly walker: Callable },
    readonly plan: InterpreterPlan,
    readonly regionSignature: number,
  ) {
    super(f, plan.parallel);
    this.#budget = f.local("i32");
    this.#pc = f.local("i64");
    this.#status = f.local("i32");
    this.#handler = f.local("i32");
  }

  write(): void {
    const { f } = this;
    this.#reload();
    const exit = f.block();
    this.#lookup = f.loop();
    this.#left = f.block();
    this.#writeLookup();
    this.#next = f.loop();
    // The budget ends here and nowhere else: whoever wants attention sets it to 0.
    f.get(this.#budget).op("i32.eqz").if();
    this.#save();
    f.br(exit).end();
    f.get(this.#budget).i32(1).op("i32.sub").set(this.#budget);
    // By an address of its own: shared with the handlers, it would be kept for all of them on the stack.
    f.get(this.op)
      .i32(-OP_SIZE)
      .op("i32.add")
      .memory("i32.load16_u", OP_SIZE + OpField.handler)
      .set(this.#handler);
    this.#writeHandlers();
    f.end(); // next
    f.end(); // left
    this.#reload();
    f.get(this.#status).i32(Status.exit).op("i32.ne").brIf(this.#lookup);
    f.end(); // lookup
    f.end(); // exit
  }

  /** From `pc` to its op, by the fetch TLB. */
  #writeLookup(): void {
    const { f } = this;
    f.get(this.#pc).i64(PAGE_MASK).op("i64.and").set(this.pagePc);
    this.tlbEntry(this.#pc, HartField.tlbFetch);
    f.get(this.pagePc).op("i64.eq").if("i32");
    f.get(this.offset).memory("i32.load", ADDEND);
    f.else();
    f.get(this.#pc).i32(Access.fetch).call(this.helpers.walker).if("i32");
    f.get(this.offset).memory("i32.load", ADDEND);
    f.else();
    this.#store32(HartField.budget, () => f.get(this.#budget));
    this.#store64(HartField.pc, () => f.get(this.#pc));
    f.call(this.imports.fetch).tee(this.#status).brIf(this.#left);
    f.i32(0).memory("i32.load", at(HartField.mail0));
    f.end().end();
    f.set(this.pageOps);
    this.#opOfPc();
    this.#count();
  }

  #writeHandlers(): void {
    const { f } = this;
    // First those that go on to another one: from there, the others have to come.
    const order: number[] = [Special.region, Special.native, Special.straddle];
    for (let i = 0; i < HANDLER_COUNT; i++) if (!order.includes(i)) order.push(i);
    for (const i of order.toReversed()) this.#handlers[i] = f.block();
    this.#dispatch();
    for (const i of order) {
      f.end();
      // It cannot be gone to from here on, and nobody wants to.
      this.#handlers[i] = this.#handlers[Special.illegal];
      this.startInstruction();
      if (i === Special.undecoded) this.#writeUndecoded();
      else if (i === Special.pageEnd) this.#writePageEnd();
      else if (i === Special.straddle) this.#writeStraddle();
      else if (i === Special.illegal) this.#service("illegal");
      else if (i === Special.region && this.plan.threshold > 0) this.#writeRegionCall();
      else if (i === Special.native && this.plan.threshold > 0) this.#writeNativeCall();
      else if (i === Special.region || i === Special.native) f.op("unreachable");
      else this.#writeHandler(handlers[i - handlerNumber(0)]);
    }
  }

  /** Goes to the code of `handler`. */
  #dispatch(): void {
    const labels = this.#handlers;
    this.f.get(this.#handler).brTable(labels, labels[Special.illegal]);
  }

  /** Gives the instruction back that was spent. In such a way (x0 is 0) that nobody keeps what there was before it. */
  #unspend(): void {
    const { f } = this;
    f.get(this.#budget).i32(0).memory("i32.load", at(HartField.x)).op("i32.xor").i32(1).op("i32.add").set(this.#budget);
  }

  #writeUndecoded(): void {
    this.#unspend();
    this.f.get(this.op).call(this.imports.decode).br(this.#next);
  }

  #writePageEnd(): void {
    this.#unspend();
    this.currentPc();
    this.f.set(this.#pc).br(this.#lookup);
  }

  /** Where the second half is what it was when the op was decoded, the op is like any other; else it is fetched by itself. */
  #writeStraddle(): void {
    const { f } = this;
    const op = this.op;
    f.get(op).memory("i32.load", Straddle.page).if();
    f.get(this.pagePc).i64(PAGE_SIZE).op("i64.add").set(this.#pc);
    this.tlbEntry(this.#pc, HartField.tlbFetch);
    f.get(this.#pc).op("i64.eq").if("i32");
    f.i32(1);
    f.else();
    f.get(this.#pc).i32(Access.fetch).call(this.helpers.walker).end();
    f.get(this.offset).memory("i32.load", ADDEND).get(op).memory("i32.load", Straddle.page).op("i32.eq", "i32.and");
    f.get(op).memory("i32.load", Straddle.at).memory("i32.load16_u");
    f.get(op).memory("i32.load16_u", Straddle.half).op("i32.eq", "i32.and").if();
    f.get(op).memory("i32.load16_u", Straddle.handler).set(this.#handler);
    this.#dispatch();
    f.end().end();
    this.#unspend();
    this.#save();
    f.call(this.imports.straddle).tee(this.#status).brIf(this.#left);
    f.i32(this.plan.scratch).set(this.pageOps);
    f.i32(this.plan.scratch + (OPS_PER_PAGE - 1) * OP_SIZE)
      .set(op)
      .br(this.#next);
  }

  /** Runs the region that begins at this op, and takes up execution where it left off. */
  #writeRegionCall(): void {
    const { f } = this;
    this.#unspend();
    f.get(this.#budget).get(this.pagePc);
    this.#counter();
    f.memory("i32.load16_u", this.plan.counters).callIndirect(this.regionSignature).set(this.#budget);
    this.#takeUp();
  }

  /** The same for native code. */
  #writeNativeCall(): void {
    const { f } = this;
    this.#unspend();
    this.#store32(HartField.budget, () => f.get(this.#budget));
    this.#store64(HartField.nativePage, () => f.get(this.pagePc));
    this.#counter();
    f.memory("i32.load16_u", this.plan.counters).i32(2).op("i32.shl").memory("i32.load", this.plan.entries);
    f.call(this.imports.native).set(this.#budget);
    this.#takeUp();
  }

  #takeUp(): void {
    const { f } = this;
    f.i32(0).memory("i64.load", at(HartField.pc)).set(this.#pc);
    f.i32(0).memory("i32.load", at(HartField.mail3)).op("i32.eqz").brIf(this.#lookup);
    // One instruction is the interpreter's, whatever is translated there.
    f.get(this.#pc).i64(PAGE_MASK).op("i64.and").set(this.pagePc);
    this.tlbEntry(this.#pc, HartField.tlbFetch);
    f.get(this.pagePc).op("i64.ne").brIf(this.#lookup);
    f.get(this.#budget).op("i32.eqz").brIf(this.#lookup);
    f.get(this.offset).memory("i32.load", ADDEND).set(this.pageOps);
    this.#opOfPc();
    f.get(this.#budget).i32(1).op("i32.sub").set(this.#budget);
    f.get(this.op).memory("i32.load16_u", OpField.original).set(this.#handler);
    this.#dispatch();
  }

  #opOfPc(): void {
    const { f } = this;
    f.get(this.pageOps).get(this.#pc).op("i32.wrap_i64").i32(0xffe).op("i32.and").i32(3).op("i32.shl", "i32.add");
    f.set(this.op);
  }

  /** Pushes what is to be added to `plan.counters` to find the op's counter. */
  #counter(): void {
    this.f.get(this.op).i32(COUNTER_SHIFT).op("i32.shr_u");
  }

  /** Counts an arrival at the op: loops and jump targets become hot. */
  #count(): void {
    const { f, plan } = this;
    if (plan.threshold === 0) return;
    f.get(this.op).memory("i32.load16_u", OpField.handler).i32(Special.region).op("i32.sub").i32(1).op("i32.gt_u").if();
    this.#counter();
    this.#counter();
    f.memory("i32.load16_u", plan.counters).i32(1).op("i32.add").tee(this.#status).memory("i32.store16", plan.counters);
    f.get(this.#status).i32(plan.threshold).op("i32.eq").if();
    this.#save();
    f.get(this.op).call(this.imports.hot);
    f.end().end();
  }

  #writeHandler(handler: Handler): void {
    const { semantics, extension } = handler.instruction;
    if (extension === "f" || extension === "d") this.#requireFloat(semantics);
    switch (semantics.does) {
      case "set":
        this.setX(() => this.expr(semantics.value));
        break;
      case "setF":
        this.setFloat(semantics.to, () => this.expr(semantics.bits));
        break;
      case "load":
        this.#load(semantics.width, semantics.signed, semantics.address, semantics.to);
        break;
      case "store":
        this.#storeTo(semantics.width, semantics.address, semantics.value);
        break;
      case "branch":
        return this.#branch(handler, semantics.condition);
      case "jump":
        this.setX(() => this.followingPc(handler));
        return this.#go(handler);
      case "jumpTo":
        return this.#jumpTo(handler, semantics.target);
      case "amo":
        this.amo(semantics);
        break;
      case "loadReserved":
        this.loadReserved(semantics.width);
        break;
      case "storeConditional":
        this.storeConditional(semantics.width);
        break;
      case "zeroBlock":
        this.#zeroBlock();
        break;
      case "float":
        this.#float(semantics);
        break;
      case "service":
        return this.#service(semantics.service);
      case "fence":
        if (this.fence(semantics.orders)) return this.#service("fence.i");
        break;
    }
    this.#advance(handler);
    this.f.br(this.#next);
  }

  // ---- control flow ----

  #advance({ length }: Pick<Handler, "length">): void {
    const { f } = this;
    f.get(this.op);
    if (length === 0) f.get(this.op).memory("i32.load8_u", OpField.length).i32(3).op("i32.shl");
    else f.i32((length / 2) * OP_SIZE);
    f.op("i32.add").set(this.op);
  }

  /** To pc + imm. */
  #go({ reach }: Handler): void {
    const { f } = this;
    if (reach !== "far") {
      f.get(this.op).get(this.op).memory("i32.load", OpField.imm).op("i32.add").set(this.op);
      if (reach === "back") this.#count();
      f.br(this.#next);
      return;
    }
    this.currentPc();
    f.get(this.op).memory("i64.load32_s", OpField.imm).op("i64.add").set(this.#pc).br(this.#lookup);
  }

  #branch(handler: Handler, condition: Expr): void {
    this.expr(condition);
    this.f.if();
    this.#go(handler);
    this.f.end();
    this.#advance(handler);
    this.f.br(this.#next);
  }

  #jumpTo(handler: Handler, target: Expr): void {
    const { f } = this;
    this.expr(target);
    f.set(this.#pc);
    this.#noteTarget();
    this.setX(() => this.followingPc(handler));
    // On the same page there is nothing to look up.
    f.get(this.#pc).i64(PAGE_MASK).op("i64.and").get(this.pagePc).op("i64.ne").brIf(this.#lookup);
    this.#opOfPc();
    this.#count();
    f.br(this.#next);
  }

  /** Remembers where the computed jump goes, for the translator to guess from. */
  #noteTarget(): void {
    const { f, plan } = this;
    if (plan.threshold === 0) return;
    const site = this.offset;
    f.get(this.op)
      .i32(Site.shift)
      .op("i32.shr_u")
      .i32(Site.count - 1)
      .op("i32.and")
      .i32(Site.size)
      .op("i32.mul");
    f.tee(site)
      .memory("i32.load", plan.sites + Site.op)
      .get(this.op)
      .op("i32.ne")
      .ifUnlikely();
    f.get(site)
      .i32(plan.sites)
      .op("i32.add")
      .i32(0)
      .i32(Site.goals + Site.ring * 8)
      .memoryFill();
    f.get(site)
      .get(this.op)
      .memory("i32.store", plan.sites + Site.op)
      .end();
    f.get(site)
      .memory("i64.load", plan.sites + Site.last)
      .get(this.#pc)
      .op("i64.ne")
      .if();
    f.get(site)
      .get(this.#pc)
      .memory("i64.store", plan.sites + Site.last);
    // Into the ring, and the ring a step further.
    f.get(site)
      .get(site)
      .memory("i32.load", plan.sites + Site.next)
      .tee(this.#status)
      .op("i32.add")
      .get(this.#pc);
    f.memory("i64.store", plan.sites + Site.goals);
    f.get(site).get(this.#status).i32(8).op("i32.add");
    f.i32(Site.ring * 8 - 1)
      .op("i32.and")
      .memory("i32.store", plan.sites + Site.next);
    f.end();
  }

  // ---- leaving generated code ----

  #save(): void {
    this.#store64(HartField.pc, () => this.currentPc());
    this.#store32(HartField.budget, () => this.f.get(this.#budget));
  }

  #reload(): void {
    const { f } = this;
    f.i32(0).memory("i64.load", at(HartField.pc)).set(this.#pc);
    f.i32(0).memory("i32.load", at(HartField.budget)).set(this.#budget);
  }

  /** Calls out at a precise state, and leaves the page when the callee says so. */
  #callOut(callee: Callable, operands: () => void): void {
    const { f } = this;
    this.#save();
    operands();
    f.call(callee).tee(this.#status).brIf(this.#left);
    f.i32(0).memory("i32.load", at(HartField.budget)).set(this.#budget);
  }

  /** In plain cases WebAssembly does it alone. None of these instructions has a 16-bit form. */
  #serviceInPlace(service: Service): void {
    const { f, helpers } = this;
    switch (service) {
      case "csr":
        f.get(this.op).call(helpers.csr).if();
        this.#advance({ length: 4 });
        f.br(this.#next).end();
        return;
      case "sfence.vma":
        // The page being executed may be mapped elsewhere now: it is looked up anew.
        f.get(this.op).call(helpers.fence).if();
        this.followingPc({ length: 4 });
        f.set(this.#pc).br(this.#lookup).end();
        return;
      case "ecall":
        this.currentPc();
        break;
      case "sret":
      case "mret":
        break;
      default:
        return;
    }
    f.call(helpers[service]).if();
    f.i32(0).memory("i64.load", at(HartField.pc)).set(this.#pc).br(this.#lookup).end();
  }

  #service(service: Service): void {
    const { f } = this;
    this.#serviceInPlace(service);
    this.#callOut(this.imports.service, () => f.i32(services.indexOf(service)).get(this.op));
    f.get(this.op).get(this.op).memory("i32.load8_u", OpField.length).i32(3).op("i32.shl", "i32.add").set(this.op);
    f.br(this.#next);
  }

  #store64(field: number, value: () => void): void {
    this.f.i32(0);
    value();
    this.f.memory("i64.store", at(field));
  }

  #store32(field: number, value: () => void): void {
    this.f.i32(0);
    value();
    this.f.memory("i32.store", at(field));
  }

  // ---- memory ----

  /** Whether the TLB has the page of `address`; misaligned accesses never match, since tags have no low bits. */
  #tlbHit(table: number, width: Width): void {
    this.tlbEntry(this.address, table);
    this.f
      .get(this.address)
      .i64(PAGE_MASK | BigInt(width - 1))
      .op("i64.and", "i64.eq");
  }

  /** After a miss: whether the access stays inside one page, and the TLB has it after all, or has it now. */
  #laterHit(width: Width, access: Access): FunctionWriter {
    const { f } = this;
    f.get(this.address)
      .op("i32.wrap_i64")
      .i32(0xfff)
      .op("i32.and")
      .i32(4096 - width)
      .op("i32.le_u")
      .if("i32");
    f.get(this.offset).memory("i64.load").get(this.address).i64(PAGE_MASK).op("i64.and", "i64.eq").if("i32");
    f.i32(1);
    f.else();
    f.get(this.address).i32(access).call(this.helpers.walker);
    f.end();
    f.else();
    f.i32(0);
    return f.end();
  }

  #hitOffset(): void {
    this.f.get(this.address).op("i32.wrap_i64").get(this.offset).memory("i32.load", ADDEND).op("i32.add");
  }

  #load(width: Width, signed: boolean, address: Expr, to: Destination): void {
    const { f } = this;
    this.expr(address);
    f.set(this.address);
    this.#tlbHit(HartField.tlbRead, width);
    f.if("i32");
    this.#hitOffset();
    f.else();
    this.#laterHit(width, Access.load).if("i32");
    this.#hitOffset();
    f.else();
    this.#store64(HartField.mail0, () => f.get(this.address));
    this.#callOut(this.imports.load, () => f.i32(width));
    f.i32(at(HartField.mail0));
    f.end().end().set(this.offset);
    this.setResult(to, () => f.get(this.offset).memory(LOADS[signed ? "signed" : "unsigned"][width]));
  }

  #storeTo(width: Width, address: Expr, value: Expr): void {
    const { f } = this;
    this.expr(address);
    f.set(this.address);
    this.#tlbHit(HartField.tlbWrite, width);
    f.if();
    this.#hitOffset();
    this.expr(value);
    f.memory(STORES[width]);
    f.else();
    this.#laterHit(width, Access.store).if();
    this.#hitOffset();
    this.expr(value);
    f.memory(STORES[width]);
    f.else();
    this.#store64(HartField.mail0, () => f.get(this.address));
    this.#store64(HartField.mail1, () => this.expr(value));
    this.#callOut(this.imports.store, () => f.i32(width));
    f.end().end();
  }

  protected override atomicOffset(width: 4 | 8, access: "load" | "store"): void {
    const { f } = this;
    this.register(OpField.rs1, HartField.x);
    f.set(this.address);
    this.#locate(width, access);
  }

  #locate(width: Width, access: "load" | "store"): void {
    const { f } = this;
    this.#tlbHit(access === "load" ? HartField.tlbRead : HartField.tlbWrite, width);
    f.if("i32");
    this.#hitOffset();
    f.else();
    f.get(this.address)
      .op("i32.wrap_i64")
      .i32(width - 1)
      .op("i32.and", "i32.eqz")
      .if("i32");
    f.get(this.address).i32(Access[access]).call(this.helpers.walker);
    f.else();
    f.i32(0);
    f.end().if("i32");
    this.#hitOffset();
    f.else();
    this.#store64(HartField.mail0, () => f.get(this.address));
    this.#callOut(this.imports.locate, () => f.i32(width).i32(Access[access]));
    f.i32(0).memory("i32.load", at(HartField.mail0));
    f.end().end().set(this.offset);
  }

  /** CBO.ZERO, where menvcfg (and senvcfg, for U-mode) permits it. RISC-V Unpriv §19.6 */
  #zeroBlock(): void {
    const { f } = this;
    const forbidden = (slot: number) =>
      f
        .i32(0)
        .memory("i32.load", at(HartField.csr + slot * 8))
        .i32(Environment.CBZE)
        .op("i32.and", "i32.eqz");
    const privilege = () => f.i32(0).memory("i32.load", at(HartField.privilege));
    privilege().i32(3).op("i32.ne");
    forbidden(CsrSlot.menvcfg).op("i32.and");
    privilege().op("i32.eqz");
    forbidden(CsrSlot.senvcfg).op("i32.and", "i32.or").if();
    this.#callOut(this.imports.service, () => f.i32(services.indexOf("illegal")).get(this.op));
    f.end();
    this.register(OpField.rs1, HartField.x);
    f.i64(-64n).op("i64.and").set(this.address);
    this.#locate(8, "store");
    f.get(this.offset).i32(0).i32(64).memoryFill();
  }

  // ---- floating point ----

  /** Illegal while mstatus.FS is Off; whatever may change f registers or flags makes it Dirty. RISC-V Priv §3.1.6.6 */
  #requireFloat(semantics: Semantics): void {
    const { f } = this;
    f.i32(0).memory("i32.load", MSTATUS).i32(MSTATUS_FS).op("i32.and", "i32.eqz").if();
    this.#callOut(this.imports.service, () => f.i32(services.indexOf("illegal")).get(this.op));
    f.end();
    if (semantics.does === "store" || semantics.does === "set") return;
    f.i32(0).i32(0).memory("i32.load", MSTATUS).i32(MSTATUS_FS).op("i32.or").memory("i32.store", MSTATUS);
  }

  #float(semantics: FloatSemantics): void {
    const { f } = this;
    const rounding = this.temporary("i32");
    f.get(this.op).memory("i32.load8_u", OpField.rm).set(rounding);
    if (semantics.rounds) {
      // Mode 7 takes the dynamic one, which may be a reserved value.
      f.get(rounding).i32(7).op("i32.eq").if();
      f.i32(0).memory("i32.load", at(HartField.frm)).tee(rounding).i32(4).op("i32.gt_u").if();
      this.#callOut(this.imports.service, () => f.i32(services.indexOf("illegal")).get(this.op));
      f.end().end();
    }
    this.#callHelper(semantics, rounding, this.helpers[semantics.operation]);
  }

  /** Operands and result as native numbers. */
  #callHelper(semantics: FloatSemantics, rounding: Local, helper: Callable): void {
    const { f } = this;
    const { from, to, operands, negateProduct, negateAddend } = semantics;
    const flips = [negateProduct, false, negateAddend];
    this.setResult(to, () => {
      for (let i = 0; i < operands; i++) {
        this.#floatOperand(from, FLOAT_FIELDS[i]);
        if (from === "s") f.op("i32.wrap_i64", "f32.reinterpret_i32");
        else if (from === "d") f.op("f64.reinterpret_i64");
        if (flips[i]) f.op(from === "s" ? "f32.neg" : "f64.neg");
      }
      f.get(rounding).call(helper);
      if (to === "s") f.op("i32.reinterpret_f32", "i64.extend_i32_u");
      else if (to === "d") f.op("i64.reinterpret_f64");
    });
  }

  /** An operand's bits. A single that is not NaN-boxed is the canonical NaN. RISC-V Unpriv §22.2 */
  #floatOperand(from: "x" | "s" | "d", field: 4 | 6 | 8): void {
    const { f } = this;
    const file = from === "x" ? HartField.x : HartField.f;
    f.get(this.op)
      .memory(field === OpField.imm ? "i32.load" : "i32.load16_u", field)
      .memory("i64.load", at(file));
    if (from !== "s") return;
    const bits = this.temporary("i64");
    f.tee(bits).i64(0xffffffffn).op("i64.and").i64(0x7fc00000n);
    f.get(bits).i64(32n).op("i64.shr_u").i64(0xffffffffn).op("i64.eq", "select");
  }
}
