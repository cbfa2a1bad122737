/** `vmrun run`: builds the machine of a profile and runs it. */
import { basename } from "node:path";
import type { ParsedArgs } from "citty";
import { fail } from "../diagnostics/diagnostic.ts";
import { ENGINE_KINDS, type EngineKind } from "../engine/engine.ts";
import type { RegionWatch } from "../engine/translator/region-watch.ts";
import { codeStore } from "../host/code-store.ts";
import { compileAsUsual } from "../host/jit-policy.ts";
import type { ModelProgram } from "../host/model-program.ts";
import { hostRandom } from "../host/random.ts";
import { type HostInput, openStdin, writeStderr, writeStdout } from "../host/terminal.ts";
import { assemble } from "../machine/assemble.ts";
import { BufferedStream } from "../machine/buffered-stream.ts";
import { hostChannels } from "../machine/channels.ts";
import { Heartbeat } from "../machine/heartbeat.ts";
import type { Machine, MachineHost } from "../machine/machine.ts";
import { type RunEnd, Runner } from "../machine/runner.ts";
import type { Script, ScriptStep } from "../machine/script.ts";
import { type MessageLevel, reasonOf } from "../machine/tenant.ts";
import { hostHardware } from "../pass/lazy-hardware.ts";
import type { Board } from "../profile/board.ts";
import type { LoadedModule } from "../profile/load.ts";
import { withPlaces } from "../profile/provenance.ts";
import { duration, guestAddress, occurrences, refuseUnknown, unescaped } from "./arguments.ts";
import { defineCommand } from "./command.ts";
import { ConsoleEscape } from "./console.ts";
import { ExitCode } from "./exit-codes.ts";
import { asksForExits, observeArguments } from "./observe/arguments.ts";
import type { Observation } from "./observe/observation.ts";
import { loadFromArguments, profileArguments } from "./profile-argument.ts";
import { catchStrays } from "./strays.ts";
import { summaries } from "./summaries.ts";
import type { Watched } from "./watch.ts";

export const runArguments = {
  ...profileArguments,
  timeout: { type: "string", valueHint: "TIME", description: "give up after this much guest time, e.g. 30s" },
  "host-timeout": { type: "string", valueHint: "TIME", description: "give up after this much time of the host" },
  expect: {
    type: "string",
    valueHint: "TEXT",
    description: "wait for TEXT on the console; ends with success after the last one. Repeats, in order with --input",
  },
  input: {
    type: "string",
    valueHint: "TEXT",
    description: "type TEXT (with \\n, \\r, \\t, \\e, \\xHH) when it is its turn. Repeats, in order with --expect",
  },
  engine: {
    type: "string",
    valueHint: "KIND",
    description: "how guest code runs: translator (default), portable or interpreter; the results are the same",
  },
  stats: {
    type: "boolean",
    description: "tell at the end how guest code ran: tiers, regions, translation time, exits to the host",
  },
  "show-region": {
    type: "string",
    valueHint: "ADDRESS",
    description: "at the end, show what the guest code at ADDRESS became, below each instruction. Repeats",
  },
  reboot: {
    type: "boolean",
    default: true,
    description: "start again when the guest reboots",
    negativeDescription: "end at a reboot of the guest, with success",
  },
  "allow-host-power": {
    type: "boolean",
    description: "let the guest run host commands that the profile allows, such as power-off, and streams be programs",
  },
  ...observeArguments,
  watch: {
    type: "boolean",
    description: "when a module that the profile uses changes, its vdevs go on with the new code and their old state",
  },
  quiet: { type: "boolean", alias: "q", description: "print nothing but the guest's output and errors" },
  verbose: { type: "boolean", description: "tell what guests do that they should not" },
} as const;

export const run = defineCommand({
  meta: { name: "run", description: summaries.run },
  args: runArguments,
  run({ args: given, rawArgs }) {
    refuseUnknown(rawArgs, runArguments);
    return runProfile(given, rawArgs);
  },
});

/** How a run differs from the one that the profile alone makes. */
export interface RunVariation {
  /** The board to run instead. */
  board(board: Board): Board;
  /** Before the guest's first instruction. */
  assembled(machine: Machine): void;
  /** Where the guest's output goes; answers `false` when nobody reads any more. */
  readonly output: (bytes: Uint8Array) => boolean;
}

