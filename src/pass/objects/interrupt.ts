/** An interrupt of the host that a file descriptor tells of: what comes while it is masked stays with the kernel. */
import type { FdWatch, Watched } from "../../host/fd-watch.ts";
import { isError, read } from "../../host/linux.ts";
import type { HostInterrupt } from "../../vdev/host-object.ts";

export interface InterruptFd extends HostInterrupt {
  remove(): void;
}

export interface InterruptSource {
  readonly name: string;
  readonly fd: number;
  /** Reads how often it came since the last time; 0 or less where it did not. */
  count(gone: boolean): number;
  /** What the host needs beside being read again. */
  unmask(): void;
}

export function interruptFd(watch: FdWatch, { name, fd, count, unmask }: InterruptSource): InterruptFd {
  let entry: Watched | undefined;
  return {
    name,
    connect(raised) {
      const own = watch.add(fd, (gone) => {
        const times = count(gone);
        if (times <= 0) return;
        own.enabled = false;
        raised(times);
      });
      entry = own;
    },
    unmask() {
      if (entry !== undefined) entry.enabled = true;
      unmask();
      watch.interrupt();
    },
    remove: () => entry?.remove(),
  };
}

/** Reads an eventfd's counter. */
export function eventCount(fd: number): () => number {
  const count = new BigUint64Array(1);
  return () => (isError(read(fd, count)) ? 0 : Number(count[0]));
}
