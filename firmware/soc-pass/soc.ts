/**
 * The hardware of profiles/soc-pass.toml: device models in a process of their own. It says `ready` when all of them can be
 * had, `uart: ...` for every line that the UART sends, and ends with its standard input.
 */
import { serveModel } from "../../src/pass/model.ts";
import { assemble } from "../../src/vdev/testing.ts";
import { ns16550a } from "../../src/vdevs/ns16550a.ts";
import { AudioInterface } from "./audio.ts";
import { Emmc } from "./emmc.ts";
import { Sdhci } from "./sdhci.ts";

const PAGE = 4096;
/** 64 MiB. */
const SECTORS = 131_072;
/** ms. */
const TICK = 2;

// ---- the clock controller: laid out as the PRCI of an FU540, and a page with the audio clock ----

/** 33.33 MHz * 2 * (59 + 1) / 2^4, /2^2 and /2^5; locked. */
const PLL = { core: 0x8206_0ec0, ddr: 0x8204_8dc0, ethernet: 0x8206_0ec0 } as const;
const AUDIO = PAGE;
const HFCLK = 33_333_333;

const ccu = serveModel({
  name: "soc-ccu",
  windows: [{ name: "registers", size: 2 * PAGE, kind: "memory" }],
});
const clocks = ccu.memory("registers");
clocks.setUint32(0x04, PLL.core, true);
clocks.setUint32(0x0c, PLL.ddr, true);
clocks.setUint32(0x1c, PLL.ethernet, true);
// Clocks of core and memory run; resets of what the host uses are released.
clocks.setUint32(0x08, 0x8000_0000, true);
clocks.setUint32(0x10, 0x8000_0000, true);
clocks.setUint32(0x28, 0x0000_002f, true);
clocks.setUint32(AUDIO, 1, true);

/** The audio clock: gate in bit 31, divider in bits 7 to 0. */
function audioClock(): number {
  const value = clocks.getUint32(AUDIO, true);
  return value >>> 31 === 0 ? 0 : HFCLK / ((value & 0xff) + 1);
}

// ---- the UART: vmrun's own, with its line on standard output ----

let line = "";
const uart = assemble(ns16550a, { host: "stdio" });
const uartModel = serveModel({
  name: "soc-uart",
  interrupts: 1,
  windows: [
    {
      name: "registers",
      size: 0x100,
      load: (offset, width) => uart.read(offset, width),
      store: (offset, width, value) => uart.write(offset, width, value),
    },
  ],
  reset: () => uart.vdev.reset(),
});
uart.host.line("irq").onChange = (level) => uartModel.interrupts[0]!.set(level);

function uartOutput(): void {
  const sent = Buffer.from(uart.host.fakeStream("stdio").output.splice(0));
  uart.host.line("irq").changes.length = 0;
  const text = line + sent.toString("latin1");
  const lines = text.split(/\r?\n/);
  line = lines.pop()!;
  for (const each of lines) say(`uart: ${each}`);
}

// ---- the eMMC host controller, with 64 MiB that are forgotten at the end ----

const controller = new Sdhci(new Emmc(SECTORS));
const emmcModel = serveModel({
  name: "soc-emmc",
  interrupts: 1,
  windows: [
    {
      name: "registers",
      size: PAGE,
      load: (offset, width) => controller.load(offset, width),
      store: (offset, width, value) => controller.store(offset, width, Number(value)),
    },
  ],
  reset: () => controller.reset(),
});
controller.onInterrupt = (level) => emmcModel.interrupts[0]!.set(level);

// ---- audio: two interfaces, one clock ----

const interfaces = ["soc-playback", "soc-capture"].map((name) => {
  const audio = new AudioInterface(audioClock);
  const model = serveModel({
    name,
    interrupts: 1,
    windows: [
      {
        name: "registers",
        size: PAGE,
        load: (offset, width) => audio.load(offset, width),
        store: (offset, width, value) => audio.store(offset, width, Number(value)),
      },
    ],
    reset: () => audio.reset(),
  });
  audio.onInterrupt = (level) => model.interrupts[0]!.set(level);
  return audio;
});

setInterval(() => {
  uart.host.clock.advance(TICK * 1e6);
  uartOutput();
  for (const audio of interfaces) audio.tick(performance.now());
}, TICK);

say("ready");
for await (const _ of Bun.stdin.stream());
process.exit(0);

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
