// What a watchdog on another thread can see of the machine's.
import { expect, test } from "bun:test";
import { Bus } from "../../src/machine/bus.ts";
import { Beat, Heartbeat, NOBODY } from "../../src/machine/heartbeat.ts";

/** What the words say now, as seen from elsewhere. */
function seen({ memory }: Heartbeat): readonly (string | number)[] {
  const other = new Heartbeat(memory);
  const who = other.words[Beat.who]!;
  if (who < NOBODY) return other.noteText(NOBODY - 1 - who);
  return [who, other.words[Beat.what]! >>> 1, other.words[Beat.what]! & 1];
}

test("an access is seen while it lasts, and the one that a message makes within it", () => {
  const heartbeat = new Heartbeat();
  const looks: unknown[] = [];
  const look = () => void looks.push(seen(heartbeat));
  const bus: Bus = new Bus(
    [
      {
        ...{ owner: "b", name: "b", at: 0x2000, size: 0x1000 },
        handler: {
          read() {
            look();
            bus.message(0x1004, 1);
            look();
            return 0;
          },
          write: look,
        },
      },
      { owner: "a", name: "a", at: 0x1000, size: 0x1000, handler: { read: () => 0, write: look } },
    ],
    {
      unclaimed: () => -1,
      failed: () => -1,
      promised: () => {},
      took: () => {},
      nanoseconds: () => 0,
    },
    heartbeat.words,
  );
  bus.load(0x2008, 4);
  bus.store(0x2ffc, 4, 1);
  expect(looks).toEqual([
    [1, 8, 0],
    [0, 4, 1],
    [1, 8, 0],
    [1, 0xffc, 1],
  ]);
  heartbeat.beat();
  expect(seen(heartbeat)[0]).toBe(NOBODY);
});

test("callbacks have names, within one another as well, and a throw ends them", () => {
  const heartbeat = new Heartbeat();
  const [outer, inner] = [heartbeat.note("uart0", "input"), heartbeat.note("timer0", "a timer")];
  const count = heartbeat.words[Beat.count]!;
  heartbeat.within(outer, () => {
    expect(seen(heartbeat)).toEqual(["uart0", "input"]);
    expect(() =>
      heartbeat.within(inner, () => {
        expect(seen(heartbeat)).toEqual(["timer0", "a timer"]);
        throw new Error("no");
      }),
    ).toThrow("no");
    expect(seen(heartbeat)).toEqual(["uart0", "input"]);
  });
  expect(seen(heartbeat)[0]).toBe(NOBODY);
  expect(heartbeat.words[Beat.count]! - count).toBe(4);
});

test("names of any number and length stay within the shared memory", () => {
  const heartbeat = new Heartbeat();
  for (let i = 0; i < 1000; i++) {
    const note = heartbeat.note(`vdev${i}`, "x".repeat(500));
    expect(heartbeat.noteText(note)[0]).toBe(`vdev${i}`);
  }
});

test("an address of 64 bits passes", () => {
  const heartbeat = new Heartbeat();
  heartbeat.pcAddress = 0x7fff_ffff_f108;
  expect(new Heartbeat(heartbeat.memory).pcAddress).toBe(0x7fff_ffff_f108);
});
