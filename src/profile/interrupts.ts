/** Wires interrupts to controllers: those that name a line first, then the others to the lowest free ones. */
import type { Place } from "../diagnostics/diagnostic.ts";
import type { ControllerSpec, InterruptSpec } from "../vdev/descriptor.ts";
import type { InterruptRoute } from "../vdev/placement.ts";
import { nearestName } from "../vdev/registry.ts";
import type { Findings } from "./findings.ts";
import { type Located, lookup, shownKey, type TableNode } from "./located.ts";
import type { ProfileVdev } from "./schema.ts";

/** A device whose interrupts want wires. */
export interface Wired {
  readonly table: string;
  readonly name: string;
  /** For messages: `vdev uart0`. */
  readonly label: string;
  readonly node: TableNode;
  readonly irq: ProfileVdev["irq"];
  readonly specs: readonly InterruptSpec[];
}

/** `undefined` stands for a controller whose own table is wrong: it exists, but nothing more is known. */
export type Controllers = ReadonlyMap<string, ControllerSpec | undefined>;

interface Wire {
  readonly owner: Wired;
  readonly spec: InterruptSpec;
  readonly place: Place;
  readonly controller: string;
  line: number | undefined;
}

/** Routes by vdev name, in the order of the descriptor's interrupts. */
export function routeInterrupts(
  vdevs: readonly Wired[],
  controllers: Controllers,
  others: readonly string[],
  findings: Findings,
): ReadonlyMap<string, readonly InterruptRoute[]> {
  const router = new Router(controllers, others, findings);
  const wires = vdevs.flatMap((vdev) => router.wiresOf(vdev));
  for (const wire of wires) if (wire.line !== undefined) router.take(wire, wire.line);
  for (const wire of wires) wire.line ??= router.takeFree(wire);
  const routes = new Map<string, InterruptRoute[]>(vdevs.map(({ name }) => [name, []]));
  for (const { owner, spec, controller, line } of wires) {
    if (line === undefined) continue;
    routes.get(owner.name)!.push({ name: spec.name, controller, line, trigger: spec.trigger });
  }
  return routes;
}

class Router {
  readonly #taken = new Map<string, Wire>();
  /** The first controller serves those that name none. */
  readonly #default: string | undefined;
  #complained = false;

  constructor(
    readonly controllers: Controllers,
    readonly others: readonly string[],
    readonly findings: Findings,
  ) {
    [this.#default] = controllers.keys();
  }

  /** One wire for each interrupt that is not `"none"`. */
  wiresOf(vdev: Wired): Wire[] {
    return this.#texts(vdev).flatMap(({ spec, text, at }) =>
      this.#wire(vdev, spec, text, at?.place ?? vdev.node.place),
    );
  }

  take(wire: Wire, line: number): void {
    const key = `${wire.controller}:${line}`;
    const other = this.#taken.get(key);
    if (!other) {
      this.#taken.set(key, wire);
      return;
    }
    const [name, owner] = [wire.owner.label, other.owner.label];
    const free = this.#free(wire.controller);
    const message =
      name === owner ? `two interrupts of ${name} use ${key}` : `${name} and ${owner} both use interrupt ${key}`;
    this.findings.error("profile/interrupt-taken", wire.place, message, {
      related: [{ place: other.place, message: `${other.owner.name} has it` }],
      hint: free === undefined ? undefined : `"${wire.controller}:${free}" is free; without irq, a free line is chosen`,
    });
  }

  takeFree(wire: Wire): number | undefined {
    const spec = this.controllers.get(wire.controller);
    const line = this.#free(wire.controller);
    if (line !== undefined) this.take(wire, line);
    else if (spec) {
      const message = `${wire.controller} has no free line for ${wire.owner.label}`;
      this.findings.error("profile/no-free-interrupt", wire.place, message, {
        hint: `its lines are ${spec.first} to ${spec.last}`,
      });
    }
    return line;
  }

  #free(controller: string): number | undefined {
    const spec = this.controllers.get(controller);
    if (!spec) return undefined;
    for (let line = spec.first; line <= spec.last; line++) if (!this.#taken.has(`${controller}:${line}`)) return line;
    return undefined;
  }

