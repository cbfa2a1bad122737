// Traces and pictures of a run of known events: what is in them, in both times, and what is said when they are full.
import { describe, expect, test } from "bun:test";
import { writeChromeTrace } from "../../src/observe/chrome-trace.ts";
import { exitPage } from "../../src/observe/page.ts";
import { exitSvg } from "../../src/observe/picture.ts";
import { Recorder } from "../../src/observe/recorder.ts";
import { Timeline } from "../../src/observe/timeline.ts";
import { EventKind, Tracer } from "../../src/observe/tracer.ts";
import type { Board } from "../../src/profile/board.ts";
import { CLINT, POWER, rig, UART } from "../machine/rig.ts";

/** 10 ns an instruction. Prints "A", waits 1 us for its timer, reads LSR, and ends. */
const GUEST = `
  la t0, handler
  csrw mtvec, t0
  li s0, ${UART}
  li a0, 0x41
  print: sb a0, 0(s0)
  li s1, ${CLINT}
  li t0, 0x4000
  add t0, s1, t0
  li a0, 200
  sd a0, 0(t0)
  li a0, 0x80
  csrw mie, a0
  csrrsi zero, mstatus, 8
  wfi
  lbu a0, 5(s0)
  li t0, 0x5555
  li t1, ${POWER}
  sw t0, 0(t1)
stay: j stay
handler: csrw mie, zero
  mret`;

function traced(most: number) {
  let [tracer, timeline, board]: [Tracer?, Timeline?, Board?] = [];
  let recorder: Recorder | undefined;
  let now = 0;
  const made = rig(GUEST, {
    nanoseconds: () => {
      now += 1000;
      return now;
    },
    observe: (resolved, registry) => {
      board = resolved;
      recorder = new Recorder(resolved, registry, "costs");
      timeline = new Timeline(recorder, recorder);
      tracer = new Tracer(timeline, resolved, registry, most);
      return tracer;
    },
  });
  while (made.machine.run(100_000) === "idle") made.machine.skipTo(made.machine.deadline);
  expect(made.machine.ending).toEqual({ kind: "poweroff" });
  return { made, tracer: tracer!, timeline: timeline!, recorder: recorder!, board: board! };
}

describe("a trace", () => {
  test("has every exit, interrupt, timer, turn and wait, in guest time and in host time", () => {
    const { made, tracer } = traced(1000);
    const events = [...tracer.events()];
    expect(tracer.dropped).toBe(0);
    const { labels } = made.program;
    const happened = events.filter(({ kind }) => kind !== EventKind.turn).map(({ name }) => name);
    expect(happened).toEqual(
      [
        "write uart0.THR",
        "write clint.MTIMECMP[]",
        "write clint.MTIMECMP[]",
        "waits",
        "timer of clint",
        "interrupt",
        "read uart0.LSR",
        "write power.FINISHER",
      ].map((name) => (name === "interrupt" ? "machine timer" : name)),
    );
    const print = events.find(({ name }) => name === "write uart0.THR")!;
    expect(print).toMatchObject({ pc: BigInt(labels["print"]), value: 0x41, hart: 0, guestLength: 0 });
    expect(print.hostLength).toBeGreaterThanOrEqual(1000);
    const wait = events.find(({ kind }) => kind === EventKind.wait)!;
    // The timer is due at tick 200 of 100 ns.
    expect(wait.guest + wait.guestLength).toBe(20_000);
    const turns = events.filter(({ kind }) => kind === EventKind.turn);
    expect(turns[0].guest).toBe(0);
    expect(turns[0].guest + turns[0].guestLength).toBe(wait.guest);
    expect(turns[1].guest).toBe(20_000);
    for (const { kind, guest } of events) {
      if (kind !== EventKind.turn) continue;
      expect(guest).toBeLessThan(30_000);
    }
  });

  test("is JSON that viewers open: each event in both processes, ordered tracks, names escaped", () => {
    const { tracer, board } = traced(1000);
    let text = "";
    const symbols = { resolve: () => ({ symbol: 'a "name"', line: "x.c:1" }) };
    writeChromeTrace(tracer.events(), { board: board.name, harts: 1, dropped: 0 }, symbols, (piece) => {
      text += piece;
    });
    const { traceEvents } = JSON.parse(text) as { traceEvents: Record<string, unknown>[] };
    const events = traceEvents.filter(({ ph }) => ph !== "M");
    expect(events.length).toBe([...tracer.events()].length * 2);
    for (const event of events) {
      expect(Object.keys(event)).toEqual(expect.arrayContaining(["ph", "pid", "tid", "ts", "cat", "name"]));
      expect(event.ph === "X" ? typeof event.dur : event.s).toBe(event.ph === "X" ? "number" : "t");
    }
    expect(events.find(({ name }) => name === "write uart0.THR")?.args).toMatchObject({
      from: 'a "name" (x.c:1)',
      value: "0x41",
    });
    expect(traceEvents.filter(({ name }) => name === "thread_name").length).toBe(4);
  });

  test("that is full keeps the first events and counts the others", () => {
    const all = [...traced(1000).tracer.events()];
    const { tracer } = traced(3);
    expect([...tracer.events()].map(({ name }) => name)).toEqual(all.slice(0, 3).map(({ name }) => name));
    // A turn behind a wait that was dropped is one with the turn before.
    expect(tracer.dropped).toBe(all.length - 4);
  });
});

describe("pictures", () => {
  test("have the regions and registers of the board, and nothing that a page could fetch", () => {
    const { recorder, timeline, board } = traced(10);
    const steps = timeline.finished();
    expect(steps.reduce((sum, { counts }) => sum + (counts.get("uart0") ?? 0), 0)).toBe(2);
    for (const text of [exitPage(recorder.exits(), steps, board), exitSvg(recorder.exits(), steps, board)]) {
      for (const name of ["power", "clint", "plic", "uart0", "dram", "THR", "MTIMECMP[]", "0x10000000 + 256 B"]) {
        expect(text).toContain(name);
      }
      expect(text).not.toMatch(/NaN|undefined|Infinity/);
      expect(text.replaceAll("http://www.w3.org/2000/svg", "")).not.toMatch(/https?:|<link|src=/);
    }
  });
});
