/** A file's bytes as registers or memory: a ROM's contents, a recorded state, shared memory of another program. */
import { closeSync, constants, fstatSync } from "node:fs";
import { fail } from "../../diagnostics/diagnostic.ts";
import { mapDevice } from "../../host/device-access.ts";
import type { Opened, Opening } from "../hardware.ts";
import { openDevice } from "./open-device.ts";
import { mappedWindow } from "./window.ts";

export function openFile(path: string, opening: Opening): Opened {
  const { spec, request } = opening;
  const { size, offset = 0, write = false, interrupts = 0 } = request;
  if (interrupts > 0) fail("pass/interrupt", `${spec} has no interrupt: it is a file`);
  const fd = openDevice(path, write, spec, { ENOENT: "make it, e.g. with truncate -s 4K FILE" }, constants.O_NONBLOCK);
  try {
    const { size: bytes, ino, dev } = fstatSync(fd);
    if (offset + size > bytes) {
      fail("pass/size", `${spec} has ${bytes} bytes; the profile wants ${size} from ${offset} on`);
    }
    // Many may read it; one who writes has it alone.
    if (write) opening.claim({ space: `file ${dev}:${ino}`, from: offset, to: offset + size - 1 });
    const device = mapDevice(fd, offset, size, write, spec);
    const opened: Opened = {
      how: `${size} bytes of ${path}`,
      window: mappedWindow(spec, size, device, { fd, offset }, (reason) => opened.onLoss(reason)),
      interrupts: [],
      onLoss: () => {},
      reset() {},
      close() {
        device.unmap();
        closeSync(fd);
      },
    };
    return opened;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
