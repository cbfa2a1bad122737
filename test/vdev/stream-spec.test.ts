// How streams are written: every form read and printed again, and what is said of those that are none.
import { describe, expect, test } from "bun:test";
import {
  exclusiveUse,
  parseStream,
  printStream,
  STREAM_FORMS,
  STREAM_PATTERN,
  type StreamSpec,
  withPaths,
} from "../../src/vdev/stream-spec.ts";

const SPECS: Record<string, StreamSpec> = {
  stdio: { kind: "stdio" },
  null: { kind: "null" },
  "file:a/b:c.log": { kind: "file", output: "a/b:c.log", input: undefined },
  "file:out<in": { kind: "file", output: "out", input: "in" },
  "file:<in": { kind: "file", output: undefined, input: "in" },
  "unix:a.sock": { kind: "unix", role: "listen", path: "a.sock" },
  "unix-connect:/run/a.sock": { kind: "unix", role: "connect", path: "/run/a.sock" },
  "tcp:127.0.0.1:0": { kind: "tcp", role: "listen", host: "127.0.0.1", port: 0 },
  "tcp:[::1]:4000": { kind: "tcp", role: "listen", host: "::1", port: 4000 },
  "tcp-connect:lab.example:65535": { kind: "tcp", role: "connect", host: "lab.example", port: 65_535 },
  pty: { kind: "pty" },
  "pty:link": { kind: "pty", link: "link" },
  "tty:/dev/ttyUSB0": { kind: "tty", path: "/dev/ttyUSB0", baud: undefined },
  "tty:/dev/ttyUSB0,115200": { kind: "tty", path: "/dev/ttyUSB0", baud: 115_200 },
  "process:socat - TCP:a:1": { kind: "process", command: ["socat", "-", "TCP:a:1"] },
};

/** What is said of a text that is no stream. */
function said(text: string): string {
  const parsed = parseStream(text);
  return "fault" in parsed ? parsed.fault : "it was accepted";
}

describe("every form", () => {
  for (const [text, spec] of Object.entries(SPECS)) {
    test(text, () => {
      expect(parseStream(text)).toEqual(spec);
      expect(printStream(spec)).toBe(text);
      expect(text).toMatch(STREAM_PATTERN);
    });
  }

  test("is in the list of forms, and there are no others", () => {
    const kinds = new Set(Object.keys(STREAM_FORMS).map((form) => form.split(":")[0]!));
    const tried = new Set(Object.keys(SPECS).map((text) => text.split(":")[0]!));
    expect(kinds).toEqual(tried);
    for (const kind of kinds) if (!["stdio", "null", "pty"].includes(kind)) expect(said(kind)).toContain(`"${kind}:`);
  });
});

test("words of a command are parted as a shell parts them, and go back into one text", () => {
  const words = (text: string) => {
    const spec = parseStream(`process:${text}`);
    return "fault" in spec ? spec.fault : spec.kind === "process" && spec.command;
  };
  expect(words(`sh -c 'a "b"  c' "d \\"e\\"" f\\ g h"i"'j' ''`)).toEqual([
    "sh",
    "-c",
    'a "b"  c',
    'd "e"',
    "f g",
    "hij",
    "",
  ]);
  expect(words("  echo   $HOME ~ * ")).toEqual(["echo", "$HOME", "~", "*"]);
  for (const open of ["a 'b", 'a "b', "a\\"]) expect(words(open)).toContain("with every quote closed");
  for (const none of ["  ", "''"]) expect(words(none)).toContain("a program and its arguments");
  const hard = ["it's", "", 'a"b', "c\\d", " e\n", "plain"];
  expect(parseStream(printStream({ kind: "process", command: hard }))).toEqual({ kind: "process", command: hard });
});

test("what is no stream is told with what would be one", () => {
  expect(said("telnet:127.0.0.1:1")).toContain('got "telnet:127.0.0.1:1"; did you mean "tcp:..."?');
  expect(said("serial:/dev/ttyS0")).toContain('did you mean "tty:..."?');
  expect(said("/dev/ttyS0")).toContain('did you mean "tty:/dev/ttyS0"?');
  expect(said("./log")).toContain('did you mean "file:./log"?');
  expect(said("tcp:4000")).toContain('did you mean "tcp:127.0.0.1:4000"?');
  expect(said("tcp:::1:4000")).toContain("HOST:PORT");
  expect(said("tcp-connect:a:0")).toContain("from 1 to 65535");
  expect(said("tty:/dev/ttyS0,0")).toContain("tty:PATH,BAUD");
  expect(said("file:a<")).toContain("file:OUT<IN");
  expect(said("unix:a\0b")).toContain("NUL");
  expect(said("constructor:x")).toStartWith("expected a stream");
  expect(said("x".repeat(10_000)).length).toBeLessThan(300);
});

test("paths are replaced, and nothing else", () => {
  const moved = (text: string) => printStream(withPaths(SPECS[text]!, (path) => `/in/${path}`));
  expect(Object.keys(SPECS).filter((text) => moved(text) !== text)).toEqual([
    ...["file:a/b:c.log", "file:out<in", "file:<in", "unix:a.sock", "unix-connect:/run/a.sock"],
    ...["pty:link", "tty:/dev/ttyUSB0", "tty:/dev/ttyUSB0,115200"],
  ]);
  expect(moved("file:out<in")).toBe("file:/in/out</in/in");
});

test("what only one can have", () => {
  const shared = Object.entries(SPECS).filter(([, spec]) => exclusiveUse(spec) === undefined);
  expect(shared.map(([text]) => text)).toEqual([
    ...["null", "file:<in", "unix-connect:/run/a.sock", "tcp:127.0.0.1:0", "tcp-connect:lab.example:65535", "pty"],
    "process:socat - TCP:a:1",
  ]);
});
