/**
 * Valibot schemas for the human forms that profiles use: sizes, addresses, frequencies, files and streams.
 * A vdev's options and the profile's own keys share them. Convert them to JSON Schema with `typeMode: "input"`.
 */
import * as v from "valibot";
import { parseStream, STREAM_FORMS_IN_SHORT, STREAM_PATTERN } from "./stream-spec.ts";

const LIMIT = Number.MAX_SAFE_INTEGER;

const BYTES: Readonly<Record<string, number>> = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };
const HERTZ: Readonly<Record<string, number>> = { Hz: 1, kHz: 1e3, MHz: 1e6, GHz: 1e9 };

const SIZE_PATTERN = /^[0-9][0-9_]*(\.[0-9]+)? ?(B|KiB|MiB|GiB|TiB)$/;
const FREQUENCY_PATTERN = /^[0-9][0-9_]*(\.[0-9]+)? ?(Hz|kHz|MHz|GHz)$/;

/** Bytes from `"256MiB"`; `undefined` where the text is no size or not a whole number of bytes below 2^53. */
export function parseSize(text: string): number | undefined {
  return SIZE_PATTERN.test(text) ? scaled(text, BYTES) : undefined;
}

/** Hertz from `"3.6864MHz"`; `undefined` where the text is no frequency or not a whole number of hertz. */
export function parseFrequency(text: string): number | undefined {
  return FREQUENCY_PATTERN.test(text) ? scaled(text, HERTZ) : undefined;
}

/** A number of bytes: an integer, or text with a binary unit. */
export function size() {
  const expected = 'a size: an integer of bytes, or text such as "4KiB", "256MiB", "1GiB"';
  return v.pipe(
    v.union(
      [
        natural("a size"),
        v.pipe(
          v.string(),
          v.regex(SIZE_PATTERN, (i) => unitFault(i.input, expected)),
        ),
      ],
      expect(expected),
    ),
    v.title("size"),
    v.description('Bytes: an integer, or text with a unit (B, KiB, MiB, GiB, TiB), e.g. "256MiB".'),
    v.examples(["4KiB", "256MiB", 4096]),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      if (typeof dataset.value === "number") return dataset.value;
      const bytes = parseSize(dataset.value);
      if (bytes !== undefined) return bytes;
      addIssue({ message: `"${dataset.value}" is not a whole number of bytes below 2^53` });
      return NEVER;
    }),
  );
}

/** A guest physical address. */
export function address() {
  return v.pipe(
    natural("an address", "an address: an integer such as 0x1000_0000, without quotes"),
    v.title("address"),
    v.description("Guest physical address: an integer below 2^53, usually written in hex."),
    v.examples([0x1000_0000, 0x8000_0000]),
  );
}

/** A frequency in hertz: an integer, or text with a unit. */
export function frequency() {
  const expected = 'a frequency: an integer of hertz, or text such as "32768Hz", "10MHz"';
  return v.pipe(
    v.union(
      [
        natural("a frequency", expected, 1),
        v.pipe(
          v.string(),
          v.regex(FREQUENCY_PATTERN, (i) => unitFault(i.input, expected)),
        ),
      ],
      expect(expected),
    ),
    v.title("frequency"),
    v.description('Hertz: an integer, or text with a unit (Hz, kHz, MHz, GHz), e.g. "10MHz".'),
    v.examples(["10MHz", "32768Hz", 3686400]),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      if (typeof dataset.value === "number") return dataset.value;
      const hertz = parseFrequency(dataset.value);
      if (hertz !== undefined && hertz > 0) return hertz;
      addIssue({ message: `"${dataset.value}" is not a whole, positive number of hertz below 2^53` });
      return NEVER;
    }),
  );
}

/** How a schema marks text that names something on the host; the profile room reads it. */
export type HostReference = "input-file" | "stream" | "host-object" | "tree-node";

/** A file that is read: resolved against the profile's folder, and must exist when the profile is loaded. */
export function inputFile() {
  return v.pipe(
    v.string(expect("the path of a file")),
    v.nonEmpty("expected the path of a file, not empty text"),
    v.title("file"),
    v.description("Path of a file, relative to the profile's folder."),
    v.metadata({ vmrun: "input-file" satisfies HostReference }),
  );
}

/** The host side of a byte stream, in one of the forms of `stream-spec.ts`. */
export function stream() {
  const check = ({ input }: { readonly input: string }) => {
    const parsed = parseStream(input);
    return "fault" in parsed ? parsed.fault : `${shown(input)} is no stream`;
  };
  return v.pipe(
    v.string(expect(`a stream: ${STREAM_FORMS_IN_SHORT}`)),
    v.regex(STREAM_PATTERN, check),
    v.title("stream"),
    v.description(`Host side of a byte stream: ${STREAM_FORMS_IN_SHORT}; \`vmrun vdevs TYPE\` tells of each.`),
    v.examples(["stdio", "null", "file:uart1.log", "unix:uart1.sock", "tcp:127.0.0.1:4000", "pty"]),
    v.metadata({ vmrun: "stream" satisfies HostReference }),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const parsed = parseStream(dataset.value);
      if (!("fault" in parsed)) return dataset.value;
      addIssue({ message: parsed.fault });
      return NEVER;
    }),
  );
}

/** An integer from `least` to `most`, with messages that name the value `what`. */
export function integer(what: string, least = 0, most = LIMIT) {
  const range = most === LIMIT ? (least === 0 ? "0 or more" : `${least} or more`) : `${least} to ${most}`;
  return natural(what, `${what}: an integer, ${range}`, least, most);
}

function natural(what: string, expected = `${what}: an integer`, least = 0, most = LIMIT) {
  return v.pipe(
    v.number(expect(expected)),
    v.integer((i) => `${what} is an integer, not ${i.input}`),
    v.minValue(least, (i) => `${what} is at least ${least}, not ${i.input}`),
    v.maxValue(most, (i) =>
      most === LIMIT ? `${what} must be below 2^53` : `${what} is at most ${most}, not ${i.input}`,
    ),
  );
}

function expect(what: string) {
  return ({ input }: { readonly input: unknown }) => `expected ${what}; got ${shown(input)}`;
}

function shown(input: unknown): string {
  if (typeof input === "string") return JSON.stringify(input.length > 40 ? `${input.slice(0, 40)}...` : input);
  if (typeof input === "number" || typeof input === "bigint" || typeof input === "boolean") return String(input);
  return Array.isArray(input) ? "an array" : input === undefined ? "nothing" : "a table";
}

/** The two commonest slips get their own answer. */
function unitFault(input: string, expected: string): string {
  const decimal = /^([0-9_.]+) ?([kKMGT])(B|b)?$/.exec(input);
  const base = `expected ${expected}; got ${shown(input)}`;
  if (decimal && !/hertz/.test(expected)) return `${base}; did you mean "${decimal[1]}${decimal[2]!.toUpperCase()}iB"?`;
  if (/^(0x)?[0-9a-fA-F_]+$/.test(input)) return `${base}; write the number without quotes`;
  return base;
}

/** Exact: `"3.6864MHz"` must not pass through a binary fraction. */
function scaled(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, whole, fraction = "", unit] = /^([0-9_]+)(?:\.([0-9]+))? ?([A-Za-z]+)$/.exec(text)!;
  const digits = whole!.replaceAll("_", "") + fraction;
  if (digits.length > 30) return undefined;
  const value = BigInt(digits) * BigInt(units[unit!]!);
  const divisor = 10n ** BigInt(fraction.length);
  if (value % divisor !== 0n || value / divisor > BigInt(LIMIT)) return undefined;
  return Number(value / divisor);
}
