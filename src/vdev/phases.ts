/** The phases of a vdev's life, and which host service may be called in which. Calls out of phase throw `vdev/phase`. */
import { VdevError } from "./errors.ts";

/**
 * - `create`: `create` runs. The board is not complete: other vdevs may not exist, memory is empty.
 * - `configured`: `configured` and the first `reset` run. Every vdev exists, memory holds the boot images, no guest code
 *   has run.
 * - `running`: from then on, resets and reboots included.
 * - `terminated`: `terminate` has begun. In which order vdevs get there is not promised.
 */
export type Phase = "create" | "configured" | "running" | "terminated";

/** The phases that each service of the host handle may be called in; what is not listed may be called in all of them. */
export const SERVICE_PHASES = {
  /** Arming a timer. Making one is possible from `create` on. */
  timer: ["configured", "running"],
  /** Driving a line. Asking for one is possible from `create` on. */
  line: ["configured", "running"],
  hart: ["configured", "running"],
  message: ["running"],
  dma: ["configured", "running"],
  /** Contents and access of a memory-backed region. Asking for its handle is possible from `create` on. */
  region: ["configured", "running"],
  /** Opening streams, disks and host objects. With `delayed`, opening is put off to the first use, whenever that is. */
  open: ["create", "configured", "running"],
  random: ["create", "configured", "running"],
  power: ["running"],
  command: ["running"],
  work: ["running"],
  worker: ["running"],
} as const satisfies Readonly<Record<string, readonly Phase[]>>;

export type Service = keyof typeof SERVICE_PHASES;

/** Throws where `service` may not be called in `phase`. */
export function requirePhase(service: Service, phase: Phase): void {
  const allowed: readonly Phase[] = SERVICE_PHASES[service];
  if (allowed.includes(phase)) return;
  throw new VdevError("vdev/phase", `the host's ${service} service was called in phase "${phase}"`, {
    hint: `it may be called in: ${allowed.join(", ")}`,
  });
}
