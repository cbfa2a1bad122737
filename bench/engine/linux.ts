/**
 * Under Linux, with paging on: the kernels as programs, and what people run. The guest says when each begins and ends, and the
 * clock is the host's: vmrun's guest time counts instructions.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { median } from "../../src/observe/bench/statistics.ts";
import { findImage, type ImageName, missing } from "../../test/guests/images.ts";
import type { Context, Qemu } from "../benchmark.ts";
import { type Run, watch } from "../whole/child.ts";
import { type Guest, qemuCommand, vmrunCommand, writeProfile } from "../whole/contest.ts";
import { cpio } from "./cpio.ts";
import { build, kernels } from "./kernels.ts";
import { type Engine, type JobScore, QUICK } from "./scores.ts";

export interface Job {
  readonly name: string;
  readonly summary: string;
  /** An archive that has to be unpacked for it. */
  readonly needs?: ImageName;
  /** A shell command; it finds `$text`. What it prints has to be the same everywhere. */
  command(quick: boolean): string;
}

/** Bytes of words that the jobs work on. */
const TEXT_SIZE = 4 << 20;

const repeat = (times: number, what: string) => `i=0; while [ $i -lt ${times} ]; do ${what}; i=$((i+1)); done; echo $i`;
const scaled = (quick: boolean, times: number) => (quick ? Math.ceil(times / QUICK) : times);
const programs: readonly Job[] = kernels
  .filter(({ bareOnly }) => !bareOnly)
  .map(({ name, image = name, usual, summary }) => ({
    name,
    summary,
    command: (quick) => `/bench/kernels ${image} ${scaled(quick, usual)}`,
  }));

const PERL = [
  "my ($seed, %n, $sum) = (7);",
  'for (1..$ARGV[0]) { $seed = ($seed * 1103515245 + 12345) % 2147483648; $n{$seed % 5000} += length("x$seed"); }',
  "$sum += $_ * $n{$_} for sort { $a <=> $b } keys %n;",
  'my $text = join ",", map { $_ * $_ } 1..$ARGV[0] / 20;',
  "my $count = () = $text =~ /1\\d*?5/g;",
  'print "$sum $count\\n";',
].join(" ");

const usual: readonly Job[] = [
  {
    name: "gzip",
    summary: "gzip -9 of 4 MB of text",
    command: (quick) => `head -c ${scaled(quick, TEXT_SIZE)} $text | gzip -9 | sha256sum`,
  },
  {
    name: "sha256sum",
    summary: "sha256sum of 16 MB",
    command: (quick) => `cat ${Array(scaled(quick, 4)).fill("$text").join(" ")} | sha256sum`,
  },
  {
    name: "sort",
    summary: "sort of its lines",
    command: (quick) => `head -n ${scaled(quick, 60_000)} $text | sort | sha256sum`,
  },
  {
    name: "awk",
    summary: "words counted by awk",
    command: (quick) =>
      `head -n ${scaled(quick, 15_000)} $text | awk '{ for (i = 1; i <= NF; i++) n[$i] += i } END { for (w in n) print w, n[w] }' | sort | sha256sum`,
  },
  {
    name: "grep",
    summary: "a regular expression looked for",
    command: (quick) => `head -n ${scaled(quick, 60_000)} $text | grep -c 'a[b-m]*e .*o[n-z]'`,
  },
  {
    name: "shell",
    summary: "arithmetic in a shell's loop",
    command: (quick) => repeat(scaled(quick, 40_000), ":"),
  },
  {
    name: "fork",
    summary: "a shell that forks, without a program",
    command: (quick) => repeat(scaled(quick, 400), "(:)"),
  },
  {
    name: "exec",
    summary: "a shell that forks and starts a program",
    command: (quick) => repeat(scaled(quick, 300), "/bench/kernels"),
  },
  {
    name: "pipe",
    summary: "small pieces through pipes",
    command: (quick) => `dd if=/dev/zero bs=512 count=${scaled(quick, 15_000)} 2>/dev/null | cat | wc -c`,
  },
  {
    name: "files",
    summary: "files made, listed and removed",
    command: (quick) => `mkdir /tmp/f; ${repeat(scaled(quick, 4000), ": >/tmp/f/$i")}; ls /tmp/f | wc -l; rm -r /tmp/f`,
  },
  {
    name: "perl",
    summary: "a Perl script: numbers, hashes, sorting, regular expressions",
    needs: "perl/perl.cpio",
    command: (quick) => `perl -e '${PERL}' ${scaled(quick, 200_000)}`,
  },
];

/** Kernels have the names that they have on bare metal; `sort` is both, so the program is `sort-kernel`. */
export const jobs: readonly Job[] = [
  ...programs.map((job) =>
    usual.some(({ name }) => name === job.name) ? { ...job, name: `${job.name}-kernel` } : job,
  ),
  ...usual,
];

const BOOT = "boot";
const READY = "READY";

