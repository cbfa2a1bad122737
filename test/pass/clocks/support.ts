/** Descriptions of controllers with little in them, and a window of registers in memory. */
import type {
  ClockController,
  ClockOutput,
  ClockRegister,
  FieldReference,
} from "../../../src/pass/clocks/description.ts";
import type { SharedRegisters } from "../../../src/pass/clocks/filter.ts";
import type { HostWindow } from "../../../src/vdev/host-object.ts";

export function register(given: Partial<ClockRegister> = {}): ClockRegister {
  return {
    name: "r",
    offset: 0,
    width: 4,
    pass: 0,
    rest: "ignore",
    strobes: 0,
    hidden: false,
    log: false,
    fields: [],
    ...given,
  };
}

export function field(name: string, high: number, low: number, given: Partial<ClockRegister["fields"][number]> = {}) {
  return { name, high, low, allow: [], refused: "ignore" as const, log: false, ...given };
}

export function output(given: Partial<ClockOutput> = {}): ClockOutput {
  return { name: "o", index: 0, parents: [], multiply: [], divide: [], fixed: false, ...given };
}

export function reference(register: number, high: number, low: number): FieldReference {
  return { name: `r${register}.f`, register, high, low };
}

export function controller(given: Partial<ClockController> = {}): ClockController {
  return {
    name: "ccu",
    at: 0x1000_0000,
    size: 0x1000,
    unlisted: "deny",
    compatible: [],
    registers: [],
    blocks: [],
    outputs: [],
    ...given,
  };
}

export interface Access {
  readonly store: boolean;
  readonly offset: number;
  readonly width: number;
  readonly value: number;
}

/** Registers that note every access. */
export class FakeRegisters implements SharedRegisters {
  readonly bytes = new DataView(new ArrayBuffer(0x2000));
  readonly accesses: Access[] = [];
  /** Calls of {@link exclusively} so far, and whether one is under way. */
  turns = 0;
  held = false;
  readonly window: HostWindow;

  constructor() {
    this.window = {
      name: "fake",
      size: this.bytes.byteLength,
      load: (offset, width) => {
        const value = this.get(offset, width);
        this.accesses.push({ store: false, offset, width, value });
        return value;
      },
      store: (offset, width, value) => {
        this.accesses.push({ store: true, offset, width, value });
        this.set(offset, width, value);
      },
      load64: (offset) => this.bytes.getBigUint64(offset, true),
      store64: (offset, value) => this.bytes.setBigUint64(offset, value, true),
    };
  }

  exclusively<T>(act: () => T): T {
    this.turns++;
    this.held = true;
    try {
      return act();
    } finally {
      this.held = false;
    }
  }

  get stores(): readonly Access[] {
    return this.accesses.filter(({ store }) => store);
  }

  get(offset: number, width: number): number {
    if (width === 1) return this.bytes.getUint8(offset);
    return width === 2 ? this.bytes.getUint16(offset, true) : this.bytes.getUint32(offset, true);
  }

  set(offset: number, width: number, value: number): void {
    if (width === 1) this.bytes.setUint8(offset, value);
    else if (width === 2) this.bytes.setUint16(offset, value, true);
    else this.bytes.setUint32(offset, value, true);
  }
}
