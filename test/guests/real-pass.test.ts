// Real kernel interfaces: vmrun in a Linux host of its own passes PCI devices to guests, through uio_pci_generic and vfio-pci.
// QEMU lists what the devices' registers saw, and the guests what they did: both are the same, access by access.
import { describe, expect } from "bun:test";
import { EDU, HOST_IMAGES, HOST_PROGRAMS, type HostRun, type Ran, realHost, type Seen } from "./real-host.ts";
import { testWith } from "./vmrun.ts";

const withHost = testWith(HOST_IMAGES, HOST_PROGRAMS);
/** ms; of the host's machine, which has to end before the test does. */
const LIMIT = 110_000;

/** A small board, because the host pins its RAM for DMA, and at the host's pace. */
const board = (name: string, firmware: string, host: string, more = "") => `schema = 1
include = "profiles/virt-rv64.toml"
name = "${name}"
[[memory]]
name = "dram"
size = "16MiB"
[boot]
firmware = "firmware/pass/${firmware}.elf"
cmdline = "${more.includes("dma = true") ? "dma=1" : ""}"
[[pass]]
name = "device"
at = 0x3000_0000
size = "4KiB"
host = "${host}"
irq = "plic:12"
${more}
`;

const JOB = `
bind ${EDU} uio_pci_generic
vmrun run uio.toml
vmrun run uio.toml --engine forced
vmrun run vfio.toml
obey
vmrun run vfio.toml
vmrun run vfio.toml --engine forced
dmesg | grep DMAR
`;

/** One boot of the host serves all tests. */
let booted: Promise<HostRun> | undefined;
const run = () => {
  booted ??= realHost({
    job: JOB,
    limit: LIMIT,
    files: {
      "uio.toml": board("edu-uio", "edu", "uio:0"),
      "vfio.toml": board("edu-vfio", "edu", `vfio:${EDU}`, "dma = true"),
    },
  });
  return booted;
};

describe("QEMU's edu device", () => {
  for (const engine of ["", " --engine forced"]) {
    withHost(`through uio_pci_generic: registers and interrupt${engine}`, async () => {
      const ran = await find(`run uio.toml${engine}`);
      passes(ran);
      expect(ran.output).toContain("interrupts   21");
    });

    withHost(`through vfio-pci: registers, interrupt and DMA${engine}`, async () => {
      const ran = await find(`run vfio.toml${engine}`, 0);
      passes(ran);
      expect(ran.output).toContain("interrupts   24");
      expect(ran.output).toContain("PASS DMA brings back what it took");
    });
  }

  withHost("is refused while another driver has it, with what to type; and that does it", async () => {
    const { output } = await find("run vfio.toml", 2);
    expect(output).toContain(`error[pass/driver]: vfio:${EDU} is in use by the host's driver uio_pci_generic`);
    expect(output).toContain(`hint: modprobe vfio-pci; echo ${EDU} > /sys/bus/pci/drivers/uio_pci_generic/unbind;`);
    expect((await run()).runs.map(({ code }) => code)).toEqual([0, 0, 2, 0, 0]);
  });

  withHost("reaches no memory but the guest's", async () => {
    const faults = (await run()).console.match(/DMAR: \[DMA Write.*\[00:04\.0\] fault addr 0x40000000/g);
    expect(faults).toHaveLength(2);
  });

  withHost("sees each access of the guests, with its width and value, in order, and no other", async () => {
    const { runs, seen } = await run();
    const asked = runs.flatMap(({ output }) => listed(output));
    expect(seen.filter(({ region }) => region === "edu-mmio").map(shown)).toEqual(asked);
    expect(asked.length).toBeGreaterThan(350);
    expect(new Set(asked.map((line) => line.slice(0, 2)))).toEqual(new Set(["r4", "r8", "w4", "w8"]));
  });
});

async function find(command: string, code?: number): Promise<Ran> {
  const { runs, console, errors } = await run();
  const found = runs.find((ran) => ran.command === command && (code === undefined || ran.code === code));
  if (found === undefined)
    throw new Error(`no "${command}" that ended with ${code}:\n${console.slice(-6000)}\n${errors}`);
  return found;
}

function passes({ output, code }: Ran): void {
  const failed = output.split("\n").filter((line) => /^(FAIL|trap)/.test(line));
  expect({ failed, code, output: code === 0 ? "" : output }).toEqual({ failed: [], code: 0, output: "" });
}

/** What a guest says it did: `r4 00098 7`. */
function listed(output: string): string[] {
  const lines = output.matchAll(/^access ([rw]\d [0-9a-f]{5}) ([0-9a-f]{16})$/gm);
  return [...lines].map(([, access, value]) => `${access} ${BigInt(`0x${value}`).toString(16)}`);
}

/** The same, of what the device saw. Windows begin at multiples of their size. */
function shown({ kind, width, at, value }: Seen): string {
  return `${kind}${width} ${(at & 0xfffff).toString(16).padStart(5, "0")} ${value.toString(16)}`;
}
