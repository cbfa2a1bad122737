// The commands behind `vmrun fdt`, and `vmrun map`: each with files, pipes, and input at fault.
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readDtb } from "../../src/fdt/reader.ts";
import { cells64, find, node, strings } from "../../src/fdt/tree.ts";
import { writeDtb } from "../../src/fdt/writer.ts";
import { ROOT, VIRT, vmrun } from "./vmrun.ts";

const folder = mkdtempSync(join(tmpdir(), "vmrun-fdt-verbs-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const root = node("", { "#address-cells": 2, "#size-cells": 2, compatible: "acme,board", model: "a b" }, [
  node("aliases", { serial0: "/soc/serial@10000000" }),
  node("soc", { "#address-cells": 2, "#size-cells": 2, compatible: "simple-bus", ranges: true, phandle: 1 }, [
    node("serial@10000000", { compatible: "ns16550a", reg: cells64(0x1000_0000, 0x100), "clock-frequency": 3686400 }),
  ]),
  node("__symbols__", { soc: "/soc" }),
]);
const BASE = file("base.dtb", writeDtb({ root, reservations: [], bootCpu: 0 }));
const SOURCE = file(
  "board.dts",
  `/dts-v1/;
/ {
	#address-cells = <1>;
	#size-cells = <1>;
	here: uart@10 {
		reg = <0x20 0x10>;
		clocks = <5>;
	};
};
`,
);
const OVERLAY = file(
  "over.dtso",
  `/dts-v1/;
/plugin/;
&soc {
	status = "okay";
	rtc@101000 { reg = <0 0x101000 0 0x1000>; };
};
`,
);

describe("apply and --overlay", () => {
  test("merge an overlay in source text", async () => {
    const out = join(folder, "merged.dtb");
    expect(await vmrun(["fdt", "apply", BASE, OVERLAY, "-o", out])).toMatchObject({ code: 0, out: "", err: "" });
    const tree = readDtb(new Uint8Array(readFileSync(out)));
    expect(strings(find(tree.root, "/soc")!, "status")).toEqual(["okay"]);
    expect(find(tree.root, "/soc/rtc@101000")).toBeDefined();
  });

  test("say which overlay does not fit, and where", async () => {
    const wrong = file("wrong.dtso", "/dts-v1/;\n/plugin/;\n&nothing { };\n");
    const { code, err } = await vmrun(["fdt", "apply", BASE, wrong]);
    expect(code).toBe(2);
    expect(err).toContain("wrong.dtso, /__fixups__:nothing: error[overlay/unresolved-symbol]");
  });

  test("give a board more than its profile says", async () => {
    const chosen = file(
      "chosen.dtso",
      '/dts-v1/;\n/plugin/;\n/ { fragment@0 { target-path = "/chosen"; __overlay__ { x = <1>; }; }; };\n',
    );
    const { code, out } = await vmrun(["fdt", VIRT, "--overlay", chosen, "--dts"]);
    expect(code).toBe(0);
    expect(out).toContain("x = <0x01>;");
  });

  test("and --padding leaves room", async () => {
    const [plain, padded] = [await vmrun(["fdt", VIRT]), await vmrun(["fdt", VIRT, "--padding", "0x100"])];
    expect(padded.bytes.length - plain.bytes.length).toBe(256);
    expect((await vmrun(["fdt", VIRT, "--padding", "much"])).code).toBe(2);
  });
});

describe("check", () => {
  test("points into the source, and fails for errors only", async () => {
    const { code, out } = await vmrun(["fdt", "check", SOURCE]);
    expect(code).toBe(0);
    expect(out).toContain(`board.dts:7:3: warning[check/clocks_property]: /uart@10:clocks: `);
    expect(out).toContain("    7 | \t\tclocks = <5>;");
    expect((await vmrun(["fdt", "check", SOURCE, "-E", "clocks_property"])).code).toBe(2);
    const quiet = await vmrun(["fdt", "check", SOURCE, "-W", "no-clocks_property", "-W", "no-gpios_property"]);
    expect([quiet.code, quiet.out]).toEqual([0, `${SOURCE}: nothing found\n`]);
  });

  test("reads standard input, and answers JSON", async () => {
    const { code, out } = await vmrun(["fdt", "check", "--json", "-"], readFileSync(SOURCE, "utf8"));
    expect(code).toBe(0);
    expect(JSON.parse(out).map((each: { code: string }) => each.code)).toContain("check/clocks_property");
  });

  test("finds nothing in the shipped profiles", async () => {
    // linux-rv64 names images that a fresh clone does not have, and the tree does not depend on what is in them.
    const image = join(ROOT, "README.md");
    const standIns = ["--set", `boot.kernel=${image}`, "--set", `boot.initrd=${image}`];
    for (const [profile, more] of [
      ["virt-rv64", []],
      ["hifive-rv64", []],
      ["devices-rv64", []],
      ["linux-rv64", standIns],
    ] as const) {
      const path = join(ROOT, `profiles/${profile}.toml`);
      const { code, out } = await vmrun(["fdt", "check", path, ...more]);
      expect([code, out]).toEqual([0, `${path}: nothing found\n`]);
    }
  });

  test("names its checks", async () => {
    const { code, out } = await vmrun(["fdt", "check", "--list"]);
    expect(code).toBe(0);
    expect(out).toContain("\nwarning  reg_format ");
    expect((await vmrun(["fdt", "check", SOURCE, "-W", "nonsense"])).code).toBe(2);
  });
});

