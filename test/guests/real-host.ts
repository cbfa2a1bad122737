/**
 * A host of its own for vmrun: x86-64 Linux in QEMU, with an IOMMU and PCI devices that it can pass on. vmrun, Bun and a job
 * for the shell go in as an archive; the console and a list of what the devices' registers saw come out.
 */
import { cpSync, mkdirSync, readFileSync, realpathSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { findImage } from "./images.ts";
import { host, ROOT, Workshop } from "./vmrun.ts";

export const HOST_IMAGES = ["host/vmlinuz", "host/initramfs.cpio.gz"] as const;
export const HOST_PROGRAMS = { "qemu-system-x86_64": "qemu-system-x86", cpio: "cpio", ldd: "libc-bin" };

/** What of the repository vmrun runs from, and where it is put. */
const PARTS = [
  "package.json",
  "tsconfig.json",
  "src",
  "profiles",
  "firmware/pass",
  "firmware/monitor.elf",
  "node_modules",
];
const PLACE = "/vmrun";
/** Of node_modules: what is for developers stays out. */
const DEVELOPERS =
  /node_modules\/(@biomejs|@types|@typescript|bun-types|mitata|toml|typescript|undici-types|\.bin|\.cache)(\/|$)/;

/** Bus 0, by slot. */
export const EDU = "0000:00:04.0";
/** ivshmem: memory that a file of this side is mapped to. */
export const SHARED = "0000:00:05.0";
export const RNG = "0000:00:06.0";
const SHARED_SIZE = 1 << 20;

/** One access of the host's to a device's registers, as QEMU saw it. */
export interface Seen {
  readonly kind: "r" | "w";
  readonly width: number;
  /** Physical address of the host. */
  readonly at: number;
  readonly value: bigint;
  /** QEMU's name of the registers. */
  readonly region: string;
}

/** One `vmrun` of the job. */
export interface Ran {
  readonly command: string;
  readonly output: string;
  readonly code: number;
}

export interface HostRun {
  readonly runs: readonly Ran[];
  readonly console: string;
  readonly seen: readonly Seen[];
  /** What {@link SHARED} holds in the end. */
  readonly shared: Buffer;
  /** QEMU's own complaints. */
  readonly errors: string;
}

/**
 * Words for a job's shell: `bind FUNCTION DRIVER`; `vmrun ARGUMENTS`, whose console and messages do not meet; `as_user` before
 * it; and `obey`, which types what the last run's hint says. The kernel keeps its messages to itself.
 */
const WORDS = `#!/bin/busybox sh
bind() {
  device=/sys/bus/pci/devices/$1
  [ ! -e $device/driver ] || echo $1 >$device/driver/unbind
  echo $2 >$device/driver_override
  echo $1 >/sys/bus/pci/drivers_probe
}
vmrun() {
  echo "begin $*"
  \${run:-bun} ${PLACE}/src/cli.ts "$@" 2>/tmp/messages
  code=$?
  cat /tmp/messages
  echo "end $code"
}
as_user() {
  run='start-stop-daemon -S -c user -x /usr/bin/bun --'
  "$@"
  run=
}
obey() {
  sed -n 's/^ *hint: //p' /tmp/messages >/tmp/hint
  sh /tmp/hint
}
dmesg -n 1
cd ${PLACE}
`;

export interface HostOptions {
  /** For the shell. */
  readonly job: string;
  /** Files beside vmrun's, by their names in its folder. */
  readonly files?: Readonly<Record<string, string>>;
  /** What {@link SHARED} holds at first. */
  readonly shared?: string;
  /** ms. */
  readonly limit: number;
}

export async function realHost({ job, files = {}, shared = "", limit }: HostOptions): Promise<HostRun> {
  using workshop = new Workshop();
  const archive = workshop.path("initrd");
  assemble(workshop, job, files, archive);
  const trace = workshop.path("trace");
  const memory = workshop.path("shared");
  writeFileSync(memory, shared);
  truncateSync(memory, SHARED_SIZE);
  const child = Bun.spawn(
    [
      "qemu-system-x86_64",
      // Emulated: a kernel-based machine inside a machine is not to be had everywhere, and this one behaves alike everywhere.
      ...["-M", "q35,kernel-irqchip=split", "-accel", "tcg", "-cpu", "max", "-m", "2G"],
      // Time goes by instructions and jumps over idle: whatever else this machine does, no timer comes late.
      ...["-icount", "shift=0,sleep=off"],
      ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"],
      ...["-device", "intel-iommu,intremap=on,caching-mode=on"],
      ...["-device", "edu,addr=4,dma_mask=0xffffffff"],
      ...["-object", `memory-backend-file,id=shared,size=${SHARED_SIZE},share=on,mem-path=${memory}`],
      ...["-device", "ivshmem-plain,addr=5,memdev=shared"],
      ...["-device", "virtio-rng-pci,addr=6,disable-legacy=on,iommu_platform=on,ioeventfd=off"],
      ...["-kernel", findImage("host/vmlinuz")!, "-initrd", archive],
      ...["-append", "console=ttyS0 quiet intel_iommu=on no_timer_check panic=-1"],
      ...["-trace", "memory_region_ops_read", "-trace", "memory_region_ops_write", "-D", trace],
    ],
    { stdin: "ignore", stdout: "pipe", stderr: "pipe", timeout: limit },
  );
  const [serial, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  await child.exited;
  const console = serial.replaceAll("\r", "");
  const runs = [...console.matchAll(/^begin (.*)\n([\s\S]*?)^end (\d+)$/gm)].map(([, command, output, code]) => ({
    command: command!,
    output: output!,
    code: Number(code),
  }));
  return { console, runs, errors, seen: accesses(readFileSync(trace, "utf8")), shared: readFileSync(memory) };
}

/** The host's own archive, then one with what this run needs: the kernel unpacks both. */
function assemble(workshop: Workshop, job: string, files: Readonly<Record<string, string>>, archive: string): void {
  const stage = workshop.path("stage");
  const put = (from: string, to: string) => {
    mkdirSync(dirname(join(stage, to)), { recursive: true });
    cpSync(from, join(stage, to), { recursive: true, dereference: true, filter: (path) => !DEVELOPERS.test(path) });
  };
  for (const part of PARTS) put(realpathSync(join(ROOT, part)), join(PLACE, part));
  put(process.execPath, "/usr/bin/bun");
  for (const [library] of host("ldd", process.execPath).matchAll(/\/\S+/g)) put(library, library);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(stage, PLACE, name), text);
  mkdirSync(join(stage, "etc"));
  writeFileSync(join(stage, "etc/passwd"), "root:x:0:0::/tmp:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n");
  writeFileSync(join(stage, "job"), WORDS + job, { mode: 0o755 });
  const base = findImage("host/initramfs.cpio.gz")!;
  const script = 'find . -mindepth 1 | cpio -o -H newc -R 0:0 --quiet >"$1" && cat "$2" >>"$1"';
  const { exitCode, stderr } = Bun.spawnSync(["sh", "-c", script, "sh", archive, base], { cwd: stage });
  if (exitCode !== 0) throw new Error(`the archive cannot be made: ${stderr}`);
}

function accesses(trace: string): Seen[] {
  const form =
    /memory_region_ops_(read|write) cpu -?\d+ mr \S+ addr 0x([0-9a-f]+) value 0x([0-9a-f]+) size (\d+) name '([^']*)'/g;
  return [...trace.matchAll(form)].map(([, kind, at, value, size, region]) => ({
    kind: kind === "read" ? "r" : "w",
    width: Number(size),
    at: Number.parseInt(at!, 16),
    // A register that is not there answers ones, more of them than were asked for.
    value: BigInt.asUintN(8 * Number(size), BigInt(`0x${value}`)),
    region: region!,
  }));
}
