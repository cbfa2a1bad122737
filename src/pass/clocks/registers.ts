/** The registers and blocks of a `[[clock]]` table, checked: what the filter goes by. */
import {
  allBits,
  bitsOf,
  type ClockBlock,
  type ClockField,
  type ClockRegister,
  type RegisterWidth,
  type ValueRange,
} from "./description.ts";
import type { ClockOptions, FieldOptions, RegisterOptions } from "./options.ts";
import type { Report } from "./problems.ts";

export function registersOf({ register }: ClockOptions): ClockRegister[] {
  return register.map(registerOf);
}

export function blocksOf({ block }: ClockOptions): ClockBlock[] {
  return [...block];
}

function registerOf({ field, width, ...given }: RegisterOptions): ClockRegister {
  return { ...given, width: width as RegisterWidth, fields: field.map(fieldOf) };
}

function fieldOf({ bits, allow, ...given }: FieldOptions): ClockField {
  const [high, low] = typeof bits === "number" ? [bits, bits] : bits;
  return { ...given, high, low, allow: allow.map(rangeOf) };
}

function rangeOf(allowed: number | string): ValueRange {
  if (typeof allowed === "number") return { from: allowed, to: allowed };
  const [from, to] = allowed.split("..").map(Number);
  return { from: from!, to: to! };
}

/** Reports everything that does not fit together. */
export function checkRegisters(options: ClockOptions, report: Report): void {
  const registers = registersOf(options);
  for (const [i, register] of registers.entries()) {
    checkPlace(options, registers, i, report);
    checkMasks(register, i, report);
    checkFields(register, i, report);
    checkHost(options, register, i, report);
  }
  for (const [i] of options.block.entries()) checkBlock(options, registers, i, report);
}

function checkPlace(options: ClockOptions, registers: readonly ClockRegister[], i: number, report: Report): void {
  const { name, offset, width } = registers[i]!;
  const twin = registers.findIndex((other) => other.name === name);
  if (twin < i) report("clock/duplicate-name", ["register", i, "name"], `two registers have the name "${name}"`);
  if (offset % width !== 0) {
    report(
      "clock/misaligned",
      ["register", i, "offset"],
      `${name} is at ${hex(offset)}, no multiple of its ${width} bytes`,
    );
  }
  const { size } = options;
  if (size !== undefined && offset + width > size) {
    report("clock/range", ["register", i, "offset"], `${name} ends behind the controller's ${hex(size)} bytes`);
  }
  const other = registers.findIndex((each) => each.offset < offset + width && offset < each.offset + each.width);
  if (other < i) report("clock/overlap", ["register", i, "offset"], `${name} overlaps ${registers[other]!.name}`);
}

function checkMasks({ name, width, ...masks }: ClockRegister, i: number, report: Report): void {
  for (const key of ["pass", "strobes", "reset"] as const) {
    const value = masks[key] ?? 0;
    if (value <= allBits(width)) continue;
    report(
      "clock/range",
      ["register", i, key],
      `${hex(value)} has bits that ${name} with its ${8 * width} does not have`,
    );
  }
}

function checkFields({ name, width, pass, fields }: ClockRegister, i: number, report: Report): void {
  let claimed = 0;
  for (const [j, field] of fields.entries()) {
    const at = (key: string) => ["register", i, "field", j, key];
    const twin = fields.findIndex((other) => other.name === field.name);
    if (twin < j) report("clock/duplicate-name", at("name"), `two fields of ${name} have the name "${field.name}"`);
    if (field.high >= 8 * width) {
      report("clock/range", at("bits"), `${name} has ${8 * width} bits, and no bit ${field.high}`);
      continue;
    }
    const most = 2 ** (field.high - field.low + 1) - 1;
    for (const [k, { to }] of field.allow.entries()) {
      if (to > most) report("clock/range", [...at("allow"), k], `${field.name} goes to ${most}, not to ${to}`);
    }
    if (field.access === "pass-if" && field.allow.length === 0) {
      report(
        "clock/allow",
        at("access"),
        `${field.name} passes if its value is allowed, and none is`,
        'allow = [0, "2..5"]',
      );
    }
    if (field.access !== "pass-if" && field.allow.length > 0) {
      report("clock/allow", at("allow"), `only a field that is "pass-if" has allowed values`, 'access = "pass-if"');
    }
    if (field.access === undefined) continue;
    const bits = bitsOf(field);
    if ((claimed & bits) !== 0) {
      report("clock/overlap", at("bits"), `${field.name} has bits of another field with an access of its own`);
    }
    if ((pass & bits) !== 0) {
      const message = `bits ${hex((pass & bits) >>> 0)} are in pass and in the field ${field.name} as well, which has an access of its own`;
      report("clock/overlap", at("access"), message, "take them out of pass");
    }
    claimed |= bits;
  }
}

/** What passes needs somewhere to go. */
function checkHost(
  { host, size }: ClockOptions,
  { name, pass, fields }: ClockRegister,
  i: number,
  report: Report,
): void {
  const field = fields.findIndex(({ access }) => access === "pass" || access === "pass-if");
  if (pass === 0 && field < 0) return;
  const path = pass === 0 ? ["register", i, "field", field, "access"] : ["register", i, "pass"];
  if (size === undefined) {
    report("clock/unmapped", path, `${name} cannot pass: the controller has no size, so nothing of it is mapped`);
  } else if (host === undefined) {
    const hint =
      'host = "devmem:0x2001000"; without hardware, access = "emulate" and rest = "emulate" remember what is written';
    report("clock/no-host", path, `${name} cannot pass: there is no host object behind the controller`, hint);
  }
}

function checkBlock(options: ClockOptions, registers: readonly ClockRegister[], i: number, report: Report): void {
  const { offset, size } = options.block[i]!;
  const at = (key: string) => ["block", i, key];
  const end = offset + size;
  if (size === 0) report("clock/range", at("size"), "a block has 1 byte or more");
  if (options.size === undefined) {
    report(
      "clock/unmapped",
      at("offset"),
      "a block cannot pass: the controller has no size, so nothing of it is mapped",
    );
  } else if (end > options.size) {
    report("clock/range", at("size"), `the block ends behind the controller's ${hex(options.size)} bytes`);
  }
  if (options.host === undefined) {
    report("clock/no-host", at("offset"), "a block cannot pass: there is no host object behind the controller");
  }
  if (options.override) {
    const message = "registers in a block are written without regard to others, so nobody else may have the controller";
    report("clock/override", at("offset"), message, "describe the registers one by one, or take override out");
  }
  const before = options.block.findIndex((other) => other.offset < end && offset < other.offset + other.size);
  if (before < i) report("clock/overlap", at("offset"), "the block overlaps another one");
  for (const { name, offset: start, width, pass, rest, hidden, fields } of registers) {
    if (start >= end || start + width <= offset) continue;
    const ruled = pass !== 0 || rest !== "ignore" || hidden || fields.some(({ access }) => access !== undefined);
    if (start >= offset && start + width <= end && !ruled) continue;
    report("clock/overlap", at("offset"), `the block and the rules for ${name} speak of the same bytes`);
  }
}

export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
