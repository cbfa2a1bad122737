/**
 * Integer expressions with the operators of C. Device trees compute with unsigned 64-bit numbers, `#if` with signed ones;
 * the grammar is the same.
 */
import { MAX_NESTING } from "./limits.ts";

/** What the expression is read from. */
export interface ExpressionInput {
  /** The token that comes next: an operator, or anything else where none can follow. */
  readonly kind: string;
  advance(): void;
  /** The value of a token that is no operator, which is then passed; fails if there is none. */
  operand(): bigint;
  fail(code: string, message: string): never;
}

export interface Arithmetic {
  wrap(value: bigint): bigint;
  /** `&&`, `||` and `?:` excuse a division by zero in the part that does not count. */
  readonly lazy: boolean;
}

/** As dtc computes. */
export const UNSIGNED: Arithmetic = { wrap: (value) => BigInt.asUintN(64, value), lazy: false };
/** As the preprocessor of C computes. */
export const SIGNED: Arithmetic = { wrap: (value) => BigInt.asIntN(64, value), lazy: true };

/** How tightly the binary operators of C bind; the ternary one is below them all. */
const PRECEDENCE: ReadonlyMap<string, number> = new Map([
  ["||", 1],
  ["&&", 2],
  ["|", 3],
  ["^", 4],
  ["&", 5],
  ["==", 6],
  ["!=", 6],
  ["<", 7],
  [">", 7],
  ["<=", 7],
  [">=", 7],
  ["<<", 8],
  [">>", 8],
  ["+", 9],
  ["-", 9],
  ["*", 10],
  ["/", 10],
  ["%", 10],
]);

export function evaluate(input: ExpressionInput, arithmetic: Arithmetic): bigint {
  return new Evaluator(input, arithmetic).ternary(true, 0);
}

class Evaluator {
  readonly #input: ExpressionInput;
  readonly #arithmetic: Arithmetic;

  constructor(input: ExpressionInput, arithmetic: Arithmetic) {
    this.#input = input;
    this.#arithmetic = arithmetic;
  }

  /** `counts` is false in the branch of a lazy expression that was not taken. */
  ternary(counts: boolean, depth: number): bigint {
    const condition = this.#binary(1, counts, depth);
    if (this.#input.kind !== "?") return condition;
    this.#input.advance();
    const taken = condition !== 0n;
    const { lazy } = this.#arithmetic;
    const whenTrue = this.ternary(counts && (taken || !lazy), this.#deeper(depth));
    this.#expect(":");
    const whenFalse = this.ternary(counts && (!taken || !lazy), this.#deeper(depth));
    return taken ? whenTrue : whenFalse;
  }

  #binary(minimum: number, counts: boolean, depth: number): bigint {
    let left = this.#unary(counts, this.#deeper(depth));
    for (;;) {
      const operator = this.#input.kind;
      const precedence = PRECEDENCE.get(operator);
      if (precedence === undefined || precedence < minimum) return left;
      this.#input.advance();
      const decided =
        this.#arithmetic.lazy && ((operator === "&&" && left === 0n) || (operator === "||" && left !== 0n));
      const right = this.#binary(precedence + 1, counts && !decided, this.#deeper(depth));
      left = this.#apply(operator, left, right, counts);
    }
  }

  #unary(counts: boolean, depth: number): bigint {
    const operator = this.#input.kind;
    switch (operator) {
      case "-":
      case "~":
      case "!": {
        this.#input.advance();
        const value = this.#unary(counts, this.#deeper(depth));
        if (operator === "!") return value === 0n ? 1n : 0n;
        return this.#arithmetic.wrap(operator === "-" ? -value : ~value);
      }
      case "(": {
        this.#input.advance();
        const value = this.ternary(counts, this.#deeper(depth));
        this.#expect(")");
        return value;
      }
      default:
        return this.#input.operand();
    }
  }

  #apply(operator: string, left: bigint, right: bigint, counts: boolean): bigint {
    const { wrap } = this.#arithmetic;
    const truth = (value: boolean): bigint => (value ? 1n : 0n);
    switch (operator) {
      case "||":
        return truth(left !== 0n || right !== 0n);
      case "&&":
        return truth(left !== 0n && right !== 0n);
      case "|":
        return left | right;
      case "^":
        return left ^ right;
      case "&":
        return left & right;
      case "==":
        return truth(left === right);
      case "!=":
        return truth(left !== right);
      case "<":
        return truth(left < right);
      case ">":
        return truth(left > right);
      case "<=":
        return truth(left <= right);
      case ">=":
        return truth(left >= right);
      case "<<":
        return right >= 0n && right < 64n ? wrap(left << right) : 0n;
      case ">>":
        return right >= 0n && right < 64n ? left >> right : 0n;
      case "+":
        return wrap(left + right);
      case "-":
        return wrap(left - right);
      case "*":
        return wrap(left * right);
      default:
        if (right === 0n) {
          if (!counts) return 0n;
          this.#input.fail("dts/expression", "division by zero");
        }
        return wrap(operator === "/" ? left / right : left % right);
    }
  }

  #expect(kind: string): void {
    if (this.#input.kind !== kind) this.#input.fail("dts/expression", `"${kind}" is missing in this expression`);
    this.#input.advance();
  }

  #deeper(depth: number): number {
    if (depth >= MAX_NESTING) {
      this.#input.fail("dts/limit", `an expression is nested more than ${MAX_NESTING} levels deep`);
    }
    return depth + 1;
  }
}
