/** What addresses and events are called. */
import { Interrupt } from "../isa/riscv/fields.ts";
import type { BusRegion } from "../machine/bus.ts";
import { descriptorOf } from "../pass/tables.ts";
import type { Board } from "../profile/board.ts";
import { type Direction, type RegisterMap, registerLabel } from "../vdev/registers.ts";
import type { VdevRegistry } from "../vdev/registry.ts";

/** Finds the register maps of a board's vdevs. */
export class RegisterMaps {
  readonly #maps = new Map<string, RegisterMap | undefined>();

  constructor(board: Board, registry: VdevRegistry) {
    for (const { table, placement } of board.vdevs) {
      const registers = descriptorOf(table, placement.type, registry)?.registers;
      for (const { name } of placement.regions) this.#maps.set(`${placement.name}.${name}`, registers?.[name]);
    }
  }

  /** The name of the register at `offset`, without the index in an array; `undefined` where there is none. */
  register(region: BusRegion, offset: number, direction: Direction, window?: string): string | undefined {
    const { names } = region.handler;
    const map = this.#maps.get(`${region.owner}.${region.name}`);
    const label = names ? names.label(offset, direction, window) : map && registerLabel(map, offset, direction);
    return label?.replace(/\[\d+\]/, "[]").replace(/\+\d+$/, "");
  }
}

/** The region that an address is in. `regions` are sorted. */
export function regionAt(regions: readonly BusRegion[], address: number): BusRegion | undefined {
  let low = 0;
  let high = regions.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (regions[middle].at <= address) low = middle;
    else high = middle - 1;
  }
  const region = regions[low];
  return region && address >= region.at && address < region.at + region.size ? region : undefined;
}

const INTERRUPTS = new Map<number, string>(
  Object.entries(Interrupt).map(([name, number]) => [
    number,
    name.replace(/[A-Z]/, (letter) => ` ${letter.toLowerCase()}`),
  ]),
);

export function interruptName(cause: number): string {
  return INTERRUPTS.get(cause) ?? `interrupt ${cause}`;
}

/** Extensions and their functions. SBI 2.0 §4 to §15 */
const SBI: Readonly<Record<number, readonly [name: string, functions: readonly string[]]>> = {
  0: ["legacy", ["set_timer"]],
  1: ["legacy", ["console_putchar"]],
  2: ["legacy", ["console_getchar"]],
  3: ["legacy", ["clear_ipi"]],
  4: ["legacy", ["send_ipi"]],
  5: ["legacy", ["remote_fence_i"]],
  6: ["legacy", ["remote_sfence_vma"]],
  7: ["legacy", ["remote_sfence_vma_asid"]],
  8: ["legacy", ["shutdown"]],
  16: [
    "BASE",
    [
      "get_spec_version",
      "get_impl_id",
      "get_impl_version",
      "probe_extension",
      "get_mvendorid",
      "get_marchid",
      "get_mimpid",
    ],
  ],
  1414090053: ["TIME", ["set_timer"]],
  7557193: ["sPI", ["send_ipi"]],
  1380339267: ["RFNC", ["remote_fence_i", "remote_sfence_vma", "remote_sfence_vma_asid"]],
  4739917: ["HSM", ["hart_start", "hart_stop", "hart_get_status", "hart_suspend"]],
  1397904212: ["SRST", ["system_reset"]],
  1145193294: ["DBCN", ["console_write", "console_read", "console_write_byte"]],
};

/** Legacy extensions have one function each, whatever a6 holds. SBI 2.0 §5 */
export function callName(extension: number, number: number): string {
  const known = SBI[extension];
  if (known === undefined) return `0x${extension.toString(16)}.${number}`;
  return `${known[0]}.${(extension < 16 ? known[1][0] : known[1][number]) ?? number}`;
}
