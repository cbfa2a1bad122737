/** What a byte stream's text in a profile means, e.g. `"unix:console.sock"`: the one place that knows how they are written. */

/** Who waits for whom. */
export type Role = "listen" | "connect";

export type StreamSpec =
  | { readonly kind: "stdio" }
  | { readonly kind: "null" }
  /** Either one may be absent, but not both. */
  | { readonly kind: "file"; readonly output?: string; readonly input?: string }
  | { readonly kind: "unix"; readonly role: Role; readonly path: string }
  | { readonly kind: "tcp"; readonly role: Role; readonly host: string; readonly port: number }
  /** A new pseudo terminal; `link` is a symbolic link to it. */
  | { readonly kind: "pty"; readonly link?: string }
  /** A terminal device of the host. `baud`: bit/s; as it is set up when absent. */
  | { readonly kind: "tty"; readonly path: string; readonly baud?: number }
  /** Standard input and output of a program. */
  | { readonly kind: "process"; readonly command: readonly string[] };

/** Every form, with what it is: for schemas, documentation and errors. */
export const STREAM_FORMS: Readonly<Record<string, string>> = {
  stdio: "the terminal, or vmrun's own standard input and output",
  null: "nothing",
  "file:OUT": "what the guest sends goes to a file",
  "file:OUT<IN": "and what it receives comes from another; `file:<IN` only that",
  "unix:PATH": "a Unix socket that vmrun listens at",
  "unix-connect:PATH": "one that it connects to",
  "tcp:HOST:PORT": "a TCP port that vmrun listens at (0: any that is free)",
  "tcp-connect:HOST:PORT": "one that it connects to",
  pty: "a new pseudo terminal, whose name is told",
  "pty:LINK": "the same, with a symbolic link to it",
  "tty:PATH": "a serial port or other terminal device",
  "tty:PATH,BAUD": "the same, at that speed",
  "process:COMMAND": "a program's standard input and output; it runs only with --allow-host-power",
};

/** The forms on one line, as errors name them. */
export const STREAM_FORMS_IN_SHORT =
  '"stdio", "null", "file:PATH", "unix:PATH", "unix-connect:PATH", "tcp:HOST:PORT", "tcp-connect:HOST:PORT", "pty", "tty:PATH" or "process:COMMAND"';

/** For editors: what a stream begins with. {@link parseStream} knows the rest. */
export const STREAM_PATTERN = /^(stdio|null|pty|(file|unix|unix-connect|tcp|tcp-connect|pty|tty|process):.+)$/;

/** The meaning of a stream's text, or what is wrong with it. */
export function parseStream(text: string): StreamSpec | { readonly fault: string } {
  if (text === "stdio" || text === "null" || text === "pty") return { kind: text };
  const [, kind, rest = ""] = /^([a-z-]+)(?::(.*))?$/s.exec(text) ?? [];
  if (rest.includes("\0")) return fault("a path or command without NUL characters", text);
  switch (kind) {
    case "file":
      return parseFile(rest, text);
    case "unix":
    case "unix-connect":
      return rest
        ? { kind: "unix", role: roleOf(kind), path: rest }
        : fault(`"${kind}:PATH", the path of a socket`, text);
    case "tcp":
    case "tcp-connect":
      return parseTcp(kind, rest, text);
    case "pty":
      return rest ? { kind: "pty", link: rest } : fault('"pty" or "pty:LINK", the path of a symbolic link', text);
    case "tty":
      return parseTty(rest, text);
    case "process":
      return parseProcess(rest, text);
    default:
      return { fault: `expected a stream: ${STREAM_FORMS_IN_SHORT}; got ${shown(text)}${meant(text)}` };
  }
}

/** The text of a stream. */
export function printStream(spec: StreamSpec): string {
  switch (spec.kind) {
    case "stdio":
    case "null":
      return spec.kind;
    case "file":
      return `file:${spec.output ?? ""}${spec.input === undefined ? "" : `<${spec.input}`}`;
    case "unix":
      return `${schemeOf(spec)}:${spec.path}`;
    case "tcp":
      return `${schemeOf(spec)}:${spec.host.includes(":") ? `[${spec.host}]` : spec.host}:${spec.port}`;
    case "pty":
      return spec.link === undefined ? "pty" : `pty:${spec.link}`;
    case "tty":
      return `tty:${spec.path}${spec.baud === undefined ? "" : `,${spec.baud}`}`;
    case "process":
      return `process:${spec.command.map(quoted).join(" ")}`;
  }
}

/** The stream with each of its paths replaced; a command's are its own business. */
export function withPaths(spec: StreamSpec, replace: (path: string) => string): StreamSpec {
  const replaced = (path: string | undefined) => (path === undefined ? undefined : replace(path));
  switch (spec.kind) {
    case "file":
      return { ...spec, output: replaced(spec.output), input: replaced(spec.input) };
    case "unix":
    case "tty":
      return { ...spec, path: replace(spec.path) };
    case "pty":
      return { ...spec, link: replaced(spec.link) };
    default:
      return spec;
  }
}

