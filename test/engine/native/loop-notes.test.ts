// What is remembered of loops: where it lies, and how many there are.
import { expect, test } from "bun:test";
import { offsetOf } from "../../../src/engine/native/assembler.ts";
import { LoopNote, LoopNotes } from "../../../src/engine/native/loop-notes.ts";

const START = 0x1000;

test("each loop has a note of its own, until there are no more", () => {
  const memory = new Uint8Array(LoopNotes.size).fill(0xff);
  const notes = new LoopNotes(START, memory);
  const places = new Set<number>();
  for (let seldom = 1; !notes.isFull(1); seldom = (seldom % 200) + 1) {
    const at = offsetOf(notes.take(seldom)!) - START;
    places.add(at);
    expect([memory[at + LoopNote.seldom], memory[at + LoopNote.soon]]).toEqual([seldom, 0]);
  }
  expect(places.size).toBe(LoopNotes.size / 8);
  expect(Math.max(...places)).toBe(LoopNotes.size - 8);
  expect(notes.take(16)).toBeUndefined();
  notes.clear();
  expect(notes.isFull(places.size)).toBe(false);
  expect(notes.isFull(places.size + 1)).toBe(true);
  expect(offsetOf(notes.take(16)!)).toBe(START);
});

test("a listing's are nobody's", () => {
  const memory = new Uint8Array(LoopNotes.size);
  const notes = new LoopNotes(START, memory);
  notes.imagined().take(16);
  expect(memory.every((byte) => byte === 0)).toBe(true);
  expect(offsetOf(notes.take(16)!)).toBe(START);
});