/** Runs the machine of the profile on the command line; answers the exit code. */
export async function runProfile(
  given: ParsedArgs<typeof runArguments>,
  rawArgs: readonly string[],
  variation?: RunVariation,
): Promise<ExitCode> {
  const limits = {
    guestLimit: given.timeout === undefined ? undefined : duration("timeout", given.timeout),
    hostLimit: given["host-timeout"] === undefined ? undefined : duration("host-timeout", given["host-timeout"]),
  };
  const steps = occurrences(rawArgs, ["expect", "input"]).map(
    ({ name, value }): ScriptStep =>
      name === "expect" ? { kind: "expect", text: unescaped(value) } : { kind: "input", text: unescaped(value) },
  );
  const load = () => loadFromArguments(given.profile, rawArgs, given.budget);
  const { board: loaded, registry, modules, provenance } = await load();
  const board = variation?.board(loaded) ?? loaded;
  if (given.watch && modules.length === 0) {
    fail("cli/watch", "there is nothing to watch: the profile uses no modules of its own", {
      hint: 'use = ["./my-vdev.ts"] in the profile',
    });
  }
  const observation =
    asksForExits(rawArgs) || board.budgets.length > 0
      ? (await import("./observe/observation.ts")).observationFrom(given, rawArgs, board, registry)
      : undefined;
  // Code of one's own may hang; that of vmrun is trusted, and a thread less is started.
  const heartbeat = modules.length > 0 ? new Heartbeat() : undefined;
  const regions = await watchedRegions(rawArgs);
  const session = new Session(steps, {
    observation,
    stats: given.stats === true,
    regions,
    quiet: given.quiet === true,
    verbose: given.verbose === true,
    hostCommands: given["allow-host-power"] === true,
    heartbeat,
    output: variation?.output ?? writeStdout,
  });
  const engine = engineKind(given.engine);
  const watchdog =
    heartbeat &&
    (await import("../machine/watchdog.ts")).startWatchdog(
      board,
      registry,
      modules.flatMap(({ types }) => types),
      heartbeat,
      ExitCode.vdevFailed,
    );
  let programs: readonly ModelProgram[] = [];
  try {
    if (board.models.length > 0) programs = await modelPrograms(board, session);
    const machine = withPlaces(provenance, () => assemble(board, registry, session.host, engine));
    watchdog?.follow(machine);
    const follow = (watch: RegionWatch) =>
      machine.followTranslation(
        (written) => watch.note(written),
        (written) => watch.noteNative(written),
      );
    if (regions && !follow(regions)) {
      const [why, hint] = board.cpu.parallel
        ? ["harts that run at once keep what they translate to themselves", "--set cpu.parallel=false"]
        : ["the interpreter translates nothing that --show-region could show", "--engine translator"];
      fail("cli/show-region", why, { hint });
    }
    variation?.assembled(machine);
    const watched = given.watch ? { modules, load } : undefined;
    const setup = { board, modules, ...limits, endOnReboot: given.reboot === false };
    const code = await session.run(machine, setup, watched);
    // Timers and sockets that a vdev left open keep nobody waiting.
    if (modules.length > 0) await new Promise(() => process.stderr.write("", () => process.exit(code)));
    return code;
  } finally {
    for (const program of programs) program.stop();
    watchdog?.stop();
  }
}

/** Those that the board's hardware is in, all ready. */
async function modelPrograms({ models }: Board, session: Session): Promise<ModelProgram[]> {
  const { startModelProgram } = await import("../host/model-program.ts");
  const programs: ModelProgram[] = [];
  try {
    for (const path of models) {
      programs.push(await startModelProgram(path, (line) => session.host.log("info", basename(path), line)));
    }
    return programs;
  } catch (error) {
    for (const program of programs) program.stop();
    throw error;
  }
}

async function watchedRegions(rawArgs: readonly string[]): Promise<RegionWatch | undefined> {
  const addresses = occurrences(rawArgs, ["show-region"]).map(({ name, value }) => guestAddress(name, value));
  if (addresses.length === 0) return undefined;
  return new (await import("../engine/translator/region-watch.ts")).RegionWatch(addresses);
}

function engineKind(text: string | undefined): EngineKind {
  if (text === undefined) return "translator";
  const kind = ENGINE_KINDS.find((known) => known === text);
  if (kind !== undefined) return kind;
  return fail("cli/engine", `there is no engine "${text}"`, {
    hint: "translator, interpreter, or portable: the translator without native code",
  });
}

/** How long the other ends of streams may take to read the last output, ms. */
const LAST_WORDS = 500;

interface SessionOptions {
  readonly observation: Observation | undefined;
  /** Tell how guest code ran. */
  readonly stats: boolean;
  /** Translated code to show. */
  readonly regions: RegionWatch | undefined;
  readonly quiet: boolean;
  readonly verbose: boolean;
  /** Vdevs may run commands of the host. */
  readonly hostCommands: boolean;
  readonly heartbeat: Heartbeat | undefined;
  readonly output: (bytes: Uint8Array) => boolean;
}

interface RunSetup {
  readonly board: Board;
  readonly modules: readonly LoadedModule[];
  readonly guestLimit?: number;
  readonly hostLimit?: number;
  readonly endOnReboot: boolean;
}

