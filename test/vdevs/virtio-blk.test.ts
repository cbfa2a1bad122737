import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { FakeDisk } from "../../src/vdev/testing.ts";
import { virtioBlk } from "../../src/vdevs/virtio-blk.ts";
import { type Buffer, type Driver, drive, GuestArea } from "../virtio/driver.ts";

const SECTORS = 64;
const OK = 0;
const IOERR = 1;
const UNSUPP = 2;

function pattern(): Uint8Array {
  return Uint8Array.from({ length: SECTORS * 512 }, (_, i) => (i >>> 9) + 1);
}

function open(options: { read_only?: boolean; serial?: string } = {}, bytes = pattern(), area?: GuestArea) {
  const disk = new FakeDisk(bytes, options.read_only);
  const driver = drive(virtioBlk, { file: "disk.img", ...options }, { disks: { "disk.img": disk } }, area);
  return { disk, driver };
}

function header(type: number, sector: number | bigint = 0): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  view.setUint32(0, type, true);
  view.setBigUint64(8, BigInt(sector), true);
  return new Uint8Array(view.buffer);
}

function range(sector: number | bigint, sectors: number, flags = 0): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  view.setBigUint64(0, BigInt(sector), true);
  view.setUint32(8, sectors, true);
  view.setUint32(12, flags, true);
  return new Uint8Array(view.buffer);
}

/** A request; the status is the last of the answers. */
function ask(driver: Driver, ...buffers: Buffer[]) {
  const { length, answers } = driver.request(0, [...buffers, 1], { indirect: buffers.length > 3 });
  return { status: answers.at(-1)![0], data: answers.slice(0, -1), length };
}

describe("reading", () => {
  test("gives sectors over several buffers", () => {
    const { driver } = open();
    driver.start({ queues: [16] });
    const { status, data, length } = ask(driver, header(0, 2), 512, 256, 768);
    expect(status).toBe(OK);
    expect(length).toBe(1537);
    expect(data.map((bytes) => [bytes[0], bytes.at(-1)])).toEqual([
      [3, 3],
      [4, 4],
      [4, 5],
    ]);
  });

  test.each([
    ["beyond the end", SECTORS, 512],
    ["over the end", SECTORS - 1, 1024],
    ["at a sector near 2^64", 2n ** 64n - 1n, 512],
    ["of half a sector", 0, 300],
  ])("%s is an I/O error and shows no stale bytes", (_, sector, size) => {
    const { driver } = open();
    driver.start({ queues: [16] });
    const { status, data, length } = ask(driver, header(0, sector), size);
    expect(status).toBe(IOERR);
    expect(length).toBe(size + 1);
    expect(data[0].every((byte) => byte === 0)).toBe(true);
  });

  test("on a failing host is an I/O error", () => {
    const { driver, disk } = open();
    driver.start({ queues: [16] });
    disk.broken = true;
    const { status, data } = ask(driver, header(0), 512);
    expect(status).toBe(IOERR);
    expect(data[0].every((byte) => byte === 0)).toBe(true);
  });
});

