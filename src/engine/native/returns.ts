/**
 * Where calls return to. A call puts the guest's return address on the host's stack, and calls: what it goes on with when the
 * guest returns there stands behind it. A return compares the address with the latest one, and returns: the processor has
 * foretold where to, as it does for its own calls. What is on the stack holds for as long as native code is not left, and
 * nothing relies on it: the guest may return to anywhere, or never.
 */
import { HartField } from "../../isa/riscv/hart.ts";
import { Alu, type Assembler, Condition, Label, type Operand, Reg } from "./assembler.ts";
import { field } from "./registers.ts";

/** Of what a call puts on the stack: the guest's address, and the host's in front of it. */
const ENTRY = 16;
const ADDRESS = 8;
/** No guest returns there: instructions have even addresses. */
const NOWHERE = 1;
/** Below all others: a return looks at two. */
const BELOW = 2;
/** Bytes of the host's stack that calls may take. The threads of any host have that much to spare. */
const ROOM = 0x8000;

export class Returns {
  /** A return to the address in rax. */
  readonly return = new Label();
  readonly #other = new Label();

  /** Bytes of data that it has. */
  static readonly size = 8;

  /** @param end Where the stack's end is kept: it is full below that. */
  constructor(readonly end: Operand) {}

  /** Where native code is entered. Takes rax. */
  writeEntry(code: Assembler): void {
    code.lea(Reg.rax, Reg.rsp, -ROOM);
    code.move(this.end, Reg.rax);
    for (let i = 0; i < BELOW * 2; i++) code.pushImmediate(NOWHERE);
  }

  /** Where it is left: has the stack as it was. */
  writeLeave(code: Assembler): void {
    code.move(Reg.rsp, this.end);
    code.lea(Reg.rsp, Reg.rsp, ROOM);
  }

  /** Code that all other code shares: with where to go on if nothing is known. */
  writeCommon(code: Assembler, goOn: Label): void {
    code.bind(this.return);
    this.writeReturn(code);
    // A call may have been left for good, by a jump.
    code.bind(this.#other);
    code.aluStack(Alu.cmp, Reg.rax, ENTRY + ADDRESS);
    code.jumpIf(Condition.notEqual, goOn);
    code.lea(Reg.rsp, Reg.rsp, ENTRY);
    code.return();
  }

  /** Returns to the address in rax; or to where that leads if no call is to return there. */
  writeReturn(code: Assembler): void {
    code.aluStack(Alu.cmp, Reg.rax, ADDRESS);
    code.jumpIf(Condition.notEqual, this.#other);
    code.return();
  }

  /**
   * Goes to `callee`, the last instruction being a call of that. rax stays.
   * @param address Where the guest is to return to.
   */
  writeCall(code: Assembler, address: Operand, callee: Label, afterwards: (write: () => void) => Label): void {
    const begun = new Label();
    code.alu(Alu.cmp, Reg.rsp, this.end);
    code.jumpIf(
      Condition.below,
      afterwards(() => {
        // Those that were called first are not foretold.
        code.move(Reg.rsp, this.end);
        code.lea(Reg.rsp, Reg.rsp, ROOM - BELOW * ENTRY);
        code.jump(begun);
      }),
    );
    code.bind(begun);
    code.push(address);
    code.call(callee);
  }

  /** What stands behind a call: brings back the page, on which the guest's return address is so far from the start. Takes rax. */
  writeComeBack(code: Assembler, distance: number): void {
    code.pop(Reg.rax);
    // It may be on the next page.
    code.aluImmediate(Alu.sub, Reg.rax, distance);
    code.move(field(HartField.nativePage), Reg.rax);
  }
}
