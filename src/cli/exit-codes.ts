/** What vmrun's exit status means. Scripts rely on these: they do not change. */
export const ExitCode = {
  /** The guest powered off, or every `--expect` was met; any other command did its work. */
  success: 0,
  /** vmrun itself failed. A bug: please report it. */
  internal: 1,
  /** The command line, the profile or a file that it names is at fault. */
  usage: 2,
  /** The guest reported a failure (SiFive test finisher, SBI system reset with a failure reason). */
  guestFailed: 3,
  /** `--timeout` or `--host-timeout` ran out. */
  timeout: 4,
  /** The guest ended, or time ran out, before the text of an `--expect` appeared. */
  expectation: 5,
  /** The guest waits for ever: no timer is armed and no input can come. */
  stuck: 6,
  /** The guest made an access that the profile's `unsupported` policy ends a run for. */
  aborted: 7,
  /** A vdev failed or hung, and its `on_fault` ends the guest or all of vmrun for that. */
  vdevFailed: 8,
  /** What was compared differs: `fdt diff`; or something became slower: `bench --against`. */
  different: 9,
  /** A `[budget.NAME]` was exceeded, or its phase never began. */
  budget: 10,
  /** The guest did not answer a watchdog whose action is to end the run. */
  watchdog: 11,
  /** Ended from the keyboard (Ctrl-A x) or by SIGINT. */
  interrupted: 130,
  terminated: 143,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];
