// Says that it is a model, in whatever words it was given. Arguments: its name, its greeting, bytes of memory to pass.
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { eventfd, ftruncate, memfdCreate } from "../../../src/host/linux.ts";
import { runtimeFolder } from "../../../src/host/runtime-folder.ts";
import { accept, listen, receive, send } from "../../../src/host/unix-socket.ts";
import { modelSocket } from "../../../src/pass/model-protocol.ts";

const [name, greeting, memory] = process.argv.slice(2) as [string, string, string];
const path = modelSocket(runtimeFolder(), name);
mkdirSync(dirname(path), { recursive: true });
const listener = listen(path);
const fd = memfdCreate("impostor");
ftruncate(fd, Number(memory));
const fds = Number(memory) > 0 ? [fd, eventfd()] : [];
process.stdout.write("ready\n");
for (;;) {
  const peer = accept(listener);
  receive(peer, 65_536);
  send(peer, Buffer.from(greeting), fds);
}
