// Real kernel interfaces: vmrun in a Linux host of its own passes PCI devices to guests, through uio_pci_generic and vfio-pci.
// QEMU lists what the devices' registers saw, and the guests what they did: both are the same, access by access.
import { describe, expect, test } from "bun:test";
import {
  EDU,
  HOST_IMAGES,
  HOST_PROGRAMS,
  type HostOptions,
  type HostRun,
  type Ran,
  RNG,
  realHost,
  type Seen,
  SHARED,
} from "./real-host.ts";
import { testWith } from "./vmrun.ts";

/** ms; for a host's machine, which takes half a minute of a processor that has nothing else to do. */
const LIMIT = 280_000;
const withHost =
  process.arch === "x64"
    ? testWith(HOST_IMAGES, HOST_PROGRAMS, LIMIT + 20_000)
    : (name: string, body: () => Promise<void>) =>
        test.skip(`${name} (the host is given this machine's Bun: x86-64)`, body);

interface Device {
  /** The guest, of firmware/pass/. */
  readonly guest: string;
  readonly host: string;
  readonly size?: string;
  readonly more?: string;
}

/** A small board, because the host pins its RAM for DMA. */
const board = (name: string, { guest, host, size = "4KiB", more = 'irq = "plic:12"' }: Device) => `schema = 1
include = "profiles/virt-rv64.toml"
name = "${name}"
[[memory]]
name = "dram"
size = "16MiB"
[boot]
firmware = "firmware/${guest}.elf"
cmdline = "${more.includes("dma = true") ? "dma=1 " : ""}nocolor"
[[pass]]
name = "device"
at = 0x3000_0000
size = "${size}"
host = "${host}"
${more}
`;
const DMA = 'irq = "plic:12"\ndma = true';

/** One boot of the host for several tests. */
function once(options: Omit<HostOptions, "limit">): () => Promise<HostRun> {
  let booted: Promise<HostRun> | undefined;
  return () => {
    booted ??= realHost({ ...options, limit: LIMIT });
    return booted;
  };
}

const edu = once({
  job: `
bind ${EDU} uio_pci_generic
vmrun run uio.toml
vmrun run uio.toml --engine forced
vmrun run vfio.toml
obey
vmrun run vfio.toml
vmrun run vfio.toml --engine forced
dmesg | grep DMAR
`,
  files: {
    "uio.toml": board("edu-uio", { guest: "pass/edu", host: "uio:0" }),
    "vfio.toml": board("edu-vfio", { guest: "pass/edu", host: `vfio:${EDU}`, more: DMA }),
  },
});

const rng: Device = { guest: "pass/rng", host: `vfio:${RNG}`, size: "16KiB", more: `window = 4\n${DMA}` };
const others = once({
  job: `
bind ${SHARED} vfio-pci
vmrun run shared.toml
bind ${RNG} vfio-pci
vmrun run rng.toml --set memory.dram.size=2040MiB
mkfifo /tmp/typed
sleep 1000 >/tmp/typed &
bun src/cli.ts run held.toml </tmp/typed >/tmp/held 2>&1 &
holder=$!
until grep -q 'monitor>' /tmp/held; do usleep 100000; done
vmrun run rng.toml
kill -9 $holder
wait $holder
vmrun run rng.toml
vmrun run rng.toml --engine forced
chown user /dev/vfio/$(basename $(readlink /sys/bus/pci/devices/${RNG}/iommu_group))
chmod 1777 /tmp
ulimit -l 8192
as_user vmrun run rng.toml
ulimit -l 17000
as_user vmrun run reboot.toml
`,
  files: {
    "shared.toml": `${board("shared", {
      guest: "pass/shared",
      host: `vfio:${SHARED}`,
      size: "1MiB",
      more: 'window = 2\nmemory = "cached"\naccess = "rwx"',
    })}
[[pass]]
name = "registers"
at = 0x3100_0000
size = 0x100
host = "vfio:${SHARED}"
`,
    "rng.toml": board("rng", rng),
    "reboot.toml": `${board("reboot", rng).replace("nocolor", "reboot=1")}
[[memory]]
name = "kept"
at = 0x9000_0000
size = "4KiB"
backing = "memfd"
share = "kept"
`,
    "held.toml": board("held", { ...rng, guest: "monitor" }),
  },
  shared: "hi",
});

