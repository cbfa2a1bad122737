// Stack frames in native code: they may end where the stack's last page does.
import { describe, expect, test } from "bun:test";
import { RAM, type Rig } from "../rig.ts";
import { compare, DATA, hasNative, native, PTE_RW, paged, timesEntered, WHY_NOT } from "./native-rig.ts";

if (!hasNative) test.skip(`stack frames in native code (${WHY_NOT})`, () => {});

describe.if(hasNative)("a frame that ends where the last page of a stack does", () => {
  // As kernels keep a trap's registers; with a smaller one on the same page of code, before or after it.
  const large = "large: sd a0, 8(sp)\n sd a1, 248(sp)\n sd s0, 0(sp)\n sd a2, 272(sp)\n ret";
  const small = "small: sd a0, 0(sp)\n sd a1, 24(sp)\n ret";

  test.each([
    ["alone", "jal ra, large", large],
    ["after a smaller one", "jal ra, small\n jal ra, large", `${small}\n ${large}`],
    ["before a smaller one", "jal ra, large\n jal ra, small", `${large}\n ${small}`],
    [
      "of a word, after one of a doubleword",
      "jal ra, one\n jal ra, word",
      "one: ld a0, 0(sp)\n ret\n word: lw a1, 276(sp)\n ret",
    ],
    [
      "of a byte, after one of a word",
      "jal ra, one\n jal ra, byte",
      "one: lw a0, 0(sp)\n ret\n byte: lb a1, 279(sp)\n ret",
    ],
  ])("is native code's, %s", (_, calls, functions) => {
    const text = `
      li sp, ${DATA + 0x1000 - 280}
      li s3, 300
    again:
      ${calls}
      addi s3, s3, -1
      bnez s3, again
    done:
      j done
      ${functions}
    `;
    const prepare = (rig: Rig) => {
      const loaded = rig.load(text);
      paged(rig, (tables) => tables.map(DATA, RAM + 0x10_4000, PTE_RW));
      return loaded;
    };
    compare(prepare, [100, 1_000_000]);
    native.reset();
    prepare(native);
    native.run(200);
    expect(timesEntered(1000)).toBeLessThan(5);
  });
});
