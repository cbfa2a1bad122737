/**
 * vmrun's own firmware: the supervisor binary interface, answered by the monitor itself instead of a program in M-mode.
 * Every argument comes from the guest and is checked. RISC-V SBI 2.0
 */
import { accessCsr, CsrOperation, csrNumber, resetCsrs } from "./csr.ts";
import { Environment, Interrupt } from "./fields.ts";
import { CsrSlot, type Hart, Privilege } from "./hart.ts";
import { armTimer, ownsTimer, setPending } from "./pending.ts";
import { PmpConfig } from "./pmp.ts";
import { Cause } from "./trap.ts";

/** What the firmware needs of the machine. Harts are named by index, which is also their `mhartid`. */
export interface SbiServices {
  /** At `ticks` of the timebase the machine drives the hart's STIP high. `Infinity` is never. Used where Sstc is absent. */
  setTimer(hart: number, ticks: number): void;
  power(action: "poweroff" | "reboot" | "fail", code?: number): void;
  readonly console: {
    write(byte: number): void;
    /** The next byte that was typed, or -1. */
    read(): number;
  };
  /** Whether the hart runs, or waits for an interrupt, rather than being stopped. */
  started(hart: number): boolean;
  /**
   * Lets a stopped hart begin at `pc` in S-mode: {@link enterSupervisor} with a0 = its index and a1 = `opaque`. `false`:
   * somebody else has done so first.
   */
  startHart(hart: number, pc: bigint, opaque: bigint): boolean;
  stopHart(hart: number): void;
  /** The hart waits for an interrupt, as after WFI. Absent: suspending returns at once, as a spurious wake-up may. */
  suspendHart?(hart: number): void;
  /** How to reach harts that run beside the calling one. Absent where all of them rest meanwhile. */
  readonly remote?: RemoteHarts;
}

export interface RemoteHarts {
  /** Sets the hart's SSIP. */
  interrupt(hart: number): void;
  /** Comes back when every one of the harts, of which the calling one may be one, has done so. */
  fence(harts: readonly number[], fence: RemoteFence): void;
}

/** What other harts are to do: FENCE.I, or SFENCE.VMA for a range of addresses. */
export type RemoteFence = "instructions" | { readonly start: bigint; readonly size: bigint };

export interface Sbi {
  /** Serves the `ecall` that `hart.pc` is at. */
  handle(hart: Hart): void;
}

const IMPLEMENTATION_ID = 0x766d72n;
const SPECIFICATION_VERSION = 2n << 24n;

/** Standard error codes. SBI 2.0 §3 */
const SbiError = {
  success: 0n,
  failed: -1n,
  notSupported: -2n,
  invalidParameter: -3n,
  invalidAddress: -5n,
  alreadyAvailable: -6n,
} as const;

/** Extension identifiers; the names in ASCII where they are long. */
const Extension = {
  legacySetTimer: 0x00n,
  legacyPutchar: 0x01n,
  legacyGetchar: 0x02n,
  legacyClearIpi: 0x03n,
  legacyShutdown: 0x08n,
  base: 0x10n,
  time: 0x54494d45n,
  ipi: 0x735049n,
  rfence: 0x52464e43n,
  hsm: 0x48534dn,
  reset: 0x53525354n,
  console: 0x4442434en,
} as const;

const HartState = { started: 0n, stopped: 1n } as const;

const REG_A0 = 10;
const REG_A1 = 11;
const REG_A6 = 16;
const REG_A7 = 17;
const ALL = (1n << 64n) - 1n;
const EXACT = 2n ** 53n;
/** Bytes that one console call moves at most: a call is not to hold the machine up. Callers see how far it got. */
const CONSOLE_CHUNK = 65536;
/** Fences of more pages than this forget everything: cheaper than naming them. */
const FENCE_PAGES = 64;
const PAGE = 4096n;
/** menvcfg.STCE, and mstatus.FS = initial. */
const STCE = 1n << 63n;
const FS_INITIAL = 1n << 13n;

