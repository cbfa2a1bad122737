/** Errors between a vdev and its host. */
import { type Diagnostic, VmrunError } from "../diagnostics/diagnostic.ts";

/** A vdev asked its host for what it cannot have. Contained like anything else that a vdev throws. */
export class VdevError extends VmrunError {
  constructor(code: `vdev/${string}`, message: string, more: Pick<Diagnostic, "hint" | "related"> = {}) {
    super({ code, severity: "error", message, ...more });
    this.name = "VdevError";
  }

  get code(): string {
    return this.diagnostics[0]!.code;
  }
}

/** Thrown by a vdev's `read` or `write`: this access is a bus error in the guest. No fault of the vdev, and not reported. */
export class BusError extends Error {
  override readonly name = "BusError";
}
