// [[pass]]: a device by its own keyword, placed, wired, described and refused as others are.
import { describe, expect, test } from "bun:test";
import { printDts } from "../../src/fdt/printer.ts";
import { boardTree } from "../../src/profile/devicetree.ts";
import { explainBoard } from "../../src/profile/explain.ts";
import { profileJsonSchema } from "../../src/profile/json-schema.ts";
import { BASE, codes, load, refused, registry } from "./support.ts";

const EMMC = `[[pass]]
name = "emmc"
at = 0x0402_0000
size = "4KiB"
host = "uio:emmc"
irq = "plic:3"
`;
const body = (text: string) => `${BASE}${text}`;
const nodes = (text: string) => printDts(boardTree(load(body(text)).board, registry)).split("soc {")[1]!;

describe("a pass", () => {
  test("is a device of the board: its place, its interrupt and its options with their defaults", () => {
    const { board } = load(body(EMMC));
    const emmc = board.vdevs.at(-1)!;
    expect(emmc.table).toBe("pass");
    expect(emmc.placement).toEqual({
      name: "emmc",
      type: "pass",
      regions: [{ name: "window", at: 0x402_0000, size: 4096 }],
      interrupts: [{ name: "irq", controller: "plic", line: 3, trigger: "level" }],
      phandle: expect.any(Number),
    });
    expect(emmc.options).toEqual({
      ...{ host: "uio:emmc", size: 4096, offset: 0, access: "rw", memory: "device", dma: false, trigger: "level" },
      ...{ unmask: "handled", override: false },
    });
  });

  test("has no interrupt that nobody wired, and as many as are", () => {
    const interrupts = (irq: string) =>
      load(body(EMMC.replace('irq = "plic:3"', irq)))
        .board.vdevs.at(-1)!
        .placement.interrupts.map(({ name }) => name);
    expect([interrupts(""), interrupts('irq = "none"'), interrupts('irq = ["plic:1", "plic:4"]')]).toEqual([
      [],
      [],
      ["irq0", "irq1"],
    ]);
  });

  test("keeps its phandle when vdevs are added", () => {
    const phandle = (text: string) => load(body(text)).board.vdevs.find(({ table }) => table === "pass")!.placement;
    expect(phandle(`${EMMC}[[vdev]]\ntype = "test-uart"\n`)).toEqual(phandle(EMMC));
  });

  test("is a node of the tree, by the profile's binding and properties", () => {
    const changed = `${EMMC}compatible = ["acme,emmc", "generic-sdhci"]\nnode = "mmc"\nfdt = { bus-width = 8 }\n`;
    expect(nodes(changed)).toContain(
      [
        "		mmc@4020000 {",
        '			compatible = "acme,emmc", "generic-sdhci";',
        "			reg = <0x00 0x4020000 0x00 0x1000>;",
        "			interrupt-parent = <0x21>;",
        "			interrupts = <0x03>;",
        "			bus-width = <0x08>;",
        "		};",
      ].join("\n"),
    );
  });

  test("resolved is a profile of the same board, and says how accesses get to the host", () => {
    const resolve = (text: string) => {
      const { board, provenance } = load(text);
      return explainBoard(board, provenance, registry);
    };
    const small = `${EMMC}[[pass]]\nname = "gpio"\nsize = 0x40\nhost = "devmem:0x0300_b100"\n`;
    const text = resolve(body(small));
    expect(text).toContain("# device pages: each access of the guest is one of the host");
    expect(text).toContain("# filtered: 64 bytes of a page of 4096");
    expect(load(text).board).toEqual(load(body(small)).board);
  });

  test("stands in the JSON Schema, without a type", () => {
    const { items } = profileJsonSchema(registry).properties!["pass"] as { items: { properties: object } };
    expect(Object.keys(items.properties)).toContain("unmask");
    expect(Object.keys(items.properties)).not.toContain("type");
  });
});

describe("is refused", () => {
  const change = (text: string) => refused(body(EMMC.replace('host = "uio:emmc"', text)));

  test("where it lies on something else, or takes a line that is taken", () => {
    expect(codes(body(`${EMMC}[[vdev]]\ntype = "test-uart"\nat = 0x0402_0800\nirq = "plic:3"\n`))).toEqual([
      "profile/overlap",
      "profile/interrupt-taken",
    ]);
    expect(codes(body(`${EMMC}${EMMC.replace("emmc", "plic")}`))).toContain("profile/duplicate-name");
  });

  test.each([
    ['host = "uio"', "pass.emmc.host: expected"],
    ['host = "devmem:0x0402_0004"', "must begin at a multiple of 8"],
    ['host = "devmem:0x0402_0100"\nmemory = "cached"', "the host maps whole pages"],
    ['host = "uio:x"\nmemory = "cached"\noffset = 0x100', "the host maps whole pages"],
    ['host = "uio:x"\naccess = "rwx"', "code cannot run from device registers"],
    ['host = "uio:x"\ndma = true', "would reach the host's own memory"],
    ['host = "vfio:01:00.0"\ndma = true\noverride = true', "never has two owners"],
    ['host = "uio:x"\nunmask = "early"', 'early needs trigger = "edge"'],
    ['host = "file:x"\nwindow = 1', "have no windows"],
    ['host = "uio:x"\ntype = "plic"', "pass.emmc has no key type"],
    ['host = "uio:x"\nacess = "r"', 'did you mean "access"?'],
  ])("%s", (text, message) => {
    expect(change(text)).toContain(message);
  });
});
