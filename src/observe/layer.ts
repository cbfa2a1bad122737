/** An observer around another one: whoever extends it adds to what that one sees. */
import type { EnginePort } from "../engine/engine.ts";
import type { Observed, Observer } from "../machine/observer.ts";

export class Layer implements Observer {
  constructor(protected readonly inner: Observer) {}

  attach(port: EnginePort, machine: Observed): EnginePort {
    return this.inner.attach(port, machine);
  }
  enter(hart: number, ns: number): void {
    this.inner.enter(hart, ns);
  }
  leave(hart: number, ns: number, instructions: number, waits: boolean): void {
    this.inner.leave(hart, ns, instructions, waits);
  }
  timer(owner: string): void {
    this.inner.timer(owner);
  }
  powerOn(): void {
    this.inner.powerOn();
  }
}