/** One machine and the process around it: its streams, signals, script, and what is said at the end. */
class Session {
  readonly #stdio: BufferedStream;
  /** Absent where nothing is expected or typed. */
  readonly #script: Script | undefined;
  readonly #options: SessionOptions;
  #input: HostInput | undefined;
  #interrupt: number | undefined;
  /** vmrun itself failed, where nobody could catch it. */
  #bug: { readonly error: unknown } | undefined;
  #atLineStart = true;
  readonly host: MachineHost;

  constructor(steps: readonly ScriptStep[], options: SessionOptions) {
    this.#options = options;
    const sink = (bytes: Uint8Array) => this.#output(bytes);
    this.#stdio = options.observation?.console(sink) ?? new BufferedStream(sink);
    if (steps.length > 0) {
      const { Script } = require("../machine/script.ts") as typeof import("../machine/script.ts");
      this.#script = new Script(steps, (bytes) => this.#stdio.push(bytes));
    }
    this.host = {
      stdio: this.#stdio,
      openChannel: hostChannels({ commands: options.hostCommands }),
      openDisk: (path, options) => disks().openDisk(path, options),
      hostRandom,
      log: (level, source, message) => this.#log(level, source, message),
      logLevel: options.verbose ? "debug" : "info",
      nanoseconds: () => Bun.nanoseconds(),
      wallClock: () => Date.now() / 1000,
      hardware: hostHardware(),
      command: options.hostCommands
        ? async (command) => (await import("../host/command.ts")).runCommand(command)
        : undefined,
      observer: options.observation?.observer,
      heartbeat: options.heartbeat,
      codeStore: codeStore(),
    };
  }

