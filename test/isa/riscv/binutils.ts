// The disassembler of GNU binutils, for comparison. Tests that need it say so where it is not installed.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const prefix = ["riscv64-unknown-elf-", "riscv64-linux-gnu-"].find((name) => Bun.which(`${name}objdump`) !== null);

export const hasBinutils = prefix !== undefined;
export const HOW_TO_GET_BINUTILS = "objdump for RISC-V is not installed: apt-get install binutils-riscv64-unknown-elf";

function run(tool: string, args: readonly string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([`${prefix}${tool}`, ...args]);
  if (exitCode !== 0) throw new Error(`${tool}: ${stderr}`);
  return stdout.toString();
}

function inPrivateFolder<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "vmrun-binutils-"));
  try {
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The texts of a listing, without the comments that objdump makes of addresses it thinks it can compute. */
function texts(listing: string): string[] {
  return listing
    .split("\n")
    .flatMap((line) => /^\s*[0-9a-f]+:\t[0-9a-f ]+\t(.*)$/.exec(line)?.[1] ?? [])
    .map((text) =>
      text
        .replace(/\s+[#<].*/, "")
        .replace("\t", " ")
        .trim(),
    );
}

/** What objdump says of halfwords that lie one behind the other from address 0, none of which begins a longer instruction. */
export function disassembleHalfwords(halfwords: Uint16Array): string[] {
  return inPrivateFolder((folder) => {
    const file = join(folder, "halfwords.bin");
    writeFileSync(file, halfwords);
    return texts(run("objdump", ["-D", "-z", "-b", "binary", "-m", "riscv:rv64", "-M", "no-aliases", file]));
  });
}

/** The same of 32-bit words, with all extensions of the table; branch targets are in hexadecimal without `0x`. */
export function disassembleWords(words: readonly number[]): string[] {
  return inPrivateFolder((folder) => {
    const source = join(folder, "words.s");
    const object = join(folder, "words.o");
    writeFileSync(source, `${words.map((bits) => `.insn 4, 0x${bits.toString(16)}`).join("\n")}\n`);
    run("as", ["-march=rv64gc_zba_zbb_zbs_zicbom_zicboz_zicsr_zifencei", "-o", object, source]);
    return texts(run("objdump", ["-d", "-z", "-M", "no-aliases", object]));
  });
}
