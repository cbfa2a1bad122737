/** `vmrun new profile`: a board that runs at once, with what can be changed about it; or one drafted from a device tree. */
import { checkName, type Draft, inFolder, nextSteps } from "./draft.ts";

export async function newProfile(name: string, folder: string, from: string | undefined): Promise<Draft> {
  checkName(name, /^[A-Za-z][A-Za-z0-9_-]*$/, "a letter, then letters, digits, - and _");
  const path = inFolder(folder, `${name}.toml`);
  const text = from === undefined ? profileText(name) : await (await import("./from-tree.ts")).draftProfile(from);
  return {
    files: { [path]: text },
    next: nextSteps([
      [`vmrun check --resolved ${path}`, "every value, and where it comes from"],
      [`vmrun fdt --dts ${path}`, "the device tree that its guest reads"],
      [`vmrun run ${path}`, "run it"],
    ]),
  };
}

function profileText(name: string): string {
  return `# ${name}: a board for vmrun. \`vmrun schema\` prints a JSON Schema for editors; \`vmrun vdevs\` lists the vdevs.
schema = 1
name = "${name}"

# The board to build on. What stands below replaces what it says, key by key; vdevs and memory go by their names.
include = "vmrun:virt-rv64"

# Vdevs of your own: files relative to this one, or packages. \`vmrun new vdev NAME\` writes one.
# use = ["./my-vdev.ts"]

[cpu]
harts = 1
# isa = "rv64gc_zba_zbb_zbs"          # what the harts can do
# mmu = "sv39"                        # none, sv39, sv48 or sv57: the largest that the guest may choose

[time]
mode = "virtual"                      # the same run every time; "host" follows the host's clock

[[memory]]
name = "dram"                         # the included board has one of that name, so this changes it
size = "128MiB"

[[vdev]]
name = "uart0"
host = "stdio"                        # the terminal; "null" for nothing, "file:uart.log" to keep what it prints

# A disk. Without \`at\` and \`irq\` it gets the next free place and line.
# [[vdev]]
# type = "virtio-blk"
# name = "disk0"
# file = "disk.img"

# Takes a vdev of the included board out.
# [[vdev]]
# name = "rng0"
# remove = true

# As it is, the monitor that vmrun ships starts. For Linux:
# [boot]
# firmware = "builtin"
# kernel = "Image"
# initrd = "initrd.cpio.gz"
# cmdline = "console=ttyS0"
`;
}
