/** Terminal devices: raw mode, baud rates, and new pseudo terminals. Linux, include/uapi/asm-generic/termbits.h and ioctls.h. */
import { closeSync, constants, openSync } from "node:fs";
import { libc, once } from "./libc.ts";

const TCGETS2 = 0x802c_542an;
const TCSETS2 = 0x402c_542bn;
const TIOCSPTLCK = 0x4004_5431n;
const TIOCGPTN = 0x8004_5430n;

/** Bytes of `struct termios2`: four words of flags, the line discipline, 19 control characters, two speeds. */
const TERMIOS2 = 44;
const Word = { input: 0, output: 1, control: 2, local: 3, inputSpeed: 9, outputSpeed: 10 } as const;
const VTIME = 17 + 5;
const VMIN = 17 + 6;

const OPOST = 0x1;
/** CSIZE, CSTOPB, PARENB and CRTSCTS. */
const FRAMING = 0x30 | 0x40 | 0x100 | 0x8000_0000;
const CS8 = 0x30;
const CREAD_CLOCAL = 0x80 | 0x800;
const CBAUD = 0x100f;
/** The speed stands in the speed words alone. */
const BOTHER = 0x1000;
/** B0 to B38400, then B57600 to B4000000, by their codes: the speeds that every program knows. */
const SPEEDS = [0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19_200, 38_400];
const FAST_SPEEDS = [
  ...[57_600, 115_200, 230_400, 460_800, 500_000, 576_000, 921_600, 1_000_000],
  ...[1_152_000, 1_500_000, 2_000_000, 2_500_000, 3_000_000, 3_500_000, 4_000_000],
];

const system = once(() => libc({ ioctl: { args: ["i32", "u64", "ptr"], returns: "i32" } }));

const ioctl = (fd: number, request: bigint, argument: Uint8Array | Uint32Array): boolean =>
  system()?.ioctl(fd, request, argument) === 0;

/** How a terminal is set up; `undefined` where `fd` is none, or the host tells nothing of it. */
export function terminalSettings(fd: number): Uint8Array | undefined {
  const settings = new Uint8Array(TERMIOS2);
  return ioctl(fd, TCGETS2, settings) ? settings : undefined;
}

/** Sets a terminal up as it was when `settings` were taken; whether that worked. */
export function restoreTerminal(fd: number, settings: Uint8Array): boolean {
  return ioctl(fd, TCSETS2, settings);
}

/** What is written reaches the terminal as it is: a line feed brings no carriage return with it. */
export function rawOutput(fd: number): void {
  const settings = terminalSettings(fd);
  if (settings === undefined) return;
  words(settings)[Word.output] &= ~OPOST;
  ioctl(fd, TCSETS2, settings);
}

/**
 * Bytes pass a terminal device both ways as they are: 8 bits, no parity, no echo, no line editing, no flow control.
 * @param baud Speed in bit/s; stays as it is when omitted. `false` where the device does not have it, or is no terminal.
 */
export function rawTerminal(fd: number, baud?: number): boolean {
  const settings = terminalSettings(fd);
  if (settings === undefined) return false;
  const flags = words(settings);
  flags[Word.input] = 0;
  flags[Word.output] = 0;
  flags[Word.local] = 0;
  flags[Word.control] = (flags[Word.control] & ~FRAMING) | CS8 | CREAD_CLOCAL;
  settings[VMIN] = 1;
  settings[VTIME] = 0;
  if (baud !== undefined) {
    flags[Word.control] = (flags[Word.control] & ~CBAUD) | speedCode(baud);
    flags[Word.inputSpeed] = baud;
    flags[Word.outputSpeed] = baud;
  }
  return ioctl(fd, TCSETS2, settings);
}

function speedCode(baud: number): number {
  if (SPEEDS.includes(baud)) return SPEEDS.indexOf(baud);
  return FAST_SPEEDS.includes(baud) ? BOTHER + 1 + FAST_SPEEDS.indexOf(baud) : BOTHER;
}

function words(settings: Uint8Array): Uint32Array {
  return new Uint32Array(settings.buffer, 0, TERMIOS2 / 4);
}

export interface PseudoTerminal {
  readonly master: number;
  /** Held open, so that the terminal stays as it is set up while nobody else has it open. */
  readonly slave: number;
  /** Of the slave, e.g. `/dev/pts/5`. */
  readonly name: string;
}

/** A new pseudo terminal, raw and not blocking. Throws where the host gives none. */
export function openPseudoTerminal(): PseudoTerminal {
  const { O_RDWR, O_NOCTTY, O_NONBLOCK } = constants;
  const master = openSync("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
  try {
    const number = new Uint32Array(1);
    if (!ioctl(master, TIOCSPTLCK, new Uint32Array(1)) || !ioctl(master, TIOCGPTN, number)) {
      throw new Error("the host gives no pseudo terminal");
    }
    const name = `/dev/pts/${number[0]}`;
    const slave = openSync(name, O_RDWR | O_NOCTTY | O_NONBLOCK);
    rawTerminal(slave);
    return { master, slave, name };
  } catch (error) {
    closeSync(master);
    throw error;
  }
}
