// Values for registers and memory: those at which instructions tend to go wrong, and random ones.

import type { Random } from "../random.ts";
import { below, chance, pick, random64 } from "../random.ts";

const mask = (value: bigint): bigint => BigInt.asUintN(64, value);

const integers: readonly bigint[] = [
  ...[0n, 1n, 2n, -1n, -2n, 31n, 32n, 63n, 64n],
  ...[1n << 63n, (1n << 63n) - 1n, 1n << 31n, (1n << 31n) - 1n, -(1n << 31n), -(1n << 31n) - 1n],
  ...[1n << 32n, (1n << 32n) - 1n, 0xff00ff00ff00ff00n, 0x0123456789abcdefn, 0x8080808080808080n],
].map(mask);

/** Zeros, subnormals, the smallest and largest numbers, numbers at the borders of integers, infinities, NaNs. */
const doubles: readonly bigint[] = [
  ...[0x0000000000000000n, 0x0000000000000001n, 0x000fffffffffffffn, 0x0010000000000000n, 0x7fefffffffffffffn],
  ...[0x3ff0000000000000n, 0x3ff0000000000001n, 0x3fefffffffffffffn, 0x3fe0000000000000n, 0x4008000000000000n],
  ...[0x41dfffffffc00000n, 0x41e0000000000000n, 0x41efffffffe00000n, 0x41f0000000000000n, 0x43e0000000000000n],
  ...[0x43dfffffffffffffn, 0x43f0000000000000n, 0x43efffffffffffffn, 0x4330000000000001n, 0x3ff8000000000000n],
  ...[0x380fffffffffffffn, 0x36a0000000000000n, 0x47efffffe0000000n, 0x47effffff0000000n, 0x3690000000000000n],
  ...[0x7ff0000000000000n, 0x7ff8000000000000n, 0x7ff0000000000001n, 0x7ff8000000000123n],
];

const singles: readonly bigint[] = [
  ...[0x00000000n, 0x00000001n, 0x007fffffn, 0x00800000n, 0x7f7fffffn, 0x3f800000n, 0x3f800001n, 0x3f7fffffn],
  ...[0x3f000000n, 0x40400000n, 0x4effffffn, 0x4f000000n, 0x4f7fffffn, 0x4f800000n, 0x5f000000n, 0x5effffffn],
  ...[0x5f800000n, 0x3fc00000n, 0x4b000001n, 0x7f800000n, 0x7fc00000n, 0x7f800001n, 0x7fc00123n],
];

const BOX = 0xffffffff00000000n;

export function randomInteger(random: Random): bigint {
  const bits = random64(random);
  switch (below(random, 6)) {
    case 0:
    case 1:
      return pick(random, integers);
    case 2:
      // One bit, or all but one.
      return chance(random, 0.5) ? 1n << (bits & 63n) : mask(~(1n << (bits & 63n)));
    case 3:
      return mask(BigInt.asIntN(32, bits));
    case 4:
      return mask(BigInt.asIntN(8, bits));
    default:
      return bits;
  }
}

/** A double, a boxed single, or (rarely) a single that is not boxed. */
export function randomFloat(random: Random): bigint {
  const sign = BigInt(below(random, 2));
  const bits = random64(random);
  switch (below(random, 9)) {
    case 0:
    case 1:
      return pick(random, doubles) | (sign << 63n);
    case 2:
    case 3:
    case 4:
      return pick(random, singles) | (sign << 31n) | BOX;
    case 5:
      // Numbers of like size, whose sums and products round.
      return (sign << 63n) | ((1018n + (bits & 15n)) << 52n) | (bits >> 12n);
    case 6:
      return BOX | (sign << 31n) | ((122n + (bits & 15n)) << 23n) | ((bits >> 20n) & 0x7fffffn);
    case 7:
      return BOX | (bits & 0xffffffffn);
    default:
      return bits;
  }
}
