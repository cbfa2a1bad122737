/** How a profile names something of the host: `kind:what`. */
import * as v from "valibot";
import type { HostReference } from "../vdev/options.ts";

export type HostSpec =
  /** Physical addresses, through /dev/mem. */
  | { readonly kind: "devmem"; readonly at: number }
  /** A userspace I/O device, by number or by the name that its driver gives it. */
  | { readonly kind: "uio"; readonly name: string }
  /** A PCI function that is bound to vfio-pci: domain:bus:device.function. */
  | { readonly kind: "vfio"; readonly address: string }
  /** A device model in another process. */
  | { readonly kind: "shm"; readonly name: string }
  /** A file's bytes. */
  | { readonly kind: "file"; readonly path: string };

const FORMS: readonly (readonly [RegExp, (what: string) => HostSpec])[] = [
  [/^devmem:(0x[0-9a-fA-F][0-9a-fA-F_]{0,15}|\d{1,16})$/, (what) => ({ kind: "devmem", at: Number(bare(what)) })],
  [/^uio:([\w][\w .:@,+-]{0,63})$/, (name) => ({ kind: "uio", name })],
  [
    /^vfio:((?:[0-9a-fA-F]{4}:)?[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7])$/,
    (what) => ({ kind: "vfio", address: full(what) }),
  ],
  [/^shm:([A-Za-z][\w.-]{0,63})$/, (name) => ({ kind: "shm", name })],
  [/^file:([^\0]+)$/, (path) => ({ kind: "file", path })],
];

const EXPECTED = '"devmem:0x4020000", "uio:NAME", "vfio:0000:01:00.0", "shm:NAME" or "file:PATH"';

/** `undefined` where the text is none. */
export function parseHostSpec(text: string): HostSpec | undefined {
  for (const [form, make] of FORMS) {
    const what = form.exec(text)?.[1];
    if (what === undefined) continue;
    const spec = make(what);
    return spec.kind === "devmem" && !Number.isSafeInteger(spec.at) ? undefined : spec;
  }
  return undefined;
}

/** A schema for such a name; the profile room makes a file's path absolute. */
export function hostObjectName() {
  return v.pipe(
    v.string(({ input }) => `expected ${EXPECTED}; got ${typeof input === "object" ? "a table" : String(input)}`),
    v.check(
      (text) => parseHostSpec(text) !== undefined,
      ({ input }) => `expected ${EXPECTED}; got ${JSON.stringify(input.slice(0, 60))}`,
    ),
    v.title("host object"),
    v.description(`Hardware or memory of the host: ${EXPECTED}.`),
    v.examples(["uio:emmc", "devmem:0x04020000", "vfio:0000:01:00.0", "shm:model"]),
    v.metadata({ vmrun: "host-object" satisfies HostReference }),
  );
}

function bare(digits: string): string {
  return digits.replaceAll("_", "");
}

/** PCI addresses may leave out domain 0. */
function full(address: string): string {
  return (address.length === 7 ? `0000:${address}` : address).toLowerCase();
}