describe("writing", () => {
  const sector = new Uint8Array(512).fill(0xaa);

  test("reaches the image", () => {
    const { driver, disk } = open();
    driver.start({ queues: [16] });
    expect(ask(driver, header(1, 5), sector, sector)).toEqual({ status: OK, data: [], length: 1 });
    expect([disk.bytes[5 * 512 - 1], disk.bytes[5 * 512], disk.bytes[7 * 512 - 1], disk.bytes[7 * 512]]).toEqual([
      5, 0xaa, 0xaa, 8,
    ]);
    expect(disk.flushes).toBe(0);
  });

  test("is refused where it must be", () => {
    const { driver, disk } = open();
    driver.start({ queues: [16] });
    expect(ask(driver, header(1, SECTORS), sector).status).toBe(IOERR);
    expect(ask(driver, header(1, 0), sector.subarray(1)).status).toBe(IOERR);
    disk.broken = true;
    expect(ask(driver, header(1, 0), sector).status).toBe(IOERR);
    expect(disk.bytes).toEqual(pattern());
  });

  test("a read-only disk says so and refuses", () => {
    const { driver, disk } = open({ read_only: true });
    expect(driver.offered()).toContain(5);
    expect(driver.offered()).not.toContain(13);
    driver.start({ queues: [16] });
    expect(ask(driver, header(1, 0), sector).status).toBe(IOERR);
    expect(ask(driver, header(11), range(0, 1)).status).toBe(UNSUPP);
    expect(ask(driver, header(0, 0), 512).status).toBe(OK);
    expect(disk.bytes).toEqual(pattern());
  });

  test("is flushed when asked, or each time where the driver cannot ask", () => {
    const { driver, disk } = open();
    driver.start({ queues: [16] });
    expect(ask(driver, header(4)).status).toBe(OK);
    expect(disk.flushes).toBe(1);
    driver.start({ queues: [16], features: [11] });
    expect(driver.config(32, 1)).toBe(0);
    ask(driver, header(1, 0), sector);
    expect(disk.flushes).toBe(2);
    disk.broken = true;
    expect(ask(driver, header(4)).status).toBe(IOERR);
  });

  test("the driver may switch to write-through", () => {
    const { driver, disk } = open();
    driver.start({ queues: [16] });
    expect(driver.config(32, 1)).toBe(1);
    driver.setConfig(32, 1, 0);
    expect(driver.config(32, 1)).toBe(0);
    expect(disk.flushes).toBe(1);
    ask(driver, header(1, 0), sector);
    expect(disk.flushes).toBe(2);
    driver.setConfig(0, 4, 1);
    expect(driver.config(0, 4)).toBe(SECTORS);
  });
});

describe("discard and write zeroes", () => {
  const bytesOf = (disk: FakeDisk, sector: number) => disk.bytes[sector * 512];

  test("clear their ranges and nothing else", () => {
    const { driver, disk } = open();
    driver.start({ queues: [16] });
    expect(ask(driver, header(11), range(1, 2), range(8, 1)).status).toBe(OK);
    expect(ask(driver, header(13), range(20, 3)).status).toBe(OK);
    expect(ask(driver, header(13), range(30, 1, 1)).status).toBe(OK);
    expect([0, 1, 2, 3, 8, 9, 19, 20, 22, 23, 30, 31].map((sector) => bytesOf(disk, sector))).toEqual([
      1, 0, 0, 4, 0, 10, 20, 0, 0, 24, 0, 32,
    ]);
  });

  test.each([
    ["beyond the end", 11, [range(0, 1), range(SECTORS - 1, 2)], IOERR],
    ["at a sector near 2^64", 13, [range(2n ** 64n - 1n, 1)], IOERR],
    ["larger than allowed", 11, [range(0, 0x2_0001)], IOERR],
    ["of half a range", 11, [range(0, 1).subarray(8)], IOERR],
    ["of no range", 13, [], IOERR],
    ["of too many ranges", 11, Array.from({ length: 17 }, () => range(0, 1)), IOERR],
    ["with the unmap flag on discard", 11, [range(0, 1), range(1, 1, 1)], UNSUPP],
    ["with an unknown flag", 13, [range(0, 1, 2)], UNSUPP],
  ])("%s: nothing is touched", (_, type, ranges, expected) => {
    const { driver, disk } = open();
    driver.start({ queues: [32] });
    expect(ask(driver, header(type), ...ranges).status).toBe(expected);
    expect(disk.bytes).toEqual(pattern());
  });

  test("are unsupported unless negotiated", () => {
    const { driver } = open();
    driver.start({ queues: [16], features: [28] });
    expect(ask(driver, header(11), range(0, 1)).status).toBe(UNSUPP);
    expect(ask(driver, header(13), range(0, 1)).status).toBe(UNSUPP);
  });
});

