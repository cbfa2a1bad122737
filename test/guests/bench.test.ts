// vmrun bench beside a real QEMU: the same guest, the same list, ratios of both.
import { describe, expect, test } from "bun:test";
import { vmrun } from "../cli/vmrun.ts";

const qemu = Bun.which("qemu-system-riscv64");

describe.skipIf(!qemu)("vmrun bench --vs qemu", () => {
  test("runs the same guest under both and tells ratios", async () => {
    const { code, out } = await vmrun([
      "bench",
      "--vs",
      "qemu",
      "--quick",
      "--json",
      "--only",
      "uart0.SCR",
      "--only",
      "rng0",
      "--only",
      "hart0",
    ]);
    expect(code).toBe(0);
    const { figures, ratios, machine } = JSON.parse(out);
    expect(machine).toContain("QEMU");
    const of = (runner: string) =>
      figures.flatMap((one: { runner: string; subject: string; what: string }) =>
        one.runner === runner ? [`${one.subject} ${one.what}`] : [],
      );
    expect(of("qemu")).toContain("uart0.SCR read");
    expect(of("qemu")).toContain("rng0 64 random bytes");
    expect(of("qemu")).toEqual(of("translator"));
    expect(of("qemu")).toEqual(of("interpreter"));
    expect(ratios.length).toBe(2 * of("qemu").length);
    expect(
      ratios.every(({ low, ratio, high }: Record<string, number>) => low! <= ratio! && ratio! <= high!),
    ).toBeTrue();
  });

  test("a board that shares nothing with QEMU's is refused", async () => {
    const { code, err } = await vmrun(["bench", "--vs", "qemu", "--only", "uart1", "profiles/hifive-rv64.toml"]);
    expect(code).toBe(2);
    expect(err).toContain("error[bench/vs-qemu]");
  });
});
