/** From a board to a machine: device tree, boot images, and everything put together. */
import { fail } from "../diagnostics/diagnostic.ts";
import type { EngineKind } from "../engine/engine.ts";
import { writeDtb } from "../fdt/writer.ts";
import type { ClockStates } from "../pass/clocks/rates.ts";
import type { Board } from "../profile/board.ts";
import { boardTree } from "../profile/devicetree.ts";
import type { HostObject, HostObjectRequest } from "../vdev/host-object.ts";
import type { VdevRegistry } from "../vdev/registry.ts";
import { type Contents, ImageFiles } from "./boot/contents.ts";
import { planBoot } from "./boot/plan.ts";
import { Machine, type MachineHost } from "./machine.ts";

/** A machine at power-on. Throws a `VmrunError` where images cannot be read or do not fit. */
export function assemble(board: Board, registry: VdevRegistry, host: MachineHost, engine?: EngineKind): Machine {
  const files = new ImageFiles();
  try {
    const clocks = startingClocks(board, (spec, request) => openHardware(board, host, spec, request));
    const plan = planBoot(board, { open: (path) => contentsOf(files, path) }, (initrd) =>
      writeDtb(boardTree(board, registry, { initrd, clocks })),
    );
    return new Machine(board, registry, { ...plan, close: () => files.close() }, host, engine);
  } catch (error) {
    files.close();
    // What was opened for it would have its owner until the process ends.
    host.hardware?.close();
    throw error;
  }
}

/** Of boards whose devices name clocks: few do. */
function startingClocks(board: Board, open: OpenHardware): ClockStates | undefined {
  if (!board.vdevs.some(({ clocks }) => clocks)) return undefined;
  const { clockStatesOfHost } = require("../profile/clocks.ts") as typeof import("../profile/clocks.ts");
  return clockStatesOfHost(board, open);
}

type OpenHardware = (spec: string, request: HostObjectRequest) => HostObject;

/** To look at before there is a machine. */
function openHardware({ name }: Board, host: MachineHost, spec: string, request: HostObjectRequest): HostObject {
  if (!host.hardware)
    return fail("vdev/host-object", `${spec} is not to be had: this machine has no hardware of the host`);
  return host.hardware.open(spec, request, { name, ram: () => [] });
}

function contentsOf(files: ImageFiles, path: string): Contents {
  try {
    return files.open(path);
  } catch (error) {
    return fail("boot/file", `cannot read ${path}: ${error instanceof Error ? error.message : error}`);
  }
}
