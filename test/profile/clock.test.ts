// [[clock]]: controllers of which a guest gets a part, and the clocks that devices name.
import { describe, expect, test } from "bun:test";
import { printDts } from "../../src/fdt/printer.ts";
import { boardTree } from "../../src/profile/devicetree.ts";
import { explainBoard } from "../../src/profile/explain.ts";
import { profileJsonSchema } from "../../src/profile/json-schema.ts";
import { BASE, codes, load, refused, registry } from "./support.ts";

const OSCILLATOR = `[[clock]]
name = "hosc"
rate = "24MHz"
`;
const CCU = `[[clock]]
name = "ccu"
at = 0x0200_1000
size = "8KiB"
host = "devmem:0x02001000"
compatible = "acme,ccu"
clocks = { hosc = "hosc" }
[[clock.register]]
name = "pll"
offset = 0x20
reset = 0x1800
[[clock.register.field]]
name = "n"
bits = [15, 8]
[[clock.register]]
name = "mmc0"
offset = 0x830
pass = 0x8000_0000
[[clock.register.field]]
name = "gate"
bits = 31
[[clock.register.field]]
name = "source"
bits = [25, 24]
[[clock.register.field]]
name = "m"
bits = [3, 0]
access = "pass-if"
allow = ["2..15"]
[[clock.output]]
name = "periph"
index = 7
from = "hosc"
multiply = "pll.n"
fixed = true
[[clock.output]]
name = "mmc0"
index = 32
from = ["hosc", "periph"]
mux = "mmc0.source"
divide = "mmc0.m"
gate = "mmc0.gate"
`;
const EMMC = `[[pass]]
name = "emmc"
at = 0x0402_0000
size = "4KiB"
host = "uio:emmc"
clocks = { bus = "ccu.periph", mod = "ccu.mmc0" }
`;
const WHOLE = `${BASE}${OSCILLATOR}${CCU}${EMMC}`;
const tree = (text: string) => printDts(boardTree(load(text).board, registry));
/** The node of that name. */
const nodeOf = (text: string, name: string) => {
  const lines = tree(text).split("\n");
  const first = lines.findIndex((line) => line.trim().startsWith(`${name} {`));
  const indent = /^\s*/.exec(lines[first]!)![0];
  return lines.slice(first + 1, lines.indexOf(`${indent}};`, first)).map((line) => line.trim());
};

describe("in the device tree", () => {
  test("a mapped controller is a provider, whose inputs have names", () => {
    expect(nodeOf(WHOLE, "clock-controller@2001000")).toEqual([
      'compatible = "acme,ccu";',
      "reg = <0x00 0x2001000 0x00 0x2000>;",
      "#clock-cells = <0x01>;",
      "phandle = <0x822>;",
      "clocks = <0x1000000>;",
      'clock-names = "hosc";',
    ]);
  });

  test("fixed clocks are nodes with the rate that their registers come to", () => {
    expect(nodeOf(WHOLE, "clock-hosc")).toContain("clock-frequency = <0x16e3600>;");
    expect(nodeOf(WHOLE, "clock-ccu-periph")).toEqual([
      'compatible = "fixed-clock";',
      "#clock-cells = <0x00>;",
      // 24 MHz * (0x18 + 1)
      "clock-frequency = <0x23c34600>;",
      'clock-output-names = "ccu.periph";',
      "phandle = <0x1000400>;",
    ]);
  });

  test("devices name theirs by the binding's numbers, instead of a rate of their own", () => {
    expect(nodeOf(WHOLE, "emmc@4020000").slice(-2)).toEqual([
      "clocks = <0x1000400 0x822 0x20>;",
      'clock-names = "bus", "mod";',
    ]);
    const uart = `[[vdev]]\ntype = "test-uart"\nat = 0x1000_0000\nclocks = ["ccu.mmc0", "hosc"]\nirq = "none"\n`;
    const lines = nodeOf(`${WHOLE}${uart}`, "serial@10000000");
    expect(lines).toContain("clocks = <0x822 0x20 0x1000000>;");
    expect(lines.join()).not.toContain("clock-names");
  });

  test("nothing is to be seen of a controller that is not mapped but fixed clocks", () => {
    const unmapped = `${BASE}${OSCILLATOR}${CCU.replace(/at = .*\nsize = .*\n/, "").replace("pass = 0x8000_0000", "reset = 1")}${EMMC}`;
    const text = unmapped.replace('access = "pass-if"\nallow = ["2..15"]\n', "");
    expect(tree(text)).not.toContain("clock-controller");
    expect(nodeOf(text, "clock-ccu-mmc0")).toContain(`clock-frequency = <0x${(12_000_000).toString(16)}>;`);
    expect(explained(text)).toContain("# strategy 1: nothing is mapped: the clocks are fixed");
  });
});

