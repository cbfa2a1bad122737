// Whose code a failure comes from that nobody waited for.
import { expect, test } from "bun:test";
import { suspects } from "../../src/cli/strays.ts";

test("a stack tells whose code it is; without one, only those from outside can be it", () => {
  const vdev = (name: string, type: string) => ({ placement: { name, type } });
  const board = { vdevs: [vdev("uart0", "ns16550a"), vdev("a0", "a"), vdev("a1", "a"), vdev("b0", "b")] };
  const modules = ["a", "b"].map((type) => ({ types: [type], files: [`/x/${type}.ts`] }));
  const of = (error: unknown) => suspects(board as never, modules as never, error);
  const failed = (stack: string) => Object.assign(new Error("no"), { stack });
  expect(of(failed("Error: no\n  at f (/x/a.ts:3:9)"))).toEqual({ vdevs: ["a0", "a1"], place: "a.ts:3" });
  expect(of(failed("Error: no\n  at f (/vmrun/src/machine/bus.ts:3:9)"))).toEqual({ vdevs: [], place: "" });
  expect(of("text").vdevs).toEqual(["a0", "a1", "b0"]);
});