  /** What the profile says for each interrupt: text, or `undefined` for any free line. */
  #texts({
    label,
    node,
    irq,
    specs,
  }: Wired): { spec: InterruptSpec; text: string | undefined; at: Located | undefined }[] {
    const at = lookup(node, "irq");
    if (irq === undefined) return specs.map((spec) => ({ spec, text: undefined, at: undefined }));
    const place = at?.place ?? node.place;
    if (specs.length === 0) {
      this.findings.error("profile/interrupt-count", place, `${label} raises no interrupt`, { hint: "remove irq" });
      return [];
    }
    if (typeof irq === "object" && !isList(irq)) {
      const names = specs.map((spec) => spec.name);
      for (const key of Object.keys(irq).filter((key) => !names.includes(key))) {
        const message = `${label} has no interrupt ${shownKey(key)}`;
        const where = at?.kind === "table" ? at.entries.get(key)?.key : undefined;
        this.findings.error("profile/unknown-key", where ?? place, message, { hint: `it has: ${names.join(", ")}` });
      }
      return specs.map((spec) => ({ spec, text: irq[spec.name], at: lookup(at, spec.name) }));
    }
    const list = isList(irq) ? irq : [irq];
    if (list.length > specs.length) {
      const count = specs.length === 1 ? "one interrupt" : `${specs.length} interrupts`;
      const message = `${label} has ${count}, not ${list.length}`;
      this.findings.error("profile/interrupt-count", place, message, {
        hint: specs.length === 1 ? undefined : `in this order: ${specs.map((spec) => spec.name).join(", ")}`,
      });
      return [];
    }
    return specs.map((spec, i) => ({ spec, text: list[i], at: isList(irq) ? lookup(at, i) : at }));
  }

  #wire(owner: Wired, spec: InterruptSpec, text: string | undefined, place: Place): Wire[] {
    if (text === "none") return [];
    const [, named, digits] = /^([A-Za-z][\w-]*)(?::(\d{1,9}))?$/.exec(text ?? this.#default ?? "none") ?? [];
    if (named === undefined) {
      const hint = /^\d+$/.test(text ?? "")
        ? `write "${this.#default ?? "plic"}:${text}"`
        : 'for example "plic:10", "plic" for any free line, or "none"';
      this.findings.error(
        "profile/value",
        place,
        `${owner.table}.${owner.name}.irq: expected controller and line; got "${text?.slice(0, 40)}"`,
        { hint },
      );
      return [];
    }
    const problem =
      text === undefined && named === "none"
        ? this.#noController(owner, place)
        : this.#check(owner, named, digits, place);
    return problem
      ? []
      : [{ owner, spec, place, controller: named, line: digits === undefined ? undefined : Number(digits) }];
  }

  #noController(owner: Wired, place: Place): true {
    if (!this.#complained) {
      const message = `${owner.label} raises an interrupt, but the board has no interrupt controller`;
      this.findings.error("profile/no-controller", place, message, {
        hint: 'add [[vdev]] type = "plic", or leave the interrupt unwired with irq = "none"',
      });
    }
    this.#complained = true;
    return true;
  }

  /** Reports what is wrong with a controller's name or line. */
  #check(owner: Wired, controller: string, digits: string | undefined, place: Place): boolean {
    if (!this.controllers.has(controller)) {
      const near = nearestName(controller, [...this.controllers.keys()]);
      const message = this.others.includes(controller)
        ? `vdev ${controller} is not an interrupt controller`
        : `the board has no interrupt controller "${controller}"`;
      const all = [...this.controllers.keys()].join(", ");
      const hint = near
        ? `did you mean "${near}${digits === undefined ? "" : `:${digits}`}"?`
        : all
          ? `controllers: ${all}`
          : undefined;
      this.findings.error("profile/unknown-controller", place, message, { hint });
      return true;
    }
    if (controller === owner.name) {
      this.findings.error("profile/interrupt-loop", place, `vdev ${controller} interrupts itself`);
      return true;
    }
    const spec = this.controllers.get(controller);
    if (!spec) return true;
    const line = Number(digits ?? spec.first);
    if (line >= spec.first && line <= spec.last) return false;
    const message = `${controller} has no interrupt ${line}`;
    this.findings.error("profile/interrupt-range", place, message, {
      hint: `its lines are ${spec.first} to ${spec.last}`,
    });
    return true;
  }
}

function isList(irq: NonNullable<ProfileVdev["irq"]>): irq is string[] {
  return Array.isArray(irq);
}
