import { describe, expect, test } from "bun:test";
import { parseIsa } from "../../src/profile/isa.ts";
import { DEFAULT_ISA } from "../../src/profile/schema.ts";

const isa = (text: string) => {
  const parsed = parseIsa(text);
  return "isa" in parsed ? parsed.isa : parsed;
};

describe("ISA strings", () => {
  test.each([
    [DEFAULT_ISA, "rv64imafdc_zicbom_zicboz_zicntr_zicsr_zifencei_zba_zbb_zbs_sstc_svadu"],
    ["rv64i", "rv64i"],
    ["rv64imac", "rv64imac"],
    ["RV64GC", "rv64imafdc_zicsr_zifencei"],
    ["rv64gcb", "rv64imafdc_zicsr_zifencei_zba_zbb_zbs"],
    ["rv64cmi_zbs_zba_svade", "rv64imc_zba_zbs_svade"],
    ["rv64id", "rv64ifd_zicsr"],
    ["rv64imazicsr_zifencei", "rv64ima_zicsr_zifencei"],
    ["rv64i_m_a", "rv64ima"],
    ["rv64isstc", "rv64i_zicsr_sstc"],
  ])("%s", (text, canonical) => {
    expect(isa(text)).toBe(canonical);
    expect(isa(canonical)).toBe(canonical);
  });

  test("extensions by name", () => {
    expect(parseIsa("rv64gc_zba")).toMatchObject({
      extensions: ["i", "m", "a", "f", "d", "c", "zicsr", "zifencei", "zba"],
    });
  });

  test("what is refused, and where", () => {
    expect(isa("rv32i")).toMatchObject([{ index: 0, message: "an ISA string begins with rv64" }]);
    expect(isa("rv64mac")).toMatchObject([{ message: "the base ISA `i` is missing" }]);
    expect(isa("rv64gcv_zbx")).toMatchObject([
      { index: 6, length: 1 },
      { index: 8, length: 3 },
    ]);
    expect(isa("rv64gc_")).toMatchObject([{ index: 7, message: "an extension is empty" }]);
    expect(isa("rv64gc_svade_svadu")).toMatchObject([{ message: "svade and svadu exclude each other" }]);
    expect(isa(`rv64i${"q".repeat(10_000)}`)).toHaveLength(8);
  });
});
