// The assembler of the tests is tested too, against the project's own disassembler.
import { expect, test } from "bun:test";
import { disassemble } from "../../src/isa/riscv/disassemble.ts";
import { assemble } from "./program.ts";

function listing(text: string): string[] {
  const { at, bytes } = assemble(0x8000_0000, text);
  const view = new DataView(bytes.buffer);
  const lines: string[] = [];
  for (let i = 0; i < bytes.length; ) {
    const low = view.getUint16(i, true);
    const length = (low & 3) === 3 ? 4 : 2;
    lines.push(disassemble(length === 2 ? low : view.getUint32(i, true), BigInt(at + i), length));
    i += length;
  }
  return lines;
}

test("operands go where the table's syntax says", () => {
  const text = `
    add a0, a1, a2
    lw s3, -8(sp)
    sd s3, 16(sp)
    fld ft0, 8(a0)
    csrrw t0, mstatus, t1
    csrrsi zero, mie, 8
    amoadd.w a0, a1, (a2)
    lr.d a0, (a1)
    slli a0, a0, 40
    lui a0, 0x80000
    c.addi a0, a0, 1
    mret`;
  expect(listing(text)).toMatchInlineSnapshot(`
    [
      "add a0,a1,a2",
      "lw s3,-8(sp)",
      "sd s3,16(sp)",
      "fld ft0,8(a0)",
      "csrrw t0,mstatus,t1",
      "csrrsi zero,mie,8",
      "amoadd.w a0,a1,(a2)",
      "lr.d a0,(a1)",
      "slli a0,a0,0x28",
      "lui a0,0x80000",
      "c.addi a0,1",
      "mret",
    ]
  `);
});

test("labels work in both directions", () => {
  const { labels, bytes } = assemble(0x1000, "back: nop\n bnez a0, ahead\n j back\nahead: .half 7");
  expect(labels).toEqual({ back: 0x1000, ahead: 0x100c });
  expect([...new Int16Array(bytes.buffer, 12)]).toEqual([7]);
});

test("li makes any constant", () => {
  expect(listing("li a0, -1")).toHaveLength(1);
  expect(listing("li a0, 0x80000000").length).toBeGreaterThan(1);
});
