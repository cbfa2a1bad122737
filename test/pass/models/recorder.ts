// A device that tells every access on standard output, and interrupts when it is told to. Argument: its name.
import { serveModel } from "../../../src/pass/model.ts";

const registers = new BigUint64Array(512);
const bytes = new DataView(registers.buffer);
let reads = 0;

const model = serveModel({
  name: process.argv[2]!,
  windows: [
    {
      name: "regs",
      size: 0x1000,
      load(offset, width) {
        say(`load ${offset} ${width}`);
        if (offset === 0x20) throw new Error("nothing is there");
        if (offset === 0) return ++reads;
        if (width === 8) return bytes.getBigUint64(offset, true);
        return width === 4
          ? bytes.getUint32(offset, true)
          : width === 2
            ? bytes.getUint16(offset, true)
            : bytes.getUint8(offset);
      },
      store(offset, width, value) {
        say(`store ${offset} ${width} ${value.toString(16)}`);
        if (offset === 0x10) model.interrupts[0]!.set(value === 1);
        else if (offset === 0x18) storm(Number(value));
        else if (offset === 0x30) process.exit(0);
        else if (offset === 0x50) setTimeout(() => model.interrupts[0]!.set(true), Number(value));
        else if (width === 8) bytes.setBigUint64(offset, BigInt(value), true);
        else if (width === 4) bytes.setUint32(offset, Number(value), true);
        else if (width === 2) bytes.setUint16(offset, Number(value), true);
        else bytes.setUint8(offset, Number(value));
      },
    },
    { name: "ram", size: 0x1000, kind: "memory" },
  ],
  interrupts: 2,
  doorbell: () => say(`doorbell ${model.memory("ram").getUint32(0, true).toString(16)}`),
  reset: () => say("reset"),
});
model.memory("ram").setUint32(8, 0x600d_f00d, true);
say("ready");

function storm(times: number): void {
  for (let i = 0; i < times; i++) model.interrupts[1]!.pulse();
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