/** Boots each participant `rounds` times in turns; each time it does all jobs. The first row is the boot. */
export async function linuxScores(
  context: Context,
  qemu: Qemu,
  chosen: readonly Job[],
  engines: readonly Engine[],
  rounds: number,
): Promise<JobScore[]> {
  const guest = makeGuest(context, chosen);
  const profile = writeProfile(context, guest);
  const marks = [READY, ...chosen.flatMap(({ name }) => [`BEGIN ${name}.`, `END ${name}.`])];
  const command = (who: Engine | "qemu") =>
    who === "qemu" ? qemuCommand(qemu, guest) : vmrunCommand(profile, ["--quiet", "--engine", who]);
  const runs = new Map<Engine | "qemu", Run[]>((["qemu", ...engines] as const).map((who) => [who, []]));
  for (let round = 1; round <= rounds; round++)
    for (const [who, done] of runs) {
      context.progress(`Linux: round ${round} of ${rounds}, ${who}`);
      done.push(await watch(command(who), { marks }));
    }

  const theirs = runs.get("qemu")!;
  return engines.flatMap((engine) => {
    const ours = runs.get(engine)!;
    const row = (job: string, from: number | undefined, to: number, same?: boolean): JobScore => {
      const of = (all: readonly Run[], pick: (run: Run) => readonly number[]) =>
        median(all.map((run) => pick(run)[to] - (from === undefined ? 0 : pick(run)[from])));
      const wall = { vmrun: of(ours, (run) => run.marks), qemu: of(theirs, (run) => run.marks) };
      const cpu = { vmrun: of(ours, (run) => run.cpuAtMarks), qemu: of(theirs, (run) => run.cpuAtMarks) };
      return { job, engine, speed: { wall: wall.qemu / wall.vmrun, cpu: cpu.qemu / cpu.vmrun }, wall, same };
    };
    return [
      row(BOOT, undefined, 0),
      ...chosen.map(({ name }, i) => {
        const answers = new Set([...ours, ...theirs].map((run) => answer(run, name)));
        return row(name, 1 + 2 * i, 2 + 2 * i, answers.size === 1 && !answers.has(""));
      }),
    ];
  });
}

/** What a job printed. */
function answer({ output }: Run, name: string): string {
  const from = output.indexOf(`BEGIN ${name}.`) + `BEGIN ${name}.`.length;
  return output.slice(from, output.indexOf(`END ${name}.`, from)).trim();
}

function makeGuest(context: Context, chosen: readonly Job[]): Guest {
  const busybox = needed("debian/initramfs.cpio.gz");
  const image = findImage("driver-kernel/Image.gz") ?? needed("debian/Image");
  const kernel = join(context.folder, "Image");
  const packed = readFileSync(image);
  writeFileSync(kernel, image.endsWith(".gz") ? Bun.gunzipSync(packed) : packed);

  const folder = join(context.folder, "linux");
  mkdirSync(folder);
  build(["linux", folder]);
  const script = [
    "#!/bin/busybox sh",
    "export PATH=/sbin:/usr/sbin:/bin:/usr/bin text=/bench/text",
    "/bin/busybox mkdir -p /proc /sys /dev /tmp",
    "/bin/busybox mount -t proc proc /proc",
    "/bin/busybox mount -t sysfs sysfs /sys",
    "/bin/busybox mount -t devtmpfs devtmpfs /dev",
    "/bin/busybox --install -s",
    "exec </dev/console >/dev/console 2>&1",
    `echo ${READY}`,
    // Linux goes on testing its cryptography beside the first jobs otherwise; how far it is by now depends on the clock.
    "until read _ _ _ running _ </proc/loadavg; case $running in 1/*) true ;; *) false ;; esac; do sleep 0.1; done",
    ...chosen.flatMap((job) => [`echo BEGIN ${job.name}.`, job.command(context.quick), `echo END ${job.name}.`]),
    "poweroff -f",
  ];
  const own = cpio([
    { path: "bench", mode: 0o040755 },
    { path: "bench/init", mode: 0o100755, data: new TextEncoder().encode(`${script.join("\n")}\n`) },
    { path: "bench/kernels", mode: 0o100755, data: readFileSync(join(folder, "kernels")) },
    { path: "bench/text", mode: 0o100644, data: words(TEXT_SIZE) },
  ]);
  // Linux unpacks one archive after the other; each begins at a multiple of 4.
  const more = new Set(chosen.flatMap(({ needs }) => needs ?? []));
  const archives = [readFileSync(busybox), ...[...more].map((name) => readFileSync(needed(name))), own];
  const initrd = join(context.folder, "initramfs");
  writeFileSync(initrd, Buffer.concat(archives.flatMap((bytes) => [bytes, new Uint8Array(-bytes.length & 3)])));
  return {
    name: "linux-jobs",
    boot: { kernel, initrd },
    cmdline: "console=ttyS0 rdinit=/bench/init quiet loglevel=1",
  };
}

function needed(name: ImageName): string {
  const found = findImage(name);
  if (found === undefined) throw new Error(missing(name));
  return found;
}

/** Lines of words of which some are frequent, as in a language; the same each time. */
export function words(size: number): Uint8Array {
  let seed = 12345;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return (seed >>> 8) % below;
  };
  const syllables = [
    "ba",
    "co",
    "de",
    "fi",
    "gu",
    "la",
    "me",
    "no",
    "pri",
    "que",
    "ro",
    "sta",
    "the",
    "un",
    "ver",
    "xo",
  ];
  const known = Array.from({ length: 4000 }, () =>
    Array.from({ length: 1 + random(4) }, () => syllables[random(syllables.length)]).join(""),
  );
  const text = Buffer.alloc(size);
  let at = 0;
  let column = 0;
  while (at < size) {
    const word = known[Math.min(random(4000), random(4000), random(4000))];
    column += word.length + 1;
    at += text.write(column > 70 ? `${word}\n` : `${word} `, at);
    if (column > 70) column = 0;
  }
  text[size - 1] = 10;
  return text;
}
