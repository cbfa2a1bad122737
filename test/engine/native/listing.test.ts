// Small guest functions and the native code that they become, word for word, so that a review sees what a change does to
// generated code. `bun test listing --update-snapshots` writes them anew.
import { describe, expect, test } from "bun:test";
import { nativeText } from "../../../src/engine/native/listing.ts";
import { nativeHost } from "../../../src/machine/native-host.ts";
import { Rig } from "../rig.ts";

const rig = new Rig({ threshold: 1, native: true });
const here = nativeHost(rig.memory) === undefined ? describe.skip : describe;

/** What is written while a program runs, in turn. */
function listed(source: string): string {
  const texts: string[] = [];
  rig.reset();
  rig.setCsr("mstatus", 0x6000n);
  rig.engine.followTranslation(
    () => {},
    (written) => void texts.push(nativeText(written)),
  );
  rig.load(source);
  rig.run(20);
  return texts.join("\n\n");
}

here("native code for", () => {
  test("arithmetic in registers and in memory", () => {
    expect(
      listed("add a0, a1, a2\naddw t3, a0, s5\nslli t4, t3, 3\nsltu a3, t4, a0\nmulhu t5, a0, t4\nwfi"),
    ).toMatchSnapshot();
  });

  test("a loop of loads and stores", () => {
    const loop = "loop: lbu a4, 0(a0)\nsb a4, 0(a1)\naddi a0, a0, 1\naddi a1, a1, 1\nbne a0, a2, loop\nwfi";
    expect(listed(`li a0, 0x80010000\nli a1, 0x80020000\nli a2, 0x80010020\n${loop}`)).toMatchSnapshot();
  });

  test("a loop that has other registers than usual", () => {
    const loop = "loop: add s2, s2, s3\nxor s3, s3, s4\nadd s4, s4, s2\naddi s5, s5, -1\nbnez s5, loop\nwfi";
    expect(listed(`li s5, 10\n${loop}`)).toMatchSnapshot();
  });

  test("a loop of words that is entered in its middle", () => {
    const loop =
      "loop: mv a3, a2\nsrliw t0, a3, 7\nslliw t1, a3, 25\nor a2, t0, t1\nmiddle: lw a4, 0(a0)\naddw a2, a2, a4";
    expect(
      listed(`li a0, 0x80010000\nli a1, 0x80010020\nj middle\n${loop}\naddi a0, a0, 4\nbne a0, a1, loop\nwfi`),
    ).toMatchSnapshot();
  });

  test("calls, returns and jumps to other pages", () => {
    expect(
      listed("jal ra, f\nj away\nf: addi a0, a0, 1\njalr zero, 0(ra)\n.org 0x80001000\naway: wfi"),
    ).toMatchSnapshot();
  });

  test("calls that return by way of the stack", () => {
    expect(listed("jal ra, f\njalr ra, 0(a1)\nwfi\n.org 0x80001000\nf: wfi")).toMatchSnapshot();
  });

  test("floating point", () => {
    expect(
      listed("fadd.d fa0, fa1, fa2\nfmadd.s fa3, fa4, fa5, fa6\nfcvt.w.d a0, fa0, rtz\nflt.d a1, fa0, fa1\nwfi"),
    ).toMatchSnapshot();
  });

  test("atomic instructions", () => {
    expect(listed("li a0, 0x80010000\namoadd.w a1, a2, (a0)\nlr.d a3, (a0)\nsc.d a4, a5, (a0)\nwfi")).toMatchSnapshot();
  });

  test("branches that choose", () => {
    const bits =
      "loop: andi a5, a1, 1\nsrli a1, a1, 1\nbeqz a5, on\nslli s0, a2, 48\nsrli s0, s0, 48\non: xor a2, a2, s0";
    const least = "bge a6, s2, seldom\nback: bnez a1, loop\nwfi\nseldom: mv s2, a6\nli a4, -5\nj back";
    expect(listed(`li a1, 0x5555\nli a2, 0x12345\n${bits}\n${least}`)).toMatchSnapshot();
  });

  test("searches", () => {
    const up = "up: lw a6, 4(a2)\naddi a2, a2, 4\nblt a6, a3, up";
    const down = "down: lbu t0, -1(a5)\nmv s0, a5\naddi a5, a5, -1\nbne t0, zero, down";
    const start = "li a2, 0x80010000\nli a3, 77\nli a5, 0x80012000";
    expect(listed(`${start}\n${up}\n${down}\nwfi`)).toMatchSnapshot();
  });
});
