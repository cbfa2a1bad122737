/**
 * When JavaScript of this thread is compiled to machine code. What only runs at the start runs a few times: compiling it
 * takes a fifth of a short run's CPU time, and comes too late to be of use.
 */

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