describe("QEMU's edu device", () => {
  for (const engine of ["", " --engine forced"]) {
    withHost(`through uio_pci_generic: registers and interrupt${engine}`, async () => {
      const ran = await find(edu, `run uio.toml${engine}`, 0);
      passes(ran);
      expect(ran.output).toContain("interrupts   21");
    });

    withHost(`through vfio-pci: registers, interrupt and DMA${engine}`, async () => {
      const ran = await find(edu, `run vfio.toml${engine}`, 0);
      passes(ran);
      expect(ran.output).toContain("interrupts   24");
      expect(ran.output).toContain("PASS DMA brings back what it took");
    });
  }

  withHost("is refused while another driver has it, with what to type; and that does it", async () => {
    const { output } = await find(edu, "run vfio.toml", 2);
    expect(output).toContain(`error[pass/driver]: vfio:${EDU} is in use by the host's driver uio_pci_generic`);
    expect(output).toContain(`hint: modprobe vfio-pci; echo ${EDU} > /sys/bus/pci/drivers/uio_pci_generic/unbind;`);
    expect((await edu()).runs.map(({ code }) => code)).toEqual([0, 0, 2, 0, 0]);
  });

  withHost("reaches no memory but the guest's", async () => {
    const faults = (await edu()).console.match(/DMAR: \[DMA Write.*\[00:04\.0\] fault addr 0x40000000/g);
    expect(faults).toHaveLength(2);
  });

  withHost("sees each access of the guests, with its width and value, in order, and no other", async () => {
    const { runs, seen } = await edu();
    const asked = runs.flatMap(({ output }) => listed(output));
    expect(seen.filter(({ region }) => region === "edu-mmio").map((each) => shown(each))).toEqual(asked);
    expect(asked.length).toBeGreaterThan(350);
    expect(new Set(asked.map((line) => line.slice(0, 2)))).toEqual(new Set(["r4", "r8", "w4", "w8"]));
  });
});

describe("a virtio device", () => {
  withHost("works with MSI-X and a queue in the guest's RAM, on both engines", async () => {
    for (const engine of ["", " --engine forced"]) {
      const ran = await find(others, `run rng.toml${engine}`, 0);
      passes(ran);
      expect(ran.output).toContain("interrupts   8");
    }
  });

  withHost("sees each access with its width: 1, 2 and 4 bytes", async () => {
    const { runs, seen } = await others();
    const asked = runs.flatMap(({ output }) => listed(output));
    const all = seen.filter(({ region }) => /^virtio-pci-.*virtio-rng$/.test(region));
    // Before the guests, the host's own driver had it.
    expect(all.slice(-asked.length).map((each) => shown(each, 16 << 10))).toEqual(asked);
    expect(asked.length).toBe(4 * 38);
    expect(new Set(asked.map((line) => line.slice(0, 2)))).toEqual(new Set(["r1", "r2", "r4", "w1", "w2", "w4"]));
  });

  withHost("has one owner, who is named, and is free again when that one is killed", async () => {
    const { output } = await find(others, "run rng.toml", 2);
    expect(output).toMatch(/error\[pass\/owned\]: vfio:0000:00:06\.0 belongs to held\/device \(process \d+\)/);
    expect((await others()).runs.map(({ code }) => code)).toEqual([0, 2, 2, 0, 0, 2, 0]);
  });

  withHost(
    "is an ordinary user's, too, who may lock as much memory as the guest has; and outlasts reboots",
    async () => {
      const { runs } = await others();
      expect(runs.at(-2)!.output).toContain("DMA into the guest's RAM is not to be had: ENOMEM");
      const { output } = runs.at(-1)!;
      expect(output.match(/^PASS each request is answered by DMA, and told by an interrupt$/gm)).toHaveLength(2);
      expect(output.match(/^interrupts {3}8$/gm)).toHaveLength(2);
    },
  );

  withHost("is refused where RAM would meet the addresses that a PC interrupts by", async () => {
    const { output } = await find(others, "run rng.toml --set memory.dram.size=2040MiB", 2);
    expect(output).toContain("RAM at 0x80000000-0xff7fffff meets 0xfee00000-0xfeefffff");
  });
});

describe("ivshmem", () => {
  withHost("is memory of the guest, code included, beside registers of the same function", async () => {
    passes(await find(others, "run shared.toml", 0));
    const { seen, shared } = await others();
    expect(shared.subarray(64, 82).toString()).toBe("the guest was here");
    const registers = seen.filter(({ region }) => region === "ivshmem-mmio").map((each) => shown(each, 256));
    expect(registers).toEqual(["w4 00000 5", "r4 00000 5"]);
  });
});

async function find(boot: () => Promise<HostRun>, command: string, code: number): Promise<Ran> {
  const { runs, console, errors } = await boot();
  const found = runs.find((ran) => ran.command === command && ran.code === code);
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
function shown({ kind, width, at, value }: Seen, size = 1 << 20): string {
  return `${kind}${width} ${(at % size).toString(16).padStart(5, "0")} ${value.toString(16)}`;
}
