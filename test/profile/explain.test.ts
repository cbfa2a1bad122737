import { expect, test } from "bun:test";
import { explainBoard } from "../../src/profile/explain.ts";
import { BASE, load, registry } from "./support.ts";

const TEXT = `${BASE}
[[memory]]
size = "64KiB"
kind = "rom"
at = 0x1000
[[vdev]]
type = "test-uart"
host = "stdio"
[[vdev]]
type = "test-dma"
irq = ["none", "plic:5"]
[[vdev]]
type = "test-disk"
file = "disk.img"
logs = [{ host = "file:log" }]
[[reserve]]
at = 0x2000_0000
size = 100
[time]
clock = "1.5GHz"
epoch = 2026-07-01
[boot]
cmdline = "a \\"b\\" \\\\"
entry = 0x8000_0000
`;
const FILES = { "board.toml": TEXT, "disk.img": "" };

const explain = ({ board, provenance }: ReturnType<typeof load>) => explainBoard(board, provenance, registry);

test.each([
  ["true", "true"],
  ['"30s"', '"30s"'],
  ['"2 min"', '"120s"'],
  ['"forever"', '"forever"'],
])("delayed = %s comes out as it goes in again", (written, shown) => {
  const delayed = (text: string) => load(text).board.vdevs[1]!.delayed;
  const text = `${BASE}[[vdev]]\ntype = "test-uart"\ndelayed = `;
  expect(explain(load(text + written))).toContain(`delayed = ${shown} `);
  expect(delayed(text + written)).toEqual(delayed(text + shown));
});

test("every value with where it comes from", () => {
  const text = explain(load(FILES, ["cpu.harts=2"])).replaceAll(process.cwd(), "/here");
  // The width of absolute paths, and so the padding behind them, depends on the machine.
  expect(text.replaceAll(/(\/here.*?) +#/g, "$1 #")).toMatchInlineSnapshot(`
    "schema = 1                                      # board.toml:1
    name = "board"                                  # default
    model = "vmrun,board"                           # default
    compatible = ["vmrun,board"]                    # default
    seed = 0                                        # default
    hang_after = 10                                 # default

    [cpu]
    isa = "rv64imafdc_zicbom_zicboz_zicntr_zicsr_zifencei_zba_zbb_zbs_sstc_svadu" # default
    harts = 2                                       # --set cpu.harts=2
    parallel = false                                # default
    mmu = "sv57"                                    # default
    pmp = 16                                        # default

    [time]
    mode = "virtual"                                # default
    clock = "1500MHz"                               # board.toml:28
    timebase = "10MHz"                              # default
    epoch = 2026-07-01T00:00:00Z                    # board.toml:29

    [[memory]]
    name = "rom0"                                   # default
    at = 0x1000                                     # board.toml:13
    size = "64KiB"                                  # board.toml:11
    kind = "rom"                                    # board.toml:12
    backing = "anonymous"                           # default
    describe = "none"                               # default

    [[memory]]
    name = "dram"                                   # board.toml:3
    at = 0x80000000                                 # board.toml:4
    size = "16MiB"                                  # board.toml:5
    kind = "ram"                                    # default
    backing = "anonymous"                           # default
    describe = "memory"                             # default

    [[reserve]]
    name = "reserve0"                               # default
    at = 0x20000000                                 # board.toml:25
    size = 100                                      # board.toml:26

    [[vdev]]
    type = "plic"                                   # board.toml:7
    name = "plic"                                   # default
    at = 0xc000000                                  # board.toml:8
    on_fault = "fault"                              # default
    delayed = false                                 # default
    sources = 8                                     # default

    [[vdev]]
    type = "test-uart"                              # board.toml:15
    name = "uart0"                                  # default
    at = 0x10000000                                 # automatic
    irq = "plic:1"                                  # automatic
    on_fault = "fault"                              # default
    delayed = false                                 # default
    host = "stdio"                                  # board.toml:16
    speed = 300                                     # default

    [[vdev]]
    type = "test-dma"                               # board.toml:18
    name = "dma0"                                   # default
    at = { control = 0x10001000, data = 0x10002000 } # automatic
    irq = { done = "none", error = "plic:5" }       # board.toml:19
    on_fault = "fault"                              # default
    delayed = false                                 # default

    [[vdev]]
    type = "test-disk"                              # board.toml:21
    name = "disk0"                                  # default
    at = 0x10003000                                 # automatic
    on_fault = "fault"                              # default
    delayed = false                                 # default
    file = "/here/disk.img" # board.toml:22
    logs = [{ host = "file:/here/log" }] # board.toml:23

    [boot]
    firmware = "builtin"                            # default
    cmdline = "a \\"b\\" \\\\"                          # board.toml:31
    entry = 0x80000000                              # board.toml:32

    [unsupported]
    memory = "fault"                                # default
    instruction = "fault"                           # default
    register = "fault"                              # default
    "
  `);
});

test("the text loads as the same board", () => {
  const first = load(FILES, ["cpu.harts=2"]);
  const again = load({ ...FILES, "board.toml": explain(first) });
  expect(again.board).toEqual(first.board);
});
