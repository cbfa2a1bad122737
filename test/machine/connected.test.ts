// Guests whose UARTs are connected to real sockets: to each other, to a peer that comes late, reads slowly, or never does.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hostChannels } from "../../src/machine/channels.ts";
import { Runner, type RunnerOptions } from "../../src/machine/runner.ts";
import { type BoardRig, boardRig } from "./board-rig.ts";
import { A0, POWER, UART, x } from "./rig.ts";

const folder = mkdtempSync(join(tmpdir(), "vmrun-connected-"));
afterAll(() => rmSync(folder, { recursive: true }));
let names = 0;
const fresh = (kind: string) => join(folder, `${names++}.${kind}`);

const SECOND = 0x1100_0000;
const uart = (name: string, at: number, host: string, more = "") =>
  `[[vdev]]\ntype = "ns16550a"\nname = "${name}"\nat = ${at}\nirq = "plic:${name === "uart0" ? 10 : 11}"\nhost = ${JSON.stringify(host)}\n${more}`;
const OFF = `li t0, ${POWER}\n li t1, 0x5555\n sw t1, 0(t0)\n end: j end`;
const send = (uart: number, byte: number) => `li t0, ${uart}\n li t1, ${byte}\n sb t1, 0(t0)\n`;
/** Polls until a character has come. */
const receive = (uart: number, label: string) =>
  `li t0, ${uart}\n ${label}: lbu t1, 5(t0)\n andi t1, t1, 1\n beqz t1, ${label}\n lbu a0, 0(t0)\n`;
/** Sleeps until uart0's interrupt, line 10. */
const AWAIT = `
  li t0, ${UART}
  li t1, 1
  sb t1, 1(t0)
  li t1, 0x0c000000
  li t2, 1
  sw t2, 40(t1)
  li t3, 0x0c002000
  li t2, 0x400
  sw t2, 0(t3)
  li t2, 0x800
  csrw mie, t2
  wfi
  lbu a0, 0(t0)
  ${OFF}`;

function connected(text: string, profile: string): BoardRig {
  return boardRig(text, { profile, host: { openChannel: hostChannels({ commands: true }) } });
}

async function run({ machine }: BoardRig, options: Partial<RunnerOptions> = {}) {
  const runner = new Runner(machine, { listening: () => false, between: () => false, hostLimit: 10e9, ...options });
  try {
    const end = await runner.run();
    await machine.streams.finish(1000);
    return end;
  } finally {
    machine.terminate();
  }
}

async function peer(path: string, data: (bytes: Uint8Array, socket: Bun.Socket) => void = () => {}) {
  return await Bun.connect({ unix: path, socket: { data: (socket, bytes) => data(bytes, socket) } });
}

const a0 = (made: BoardRig) => x({ ...made, seen: { output: "", log: [] } }, A0);

describe("two UARTs of one guest", () => {
  test.each(["unix", "pty"])("talk through a %s", async (kind) => {
    const path = fresh(kind);
    const other = kind === "unix" ? `unix-connect:${path}` : `tty:${path}`;
    const made = connected(
      `${send(UART, 0x41)} ${receive(SECOND, "first")} addi t1, a0, 1\n sb t1, 0(t0)\n ${receive(UART, "second")} ${OFF}`,
      uart("uart0", UART, `${kind}:${path}`) + uart("uart1", SECOND, other),
    );
    expect(await run(made)).toEqual({ kind: "poweroff" });
    expect(a0(made)).toBe(0x42n);
  });
});

describe("an idle guest", () => {
  test("wakes when a peer comes and speaks; it is not stuck before", async () => {
    const path = fresh("sock");
    const made = connected(AWAIT, uart("uart0", UART, `unix:${path}`));
    const ended = run(made);
    await Bun.sleep(5);
    const socket = await peer(path);
    socket.write("Z");
    expect(await ended).toEqual({ kind: "poweroff" });
    expect(a0(made)).toBe(0x5an);
    expect(made.log).toEqual([`info uart0: unix:${path}: listens at ${path}`]);
  });

  test("is stuck where nothing can come any more", async () => {
    const made = connected(AWAIT, uart("uart0", UART, `file:${fresh("log")}`));
    expect(await run(made)).toEqual({ kind: "stuck" });
  });
});

test("what a guest reads from a file is the same however it is run", () => {
  const path = fresh("in");
  writeFileSync(path, Buffer.from([7, 9]));
  const traces = [1, 1000].map((slice) => {
    const made = connected(`${receive(UART, "a")} ${receive(UART, "b")} ${OFF}`, uart("uart0", UART, `file:<${path}`));
    while (made.machine.run(slice) !== "ended");
    made.machine.terminate();
    return [a0(made), made.machine.instructions];
  });
  expect(traces[0]).toEqual(traces[1]!);
  expect(traces[0]![0]).toBe(9n);
});

