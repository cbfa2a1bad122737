/**
 * What authors of vdevs need for their tests: a host that records everything a vdev does and is driven by hand, and the
 * laws that every vdev obeys.
 *
 *     const { host, write } = assemble(uart, { host: "stdio" });
 *     write(0, 1, 0x41);
 *     expect(host.fakeStream("stdio").text).toBe("A");
 *
 *     vdevLaws(uart, { test });
 */
export {
  type Assembled,
  assemble,
  contributedNodes,
  contribution,
  type FakeHost,
  type FakeHostOptions,
  fakeHost,
  fakePlacement,
  type InterruptMessage,
  type LogEntry,
} from "./fake-host.ts";
export {
  FakeDisk,
  FakeHart,
  FakeLine,
  FakeMemory,
  FakeRegion,
  FakeStream,
  FakeTimebase,
  ManualClock,
} from "./fakes.ts";
export { type LawOptions, vdevLaws } from "./laws.ts";
