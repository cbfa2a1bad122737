/** Regions of vdevs with memory behind them: blocks of guest memory whose accesses pass or trap, as the vdev says. */
import { type Block, type BlockSpec, type DmaMemory, type GuestMemory, Pass } from "../memory/guest-memory.ts";
import { HUGE_PAGE } from "../profile/backing.ts";
import type { Board } from "../profile/board.ts";
import type { HostPages, HostRegion } from "../vdev/host.ts";
import { type PlacedRegion, type RegionAccess, TRAPPING } from "../vdev/placement.ts";

/** The blocks of a board: its RAM and ROM, and the memory behind regions. */
export function blocksOf({ memory, vdevs }: Board): BlockSpec[] {
  const backed = vdevs.flatMap(({ placement }) =>
    placement.regions.flatMap(({ name, at, size, access }) =>
      access === undefined ? [] : [{ name: `${placement.name}.${name}`, at, size, passes: passesOf(access) }],
    ),
  );
  const plain = memory.map(({ name, at, size, kind, backing }) => {
    const align = backing.kind === "huge" ? HUGE_PAGE : undefined;
    return { name, at, size, readOnly: kind === "rom", align };
  });
  return [...plain, ...backed];
}

function passesOf({ read, write, execute }: RegionAccess): number {
  const pass = (how: string, bit: Pass) => (how === "memory" ? bit : 0);
  return pass(read, Pass.read) | pass(write, Pass.write) | pass(execute, Pass.execute);
}

/** A region as its vdev sees it. */
export class MachineRegion implements HostRegion {
  access: RegionAccess;
  readonly #placed: PlacedRegion;
  readonly #memory: GuestMemory;
  readonly #flush: () => void;
  readonly #layPages: (block: Block, pages: HostPages) => void;

  /**
   * @param flush Makes the guest's next access find a changed one.
   * @param layPages Lays pages of the host behind a block.
   */
  constructor(
    placed: PlacedRegion,
    memory: GuestMemory,
    flush: () => void,
    layPages: (block: Block, pages: HostPages) => void,
  ) {
    this.#placed = placed;
    this.#memory = memory;
    this.#flush = flush;
    this.#layPages = layPages;
    this.access = placed.access ?? TRAPPING;
  }

  get size(): number {
    return this.#placed.size;
  }

  /** Power-on. */
  reset(): void {
    this.setAccess(this.#placed.access ?? TRAPPING);
  }

  setAccess(change: Partial<RegionAccess>): void {
    const { read, write, execute } = { ...this.access, ...change };
    const now = this.access;
    if (read === now.read && write === now.write && execute === now.execute) return;
    this.access = { read, write, execute };
    if (this.#placed.access === undefined) return;
    this.#block.passes = passesOf(this.access);
    this.#flush();
  }

  get memory(): DmaMemory {
    return this.#memory.contents(this.#block);
  }

  get data(): DataView {
    const { offset, size } = this.#block;
    return new DataView(this.#memory.memory.buffer, offset, size);
  }

  lay(pages: HostPages): void {
    this.#layPages(this.#block, pages);
  }

  get #block(): Block {
    return this.#memory.blockAt(this.#placed.at)!;
  }
}
