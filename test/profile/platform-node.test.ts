// `tree`: what a platform's own tree says of a passed device, without what means nothing to a guest.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { VmrunError } from "../../src/diagnostics/diagnostic.ts";
import { parseDts } from "../../src/fdt/dts/parse.ts";
import { printDts } from "../../src/fdt/printer.ts";
import { writeDtb } from "../../src/fdt/writer.ts";
import { boardTree } from "../../src/profile/devicetree.ts";
import { explainBoard } from "../../src/profile/explain.ts";
import { loadProfile } from "../../src/profile/load.ts";
import { BASE, registry } from "./support.ts";

const PLATFORM = `/dts-v1/;
/ {
  #address-cells = <1>;
  #size-cells = <1>;
  ccu: clock@2001000 { reg = <0x2001000 0x1000>; #clock-cells = <1>; #reset-cells = <1>; };
  gic: intc@1000000 { reg = <0x1000000 0x1000>; interrupt-controller; #interrupt-cells = <3>; };
  pio: gpio@2000000 { reg = <0x2000000 0x800>; gpio-controller; #gpio-cells = <3>; };
  mmc0: mmc@4020000 {
    compatible = "acme,emmc", "generic-sdhci";
    reg = <0x4020000 0x1000>;
    interrupts = <0 40 4>;
    interrupt-parent = <&gic>;
    clocks = <&ccu 83>, <&ccu 84>;
    clock-names = "ahb", "mmc";
    resets = <&ccu 12>;
    reset-names = "ahb";
    cd-gpios = <&pio 5 6 1>;
    bus-width = <4>;
    max-frequency = <150000000>;
    status = "okay";
    #address-cells = <1>;
    #size-cells = <0>;
    card@0 { reg = <0>; compatible = "mmc-card"; broken-hpi; };
  };
};`;

const folder = mkdtempSync(join(tmpdir(), "vmrun-platform-"));
afterAll(() => rmSync(folder, { recursive: true }));
writeFileSync(join(folder, "platform.dtb"), writeDtb(parseDts(Buffer.from(PLATFORM), { file: "platform.dts" })));

function load(tree: string, host = "devmem:0x4020000") {
  const path = join(folder, "board.toml");
  const pass = `[[pass]]\nname = "emmc"\nat = 0x0700_0000\nsize = "4KiB"\nhost = "${host}"\nirq = "plic:3"\nfdt = { bus-width = 8 }\n`;
  writeFileSync(path, `${BASE}${pass}tree = "${tree}"\n`);
  return loadProfile(path, { registry });
}
const refusal = (tree: string) => {
  try {
    load(tree);
    return "none";
  } catch (error) {
    return (error as VmrunError).diagnostics
      .map(({ code, message, hint }) => `${code}: ${message}; ${hint}`)
      .join("\n");
  }
};

test("a node is taken over but for what belongs to the platform, and the board's own words stand over it", () => {
  const { board, provenance } = load("platform.dtb#/mmc@4020000");
  const text = printDts(boardTree(board, registry)).split("soc {")[1]!;
  expect(text.slice(text.indexOf("\t\tmmc@"), text.indexOf("\t\tplic@"))).toBe(
    [
      "		mmc@7000000 {",
      '			compatible = "acme,emmc", "generic-sdhci";',
      "			bus-width = <0x08>;",
      "			max-frequency = <0x8f0d180>;",
      "			#address-cells = <0x01>;",
      "			#size-cells = <0x00>;",
      "			reg = <0x00 0x7000000 0x00 0x1000>;",
      "			interrupt-parent = <0x21>;",
      "			interrupts = <0x03>;",
      "",
      "			card@0 {",
      '				compatible = "mmc-card";',
      "				broken-hpi;",
      "				reg = <0x00>;",
      "			};",
      "		};",
      "",
      "",
    ].join("\n"),
  );
  writeFileSync(join(folder, "again.toml"), explainBoard(board, provenance, registry));
  expect(loadProfile(join(folder, "again.toml"), { registry }).board).toEqual(board);
});

test("what cannot be taken over is refused at its key", () => {
  expect(refusal("platform.dtb#/mmc@1")).toStartWith(
    `profile/no-node: pass.emmc.tree: ${folder}/platform.dtb has no node /mmc@1`,
  );
  expect(refusal("platfrom.dtb#/mmc@1")).toContain('did you mean "platform.dtb"?');
  expect(refusal("board.toml#/mmc@1")).toStartWith("profile/tree");
  expect(refusal("mmc")).toContain('expected "host", "host#/soc');
});
