// A clock register that its host uses, too: while a guest has it, the low half counts up, under the lock that README.md names.
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { flock, isError, Lock } from "../../../src/host/linux.ts";
import { runtimeFolder } from "../../../src/host/runtime-folder.ts";
import { serveModel } from "../../../src/pass/model.ts";

const REGISTER = 0x30;
const lock = openSync(join(runtimeFolder(), "registers.lock"), "a+");
let owners = 0;
let count = 0;

const model = serveModel({
  name: process.argv[2]!,
  windows: [{ name: "ccu", size: 0x2000, kind: "memory" }],
  connected(now) {
    owners = now;
    if (now > 0) return work();
    say(`counted ${count} register ${model.memory("ccu").getUint32(REGISTER, true).toString(16)}`);
  },
});
model.memory("ccu").setUint32(REGISTER, 0x8000_0000, true);
model.memory("ccu").setUint32(0x20, 0x18, true);
say("ready");

/** For as long as somebody has it. */
function work(): void {
  if (owners === 0) return;
  for (let i = 0; i < 20; i++) countUp();
  setImmediate(work);
}

function countUp(): void {
  while (isError(flock(lock, Lock.exclusive | Lock.nonBlocking)));
  const memory = model.memory("ccu");
  const value = memory.getUint32(REGISTER, true);
  count++;
  // Time for somebody who does not keep to the lock to get in between.
  for (let i = 0; i < 500; i++) memory.getUint32(REGISTER, true);
  memory.setUint32(REGISTER, ((value & 0xffff_0000) | ((value + 1) & 0xffff)) >>> 0, true);
  flock(lock, Lock.unlock);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

process.on("exit", () => closeSync(lock));
