// A guest and the host change bits of one clock register at the same time, in two processes: neither loses any.
import { afterAll, expect, test } from "bun:test";
import { hostStates } from "../../../src/pass/clocks/host-values.ts";
import type { ClockOptions } from "../../../src/pass/clocks/options.ts";
import { controllersOf } from "../../../src/pass/clocks/outputs.ts";
import { createHardware } from "../../../src/pass/hardware.ts";
import { type ModelProcess, passRig, startModel } from "../support.ts";

const AT = 0x1900_0000;
const models: ModelProcess[] = [];
afterAll(async () => {
  for (const model of models) await model.kill();
});

async function ccu(): Promise<[ModelProcess, string]> {
  const model = await startModel("neighbour.ts");
  models.push(model);
  return [
    model,
    `[[clock]]
name = "ccu"
at = ${AT}
size = "8KiB"
host = "shm:${model.name}"
register = [{ name = "mmc0", offset = 0x30, pass = 0x7fff_0000, field = [{ name = "gate", bits = 31, access = "deny" }] }]
block = [{ offset = 0x1000, size = "4KiB" }]
`,
  ];
}

/** At least so many of each. */
const WRITES = 300;
const COUNTS = 200;

test("the host's bits and the guest's survive each other", async () => {
  const [model, profile] = await ccu();
  // The guest writes what it counts into its own bits, all ones into the host's, and reads its own back.
  const { machine, run } = passRig(
    `li s0, ${AT}
     li s1, 1
     li s2, ${WRITES}
     li s3, 0x8000ffff
     li a0, 0
   again:
     slli t0, s1, 16
     or t0, t0, s3
     sw t0, 0x30(s0)
     lwu t1, 0x30(s0)
     srli t1, t1, 16
     slli t1, t1, 49
     srli t1, t1, 49
     beq t1, s1, same
     addi a0, a0, 1
   same:
     addi s1, s1, 1
     bge s2, s1, again
     lhu t1, 0x30(s0)
     li t4, ${COUNTS}
     bltu t1, t4, again
     li t2, 0x100000
     li t3, 0x5555
     sw t3, 0(t2)
   wait: j wait`,
    profile,
  );
  expect(run()).toBe("poweroff");
  const [hart] = machine.harts;
  expect(hart!.x(10)).toBe(0n);
  const last = Number(hart!.x(9)) - 1;
  machine.terminate();
  while (!model.lines.some((line) => line.startsWith("counted"))) await Bun.sleep(5);
  const [, count, value] = /counted (\d+) register ([0-9a-f]+)/.exec(model.lines.at(-1)!)!;
  expect(last).toBeGreaterThanOrEqual(WRITES);
  expect(Number(count)).toBeGreaterThanOrEqual(COUNTS);
  // The gate, which the guest may not close, the guest's last value, and every count of the host's.
  expect(Number.parseInt(value!, 16)).toBe(((0x8000 | last) * 0x1_0000 + (Number(count) & 0xffff)) >>> 0);
}, 20_000);

test("whole pages are the guest's, access by access, and the rest of the controller is not", async () => {
  const [, profile] = await ccu();
  const { machine, run, program } = passRig(
    `li s0, ${AT}
     li s1, ${AT + 0x1000}
     li t0, 0x1122334455667788
     sd t0, 8(s1)
     lw a0, 12(s1)
     la t1, handler
     csrw mtvec, t1
     lw a1, 0(s0)
     j end
   handler:
     csrr a2, mcause
   end:
     li t2, 0x100000
     li t3, 0x5555
     sw t3, 0(t2)
   wait: j wait`,
    profile,
    { mode: "machine" },
  );
  void program;
  expect(run()).toBe("poweroff");
  expect(machine.harts[0]!.x(10)).toBe(0x1122_3344n);
  // Load access fault.
  expect(machine.harts[0]!.x(12)).toBe(5n);
  const [status] = machine.status().filter(({ name }) => name === "ccu");
  expect(status!.status).toMatchObject({ "direct accesses": 2, "bus errors": 1 });
  machine.terminate();
}, 20_000);

test("rates are computed from the host's registers as they are", async () => {
  const [model] = await ccu();
  const options = {
    host: `shm:${model.name}`,
    offset: 0,
    override: false,
    unlisted: "deny",
    register: [
      {
        name: "pll",
        offset: 0x20,
        width: 4,
        pass: 0,
        rest: "ignore",
        strobes: 0,
        hidden: false,
        log: false,
        field: [],
      },
    ],
    block: [],
    output: [
      { name: "hosc", rate: 24e6, from: [], multiply: [], divide: [], fixed: false },
      { name: "pll", from: ["hosc"], multiply: ["pll"], divide: [], fixed: false },
    ],
  } as ClockOptions;
  const tables = [{ name: "ccu", options }];
  const hardware = createHardware();
  const states = hostStates(tables, controllersOf(tables), (spec, request) =>
    hardware.open(spec, request, { name: "test", ram: () => [] }),
  );
  hardware.close();
  expect(states[0]![1]!.rate).toBe(24e6 * 0x19);
});