describe("output in plenty", () => {
  /** 600 KB of it. */
  const FLOOD = `li t0, ${UART}\n li t1, 600000\n again: sb t1, 0(t0)\n addi t1, t1, -1\n bnez t1, again\n ${OFF}`;
  const expected = Uint8Array.from({ length: 600_000 }, (_, i) => (600_000 - i) & 0xff);

  test("waits for a peer that is slower than the guest, and nothing is lost", async () => {
    const path = fresh("sock");
    const made = connected(`${receive(UART, "go")} ${FLOOD}`, uart("uart0", UART, `unix:${path}`));
    const pieces: Uint8Array[] = [];
    const socket = await peer(path, (bytes, self) => {
      pieces.push(bytes.slice());
      self.pause();
      setTimeout(() => self.resume(), 1);
    });
    socket.write("g");
    expect(await run(made)).toEqual({ kind: "poweroff" });
    await Bun.sleep(20);
    expect(Buffer.concat(pieces).equals(expected)).toBe(true);
  });

  test("does not wait for nobody; who comes late sees the last of it", async () => {
    const path = fresh("sock");
    const made = connected(
      `${FLOOD.replace(OFF, "")} ${receive(UART, "go")} ${OFF}`,
      uart("uart0", UART, `unix:${path}`),
    );
    const ended = run(made);
    await Bun.sleep(50);
    const pieces: Uint8Array[] = [];
    const socket = await peer(path, (bytes) => void pieces.push(bytes.slice()));
    socket.write("g");
    expect(await ended).toEqual({ kind: "poweroff" });
    await Bun.sleep(20);
    expect(Buffer.concat(pieces).equals(expected.slice(-65_536))).toBe(true);
    expect(made.log.at(-1)).toContain("all but the last 64 KiB of output is lost");
  });
});

describe("delayed", () => {
  test("a stream is opened when the guest uses it first, and not before", async () => {
    const path = fresh("log");
    writeFileSync(path, "what was there");
    const made = connected(
      `li t2, 1000\n again: addi t2, t2, -1\n bnez t2, again\n ${send(UART, 0x41)} ${OFF}`,
      uart("uart0", UART, `file:${path}`, "delayed = true\n"),
    );
    made.machine.run(500);
    expect(readFileSync(path, "utf8")).toBe("what was there");
    expect(await run(made)).toEqual({ kind: "poweroff" });
    expect(readFileSync(path, "utf8")).toBe("A");
  });

  test("one that is not there then is nothing, and told; the guest goes on", async () => {
    const made = connected(
      `${send(UART, 0x41)} ${OFF}`,
      uart("uart0", UART, `tty:${fresh("none")}`, "delayed = true\n"),
    );
    expect(await run(made)).toEqual({ kind: "poweroff" });
    expect(made.log).toHaveLength(1);
    expect(made.log[0]).toMatch(/^error uart0: cannot open the terminal \/.*none: it does not exist$/);
  });

  test("with a time, it is tried again for so long", async () => {
    const path = fresh("sock");
    const made = connected(
      `${send(UART, 0x41)} ${receive(UART, "answer")} ${OFF}`,
      uart("uart0", UART, `unix-connect:${path}`, 'delayed = "10s"\n'),
    );
    const ended = run(made);
    await Bun.sleep(20);
    const heard: string[] = [];
    const server = Bun.listen({
      unix: path,
      socket: {
        data(socket, bytes) {
          heard.push(Buffer.from(bytes).toString());
          socket.write("B");
        },
      },
    });
    expect(await ended).toEqual({ kind: "poweroff" });
    server.stop(true);
    expect([heard, a0(made)]).toEqual([["A"], 0x42n]);
  });
});

test("the status of a vdev tells of its streams", () => {
  const path = fresh("sock");
  const { machine } = connected(OFF, uart("uart0", UART, `unix:${path}`) + uart("uart1", SECOND, "null"));
  const statusOf = (vdev: string) => machine.status().find(({ name }) => name === vdev)?.status;
  expect(statusOf("uart0")).toMatchObject({ [`unix:${path}`]: "waits for a peer" });
  expect(Object.keys(statusOf("uart1")!)).not.toContain("null");
  machine.terminate();
});

test("a machine that does not come to be leaves no socket behind", () => {
  const path = fresh("sock");
  const profile = uart("uart0", UART, `unix:${path}`) + uart("uart1", SECOND, `file:${folder}`);
  expect(() => connected(OFF, profile)).toThrow("it is a directory");
  expect(() => connected(OFF, uart("uart0", UART, `unix:${path}`)).machine.terminate()).not.toThrow();
});