/** What a call answers: an error, or a value; `undefined` where the calling hart does not return from it. */
type Answer = { readonly error: bigint; readonly value: bigint } | undefined;
type Call = (hart: Hart, argument: (index: number) => bigint) => Answer;

const ok = (value = 0n): Answer => ({ error: SbiError.success, value });
const refuse = (error: bigint): Answer => ({ error, value: 0n });

export function createSbi(harts: readonly Hart[], services: SbiServices): Sbi {
  function setTimer(hart: Hart, ticks: bigint): void {
    if (ownsTimer(hart)) {
      hart.setCsr(CsrSlot.stimecmp, ticks);
      armTimer(hart);
    } else {
      setPending(hart, Interrupt.supervisorTimer, false);
      services.setTimer(hart.index, ticks < EXACT ? Number(ticks) : Number.POSITIVE_INFINITY);
    }
  }

  /** The harts of a mask and its base; `undefined` where one of them does not exist. SBI 2.0 §3.1 */
  function select(mask: bigint, base: bigint): readonly Hart[] | undefined {
    if (base === ALL) return harts;
    const selected: Hart[] = [];
    for (let bit = 0n; mask >> bit !== 0n; bit++) {
      if (((mask >> bit) & 1n) === 0n) continue;
      const index = base + bit;
      if (index >= BigInt(harts.length)) return undefined;
      selected.push(harts[Number(index)]);
    }
    return selected;
  }

  function onSelected(mask: bigint, base: bigint, action: (harts: readonly Hart[]) => void): Answer {
    const selected = select(mask, base);
    if (selected === undefined) return refuse(SbiError.invalidParameter);
    action(selected);
    return ok();
  }

  function interrupt({ index }: Hart): void {
    if (services.remote) services.remote.interrupt(index);
    else setPending(harts[index], Interrupt.supervisorSoftware, true);
  }

  function fenceAll(targets: readonly Hart[], fence: RemoteFence): void {
    const { remote } = services;
    if (remote) {
      remote.fence(
        targets.map(({ index }) => index),
        fence,
      );
      // Where all rest meanwhile, decoded code follows every store.
    } else if (fence !== "instructions") for (const target of targets) fenceAddresses(target, fence);
  }

  function hartAt(index: bigint): Hart | undefined {
    return index < BigInt(harts.length) ? harts[Number(index)] : undefined;
  }

  const state = (hart: Hart): bigint => (services.started(hart.index) ? HartState.started : HartState.stopped);

  /** The console's buffer, cut to what one call moves; `undefined` unless all of it is memory. SBI 2.0 §12 */
  function buffer(hart: Hart, length: bigint, low: bigint, high: bigint): { at: number; length: number } | undefined {
    if (high !== 0n || low >= EXACT || length >= EXACT) return undefined;
    const at = Number(low);
    if (hart.memory.locate(at, Number(length)) < 0) return undefined;
    return { at, length: Math.min(Number(length), CONSOLE_CHUNK) };
  }

  const base: Call[] = [
    () => ok(SPECIFICATION_VERSION),
    () => ok(IMPLEMENTATION_ID),
    () => ok(1n),
    (_, argument) => ok(extensions.has(argument(0)) ? 1n : 0n),
    // mvendorid, marchid, mimpid: as the CSRs read.
    () => ok(),
    () => ok(),
    () => ok(),
  ];

  const time: Call[] = [
    (hart, argument) => {
      setTimer(hart, argument(0));
      return ok();
    },
  ];

  const ipi: Call[] = [(_, argument) => onSelected(argument(0), argument(1), (targets) => targets.forEach(interrupt))];

  /** Fencing one address space is fencing all of them. */
  const fenceRange: Call = (_, argument) =>
    onSelected(argument(0), argument(1), (targets) => fenceAll(targets, { start: argument(2), size: argument(3) }));
  const rfence: Call[] = [
    (_, argument) => onSelected(argument(0), argument(1), (targets) => fenceAll(targets, "instructions")),
    fenceRange,
    fenceRange,
  ];

  const hsm: Call[] = [
    (hart, argument) => {
      const target = hartAt(argument(0));
      const entry = argument(1);
      if (target === undefined) return refuse(SbiError.invalidParameter);
      if (services.started(target.index)) return refuse(SbiError.alreadyAvailable);
      if (!isEntry(hart, entry)) return refuse(SbiError.invalidAddress);
      return services.startHart(target.index, entry, argument(2)) ? ok() : refuse(SbiError.alreadyAvailable);
    },
    (hart) => {
      services.stopHart(hart.index);
      return undefined;
    },
    (_, argument) => {
      const target = hartAt(argument(0));
      return target === undefined ? refuse(SbiError.invalidParameter) : ok(state(target));
    },
    (hart, argument) => {
      const type = BigInt.asUintN(32, argument(0));
      // Default retentive suspend is a WFI. Non-retentive and platform types save nothing here. SBI 2.0 §9.4
      if (type === 0n) {
        services.suspendHart?.(hart.index);
        return ok();
      }
      const known = type === 0x8000_0000n || (type & 0x7fff_ffffn) >= 0x1000_0000n;
      return refuse(known ? SbiError.notSupported : SbiError.invalidParameter);
    },
  ];

  const reset: Call[] = [
    (_, argument) => {
      const type = BigInt.asUintN(32, argument(0));
      const reason = BigInt.asUintN(32, argument(1));
      // Shutdown, cold reboot, warm reboot; no reason, system failure. Others are reserved. SBI 2.0 §10.1
      if (type > 2n || reason > 1n) return refuse(SbiError.invalidParameter);
      if (type !== 0n) services.power("reboot");
      else if (reason === 0n) services.power("poweroff");
      else services.power("fail", 1);
      return undefined;
    },
  ];

  const debugConsole: Call[] = [
    (hart, argument) => {
      const range = buffer(hart, argument(0), argument(1), argument(2));
      const bytes = range && hart.memory.view(range.at, range.length);
      if (bytes === undefined) return refuse(SbiError.invalidParameter);
      for (const byte of bytes) services.console.write(byte);
      return ok(BigInt(bytes.length));
    },
    (hart, argument) => {
      const range = buffer(hart, argument(0), argument(1), argument(2));
      const bytes = range && hart.memory.mutable(range.at, range.length);
      if (bytes === undefined) return refuse(SbiError.invalidParameter);
      let count = 0;
      while (count < bytes.length) {
        const byte = services.console.read();
        if (byte < 0) break;
        bytes[count++] = byte;
      }
      return ok(BigInt(count));
    },
    (_, argument) => {
      services.console.write(Number(argument(0) & 0xffn));
      return ok();
    },
  ];

  const extensions = new Map<bigint, readonly Call[]>([
    [Extension.base, base],
    [Extension.time, time],
    [Extension.ipi, ipi],
    [Extension.rfence, rfence],
    [Extension.hsm, hsm],
    [Extension.reset, reset],
    [Extension.console, debugConsole],
  ]);

  /** SBI 0.1: one function per extension, one result in a0. SBI 2.0 §5 */
  const legacy = new Map<bigint, (hart: Hart) => bigint | undefined>([
    [
      Extension.legacySetTimer,
      (hart) => {
        setTimer(hart, hart.x(REG_A0));
        return 0n;
      },
    ],
    [
      Extension.legacyPutchar,
      (hart) => {
        services.console.write(Number(hart.x(REG_A0) & 0xffn));
        return 0n;
      },
    ],
    [Extension.legacyGetchar, () => BigInt(services.console.read())],
    [
      Extension.legacyClearIpi,
      (hart) => {
        setPending(hart, Interrupt.supervisorSoftware, false);
        return 0n;
      },
    ],
    [
      Extension.legacyShutdown,
      () => {
        services.power("poweroff");
        return undefined;
      },
    ],
  ]);
  for (const id of legacy.keys()) extensions.set(id, []);

  return {
    handle(hart) {
      const id = hart.x(REG_A7);
      const old = legacy.get(id);
      if (old !== undefined) {
        const result = old(hart);
        if (result === undefined) return;
        hart.setX(REG_A0, result);
      } else {
        const call = extensions.get(id)?.[index(hart.x(REG_A6))];
        const answer = call ? call(hart, (i) => hart.x(REG_A0 + i)) : refuse(SbiError.notSupported);
        if (answer === undefined) return;
        hart.setX(REG_A0, BigInt.asUintN(64, answer.error));
        hart.setX(REG_A1, answer.value);
      }
      hart.pc = BigInt.asUintN(64, hart.pc + 4n);
    },
  };
}

