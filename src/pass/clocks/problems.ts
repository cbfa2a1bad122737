/** What is wrong with a controller beyond the shape of its keys: found here, placed in the profile's text by its reader. */

export interface ClockProblem {
  readonly code: `clock/${string}`;
  /** From the controller's table down: `["register", 0, "pass"]`. */
  readonly path: readonly (string | number)[];
  readonly message: string;
  readonly hint?: string;
}

/** Where what is wrong goes; the message is about what stands at the path. */
export type Report = (code: ClockProblem["code"], path: ClockProblem["path"], message: string, hint?: string) => void;
