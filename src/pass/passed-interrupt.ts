/** One interrupt on its way from the host to the guest: masked at the host until the guest is done with it. */
import type { InterruptLine } from "../vdev/host.ts";
import type { HostInterrupt } from "../vdev/host-object.ts";

export interface InterruptHandling {
  readonly trigger: "level" | "edge";
  readonly unmask: "handled" | "early";
}

export interface InterruptCounts {
  /** How often the host interrupted. */
  readonly raised: number;
  /** Of these, how many came so fast that the guest saw them together with another one. */
  readonly merged: number;
  readonly masked: boolean;
}

export class PassedInterrupt {
  readonly #source: HostInterrupt;
  readonly #line: InterruptLine;
  readonly #handling: InterruptHandling;
  #raised = 0;
  #merged = 0;
  #masked = false;
  #ended = false;

  constructor(source: HostInterrupt, line: InterruptLine, handling: InterruptHandling) {
    this.#source = source;
    this.#line = line;
    this.#handling = handling;
    line.onComplete = () => this.#completed();
    source.connect((count) => this.#raise(count));
  }

  #raise(count: number): void {
    if (this.#ended) return;
    this.#raised += count;
    this.#merged += count - 1;
    this.#masked = true;
    if (this.#handling.trigger === "level") this.#line.set(true);
    else this.#line.pulse();
    if (this.#handling.unmask === "early") this.#unmask();
  }

  /** The wire falls with the mask: where the device still asserts, the host says so again. */
  #completed(): void {
    if (!this.#masked || this.#ended) return;
    this.#line.set(false);
    this.#unmask();
  }

  #unmask(): void {
    this.#masked = false;
    this.#source.unmask();
  }

  /** Power-on: the guest knows of no interrupt. */
  reset(): void {
    this.#line.set(false);
    if (this.#masked && !this.#ended) this.#unmask();
  }

  /** Nothing comes any more; the host keeps it masked. */
  end(): void {
    this.#ended = true;
    this.#line.onComplete = undefined;
  }

  status(): InterruptCounts {
    return { raised: this.#raised, merged: this.#merged, masked: this.#masked };
  }
}
