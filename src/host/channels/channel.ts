/** One end of a byte stream on the host, whatever it is: a socket, a terminal, a program, a file. */
export interface Channel {
  /** Whether somebody is there to take output. */
  readonly connected: boolean;
  /** Whether input may still come. */
  readonly open: boolean;
  /** Takes as many of the bytes as go at once, and answers how many; {@link ChannelUser.ready} tells when more do. */
  write(bytes: Uint8Array): number;
  /** Leaves input where it is for now, so that the other side has to wait. */
  hold(held: boolean): void;
  /** More input, where it is there for the asking instead of coming by itself; `undefined` at its end. */
  pull?(): Uint8Array | undefined;
  /** The other side hears that nothing more comes; settles when it has ended, however long that takes. */
  finish?(): Promise<void>;
  /** Gives everything back. Nothing reaches the user any more. */
  close(): void;
}

/** Who a channel is for. Calls come while the guest stands still, never from inside of a call to the channel. */
export interface ChannelUser {
  /** The bytes are the channel's own. */
  input(bytes: Uint8Array): void;
  /** Output may be written again: a peer has come, or has read. */
  ready(): void;
  /** The channel is of no use any more, and why. */
  ended(reason: string): void;
  /** For a person. */
  tell(level: "info" | "warn", message: string): void;
}

/** Opens a channel. Throws a `VmrunError` where it cannot be had. */
export type ChannelOpener = (user: ChannelUser) => Channel;

/** In words, of what a call of the system threw. */
export function reason(error: unknown): string {
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
  const known: Readonly<Record<string, string>> = {
    ENOENT: "it does not exist",
    EACCES: "permission denied",
    EPERM: "permission denied",
    EADDRINUSE: "the address is in use",
    EADDRNOTAVAIL: "the host has no such address",
    ECONNREFUSED: "nobody listens there",
    ENOTFOUND: "there is no host of that name",
    ENOSPC: "the disk is full",
    ENXIO: "nobody reads it",
    EPIPE: "nobody reads it any more",
    EIO: "the device is gone",
    EISDIR: "it is a directory",
    ENOTDIR: "a part of its path is no directory",
    EROFS: "the file system is read-only",
    EMFILE: "too many files are open",
  };
  if (typeof code === "string") return Object.hasOwn(known, code) ? known[code]! : code;
  return typeof message === "string" ? message : String(error);
}
