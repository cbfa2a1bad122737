/** The terminal between a person and a guest: Ctrl-A introduces commands to vmrun, everything else is the guest's. */

const ESCAPE = 0x01;

export interface ConsoleCommands {
  quit(): void;
  status(): void;
}

export const CONSOLE_HELP = [
  "Ctrl-A x   end the machine",
  "Ctrl-A s   status: guest time, instructions, exits, and how the vdevs are",
  "Ctrl-A h   this help",
  "Ctrl-A Ctrl-A   send Ctrl-A to the guest",
].join("\r\n");

/** Splits typed bytes: answers those for the guest, carries out the commands. */
export class ConsoleEscape {
  #escaped = false;

  constructor(
    readonly commands: ConsoleCommands,
    readonly say: (text: string) => void,
  ) {}

  filter(bytes: Uint8Array): Uint8Array {
    const kept: number[] = [];
    for (const byte of bytes) {
      if (this.#escaped) {
        this.#escaped = false;
        this.#command(byte, kept);
      } else if (byte === ESCAPE) this.#escaped = true;
      else kept.push(byte);
    }
    return Uint8Array.from(kept);
  }

  #command(byte: number, kept: number[]): void {
    switch (String.fromCharCode(byte)) {
      case "\x01":
        kept.push(ESCAPE);
        return;
      case "x":
      case "X":
        return this.commands.quit();
      case "s":
        return this.commands.status();
      default:
        return this.say(`\r\n${CONSOLE_HELP}\r\n`);
    }
  }
}
