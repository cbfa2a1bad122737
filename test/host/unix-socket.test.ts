// Messages stay apart, descriptors arrive as copies that work, and an end is seen.
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { close, eventfd, read, write } from "../../src/host/linux.ts";
import { accept, connect, listen, type Message, receive, send } from "../../src/host/unix-socket.ts";

const text = (message: Message | number) =>
  typeof message === "number" ? message : Buffer.from(message.bytes).toString();

test("messages and descriptors", () => {
  const folder = mkdtempSync(join(tmpdir(), "vmrun-socket-"));
  const path = join(folder, "s");
  const listener = listen(path);
  const client = connect(path);
  const server = accept(listener);
  expect([listener, client, server].every((fd) => fd > 0)).toBe(true);

  expect(send(client, Buffer.from("one"))).toBe(3);
  expect(send(client, Buffer.from("two, longer"))).toBe(11);
  expect([text(receive(server, 100)), text(receive(server, 100)), receive(server, 100, false)]).toEqual([
    "one",
    "two, longer",
    -11,
  ]);

  const events = [eventfd(), eventfd(), eventfd()];
  send(server, Buffer.from("fds"), events);
  const got = receive(client, 100) as Message;
  expect(got.fds).toHaveLength(3);
  write(got.fds[2]!, BigUint64Array.of(7n));
  const count = new BigUint64Array(1);
  expect([read(events[2]!, count), count[0]]).toEqual([8, 7n]);

  close(server);
  expect((receive(client, 100) as Message).bytes).toHaveLength(0);
  expect(send(client, Buffer.from("x"))).toBe(-32);
  for (const fd of [listener, client, ...events, ...got.fds]) close(fd);
  expect(connect(join(folder, "nobody"))).toBe(-2);
  expect(connect(join(folder, "x".repeat(120)))).toBe(-36);
  rmSync(folder, { recursive: true });
});
