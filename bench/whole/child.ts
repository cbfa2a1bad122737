/** One run of a process: when its output said what, when it ended, and the CPU time that it took. */
import { readFileSync } from "node:fs";

const NS = 1e9;
/** Longer than any run takes; a run that hangs must not hang the benchmark. */
const TIME_LIMIT_MS = 300_000;
/** More than any guest here prints. */
const OUTPUT_LIMIT = 4 << 20;

export interface WatchOptions {
  /** Texts to wait for, in the order in which they appear. */
  readonly marks?: readonly string[];
  /** The run is over with the last mark; otherwise with its own end, which must be a success. */
  readonly endAtLastMark?: boolean;
}

export interface Run {
  /** Seconds from the start of the process to each mark. */
  readonly marks: readonly number[];
  /** Seconds of CPU time, user and system, that it had taken by then; where the system tells them. */
  readonly cpuAtMarks: readonly number[];
  /** Seconds to its end. */
  readonly wall: number;
  /** Seconds of CPU time, on behalf of itself and in the kernel. */
  readonly user: number;
  readonly system: number;
  readonly output: string;
  /** What it wrote to standard error. */
  readonly notes: string;
}

/** Standard input is empty, as in a script. */
export async function watch(command: readonly string[], options: WatchOptions = {}): Promise<Run> {
  const { marks = [], endAtLastMark = false } = options;
  const start = Bun.nanoseconds();
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const written = new Response(child.stderr).text();
  const limit = setTimeout(() => child.kill("SIGKILL"), TIME_LIMIT_MS);
  const decoder = new TextDecoder();
  const reached: number[] = [];
  const cpuAtMarks: number[] = [];
  let output = "";
  let searched = 0;
  try {
    for await (const chunk of child.stdout) {
      const now = (Bun.nanoseconds() - start) / NS;
      output += decoder.decode(chunk, { stream: true });
      while (reached.length < marks.length) {
        const at = output.indexOf(marks[reached.length], searched);
        if (at < 0) break;
        searched = at + marks[reached.length].length;
        reached.push(now);
        cpuAtMarks.push(cpuTime(child.pid));
      }
      if (output.length > OUTPUT_LIMIT || (endAtLastMark && reached.length === marks.length)) break;
    }
    if (endAtLastMark || output.length > OUTPUT_LIMIT) child.kill("SIGKILL");
    await child.exited;
  } finally {
    clearTimeout(limit);
  }
  const wall = (Bun.nanoseconds() - start) / NS;
  const notes = await written;
  const wanted = marks[reached.length];
  if (wanted !== undefined || (!endAtLastMark && child.exitCode !== 0)) {
    const how = wanted === undefined ? `ended with ${child.exitCode ?? child.signalCode}` : `never printed "${wanted}"`;
    throw new Error(`${command.join(" ")}\n${how}\n${output.slice(-1000)}\n${notes.slice(-1000)}`);
  }
  const cpu = child.resourceUsage()?.cpuTime;
  const seconds = (time: bigint | undefined) => Number(time ?? 0) / 1e6;
  return { marks: reached, cpuAtMarks, wall, user: seconds(cpu?.user), system: seconds(cpu?.system), output, notes };
}

/** Linux counts in hundredths of a second. proc_pid_stat(5): utime and stime. */
function cpuTime(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1].split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return Number.NaN;
  }
}