  async run(machine: Machine, { board, modules, ...limits }: RunSetup, watched?: Watched): Promise<ExitCode> {
    const begun = Bun.nanoseconds();
    const runner = new Runner(machine, {
      ...limits,
      listening: () => watched !== undefined || (this.#input?.isOpen() ?? false),
      between: () => {
        if (!this.#stdio.full) this.#input?.hold(false);
        return this.#interrupt !== undefined || this.#script?.fulfilled || this.#bug !== undefined;
      },
    });
    const interrupt = (code: number) => () => {
      this.#interrupt ??= code;
      runner.wake();
    };
    process.on("SIGINT", interrupt(ExitCode.interrupted));
    process.on("SIGTERM", interrupt(ExitCode.terminated));
    process.on("SIGHUP", interrupt(ExitCode.terminated));
    const status = () => this.#status(machine, begun);
    process.on("SIGUSR1", status);
    this.#input = await this.#listen(runner, status);
    const endStrays = catchStrays({
      ...{ board, machine, modules },
      unknown: (error) => this.#log("error", "vdev", `something that nobody waited for failed: ${reasonOf(error)}`),
      internal: (error) => {
        this.#bug ??= { error };
        runner.wake();
      },
      wake: () => runner.wake(),
    });
    const watch =
      watched &&
      new (await import("./watch.ts")).ModuleWatch(watched, machine, (text) => {
        this.#say(text);
        runner.wake();
      });
    let end: RunEnd;
    // The start is over, for which the door wanted it otherwise.
    compileAsUsual();
    const endShow = this.#options.observation?.show();
    try {
      end = await runner.run();
      await machine.streams.finish(LAST_WORDS);
      // What a vdev left behind has its say.
      if (modules.length > 0) await new Promise<void>((resolve) => setImmediate(resolve));
      if (machine.ending?.kind === "vdev-failed") end = machine.ending;
    } finally {
      endStrays();
      process.off("SIGUSR1", status);
      endShow?.();
      watch?.close();
      this.#input.close();
      machine.terminate();
    }
    if (this.#bug !== undefined) throw this.#bug.error;
    const [code, how] = this.#verdict(end);
    if (!this.#options.quiet) this.#say(`${how}: ${this.#summary(machine, begun)}`);
    if (this.#options.stats) {
      const { engineReport } = await import("./engine-report.ts");
      this.#lines(`${engineReport(machine.engineStatistics)}\n`);
    }
    this.#showRegions();
    const kept = (await this.#options.observation?.finish((text) => this.#lines(text))) ?? true;
    return code === ExitCode.success && !kept ? ExitCode.budget : code;
  }

  /** Input from the terminal or a pipe goes to the guest, as far as it is not for vmrun. */
  async #listen(runner: Runner, status: () => void): Promise<HostInput> {
    const input = await openStdin();
    const commands = new ConsoleEscape(
      {
        quit: () => {
          this.#interrupt ??= ExitCode.interrupted;
        },
        status,
      },
      writeStderr,
    );
    this.#stdio.push(input.initial);
    input.onBytes = (bytes) => {
      this.#stdio.push(input.kind === "terminal" ? commands.filter(bytes) : bytes);
      // A terminal goes on being heard: it is how a person ends the run.
      if (this.#stdio.full && input.kind !== "terminal") input.hold(true);
      runner.wake();
    };
    input.onEnd = () => runner.wake();
    if (input.kind === "terminal" && !this.#options.quiet) this.#say("Ctrl-A x ends the machine, Ctrl-A h helps");
    return input;
  }

  #output(bytes: Uint8Array): void {
    this.#script?.output(bytes);
    this.#atLineStart = bytes.at(-1) === 0x0a;
    // Nobody reads any more: there is no point in going on.
    if (!this.#options.output(bytes)) this.#interrupt ??= ExitCode.success;
  }

  #verdict(end: RunEnd): readonly [ExitCode, string] {
    const waited = this.#script?.pending;
    const unmet = waited === undefined ? undefined : ` without ${JSON.stringify(readable(waited))} having appeared`;
    const judged = (code: ExitCode, how: string) => [unmet ? ExitCode.expectation : code, how + (unmet ?? "")] as const;
    switch (end.kind) {
      case "poweroff":
        return judged(ExitCode.success, "guest powered off");
      case "reboot":
        return judged(ExitCode.success, "guest rebooted");
      case "watchdog":
        return [ExitCode.watchdog, "ended by a watchdog that the guest did not answer"];
      case "failed":
        return [ExitCode.guestFailed, `guest reported failure ${end.code}`];
      case "aborted":
        return [ExitCode.aborted, `ended by the profile's policy: ${end.message}`];
      case "vdev-failed":
        return [ExitCode.vdevFailed, `ended by on_fault of vdev ${end.vdev}: ${end.message}`];
      case "guest-limit":
        return judged(ExitCode.timeout, "guest time is up");
      case "host-limit":
        return judged(ExitCode.timeout, "host time is up");
      case "stuck":
        return judged(ExitCode.stuck, "guest waits for ever: no timer is armed and no input can come");
      case "ended":
        if (this.#interrupt !== undefined) return [this.#interrupt as ExitCode, "ended from outside"];
        return [ExitCode.success, "everything expected has appeared"];
    }
  }

  /** For Ctrl-A s and SIGUSR1: the run, what each vdev has to say, and the exits where they are counted. */
  #status(machine: Machine, begun: number): void {
    this.#say(this.#summary(machine, begun));
    for (const { name, type, group, status, faults, messages } of machine.status()) {
      const said = Object.entries(status).map(([key, value]) => `${key} ${value}`);
      if (faults > 0) said.push(`${faults} faults`);
      if (messages > 0) said.push(`${messages} messages`);
      if (said.length > 0)
        this.#say(`${name} (${group === undefined ? type : `${type}, ${group}`}): ${said.join(", ")}`);
    }
    for (const { name, text } of machine.laidMemory.status()) this.#say(`memory ${name}: ${text}`);
    const { observation } = this.#options;
    if (observation) this.#lines(observation.table());
    this.#showRegions();
  }

  #showRegions(): void {
    const { regions } = this.#options;
    if (regions) this.#lines(regions.report());
  }

  /** Text of several lines, on lines of its own. */
  #lines(text: string): void {
    const begin = this.#atLineStart ? "" : "\n";
    writeStderr((begin + text).replaceAll("\n", this.#newline()));
    this.#atLineStart = true;
  }

  #summary(machine: Machine, begun: number): string {
    const seconds = (Bun.nanoseconds() - begun) / 1e9;
    const count = (n: number) => String(n).replace(/\B(?=(\d{3})+$)/g, ",");
    const mips = machine.instructions / seconds / 1e6;
    const reboots = machine.reboots > 0 ? `, ${machine.reboots} reboots` : "";
    return [
      `${(machine.clock.now() / 1e9).toFixed(3)} s of guest time`,
      `${count(machine.instructions)} instructions`,
      `${mips.toFixed(0)} MIPS`,
      `${count(machine.bus.exits)} exits${reboots}`,
    ].join(", ");
  }

  #say(text: string): void {
    writeStderr(`${this.#atLineStart ? "" : "\r\n"}vmrun: ${text}\r\n`.replace(/\r\n/g, this.#newline()));
    this.#atLineStart = true;
  }

  /** A terminal in raw mode needs the carriage returns that files should not have. */
  #newline(): string {
    return this.#input?.kind === "terminal" ? "\r\n" : "\n";
  }

  #log(level: MessageLevel, source: string, message: string): void {
    if (this.#options.quiet && level !== "error") return;
    this.#say(`${source}: ${message}`);
  }
}

const disks = () => require("../host/disk.ts") as typeof import("../host/disk.ts");

/** The text of a script's bytes. */
function readable(bytes: string): string {
  return Buffer.from(bytes, "latin1").toString();
}
