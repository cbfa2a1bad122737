/**
 * Guests through the command line, as people and scripts run them: `bun src/cli.ts PROFILE ...` as a process of its own.
 * Standard input is at its end unless a test says otherwise, so that idle guest time is skipped and runs repeat exactly.
 */
import { test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { findImage, type ImageName, missing } from "./images.ts";

export const ROOT = resolve(import.meta.dir, "../..");
export const PROFILES = resolve(ROOT, "profiles");
export const VIRT = resolve(PROFILES, "virt-rv64.toml");
export const HIFIVE = resolve(PROFILES, "hifive-rv64.toml");
export const LINUX = resolve(PROFILES, "linux-rv64.toml");

/** The shell of the initramfs waits for input. */
export const PROMPT = "~ # ";
/** Makes the terminal too wide to wrap lines, and keeps the kernel's chatter out of answers. */
export const SETTLE = "stty cols 1000; dmesg -n 5";
/** A guest that hangs ends its test by itself, with its output. */
const LIMITS = ["--timeout", "120s", "--host-timeout", "100s"];
export const TEST_LIMIT = 120_000;

export const command = (args: readonly string[]): string[] => [process.execPath, resolve(ROOT, "src/cli.ts"), ...args];

export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** From the summary line; NaN where there is none. */
  readonly instructions: number;
  /** Guest time in seconds, likewise. */
  readonly guestTime: number;
  /** Host time in seconds. */
  readonly hostTime: number;
}

/** Runs vmrun to its end. `stdin` is what a pipe or file holds; without it there is no input. */
export async function vmrun(args: readonly string[], stdin?: string): Promise<Result> {
  const begun = Bun.nanoseconds();
  const child = Bun.spawn(command([...LIMITS, ...args]), {
    cwd: ROOT,
    stdin: stdin === undefined ? "ignore" : new Blob([stdin]),
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: undefined },
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, stdout, stderr, ...summary(stderr), hostTime: (Bun.nanoseconds() - begun) / 1e9 };
}

function summary(stderr: string): { instructions: number; guestTime: number } {
  const match = /([\d.]+) s of guest time, ([\d,]+) instructions/.exec(stderr);
  return { guestTime: Number(match?.[1]), instructions: Number(match?.[2].replaceAll(",", "")) };
}

/** A dialogue for the command line: wait for `prompt`, type a line, and so on. The last line has to end the guest. */
export function dialogue(prompt: string, lines: readonly string[]): string[] {
  return lines.flatMap((line) => ["--expect", prompt, "--input", `${line.replaceAll("\\", "\\\\")}\\n`]);
}

/** Runs Linux and types each line at a prompt of its shell. */
export function linux(profile: string, args: readonly string[], lines: readonly string[]): Promise<Result> {
  return vmrun([profile, ...args, ...dialogue(PROMPT, [SETTLE, ...lines])]);
}

/** What a guest printed in answer to a typed line: the text from its echo to the next prompt. */
export function answer(result: Result, line: string, prompt = PROMPT): string {
  const text = result.stdout.replaceAll("\r", "").replaceAll("\x1b[6n", "");
  const at = text.indexOf(`${prompt}${line}\n`);
  if (at < 0) throw new Error(`"${line}" was not typed; the console ends with\n${text.slice(-3000)}\n${result.stderr}`);
  const from = at + prompt.length + line.length + 1;
  const end = text.indexOf(prompt, from);
  return text.slice(from, end < 0 ? undefined : end).trimEnd();
}

/** Like `expect(code)`, with the end of the console in the message where a run went wrong. */
export function endedWith(result: Result, code: number): void {
  if (result.code === code) return;
  throw new Error(
    `exit code ${result.code} instead of ${code}\n${result.stderr}\nthe console ends with\n${result.stdout.slice(-3000)}`,
  );
}

type Body = () => Promise<void>;
/** Each reason is told once. */
const told = new Set<string>();

/**
 * `test` for what needs images, and programs of the host by the package they are in. Else skipped, and it is said why.
 * @param limit ms.
 */
export function testWith(
  images: readonly ImageName[],
  programs: Readonly<Record<string, string>> = {},
  limit = TEST_LIMIT,
) {
  const image = images.find((name) => findImage(name) === undefined);
  const program = Object.keys(programs).find((name) => which(name) === null);
  const reason = image ? missing(image) : program ? `no ${program}: install ${programs[program]}` : undefined;
  if (reason !== undefined && !told.has(reason)) console.warn(`skipped: ${reason}`);
  if (reason !== undefined) told.add(reason);
  return (name: string, body: Body) =>
    reason === undefined ? test(name, body, limit) : test.skip(`${name} (${reason})`, body);
}

/** Debian keeps file system tools where ordinary users do not look. */
function which(name: string): string | null {
  return Bun.which(name, { PATH: `${process.env.PATH}:/usr/sbin:/sbin` });
}

/** Runs a program of the host; its output, or an error with it. */
export function host(name: string, ...args: string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([which(name) ?? name, ...args]);
  if (exitCode !== 0) throw new Error(`${name} ${args.join(" ")}: ${exitCode}\n${stdout}${stderr}`);
  return stdout.toString();
}

/** `--set` for the kernel, initramfs and firmware of a Linux run. */
export function linuxImages(kernel: ImageName, firmware?: ImageName): string[] {
  return [
    ...["--set", `boot.kernel=${findImage(kernel)}`],
    ...["--set", `boot.initrd=${findImage("debian/initramfs.cpio.gz")}`],
    ...(firmware === undefined ? [] : ["--set", `boot.firmware=${findImage(firmware)}`]),
  ];
}

/** A folder that goes away again, for profiles and disks of a test. */
export class Workshop implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), "vmrun-guest-"));

  path(name: string): string {
    return join(this.folder, name);
  }

  /** A profile that begins with a shipped one. */
  profile(include: string, text: string): string {
    const path = this.path("board.toml");
    writeFileSync(path, `schema = 1\ninclude = ${JSON.stringify(include)}\nname = "guest"\n${text}`);
    return path;
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