/** What of the host two streams cannot have at the same time, in words; `undefined` where nothing. */
export function exclusiveUse(spec: StreamSpec): string | undefined {
  switch (spec.kind) {
    case "stdio":
      return "stdio";
    case "file":
      return spec.output === undefined ? undefined : `the file ${spec.output}`;
    case "unix":
      return spec.role === "listen" ? `the socket ${spec.path}` : undefined;
    case "tcp":
      return spec.role === "listen" && spec.port !== 0 ? `the port ${spec.host}:${spec.port}` : undefined;
    case "pty":
      return spec.link === undefined ? undefined : `the link ${spec.link}`;
    case "tty":
      return `the terminal ${spec.path}`;
    default:
      return undefined;
  }
}

const roleOf = (scheme: string): Role => (scheme.endsWith("-connect") ? "connect" : "listen");
const schemeOf = ({ kind, role }: { readonly kind: string; readonly role: Role }) =>
  role === "listen" ? kind : `${kind}-connect`;

type Parsed = StreamSpec | { readonly fault: string };

/** As a shell redirects: `OUT<IN`. */
function parseFile(rest: string, text: string): Parsed {
  const at = rest.indexOf("<");
  const output = (at < 0 ? rest : rest.slice(0, at)).trim();
  const input = at < 0 ? undefined : rest.slice(at + 1).trim();
  if (input === "" || (input === undefined && output === "")) {
    return fault('"file:OUT", "file:OUT<IN" or "file:<IN", paths of files', text);
  }
  return { kind: "file", output: output === "" ? undefined : output, input };
}

function parseTcp(scheme: string, rest: string, text: string): Parsed {
  const [, six, four, digits] = /^(?:\[([0-9A-Fa-f:.%]+)\]|([^:[\]\s]+)):([0-9]{1,5})$/.exec(rest) ?? [];
  const role = roleOf(scheme);
  const port = Number(digits);
  const least = role === "listen" ? 0 : 1;
  if (digits !== undefined && port >= least && port <= 65_535) return { kind: "tcp", role, host: (six ?? four)!, port };
  const hint = /^[0-9]+$/.test(rest) ? `; did you mean "${scheme}:127.0.0.1:${rest}"?` : "";
  return fault(`"${scheme}:HOST:PORT", with a port from ${least} to 65535`, text, hint);
}

function parseTty(rest: string, text: string): Parsed {
  const [, path, digits] = /^(.*?)(?:,([0-9]{1,9}))?$/s.exec(rest)!;
  const baud = digits === undefined ? undefined : Number(digits);
  if (path === "" || baud === 0) return fault('"tty:PATH" or "tty:PATH,BAUD", e.g. "tty:/dev/ttyUSB0,115200"', text);
  return { kind: "tty", path: path!, baud };
}

/** Words at blanks, as a shell would part them; quotes and backslashes keep them together, and nothing else has a meaning. */
function parseProcess(rest: string, text: string): Parsed {
  const pieces = /'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^\s'"\\]+)|(\s+)/gsy;
  const command: string[] = [];
  let word: string | undefined;
  let end = 0;
  for (const [piece, single, double, escaped, plain, blank] of rest.matchAll(pieces)) {
    end += piece.length;
    if (blank === undefined) word = (word ?? "") + (single ?? double?.replace(/\\(.)/gs, "$1") ?? escaped ?? plain);
    else if (word !== undefined) {
      command.push(word);
      word = undefined;
    }
  }
  if (word !== undefined) command.push(word);
  if (end < rest.length) return fault('"process:COMMAND" with every quote closed', text);
  if (!command[0]) return fault('"process:COMMAND", a program and its arguments', text);
  return { kind: "process", command };
}

function quoted(word: string): string {
  return /^[^\s'"\\]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function fault(expected: string, text: string, hint = ""): { readonly fault: string } {
  return { fault: `expected ${expected}; got ${shown(text)}${hint}` };
}

function shown(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}...` : text);
}

/** What people write who know other programs. */
function meant(text: string): string {
  const scheme = /^([A-Za-z-]+):/.exec(text)?.[1]?.toLowerCase() ?? "";
  const others: Readonly<Record<string, string>> = {
    ...{ serial: "tty", telnet: "tcp", socket: "unix", "unix-listen": "unix", "tcp-listen": "tcp" },
    ...{ exec: "process", system: "process", command: "process", pipe: "file", tcp4: "tcp", tcp6: "tcp" },
  };
  const other = Object.hasOwn(others, scheme) ? others[scheme] : undefined;
  if (other !== undefined) return `; did you mean "${other}:..."?`;
  if (/^\/dev\/tty/.test(text)) return `; did you mean "tty:${text}"?`;
  return /^[./]/.test(text) ? `; did you mean "file:${text}"?` : "";
}
