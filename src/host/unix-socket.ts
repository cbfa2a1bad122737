/** Unix sockets that keep messages apart (SOCK_SEQPACKET) and carry file descriptors. Calls answer `-errno`. */

import { ptr } from "bun:ffi";
import { unlinkSync } from "node:fs";
import { isError } from "./linux.ts";
import { syscall } from "./syscall.ts";

const AF_UNIX = 1;
const SOCK_SEQPACKET = 5;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x4000_0000;
const MSG_DONTWAIT = 0x40;
const ENAMETOOLONG = 36;
/** sizeof(sun_path), with its final NUL. */
const PATH_MAX = 108;
/** Descriptors that one message may carry. */
const FDS_MAX = 64;
/** struct cmsghdr { size_t len; int level; int type; }: data follows at once. */
const CMSG_HEADER = 16;

export interface Message {
  readonly bytes: Uint8Array;
  /** Ours to close. */
  readonly fds: readonly number[];
}

/** Answers a listening socket. What is left of an ended listener at that path is replaced. */
export function listen(path: string): number {
  const address = addressOf(path);
  const fd = address === undefined ? -ENAMETOOLONG : socket();
  if (isError(fd)) return fd;
  try {
    unlinkSync(path);
  } catch {
    // There was none.
  }
  const failed = syscall("bind", fd, address!, address!.byteLength) || syscall("listen", fd, 4);
  if (!isError(failed)) return fd;
  syscall("close", fd);
  return failed;
}

export function accept(listener: number): number {
  return syscall("accept", listener);
}

export function connect(path: string): number {
  const address = addressOf(path);
  const fd = address === undefined ? -ENAMETOOLONG : socket();
  if (isError(fd)) return fd;
  const failed = syscall("connect", fd, address!, address!.byteLength);
  if (!isError(failed)) return fd;
  syscall("close", fd);
  return failed;
}

/** Sends one message, with copies of `fds`. Answers how many bytes, or `-errno`; does not wait where `wait` is false. */
export function send(fd: number, bytes: Uint8Array, fds: readonly number[] = [], wait = true): number {
  const control = new ArrayBuffer(CMSG_HEADER + 8 * Math.ceil(fds.length / 2));
  const view = new DataView(control);
  view.setBigUint64(0, BigInt(CMSG_HEADER + 4 * fds.length), true);
  view.setInt32(8, SOL_SOCKET, true);
  view.setInt32(12, SCM_RIGHTS, true);
  for (const [i, each] of fds.entries()) view.setInt32(CMSG_HEADER + 4 * i, each, true);
  const header = messageHeader(bytes, fds.length > 0 ? new Uint8Array(control) : undefined);
  return syscall("sendmsg", fd, header.view, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
}

/** Waits for one message of at most `most` bytes; no bytes at all: the other side is gone. */
export function receive(fd: number, most: number, wait = true): Message | number {
  const bytes = new Uint8Array(most);
  const control = new Uint8Array(CMSG_HEADER + 4 * FDS_MAX);
  const header = messageHeader(bytes, control);
  const got = syscall("recvmsg", fd, header.view, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
  if (isError(got)) return got;
  return { bytes: bytes.subarray(0, got), fds: passedFds(control, Number(header.view.getBigUint64(40, true))) };
}

function passedFds(control: Uint8Array, length: number): number[] {
  const view = new DataView(control.buffer);
  if (length < CMSG_HEADER || view.getInt32(8, true) !== SOL_SOCKET || view.getInt32(12, true) !== SCM_RIGHTS)
    return [];
  const end = Math.min(Number(view.getBigUint64(0, true)), length);
  return Array.from({ length: Math.floor((end - CMSG_HEADER) / 4) }, (_, i) =>
    view.getInt32(CMSG_HEADER + 4 * i, true),
  );
}

/** struct msghdr, with what it points to: that has to live as long. */
function messageHeader(bytes: Uint8Array, control: Uint8Array | undefined) {
  const vector = BigUint64Array.of(bytes.length === 0 ? 0n : BigInt(ptr(bytes)), BigInt(bytes.length));
  const view = new DataView(new ArrayBuffer(56));
  view.setBigUint64(16, BigInt(ptr(vector)), true);
  view.setBigUint64(24, 1n, true);
  if (control !== undefined) {
    view.setBigUint64(32, BigInt(ptr(control)), true);
    view.setBigUint64(40, BigInt(control.length), true);
  }
  return { view, bytes, vector, control };
}

function socket(): number {
  return syscall("socket", AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
}

/** struct sockaddr_un; `undefined` where the path is too long for one. */
function addressOf(path: string): Uint8Array | undefined {
  const name = Buffer.from(`${path}\0`);
  if (name.length > PATH_MAX) return undefined;
  const address = new Uint8Array(2 + name.length);
  address[0] = AF_UNIX;
  address.set(name, 2);
  return address;
}
