/** From a board to a machine: device tree, boot images, and everything put together. */
import { readFileSync } from "node:fs";
import { fail } from "../diagnostics/diagnostic.ts";
import { writeDtb } from "../fdt/writer.ts";
import type { Board } from "../profile/board.ts";
import { boardTree } from "../profile/devicetree.ts";
import type { VdevRegistry } from "../vdev/registry.ts";
import { planBoot } from "./boot/plan.ts";
import { type EngineKind, Machine, type MachineHost } from "./machine.ts";

/** A machine at power-on. Throws a `VmrunError` where images cannot be read or do not fit. */
export function assemble(board: Board, registry: VdevRegistry, host: MachineHost, engine?: EngineKind): Machine {
  const plan = planBoot(board, { read: readImageFile }, (initrd) => writeDtb(boardTree(board, registry, { initrd })));
  try {
    return new Machine(board, registry, plan, host, engine);
  } catch (error) {
    // What was opened for it would have its owner until the process ends.
    host.hardware?.close();
    throw error;
  }
}

function readImageFile(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    return fail("boot/file", `cannot read ${path}: ${error instanceof Error ? error.message : error}`);
  }
}