/** Extension and function of the call that the hart is at. SBI 2.0 §3 */
export function firmwareCall(hart: Hart): { readonly extension: bigint; readonly function: bigint } {
  return { extension: hart.x(REG_A7), function: hart.x(REG_A6) };
}

/** A function number as an index; one that no table has where it is too large. */
function index(functionId: bigint): number {
  return functionId < 0x1_0000n ? Number(functionId) : -1;
}

/** Whether an instruction may lie at a physical address. */
function isEntry(hart: Hart, address: bigint): boolean {
  if (address >= EXACT || (address & 1n) !== 0n) return false;
  return hart.memory.locate(Number(address), 2) >= 0;
}

/** SFENCE.VMA on behalf of another hart, for `[start, start + size)`; 0 and 0, or a size of all ones, is everything. §8 */
export function fenceAddresses(hart: Hart, { start, size }: Exclude<RemoteFence, string>): void {
  const first = start / PAGE;
  const last = (start + size - 1n) / PAGE;
  if (size === 0n || size === ALL || last - first >= BigInt(FENCE_PAGES)) {
    hart.flushTlb();
    return;
  }
  for (let page = first; page <= last; page++) {
    const address = BigInt.asUintN(64, page * PAGE);
    hart.flushTlbPage(Number(BigInt.asIntN(32, address)), Number(BigInt.asIntN(32, address >> 32n)));
  }
}

