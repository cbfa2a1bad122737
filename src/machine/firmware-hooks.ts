/** Firmware calls that vdevs answer: seen before any firmware, vmrun's own or one in M-mode. RISC-V SBI 2.0 §3 */
import type { Hart } from "../isa/riscv/hart.ts";
import type { SbiAnswer, SbiRange, VdevHooks } from "../vdev/descriptor.ts";
import type { Tenant } from "./tenant.ts";

const REG_A0 = 10;
const REG_A1 = 11;
const REG_A6 = 16;
const REG_A7 = 17;
const ARGUMENTS = 6;
/** The base extension, and its function that tells which others there are. SBI 2.0 §4.4 */
const BASE = 0x10;
const PROBE = 3;
const SBI_FAILED: SbiAnswer = { error: -1n, value: 0n };

interface Hook extends SbiRange {
  readonly tenant: Tenant;
}

export class FirmwareHooks {
  readonly #hooks: readonly Hook[];

  constructor(tenants: Iterable<Tenant>) {
    this.#hooks = [...tenants].flatMap((tenant) =>
      (hooksOf(tenant).sbi ?? []).map(({ first, last }) => ({ tenant, first, last })),
    );
  }

  /** Whether any vdev answers firmware calls. */
  get any(): boolean {
    return this.#hooks.length > 0;
  }

  /** Serves the `ecall` that the hart is at; `false` where no vdev answers it. */
  handle(hart: Hart): boolean {
    if (this.#hooks.length === 0) return false;
    const extension = exact(hart.x(REG_A7));
    const number = exact(hart.x(REG_A6));
    if (extension < 0) return false;
    const answer = extension === BASE && number === PROBE ? this.#probe(hart) : this.#answer(hart, extension, number);
    if (answer === undefined) return false;
    hart.setX(REG_A0, BigInt.asUintN(64, answer.error));
    hart.setX(REG_A1, BigInt.asUintN(64, answer.value));
    hart.pc = BigInt.asUintN(64, hart.pc + 4n);
    return true;
  }

  #probe(hart: Hart): SbiAnswer | undefined {
    const asked = exact(hart.x(REG_A0));
    return this.#hooks.some(({ first, last }) => asked >= first && asked <= last)
      ? { error: 0n, value: 1n }
      : undefined;
  }

  #answer(hart: Hart, extension: number, number: number): SbiAnswer | undefined {
    for (const { tenant, first, last } of this.#hooks) {
      if (extension < first || extension > last) continue;
      const args = Array.from({ length: ARGUMENTS }, (_, i) => hart.x(REG_A0 + i));
      const what = `firmware call 0x${extension.toString(16)}/${number}`;
      try {
        const call = { hart: hart.index, extension, function: number, args };
        const answer = tenant.within("a firmware call", () => tenant.instance.sbi?.(call));
        if (answer === undefined) continue;
        if (typeof answer.error === "bigint" && typeof answer.value === "bigint") return answer;
        tenant.watch(what, answer);
        throw new TypeError("the answer is no pair of bigints");
      } catch (error) {
        tenant.fail(what, error);
        // `fault`: as if nobody had hooked it; firmware knows what becomes of unknown calls.
        if (tenant.vdev.onFault === "ignore") return SBI_FAILED;
      }
    }
    return undefined;
  }
}

export function hooksOf({ descriptor: { hooks }, vdev: { options } }: Pick<Tenant, "descriptor" | "vdev">): VdevHooks {
  return (typeof hooks === "function" ? hooks(options) : hooks) ?? {};
}

/** A register as a number; -1 where it is none that an extension or a function could have. */
function exact(value: bigint): number {
  return value < 0x1_0000_0000n ? Number(value) : -1;
}
