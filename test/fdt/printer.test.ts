import { describe, expect, test } from "bun:test";
import { printDts } from "../../src/fdt/printer.ts";
import { type Fdt, type FdtNode, node, type PropertyInput } from "../../src/fdt/tree.ts";
import { writeDtb } from "../../src/fdt/writer.ts";
import { codeOf, dtc, expectSameBytes, hasDtc, NEEDS_DTC, randomFdt, sampleFdt } from "./support.ts";

function fdtOf(root: FdtNode, bootCpu = 0): Fdt {
  return { root, reservations: [], bootCpu };
}

function printed(value: PropertyInput): string {
  return printDts(fdtOf(node("", { p: value })))
    .split("\n")[3]!
    .trim();
}

describe("printDts", () => {
  test("a whole tree", () => {
    expect(printDts(sampleFdt())).toMatchInlineSnapshot(`
      "/dts-v1/;

      /memreserve/	0x0000000080000000 0x0000000000001000;
      / {
      	#address-cells = <0x02>;
      	#size-cells = <0x02>;
      	compatible = "acme,board", "riscv-virtio";

      	chosen {
      		bootargs = "console=ttyS0 quote=\\"a\\\\b\\"";
      		stdout-path = "/soc/serial@10000000";
      	};

      	memory@80000000 {
      		device_type = "memory";
      		reg = <0x00 0x80000000 0x01 0x00>;
      	};

      	cpus {
      		#address-cells = <0x01>;
      		#size-cells = <0x00>;
      		timebase-frequency = <0x989680>;

      		cpu@0 {
      			device_type = "cpu";
      			reg = <0x00>;
      			riscv,isa = "rv64gc";

      			interrupt-controller {
      				#interrupt-cells = <0x01>;
      				interrupt-controller;
      				phandle = <0x01>;
      			};
      		};
      	};

      	soc {
      		#address-cells = <0x02>;
      		#size-cells = <0x02>;
      		ranges;

      		serial@10000000 {
      			reg = <0x00 0x10000000 0x00 0x100>;
      			clock-frequency = <0x00 0x384000>;
      			mac-address = [02 00 00 00 00];
      			reg-names = [00];
      			names = [00 78 00];
      		};
      	};
      };
      "
    `);
  });

  test.each<[PropertyInput, string]>([
    [true, "p;"],
    ["text", 'p = "text";'],
    [["a", "b"], 'p = "a", "b";'],
    [["ab", ""], 'p = "ab", "";'],
    ['"\\\n\t\r\x07\x08\x0b\x0c', 'p = "\\"\\\\\\n\\t\\r\\a\\b\\v\\f";'],
    [[1, 0xffff_ffff], "p = <0x01 0xffffffff>;"],
    [0, "p = <0x00>;"],
    ["", "p = [00];"],
    [["a", ""], "p = [61 00 00];"],
    ["é", "p = [c3 a9 00];"],
    ["\x1b[m", "p = <0x1b5b6d00>;"],
    [new Uint8Array([1, 2, 255]), "p = [01 02 ff];"],
    [new Uint8Array([0x61, 0, 0, 0]), "p = <0x61000000>;"],
  ])("%p prints as %s", (value, text) => expect(printed(value)).toBe(text));

  test("a boot CPU that dtc would not guess is told in a comment", () => {
    const cpus = node("cpus", {}, [node("cpu@4", { reg: 4 })]);
    expect(printDts(fdtOf(node("", {}, [cpus]), 4))).not.toContain("boot CPU");
    expect(printDts(fdtOf(node("", {}, [cpus]), 0))).toContain("// boot CPU: dtc -b 0\n");
    expect(printDts(fdtOf(node(""), 1))).toContain("// boot CPU: dtc -b 1\n");
  });

  test("what has no source text is refused", () => {
    expect(
      codeOf(() => printDts(fdtOf({ ...node(""), properties: new Map([["a = <1>; b", new Uint8Array(0)]]) }))),
    ).toBe("fdt/name");
  });
});

describe("printDts beside dtc", () => {
  const trees = [sampleFdt(), ...Array.from({ length: 40 }, (_, seed) => randomFdt(seed))];

  test.skipIf(!hasDtc)(`dtc turns our text into our blob${NEEDS_DTC}`, () => {
    for (const fdt of trees) expectSameBytes(dtc("dts", "dtb", printDts(fdt), "-f"), writeDtb(fdt));
  });

  test.skipIf(!hasDtc)(`with the option from the comment also the boot CPU returns${NEEDS_DTC}`, () => {
    const fdt = { ...sampleFdt(), bootCpu: 2 };
    expectSameBytes(dtc("dts", "dtb", printDts(fdt), "-b", "2"), writeDtb(fdt));
  });

  test.skipIf(!hasDtc)(`our text is dtc's own text${NEEDS_DTC}`, () => {
    const decoder = new TextDecoder();
    for (const fdt of trees) {
      const theirs = decoder.decode(dtc("dtb", "dts", writeDtb(fdt), "-f"));
      // dtc before 1.7 writes the NUL between strings as an escape, later ones as we do.
      expect(printDts(fdt)).toBe(theirs.replaceAll(/(?<!\\)((?:\\\\)*)\\0/g, '$1", "'));
    }
  });
});
