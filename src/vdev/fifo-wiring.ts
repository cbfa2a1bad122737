/** Ties the FIFOs of a register bank to the fields that control them and the bits that show their state. */
import { Fifo, type FifoFlag, type FifoState } from "./fifo.ts";
import { bitRange, type FifoSpec, fieldAt, type RegisterMap, type RegisterSpec } from "./registers.ts";

/** A field in the storage of a bank. */
interface Place {
  readonly word: number;
  readonly mask: number;
  readonly shift: number;
}

interface Wired {
  readonly fifo: Fifo;
  readonly enable: Place | undefined;
  readonly emptied: boolean;
  readonly clear: Place | undefined;
  readonly level: Place | undefined;
  readonly levels: readonly number[] | undefined;
}

export class FifoWiring {
  readonly #words: Uint32Array;
  readonly #wired: readonly Wired[];
  /** Words of registers that control a FIFO. */
  readonly #controlling: ReadonlySet<number>;

  /** @param wordOf Where a register of the map is stored. */
  constructor(
    map: RegisterMap,
    words: Uint32Array,
    fifos: ReadonlyMap<string, Fifo>,
    wordOf: (register: string) => number,
  ) {
    this.#words = words;
    const place = (path: string): Place => {
      const { register, field } = fieldAt(map, path)!;
      const [high, low] = bitRange(field);
      return { word: wordOf(register), mask: (2 ** (high + 1) - 2 ** low) >>> 0, shift: low };
    };
    this.#wired = [...fifos].map(([name, fifo]) => {
      const { enable, switching, clear, level, flags = {} } = map[name]!.fifo!;
      fifo.wire(words, flagsOf(flags, place));
      return {
        fifo,
        enable: enable === undefined ? undefined : place(enable),
        emptied: switching === "empties",
        clear: clear === undefined ? undefined : place(clear),
        level: level && place(level.by),
        levels: level?.values,
      };
    });
    const controls = this.#wired.flatMap(({ enable, clear, level }) => [enable, clear, level]);
    this.#controlling = new Set(controls.flatMap((control) => (control === undefined ? [] : [control.word])));
    this.settle();
  }

  /** Whether a write to the register at `word` concerns a FIFO. */
  controls(word: number): boolean {
    return this.#controlling.has(word);
  }

  /** The guest wrote `value` there, and it is stored. */
  written(word: number, value: number): void {
    for (const wired of this.#wired) {
      const { fifo, clear, emptied } = wired;
      const { on } = fifo;
      this.#adjust(wired);
      const switched = emptied && fifo.on !== on;
      if (switched || (fifo.on && clear?.word === word && (value & clear.mask) !== 0)) fifo.clear();
    }
  }

  /** Brings everything in line with the storage, after a reset or a restore. */
  settle(): void {
    for (const wired of this.#wired) this.#adjust(wired);
  }

  #adjust({ fifo, enable, level, levels }: Wired): void {
    const on = enable === undefined || (this.#words[enable.word]! & enable.mask) !== 0;
    const chosen = level === undefined ? 1 : (this.#words[level.word]! & level.mask) >>> level.shift;
    fifo.set(on, levels === undefined ? chosen : levels[chosen]!);
  }
}

function flagsOf(flags: NonNullable<FifoSpec["flags"]>, place: (path: string) => Place): FifoFlag[] {
  return Object.entries(flags).flatMap(([shows, paths]) =>
    [paths].flat().map((path) => {
      const { word, mask } = place(path);
      return { shows: shows as FifoState, word, mask };
    }),
  );
}

/** The FIFOs that a map declares, by register. */
export function fifosOf(map: RegisterMap): Map<string, Fifo> {
  return new Map(
    Object.entries<RegisterSpec>(map).flatMap(([name, { fifo }]) => (fifo ? [[name, new Fifo(fifo.depth)]] : [])),
  );
}
