// The recorded results: of every sequence, a hash of what QEMU printed.

export const SEED = 1;
export const COUNT = 512;
/** How many of them the slow reference machine runs. */
export const FEW = 48;

const file = new URL("expected.txt", import.meta.url);
const PER_LINE = 12;

export async function readExpected(): Promise<string[]> {
  const lines = (await Bun.file(file).text()).split("\n");
  return lines.filter((line) => !line.startsWith("#")).flatMap((line) => line.split(" ").filter((hash) => hash !== ""));
}

export async function writeExpected(hashes: readonly string[]): Promise<void> {
  const lines = ["# Recorded from QEMU by record.ts; sequence by sequence, the first 32 bits of SHA-256 of its dump."];
  for (let i = 0; i < hashes.length; i += PER_LINE) lines.push(hashes.slice(i, i + PER_LINE).join(" "));
  await Bun.write(file, `${lines.join("\n")}\n`);
}
