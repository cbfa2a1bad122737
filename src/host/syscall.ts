/**
 * Linux system calls that answer `-errno` instead of hiding it. bun:ffi has no errno, and libc's may be overwritten before
 * it is read, so on x86-64 the calls go through a few bytes of machine code of our own; elsewhere through libc.
 */
import { CFunction, type FFIFunction, FFIType, type Pointer, ptr, read } from "bun:ffi";
import { libc } from "./libc.ts";

/** An argument: a number, or memory by its address. Keep what is pointed to alive for as long as the kernel uses it. */
export type SyscallArgument = number | bigint | NodeJS.TypedArray | DataView;

type Raw = (
  number: number,
  a: number | bigint,
  b: number | bigint,
  c: number | bigint,
  d: number | bigint,
  e: number | bigint,
  f: number | bigint,
) => number;

/** Numbers of the calls: x86-64 has its own, arm64 and riscv64 the generic ones (include/uapi/asm-generic/unistd.h). */
const X86_64 = {
  read: 0,
  write: 1,
  close: 3,
  lseek: 8,
  mmap: 9,
  mprotect: 10,
  munmap: 11,
  ioctl: 16,
  pread64: 17,
  pwrite64: 18,
  madvise: 28,
  getpid: 39,
  socket: 41,
  connect: 42,
  accept: 43,
  sendmsg: 46,
  recvmsg: 47,
  bind: 49,
  listen: 50,
  socketpair: 53,
  fcntl: 72,
  flock: 73,
  ftruncate: 77,
  fchmod: 91,
  clock_gettime: 228,
  openat: 257,
  ppoll: 271,
  fallocate: 285,
  eventfd2: 290,
  memfd_create: 319,
} as const;
export type SyscallName = keyof typeof X86_64;

const GENERIC: Readonly<Partial<Record<SyscallName, number>>> = {
  fcntl: 25,
  ioctl: 29,
  flock: 32,
  ftruncate: 46,
  fallocate: 47,
  fchmod: 52,
  openat: 56,
  close: 57,
  lseek: 62,
  read: 63,
  write: 64,
  pread64: 67,
  pwrite64: 68,
  ppoll: 73,
  clock_gettime: 113,
  getpid: 172,
  eventfd2: 19,
  socket: 198,
  socketpair: 199,
  bind: 200,
  listen: 201,
  accept: 202,
  connect: 203,
  sendmsg: 211,
  recvmsg: 212,
  munmap: 215,
  mmap: 222,
  mprotect: 226,
  madvise: 233,
  memfd_create: 279,
};

const NUMBERS: Readonly<Partial<Record<SyscallName, number>>> = process.arch === "x64" ? X86_64 : GENERIC;

/** What the calls answer where the platform has none of them. */
export const ENOSYS = 38;

/**
 * `long stub(number, a, b, c, d, e, f)`: moves the arguments from where C passes them to where the kernel takes them.
 * mov rax,rdi; mov rdi,rsi; mov rsi,rdx; mov rdx,rcx; mov r10,r8; mov r8,r9; mov r9,[rsp+8]; syscall; ret
 */
const STUB = Uint8Array.of(
  ...[0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0x48, 0x89, 0xd6, 0x48, 0x89, 0xca, 0x4d, 0x89, 0xc2],
  ...[0x4d, 0x89, 0xc8, 0x4c, 0x8b, 0x4c, 0x24, 0x08, 0x0f, 0x05, 0xc3],
);
const PAGE = 4096;
/** Addresses from here on are none: MAP_FAILED is -1. */
const USER_SPACE = 2 ** 56;
const READ_WRITE = 3;
const READ_EXECUTE = 5;
const PRIVATE_ANONYMOUS = 0x22;

/** The answer is a number below 2^53 on both ways: addresses of user space have 47 or 48 bits. */
const SIGNATURE = {
  args: ["i64", "i64", "i64", "i64", "i64", "i64", "i64"],
  returns: FFIType.i64_fast,
} as const satisfies FFIFunction;

let raw: Raw | undefined;

/** Makes a system call; answers its result, or `-errno`. `-ENOSYS` on platforms without Linux's calls. */
export function syscall(
  name: SyscallName,
  a: SyscallArgument = 0,
  b: SyscallArgument = 0,
  c: SyscallArgument = 0,
  d: SyscallArgument = 0,
  e: SyscallArgument = 0,
  f: SyscallArgument = 0,
): number {
  const number = NUMBERS[name];
  if (number === undefined) return -ENOSYS;
  raw ??= process.platform === "linux" ? (throughStub() ?? throughLibc() ?? refuse) : refuse;
  return raw(number, word(a), word(b), word(c), word(d), word(e), word(f));
}

function word(argument: SyscallArgument): number | bigint {
  return typeof argument === "number" || typeof argument === "bigint" ? argument : ptr(argument);
}

const refuse: Raw = () => -ENOSYS;

/** Code in a page that is made executable once it is written, never both. `undefined` where the host forbids that. */
function throughStub(): Raw | undefined {
  if (process.arch !== "x64") return undefined;
  const calls = libc({
    mmap: { args: ["ptr", "u64", "i32", "i32", "i32", "i64"], returns: "ptr" },
    mprotect: { args: ["ptr", "u64", "i32"], returns: "i32" },
    memcpy: { args: ["ptr", "ptr", "u64"], returns: "ptr" },
  });
  if (calls === undefined) return undefined;
  const page = calls.mmap(null, PAGE, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0);
  if (page === null || page >= USER_SPACE) return undefined;
  calls.memcpy(page, ptr(STUB), STUB.length);
  if (calls.mprotect(page, PAGE, READ_EXECUTE) !== 0) return undefined;
  return CFunction({ ptr: page as Pointer, ...SIGNATURE }) as unknown as Raw;
}

/** libc's `syscall` and errno, read at once: nothing of ours runs in between. */
export function throughLibc(): Raw | undefined {
  const calls = libc({ syscall: SIGNATURE, __errno_location: { args: [], returns: "ptr" } });
  if (calls === undefined) return undefined;
  const call = calls.syscall as unknown as Raw;
  return (number, a, b, c, d, e, f) => {
    const result = call(number, a, b, c, d, e, f);
    return result === -1 ? -read.i32(calls.__errno_location() as Pointer) : result;
  };
}
