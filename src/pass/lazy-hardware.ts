/** Hardware of the host for machines that may not use any: nothing of it is loaded before the first is opened. */
import type { HostHardware } from "../vdev/host-object.ts";

export function hostHardware(): HostHardware {
  let loaded: HostHardware | undefined;
  /** At once, because devices are opened while a machine is made. */
  const load = () => {
    loaded ??= (require("./hardware.ts") as typeof import("./hardware.ts")).createHardware();
    return loaded;
  };
  return {
    open: (spec, request, owner) => load().open(spec, request, owner),
    poll: () => loaded?.poll(),
    get listening() {
      return loaded?.listening ?? false;
    },
    await: (wake) => loaded?.await(wake),
    close: () => loaded?.close(),
  };
}