describe("the rest", () => {
  test("identity is the serial number, padded", () => {
    const { driver } = open({ serial: "vmrun-0001" });
    driver.start({ queues: [16] });
    const { status, data } = ask(driver, header(8), 20);
    expect(status).toBe(OK);
    expect(new TextDecoder().decode(data[0])).toBe("vmrun-0001".padEnd(20, "\0"));
    expect(new TextDecoder().decode(ask(driver, header(8), 5).data[0])).toBe("vmrun");
  });

  test("unknown requests are unsupported", () => {
    const { driver } = open();
    driver.start({ queues: [16] });
    for (const type of [2, 3, 10, 14, 0xffff_ffff]) expect(ask(driver, header(type), 512).status).toBe(UNSUPP);
  });

  test("a request without a header or a status breaks the queue", () => {
    for (const buffers of [[new Uint8Array(15), 1], [new Uint8Array(16)], [1]]) {
      const { driver } = open();
      driver.start({ queues: [16] });
      driver.request(0, buffers);
      expect(driver.get("Status")).toBe(0x4f);
      expect(driver.interrupt()).toBe(2);
    }
  });

  test("capacity is in whole sectors, and the remainder is mentioned", () => {
    const { driver } = open({}, new Uint8Array(1300));
    expect(driver.config(0, 8)).toBe(2);
    expect(driver.host.logged[0].message).toContain("last 276 bytes");
    driver.start({ queues: [16] });
    expect(ask(driver, header(0, 1), 512).status).toBe(OK);
    expect(ask(driver, header(0, 2), 512).status).toBe(IOERR);
    expect(driver.config(12, 4)).toBe(254);
    expect(driver.config(20, 4)).toBe(512);
  });

  test("a kick moves a bounded amount, the guest's next turn the rest", () => {
    const area = new GuestArea(0x100_0000);
    const { driver } = open({}, new Uint8Array(0x80_0000), area);
    driver.start({ queues: [16] });
    const ring = driver.rings[0];
    const room = area.allocate(0x80_0000);
    const heads = Array.from({ length: 5 }, () => {
      const { head } = ring.add([header(0), 1, 1]);
      const data = descriptorOf(area, ring.descriptors, head).next;
      ring.descriptor(data, { ...descriptorOf(area, ring.descriptors, data), address: room, length: 0x80_0000 });
      return head;
    });
    driver.kick(0);
    expect(ring.usedIndex).toBe(4);
    driver.host.clock.advance(0);
    expect(ring.reap().map(({ head }) => head)).toEqual(heads);
  });

  test("restored on an image of another size, the guest is told", () => {
    const { driver } = open();
    driver.start({ queues: [16] });
    const state = driver.assembled.vdev.snapshot();
    const { driver: same } = open({}, pattern(), driver.area);
    same.assembled.vdev.restore(state);
    expect(same.line.level).toBe(false);
    const { driver: smaller } = open({}, pattern().subarray(512), driver.area);
    smaller.assembled.vdev.restore(state);
    expect(smaller.config(0, 8)).toBe(SECTORS - 1);
    expect(smaller.interrupt()).toBe(2);
  });

  test("the image is flushed and closed at the end", () => {
    const { driver, disk } = open();
    driver.assembled.vdev.terminate!();
    expect([disk.flushes, disk.closed]).toEqual([1, true]);
  });

  test("options: serial numbers are short and printable", () => {
    const accepts = (options: unknown) => v.safeParse(virtioBlk.options, options).success;
    expect(accepts({ file: "a", serial: "x".repeat(20) })).toBe(true);
    expect(accepts({ file: "a", serial: "x".repeat(21) })).toBe(false);
    expect(accepts({ file: "a", serial: "ü" })).toBe(false);
    expect(accepts({})).toBe(false);
  });
});

function descriptorOf(area: GuestArea, table: number, index: number) {
  const at = area.offset(table) + 16 * index;
  return {
    address: area.data.getBigUint64(at, true),
    length: area.data.getUint32(at + 8, true),
    flags: area.data.getUint16(at + 12, true),
    next: area.data.getUint16(at + 14, true),
  };
}