function explained(text: string): string {
  const { board, provenance } = load(text);
  return explainBoard(board, provenance, registry);
}

test("resolved is a profile of the same board, and says which strategy was taken and why", () => {
  const text = explained(WHOLE);
  expect(text).toContain("# strategy 2: 2 registers are filtered by bits");
  expect(load(text).board).toEqual(load(WHOLE).board);
  const blocks = `${CCU}[[clock.block]]\noffset = 0x1000\nsize = "4KiB"\n[[clock.block]]\noffset = 0x900\nsize = 0x40\n`;
  expect(explained(`${BASE}${OSCILLATOR}${blocks}`)).toContain(
    "# strategy 3: 0x1000-0x1fff is direct: 1 whole page of the guest's alone; " +
      "0x900-0x93f is forwarded: it is no whole page of 4096, so others may be in its page; 2 registers are filtered by bits",
  );
});

test("stands in the JSON Schema", () => {
  const { items } = profileJsonSchema(registry).properties!["clock"] as { items: { properties: object } };
  expect(Object.keys(items.properties)).toEqual(
    expect.arrayContaining(["register", "output", "block", "clocks", "at"]),
  );
});

describe("is refused, with the place:", () => {
  test("a clock that is neither passed nor fixed", () => {
    expect(refused(WHOLE.replace("pass = 0x8000_0000", "")).split("\n")).toEqual([
      "board.toml:59:38: error[clock/not-supplied]: pass emmc needs a clock: " +
        "ccu.mmc0 is neither passed nor fixed: its gate, mmc0.gate, is not the guest's to change",
      '   59 | clocks = { bus = "ccu.periph", mod = "ccu.mmc0" }',
      `      | ${" ".repeat(37)}^^^^^^^^^^`,
      "  hint: pass or emulate mmc0.gate, or say fixed = true of mmc0",
    ]);
  });

  test.each([
    ["pass = 0x8000_0000", "pass = 0x8000_0001", "bits 0x1 are in pass and in the field m as well"],
    ["pass = 0x8000_0000", "hidden = true", "its gate, mmc0.gate, is hidden from the guest"],
    ["offset = 0x20", "offset = 0x22", "0x22, no multiple of its 4 bytes"],
    ["offset = 0x20", "offset = 0x830", "mmc0 overlaps pll"],
    ["offset = 0x20", "offset = 0x2000", "pll ends behind the controller's 0x2000 bytes"],
    ["offset = 0x20", "offset = 0x20\nwidth = 1", "0x1800 has bits that pll with its 8 does not have"],
    ['name = "pll"', 'name = "mmc0"', 'two registers have the name "mmc0"'],
    ["bits = [3, 0]", "bits = [0, 3]", "the first bit is the highest"],
    ["bits = [3, 0]", "bits = [2, 0]", "m goes to 7, not to 15"],
    ["bits = [3, 0]", "bits = 32", "clock.ccu.register.1.field.2.bits"],
    ['allow = ["2..15"]', 'allow = ["5..2"]', "a range goes from the lower value to the higher"],
    ['allow = ["2..15"]', "", "m passes if its value is allowed, and none is"],
    ['access = "pass-if"', 'access = "emulate"', 'only a field that is "pass-if" has allowed values'],
    ['host = "devmem:0x02001000"', "", "there is no host object behind the controller"],
    ['size = "8KiB"', "", "cannot pass: the controller has no size"],
    ['divide = "mmc0.m"', 'divide = "mmc0.n"', 'the register mmc0 has no field "n"'],
    ['divide = "mmc0.m"', 'divide = "mcm0.m"', 'did you mean "mmc0.m"?'],
    ['divide = "mmc0.m"', "divide = 0", "divide"],
    ['mux = "mmc0.source"', "", "mmc0 comes from 2 clocks, and nothing selects one"],
    ['mux = "mmc0.source"', 'mux = { field = "mmc0.source", values = [1] }', "2 clocks to select from, and 1 values"],
    ['from = ["hosc", "periph"]', 'from = ["hosc", "perph"]', 'did you mean "periph"?'],
    ['from = "hosc"', 'from = "mmc0"', undefined],
    ['from = "hosc"', 'from = "periph"', "periph comes from itself"],
    ['from = "hosc"', "", "periph comes from nowhere"],
    ["index = 7", "index = 32", "mmc0 and periph are both clock 32 of the binding"],
    ['mod = "ccu.mmc0"', 'mod = "ccu.mmc1"', 'ccu has no clock "mmc1"'],
    ['mod = "ccu.mmc0"', 'mod = "cuc.mmc0"', 'did you mean "ccu.mmc0"?'],
    ['mod = "ccu.mmc0"', 'mod = "ccu"', "ccu has 2 clocks; which one is meant?"],
    ["reset = 0x1800", "reset = 0x1800\nhost = 1", "has no key host"],
    ["[[clock.output]]", "[[clock.block]]\noffset = 0x1f00\nsize = 0x200\n[[clock.output]]", "ends behind"],
    ["[[clock.output]]", "[[clock.block]]\noffset = 0x800\nsize = 0x100\n[[clock.output]]", "speak of the same bytes"],
    [
      "[[clock.register]]",
      "override = true\n[[clock.block]]\noffset = 0x1000\nsize = 4096\n[[clock.register]]",
      "nobody else may have the controller",
    ],
    ["index = 7", 'index = 7\nrate = "1 MHZ"', "expected a frequency"],
  ])("%s -> %s", (from, to, message) => {
    const text = WHOLE.replace(from, to);
    expect(text).not.toBe(WHOLE);
    if (message === undefined) {
      // A mux may select another way, so this is no loop.
      expect(() => load(text)).not.toThrow();
      return;
    }
    const said = refused(text);
    expect(said).toContain(message);
    expect(said).toMatch(/^board\.toml:\d+:\d+: error\[/);
  });

  test("a fixed clock whose rate nobody can know", () => {
    const bare = `${BASE}[[clock]]\nname = "c"\n[[clock.register]]\nname = "r"\noffset = 0\n[[clock.output]]\nname = "o"\nfrom = "x"\ndivide = "r"\n[[clock]]\nname = "x"\nrate = 1000\n`;
    const user = '[[vdev]]\ntype = "test-uart"\nirq = "none"\nclocks = "c.o"\n';
    expect(refused(`${bare}${user}`)).toContain("c.o is fixed, but at which rate? the value of c.r is not known");
    // The host's register will tell when the machine starts.
    const hosted = bare.replace('name = "c"', 'name = "c"\nhost = "devmem:0x1000"');
    expect(() => load(`${hosted}${user}`)).not.toThrow();
  });

  test("mistakes in a clock table are not repeated for each of its users", () => {
    expect(codes(WHOLE.replace('unlisted = "deny"', "").replace("offset = 0x20", 'offset = "20"'))).toEqual([
      "profile/type",
    ]);
  });
});
