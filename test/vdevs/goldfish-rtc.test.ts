import { describe, expect, test } from "bun:test";
import { assemble } from "../../src/vdev/testing.ts";
import { goldfishRtc } from "../../src/vdevs/goldfish-rtc.ts";

const TIME_LOW = 0x00;
const TIME_HIGH = 0x04;
const ALARM_LOW = 0x08;
const ALARM_HIGH = 0x0c;
const IRQ_ENABLED = 0x10;
const CLEAR_ALARM = 0x14;
const ALARM_STATUS = 0x18;
const CLEAR_INTERRUPT = 0x1c;

/** 2024-01-01T00:00:00Z */
const EPOCH = 1_704_067_200_000_000_000n;

function build() {
  const { host, vdev, read, write } = assemble(goldfishRtc, {}, { epoch: EPOCH });
  vdev.reset();
  const put = (offset: number, value: number) => write(offset, 4, value);
  return {
    host,
    vdev,
    irq: host.line("irq"),
    get: (offset: number) => read(offset, 4),
    put,
    /** As Linux reads it: low first. */
    time: () => BigInt(read(TIME_LOW, 4)) | (BigInt(read(TIME_HIGH, 4)) << 32n),
    setTime(time: bigint) {
      put(TIME_HIGH, Number(time >> 32n));
      put(TIME_LOW, Number(time & 0xffff_ffffn));
    },
    setAlarm(time: bigint) {
      put(ALARM_HIGH, Number(time >> 32n));
      put(ALARM_LOW, Number(time & 0xffff_ffffn));
    },
  };
}

describe("time", () => {
  test("is the wall clock, in guest time", () => {
    const { host, time } = build();
    expect(time()).toBe(EPOCH);
    host.clock.advance(5_000_000_123);
    expect(time()).toBe(EPOCH + 5_000_000_123n);
  });

  test("holds its upper half from the moment the lower was read", () => {
    const { host, get, setTime } = build();
    setTime(0x1_ffff_fffen);
    expect(get(TIME_LOW)).toBe(0xffff_fffe);
    host.clock.advance(10);
    expect(get(TIME_HIGH)).toBe(1);
    get(TIME_LOW);
    expect(get(TIME_HIGH)).toBe(2);
  });

  test("can be set, runs on from there, and survives a reset", () => {
    const { host, vdev, time, setTime } = build();
    setTime(42n);
    host.clock.advance(8);
    vdev.reset();
    expect(time()).toBe(50n);
  });
});

describe("the alarm", () => {
  test("rings at its time when interrupts are enabled", () => {
    const { host, get, put, irq, setAlarm } = build();
    put(IRQ_ENABLED, 1);
    setAlarm(EPOCH + 1000n);
    expect(get(ALARM_STATUS)).toBe(1);
    host.clock.advance(999);
    expect(irq.level).toBe(false);
    host.clock.advance(1);
    expect([irq.level, get(ALARM_STATUS)]).toEqual([true, 0]);
    put(CLEAR_INTERRUPT, 1);
    expect(irq.level).toBe(false);
  });

  test("in the past rings at once; the interrupt waits for being enabled", () => {
    const { put, irq, setAlarm } = build();
    setAlarm(EPOCH);
    expect(irq.level).toBe(false);
    put(IRQ_ENABLED, 1);
    expect(irq.level).toBe(true);
  });

  test("can be taken back", () => {
    const { host, get, put, irq, setAlarm } = build();
    put(IRQ_ENABLED, 1);
    setAlarm(EPOCH + 1000n);
    put(CLEAR_ALARM, 0);
    host.clock.advance(2000);
    expect([irq.level, get(ALARM_STATUS)]).toEqual([false, 0]);
  });

  test("follows the clock when that is set", () => {
    const { host, irq, put, setAlarm, setTime } = build();
    put(IRQ_ENABLED, 1);
    setAlarm(EPOCH + 1_000_000n);
    setTime(EPOCH + 999_000n);
    host.clock.advance(1000);
    expect(irq.level).toBe(true);
  });

  test("beyond what a run reaches stays armed", () => {
    const { host, get, setAlarm } = build();
    setAlarm(0xffff_ffff_ffff_ffffn);
    expect([get(ALARM_STATUS), host.clock.deadlines]).toEqual([1, []]);
  });
});
