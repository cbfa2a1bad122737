/**
 * Whether machine code of our own may be made here, and when JavaScript of this thread is compiled to it. What only runs at
 * the start runs a few times: compiling it takes a fifth of a short run's CPU time, and comes too late to be of use.
 */

/**
 * Whether this host is one where code for `arch` may be written and executed; it may refuse the memory for it yet.
 * `VMRUN_NO_NATIVE=1` says no.
 */
export function mayHaveCode(arch: NodeJS.Architecture): boolean {
  return process.platform === "linux" && process.arch === arch && process.env.VMRUN_NO_NATIVE !== "1";
}

/** How much more often than usual code has to run before it is compiled. */
const RELUCTANT = 10;

/** For a start, until {@link compileAsUsual}. */
export function compileReluctantly(): void {
  setPolicy(RELUCTANT);
}

export function compileAsUsual(): void {
  setPolicy(1);
}

/** Bun before 1.4.5 may not have it. */
function setPolicy(scale: number): void {
  (Bun.unsafe as Partial<typeof Bun.unsafe>).setJITPolicy?.(scale);
}