/**
 * What firmware sets on top of the state after reset: everything delegated that nobody in M-mode would answer (only the
 * supervisor's own ecall is ours), counters and extensions opened, the floating-point unit on, all of memory permitted.
 */
const HANDOVER: readonly (readonly [csr: string, bits: bigint])[] = [
  ["medeleg", ALL & ~(1n << BigInt(Cause.supervisorEcall))],
  ["mideleg", ALL],
  ["mcounteren", ALL],
  // cycle, time and instret: kernels expect firmware to have opened them to programs.
  ["scounteren", 7n],
  // ADUE stays as reset left it: a supervisor that knows both Svade and Svadu asks for the latter.
  ["menvcfg", BigInt(Environment.CBIE | Environment.CBCFE | Environment.CBZE) | STCE],
  ["mstatus", FS_INITIAL],
  ["pmpaddr0", ALL],
  ["pmpcfg0", BigInt(PmpConfig.NAPOT | PmpConfig.R | PmpConfig.W | PmpConfig.X)],
];

/** Puts a hart where firmware leaves it for a supervisor: S-mode at `entry`, translation and interrupts off. SBI 2.0 §9.1 */
export function enterSupervisor(hart: Hart, entry: bigint, a0: bigint, a1: bigint): void {
  resetCsrs(hart);
  for (const [name, bits] of HANDOVER) accessCsr(hart, csrNumber(name), CsrOperation.set, bits, false, true);
  hart.privilege = Privilege.supervisor;
  hart.pc = entry;
  hart.setX(REG_A0, a0);
  hart.setX(REG_A1, a1);
  hart.refreshMode();
}