describe("diff", () => {
  test("is silent about the same tree in another form", async () => {
    const { out } = await vmrun(["fdt", "convert", BASE]);
    expect(await vmrun(["fdt", "diff", BASE, "-"], out)).toMatchObject({ code: 0, out: "", err: "" });
  });

  test("tells a difference by text, by JSON, by exit code, and as an overlay", async () => {
    const other = join(folder, "other.dtb");
    await vmrun(["fdt", "set", BASE, "serial0", "clock-frequency", "7", "-o", other]);
    const overlay = join(folder, "difference.dtbo");
    const { code, out, err } = await vmrun(["fdt", "diff", BASE, other, "--overlay", overlay]);
    expect([code, err]).toEqual([9, ""]);
    expect(out).toBe("/soc/serial@10000000\n  - clock-frequency = <0x384000>;\n  + clock-frequency = <0x7>;\n");
    expect(JSON.parse((await vmrun(["fdt", "diff", "--json", BASE, other])).out)).toHaveLength(1);
    const again = join(folder, "again.dtb");
    await vmrun(["fdt", "apply", BASE, overlay, "-o", again]);
    expect((await vmrun(["fdt", "diff", again, other])).code).toBe(0);
  });
});

describe("get, list and set", () => {
  test("read", async () => {
    const { out } = await vmrun(["fdt", "get", BASE, "/", "model", "serial0", "clock-frequency"]);
    expect(out).toBe("a b\n3686400\n");
    expect((await vmrun(["fdt", "get", "-t", "x", BASE, "/soc/serial", "reg"])).out).toBe("0 10000000 0 100\n");
    expect((await vmrun(["fdt", "get", "-t", "r", BASE, "/", "model"])).out).toBe("a b\0");
    expect((await vmrun(["fdt", "get", "-d", "none", BASE, "/no", "x"])).out).toBe("none\n");
    expect((await vmrun(["fdt", "get", BASE, "/no", "x"])).code).toBe(2);
  });

  test("list", async () => {
    expect((await vmrun(["fdt", "list", BASE])).out).toBe("aliases\nsoc\n__symbols__\n");
    expect((await vmrun(["fdt", "list", "-p", BASE, "/aliases"])).out).toBe("serial0\n");
    expect((await vmrun(["fdt", "list", "-r", BASE, "/soc"])).out).toBe("/soc/serial@10000000\n");
  });

  test("write", async () => {
    const path = file("edit.dtb", readFileSync(BASE));
    const edit = async (...words: string[]) =>
      expect(await vmrun(["fdt", "set", "-i", path, ...words])).toMatchObject({ code: 0, err: "" });
    await edit("/soc", "level", "-3");
    await edit("--parents", "/a/b", "name-list", "-t", "s", "x", "y");
    await edit("--create", "/c");
    await edit("--delete", "/soc", "ranges");
    await edit("--remove", "/aliases");
    expect((await vmrun(["fdt", "get", path, "/soc", "level", "/a/b", "name-list"])).out).toBe("-3\nx y\n");
    expect((await vmrun(["fdt", "list", path])).out).toBe("c\na\nsoc\n__symbols__\n");
    expect((await vmrun(["fdt", "set", "-i", SOURCE, "/", "x", "1"])).err).toContain("--in-place");
  });
});

test("convert goes the other way, keeps labels on request, and needs no names of files", async () => {
  const dtb = await vmrun(["fdt", "convert", "--symbols", "-", "--to", "dtb"], readFileSync(SOURCE, "utf8"));
  expect(dtb.code).toBe(0);
  expect(find(readDtb(dtb.bytes).root, "/__symbols__")!.properties.has("here")).toBe(true);
  const dts = await vmrun(["fdt", "convert", SOURCE, "--to", "dts"]);
  expect(dts.out).toContain("here: uart@10 {");
});

test("convert and set keep a source's labels, references and comments", async () => {
  const source =
    "// head\n/dts-v1/;\n\n/ {\n\t// why\n\tp = <&l>; // what\n\n\tl: n {\n\t\tphandle = <0x01>;\n\t};\n};\n";
  const commented = file("commented.dts", source);
  expect((await vmrun(["fdt", "convert", commented, "--to", "dts"])).out).toBe(source);
  const { out } = await vmrun(["fdt", "set", commented, "--dts", "/n", "q", "2"]);
  expect(out).toBe(source.replace("{\n\t\tphandle", "{\n\t\tq = <0x02>;\n\t\tphandle"));
});

