import { expect, test } from "bun:test";
import { DevicePages } from "../../../src/engine/interpreter/device-pages.ts";

const LOW = 0x1000_0005 | 0;

test("a page is known in its mode, in its epoch, to aligned accesses", () => {
  const pages = new DevicePages();
  expect(pages.find(LOW, 0, 1, 7, 0)).toBe(-1);
  pages.note(LOW, 0, 7, 0, 0x2_0000_0000);
  expect(pages.find(LOW, 0, 1, 7, 0)).toBe(0x2_0000_0005);
  expect(pages.find(LOW - 1, 0, 4, 7, 0)).toBe(0x2_0000_0004);
  expect(pages.find(LOW, 0, 2, 7, 0)).toBe(-1);
  expect(pages.find(LOW, 1, 1, 7, 0)).toBe(-1);
  expect(pages.find(LOW, 0, 1, 8, 0)).toBe(-1);
  expect(pages.find(LOW, 0, 1, 7, 1)).toBe(-1);
  expect(pages.find(LOW + 0x1000, 0, 1, 7, 0)).toBe(-1);
});

test("page 0 is not known before it is noted", () => {
  expect(new DevicePages().find(0, 0, 4, 0, 0)).toBe(-1);
});
