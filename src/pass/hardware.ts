/** Hardware of this host: opens what profiles name, sees to it that it has one owner, and hears its interrupts. */
import { fail } from "../diagnostics/diagnostic.ts";
import { FdWatch } from "../host/fd-watch.ts";
import type { HostHardware, HostObject, HostObjectOwner, HostObjectRequest } from "../vdev/host-object.ts";
import { type Claim, claim, type Resource } from "./claims.ts";
import { type HostSpec, parseHostSpec } from "./host-spec.ts";
import { openDevmem } from "./objects/devmem.ts";
import { openFile } from "./objects/file.ts";
import { openShm } from "./objects/shm.ts";
import { openUio } from "./objects/uio.ts";
import { openVfio } from "./objects/vfio.ts";

/** What the kinds of objects have in common while they are opened. */
export interface Opening {
  readonly spec: string;
  readonly request: HostObjectRequest;
  readonly owner: HostObjectOwner;
  readonly watch: FdWatch;
  /** Takes it for this owner, or throws with the present one's name. Released with the object. */
  claim(...resources: readonly Resource[]): Claim;
  /** The same for what several objects share, which release it themselves. */
  hold(...resources: readonly Resource[]): Claim;
  /** What objects of this machine have in common, by names of their own. */
  readonly shared: Map<string, unknown>;
}

/** An object without what {@link createHardware} adds. */
export type Opened = Omit<HostObject, "spec" | "exclusively" | "onLoss"> & { onLoss: (reason: string) => void };

export function createHardware(): HostHardware {
  const watch = new FdWatch();
  const objects = new Set<HostObject>();
  const shared = new Map<string, unknown>();
  return {
    open(spec, request, owner) {
      const parsed = parseHostSpec(spec);
      if (parsed === undefined) return fail("pass/spec", `"${spec}" names nothing of a host`);
      const claims: Claim[] = [];
      const opening: Opening = {
        spec,
        request,
        owner,
        watch,
        shared,
        hold(...resources) {
          const { dma = false, override = false } = request;
          return claim(spec, { resources, owner: owner.name, dma, override });
        },
        claim(...resources) {
          const made = opening.hold(...resources);
          claims.push(made);
          return made;
        },
      };
      const release = () => {
        for (const each of claims.splice(0)) each.release();
      };
      let opened: Opened;
      try {
        opened = openKind(parsed, opening);
      } catch (error) {
        release();
        throw error;
      }
      const object: HostObject = Object.assign(opened, {
        spec,
        exclusively: <T>(act: () => T) => (claims[0] === undefined ? act() : claims[0].exclusively(act)),
        close: afterwards(opened.close.bind(opened), () => {
          objects.delete(object);
          release();
        }),
      });
      objects.add(object);
      return object;
    },
    poll: () => watch.poll(),
    get listening() {
      return watch.listening;
    },
    await: (wake) => watch.await(wake),
    close() {
      for (const object of [...objects]) object.close();
      watch.close();
    },
  };
}

function openKind(spec: HostSpec, opening: Opening): Opened {
  switch (spec.kind) {
    case "devmem":
      return openDevmem(spec.at, opening);
    case "uio":
      return openUio(spec.name, opening);
    case "vfio":
      return openVfio(spec.address, opening);
    case "shm":
      return openShm(spec.name, opening);
    case "file":
      return openFile(spec.path, opening);
  }
}

/** Once, however often it is called. */
function afterwards(act: () => void, then: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    try {
      act();
    } finally {
      then();
    }
  };
}
