import { afterAll, describe, expect, test } from "bun:test";
import { closeSync, constants, fstatSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as linux from "../../src/host/linux.ts";
import { ENOSYS, syscall, throughLibc } from "../../src/host/syscall.ts";

const folder = mkdtempSync(join(tmpdir(), "vmrun-syscall-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe.if(process.platform === "linux")("system calls", () => {
  test("answer their result, or -errno", () => {
    expect(syscall("getpid")).toBe(process.pid);
    expect(linux.errnoName(linux.close(9999))).toBe("EBADF");
    expect(linux.errnoName(linux.open(join(folder, "absent"), constants.O_RDONLY))).toBe("ENOENT");
    expect(linux.errnoName(linux.open(`${folder}\0`, constants.O_RDONLY))).toBe("ENOENT");
    expect(linux.errnoName(linux.munmap(1, 4096))).toBe("EINVAL");
  });

  test("through libc's own are the same", () => {
    const call = throughLibc()!;
    const getpid = process.arch === "x64" ? 39 : 172;
    const close = process.arch === "x64" ? 3 : 57;
    expect(call(getpid, 0, 0, 0, 0, 0, 0)).toBe(process.pid);
    expect(linux.errnoName(call(close, 9999, 0, 0, 0, 0, 0))).toBe("EBADF");
  });

  test("make memory that is a file", () => {
    const fd = linux.memfdCreate("vmrun-test", linux.MemfdFlag.allowSealing);
    expect(fd).toBeGreaterThan(2);
    expect(linux.ftruncate(fd, 8192)).toBe(0);
    expect(fstatSync(fd).size).toBe(8192);
    expect(linux.addSeals(fd, linux.Seal.shrink)).toBe(0);
    expect(linux.errnoName(linux.ftruncate(fd, 4096))).toBe("EPERM");
    closeSync(fd);
  });

  test("count events, and say what is ready", () => {
    const fd = linux.eventfd(0, linux.EventfdFlag.nonBlocking);
    const value = new BigUint64Array(1);
    const ready = () => linux.poll([{ fd, events: linux.PollEvent.in }]);
    expect(linux.errnoName(linux.read(fd, value))).toBe("EAGAIN");
    expect(ready()).toEqual([0]);
    expect(linux.write(fd, BigUint64Array.of(3n))).toBe(8);
    expect(linux.write(fd, BigUint64Array.of(4n))).toBe(8);
    expect(ready()).toEqual([linux.PollEvent.in]);
    expect(linux.read(fd, value)).toBe(8);
    expect(value[0]).toBe(7n);
    linux.close(fd);
    expect(ready()).toEqual([linux.PollEvent.invalid]);
  });

  test("reach ioctls with memory of ours", () => {
    const path = join(folder, "bytes");
    writeFileSync(path, "hello");
    const fd = openSync(path, "r");
    const FIONREAD = 0x541b;
    const count = new Int32Array(1);
    expect(linux.ioctl(fd, FIONREAD, count)).toBe(0);
    expect(count[0]).toBe(5);
    closeSync(fd);
  });

  test("lock a file against another opening", () => {
    const path = join(folder, "locked");
    const [one, other] = [openSync(path, "w"), openSync(path, "r")];
    expect(linux.flock(one, linux.Lock.exclusive)).toBe(0);
    expect(linux.errnoName(linux.flock(other, linux.Lock.exclusive | linux.Lock.nonBlocking))).toBe("EAGAIN");
    closeSync(one);
    expect(linux.flock(other, linux.Lock.exclusive | linux.Lock.nonBlocking)).toBe(0);
    closeSync(other);
    expect(readFileSync(path).length).toBe(0);
  });
});

test.if(process.platform !== "linux")("elsewhere they answer that there are none", () => {
  expect(syscall("getpid")).toBe(-ENOSYS);
});
