/** Memory that outlives a guest or belongs to several: vmruns as processes of their own, with the monitor in each. */
import { describe, expect, test } from "bun:test";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { answer, command, dialogue, endedWith, ROOT, TEST_LIMIT, VIRT, vmrun, Workshop } from "./vmrun.ts";

const PROMPT = "monitor> ";
const WINDOW = "90000000";
const SIZE = 65536;
const PLAIN = `[boot]\ncmdline = "nocolor"\n`;

const window = (keys: string) => `[[memory]]\nname = "window"\nat = 0x${WINDOW}\nsize = ${SIZE}\n${keys}\n${PLAIN}`;
const shared = (name: string) => window(`backing = "memfd"\nshare = "${name}"`);
const persistent = (file: string) => window(`backing = "file"\nfile = ${JSON.stringify(file)}`);

/** A guest that runs on, and is asked one thing after another. */
class Live {
  readonly #child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  readonly #output: { read(): Promise<{ done: boolean; value?: Uint8Array }> };
  readonly stderr: Promise<string>;

  private constructor(profile: string) {
    this.#child = Bun.spawn(command([profile]), { cwd: ROOT, stdin: "pipe", stdout: "pipe", stderr: "pipe" });
    this.#output = this.#child.stdout.getReader();
    this.stderr = new Response(this.#child.stderr).text();
  }

  static async start(profile: string): Promise<Live> {
    const live = new Live(profile);
    await live.#until(PROMPT);
    return live;
  }

  async ask(line: string): Promise<string> {
    this.#child.stdin.write(`${line}\n`);
    const text = await this.#until(PROMPT);
    return text.slice(text.indexOf("\n") + 1, -PROMPT.length).trim();
  }

  async end(): Promise<void> {
    this.#child.stdin.write("poweroff\n");
    await this.#child.stdin.end();
    expect(await this.#child.exited).toBe(0);
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  async #until(text: string): Promise<string> {
    let seen = "";
    while (!seen.endsWith(text)) {
      const { done, value } = await this.#output.read();
      if (done) throw new Error(`the guest ended:\n${seen}\n${await this.stderr}`);
      seen += Buffer.from(value ?? [])
        .toString("latin1")
        .replaceAll("\r", "");
    }
    return seen;
  }
}

describe.if(process.platform === "linux")("memory shared by name", () => {
  test(
    "carries what one guest writes to the other, also to one that comes again",
    async () => {
      using shop = new Workshop();
      const profile = shop.profile(VIRT, shared(`guests-${process.pid}`));
      const left = await Live.start(profile);
      let right = await Live.start(profile);
      await left.ask(`mw.w ${WINDOW} c0ffee`);
      expect(await right.ask(`md.w ${WINDOW} 1`)).toContain("00c0ffee");
      await right.ask(`mw.w 9000fffc 12345678`);
      expect(await left.ask("md.w 9000fffc 1")).toContain("12345678");
      // A reboot of the guest leaves it alone.
      await left.ask("reboot");
      expect(await left.ask(`md.w ${WINDOW} 1`)).toContain("00c0ffee");
      // The one is killed and started anew while the other runs, then the other way round.
      await right.kill();
      right = await Live.start(profile);
      expect(await right.ask("md.w 9000fffc 1")).toContain("12345678");
      await left.kill();
      await right.ask(`mw.w ${WINDOW} 5ca1ab1e`);
      const again = await Live.start(profile);
      expect(await again.ask(`md.w ${WINDOW} 1`)).toContain("5ca1ab1e");
      await again.end();
      await right.end();
      // The last has taken it along.
      const later = await Live.start(profile);
      expect(await later.ask(`md.w ${WINDOW} 1`)).toContain("00000000");
      await later.end();
    },
    TEST_LIMIT,
  );
});

describe("a file as memory", () => {
  const run = (profile: string, ...lines: string[]) => vmrun([profile, ...dialogue(PROMPT, [...lines, "poweroff"])]);

  test("holds what the guest wrote in an earlier run", async () => {
    using shop = new Workshop();
    const file = shop.path("pmem.img");
    writeFileSync(file, new Uint8Array(SIZE));
    const profile = shop.profile(VIRT, persistent(file));
    const first = await run(profile, `mw.w ${WINDOW} 600dda7a`);
    endedWith(first, 0);
    expect(readFileSync(file).readUInt32LE(0)).toBe(0x600dda7a);
    const second = await run(profile, `md.w ${WINDOW} 1`);
    expect(answer(second, `md.w ${WINDOW} 1`, PROMPT)).toContain("600dda7a");
  });

  test.if(process.platform === "linux")("that is cut short is a fault in the guest, which runs on", async () => {
    using shop = new Workshop();
    const file = shop.path("short.img");
    writeFileSync(file, new Uint8Array(SIZE).fill(0x11));
    const guest = await Live.start(shop.profile(VIRT, persistent(file)));
    expect(await guest.ask("md.w 90008000 1")).toContain("11111111");
    truncateSync(file, 4096);
    // At once it reads as zeroes; from the next turn on, it is no memory.
    expect(await guest.ask("md.w 90008000 1")).toContain("00000000");
    expect(await guest.ask("md.w 90008000 1")).toContain("load access fault");
    expect(await guest.ask(`md.w ${WINDOW} 1`)).toContain("11111111");
    await guest.end();
    expect(await guest.stderr).toContain("memory window: what lies behind it was cut short, 4096 of its 65536 bytes");
  });
});
