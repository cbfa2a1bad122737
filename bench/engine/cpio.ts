/** Archives that Linux unpacks at its start: cpio, "newc". Linux Documentation/driver-api/early-userspace/buffer-format.rst */

export interface CpioFile {
  readonly path: string;
  /** With its type: 0o100644 for a file, 0o040755 for a folder. */
  readonly mode: number;
  readonly data?: Uint8Array;
}

/** Owned by root, from no particular time: the same files make the same bytes. */
export function cpio(files: readonly CpioFile[]): Uint8Array {
  const parts: Uint8Array[] = [];
  const add = (bytes: Uint8Array) => parts.push(bytes, new Uint8Array(-bytes.length & 3));
  [...files, { path: "TRAILER!!!", mode: 0 }].forEach(({ path, mode, data = new Uint8Array() }: CpioFile, i) => {
    const name = new TextEncoder().encode(`${path}\0`);
    const links = mode >> 12 === 4 ? 2 : 1;
    // inode, mode, uid, gid, links, mtime, size, four numbers of devices, length of the name, check
    const fields = [i + 1, mode, 0, 0, links, 0, data.length, 0, 0, 0, 0, name.length, 0];
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`;
    add(new Uint8Array(Buffer.concat([Buffer.from(header), name])));
    add(data);
  });
  return new Uint8Array(Buffer.concat(parts));
}