describe("convert in dtc's place", () => {
  const convert = (...words: string[]) => vmrun(["fdt", "convert", ...words]);

  test("pads, aligns, reserves and dates a blob", async () => {
    const { bytes } = await convert(BASE, "--to", "dtb", "--size", "1999", "--align", "64", "--reserve", "2");
    expect(bytes.length).toBe(2048);
    expect(new DataView(bytes.buffer).getUint32(8)).toBe(40 + 16 * 3);
    const old = await convert(BASE, "--to", "dtb", "--dtb-version", "16", "--boot-cpu", "7");
    expect(new DataView(old.bytes.buffer).getUint32(20)).toBe(16);
    expect(readDtb(old.bytes).bootCpu).toBe(7);
    expect((await convert(BASE, "--dtb-version", "3")).code).toBe(2);
  });

  test("makes aliases, phandles in the old form, and says what it read", async () => {
    const included = file("part.dtsi", "/ { p = <&lab>; lab: n { }; };\n");
    const source = file("whole.dts", '/dts-v1/;\n/include/ "part.dtsi"\n');
    const [out, deps] = [join(folder, "whole.dtb"), join(folder, "whole.d")];
    expect((await convert(source, "--aliases", "--phandles", "legacy", "-o", out, "--depfile", deps)).code).toBe(0);
    const tree = readDtb(new Uint8Array(readFileSync(out)));
    expect(strings(find(tree.root, "/aliases")!, "lab")).toEqual(["/n"]);
    expect([...find(tree.root, "/n")!.properties.keys()]).toEqual(["linux,phandle"]);
    expect(readFileSync(deps, "utf8")).toBe(`${out}: ${source} ${included}\n`);
  });

  test("checks on request, and then writes nothing in spite of errors unless forced to", async () => {
    const source = file("twice.dts", "/dts-v1/;\n/ { a { }; a { }; b@1 { }; };\n");
    const out = join(folder, "twice.dtb");
    const refused = await convert(source, "--check", "-o", out);
    expect(refused.code).toBe(2);
    expect(refused.err).toContain("twice.dts:2:12: error[check/duplicate_node_names]");
    expect(refused.err).toContain("warning[check/unit_address_vs_reg]");
    expect(existsSync(out)).toBe(false);
    expect((await convert(source, "--force", "-W", "no-unit_address_vs_reg", "-o", out)).code).toBe(0);
    expect((await vmrun(["fdt", "list", out])).err).toContain("fdt/duplicate-node");
    const checked = await vmrun(["fdt", "check", out]);
    expect(checked.out).toContain("error[check/duplicate_node_names]");
    expect(checked.code).toBe(2);
  });

  test("says where things come from", async () => {
    const { out } = await convert(SOURCE, "--to", "dts", "--annotate");
    expect(out).toContain(`here: uart@10 { /* ${SOURCE}:5:8 */`);
    expect(out).toContain(`clocks = <0x05>; /* ${SOURCE}:7:3 */`);
  });

  test("reads the directory in which Linux shows its tree", async () => {
    const base = join(folder, "device-tree");
    mkdirSync(join(base, "soc@1"), { recursive: true });
    writeFileSync(join(base, "name"), "\0");
    writeFileSync(join(base, "soc@1", "name"), "soc\0");
    writeFileSync(join(base, "soc@1", "reg"), new Uint8Array([0, 0, 0, 1]));
    symlinkSync(base, join(base, "soc@1", "loop"));
    const { out, code } = await convert(base, "--sort");
    expect(code).toBe(0);
    expect(out).toBe("/dts-v1/;\n\n/ {\n\n\tsoc@1 {\n\t\treg = <0x01>;\n\t};\n};\n");
  });
});

describe("map", () => {
  test("is text, or a picture for a file of that name", async () => {
    expect((await vmrun(["map", VIRT])).out).toContain("/soc/plic@c000000");
    const picture = join(folder, "map.svg");
    await vmrun(["map", BASE, "-o", picture]);
    const text = readFileSync(picture, "utf8");
    expect(text).toStartWith("<svg ");
    expect((await vmrun(["map", "--svg", BASE])).out).toBe(text);
  });
});

describe("input at fault", () => {
  const cases: [string, string[], string][] = [
    ["a misspelt verb", ["chekc", BASE], 'did you mean "vmrun fdt check"?'],
    ["no file", ["check", join(folder, "none.dtb")], "error[cli/input]"],
    ["neither DTB nor DTS", ["check", file("x.bin", "hello")], "error[cli/no-tree]"],
    ["a DTB cut short", ["list", file("cut.dtb", readFileSync(BASE).subarray(0, 100))], "error[fdt/truncated]"],
    ["a DTS with an error", ["convert", file("bad.dts", "/dts-v1/;\n/ {\n\tx = <;\n};\n")], "bad.dts:3:7: error["],
    ["too few words", ["diff", BASE], "error[cli/usage]"],
    ["standard input twice", ["diff", "-", "-"], "error[cli/usage]"],
    ["an unknown option", ["get", "--typ", "x", BASE, "/", "model"], "did you mean --type?"],
  ];
  for (const [what, words, text] of cases) {
    test(what, async () => {
      const { code, out, err } = await vmrun(["fdt", ...words]);
      expect([code, out]).toEqual([2, ""]);
      expect(err).toContain(text);
    });
  }
});
