/**
 * An example of a vdev that is no device: it sees firmware calls instead of addresses, here those of a vendor extension.
 * RISC-V SBI 2.0 §3.1 leaves extensions 0x09000000 to 0x09ffffff to vendors, by `mvendorid`.
 */
import * as v from "valibot";
import { defineVdev, type SbiAnswer, type SbiCall } from "../vdev/descriptor.ts";
import { integer } from "../vdev/options.ts";
import { fromSnapshot } from "../vdev/snapshot.ts";

const FIRST = 0x0900_0000;
const LAST = 0x09ff_ffff;

/** SBI 2.0 §3, table 1 */
const SbiError = { success: 0n, notSupported: -2n, invalidParameter: -3n } as const;

const VERSION = 1n;
/** Counters that one guest may use. */
const COUNTERS = 16;

export const sbiVendor = defineVdev({
  type: "sbi-vendor",
  summary: "vendor SBI extension: version, guest time, and counters",
  options: v.object({
    extension: v.pipe(
      v.optional(integer("extension", FIRST, LAST), FIRST),
      v.description("The extension's number, 0x09000000 to 0x09ffffff; others of the range stay unanswered."),
    ),
  }),
  regions: [],
  hooks: { sbi: [{ first: FIRST, last: LAST }] },

  create(host, { extension }) {
    let counters: number[] = [];
    let calls = 0;

    const success = (value: bigint): SbiAnswer => ({ error: SbiError.success, value });
    const failure = (error: bigint): SbiAnswer => ({ error, value: 0n });

    /** The functions, by number: what `a6` selects. */
    const functions: readonly ((args: SbiCall["args"]) => SbiAnswer)[] = [
      /** version() */
      () => success(VERSION),
      /** time(): nanoseconds of guest time since power-on */
      () => success(BigInt(Math.floor(host.clock.now()))),
      /** count(number, by): adds `by` (32 bits) to a counter that outlives the caller, and answers its new value */
      ([number, by]) => {
        if (number >= COUNTERS) return failure(SbiError.invalidParameter);
        const value = ((counters[Number(number)] ?? 0) + Number(BigInt.asUintN(32, by))) >>> 0;
        counters[Number(number)] = value;
        return success(BigInt(value));
      },
    ];

    return {
      regions: [],
      sbi(call) {
        if (call.extension !== extension) return undefined;
        calls++;
        return functions[call.function]?.(call.args) ?? failure(SbiError.notSupported);
      },
      reset() {
        counters = new Array(COUNTERS).fill(0);
        calls = 0;
      },
      snapshot: () => ({ counters, calls }),
      restore(state) {
        ({ counters, calls } = fromSnapshot(snapshot, state));
      },
      status: () => ({ extension: `0x${extension.toString(16)}`, calls }),
    };
  },
});

const count = () => v.pipe(v.number(), v.integer(), v.minValue(0));
const snapshot = v.object({ counters: v.pipe(v.array(count()), v.length(COUNTERS)), calls: count() });
