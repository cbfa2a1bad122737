/** virtio block device, VIRTIO 1.3 §5.2, on a raw image. */
import * as v from "valibot";
import type { DiskImage } from "../vdev/host.ts";
import { inputFile } from "../vdev/options.ts";
import { registerMap } from "../vdev/registers.ts";
import type { Chain } from "../virtio/chain.ts";
import { defineVirtio } from "../virtio/device.ts";

/** VIRTIO 1.3 §5.2.3 */
const Feature = {
  segMax: 2,
  readOnly: 5,
  blockSize: 6,
  flush: 9,
  configWce: 11,
  discard: 13,
  writeZeroes: 14,
} as const;

/** VIRTIO 1.3 §5.2.6 */
const Request = { in: 0, out: 1, flush: 4, getId: 8, discard: 11, writeZeroes: 13 } as const;
const Answer = { ok: 0, ioError: 1, unsupported: 2 } as const;
const UNMAP = 1;

/** VIRTIO 1.3 §5.2.4 */
const config = registerMap({
  capacity: { at: 0, width: 8, access: "r", about: "in sectors of 512 bytes" },
  size_max: { at: 8, width: 4, access: "r", about: "longest segment of a request, in bytes; not used" },
  seg_max: { at: 12, width: 4, access: "r", about: "most segments of a request" },
  cylinders: { at: 16, width: 2, access: "r", about: "geometry; not used" },
  heads: { at: 18, width: 1, access: "r", about: "geometry; not used" },
  sectors: { at: 19, width: 1, access: "r", about: "geometry; not used" },
  blk_size: { at: 20, width: 4, access: "r", about: "block size in bytes" },
  physical_block_exp: {
    at: 24,
    width: 1,
    access: "r",
    about: "blocks in a physical block, as a power of two; not used",
  },
  alignment_offset: { at: 25, width: 1, access: "r", about: "first aligned block; not used" },
  min_io_size: { at: 26, width: 2, access: "r", about: "suggested least I/O, in blocks; not used" },
  opt_io_size: { at: 28, width: 4, access: "r", about: "suggested I/O, in blocks; not used" },
  writeback: { at: 32, width: 1, about: "1: writes are safe after a flush only" },
  num_queues: { at: 34, width: 2, access: "r", about: "request queues; not used" },
  max_discard_sectors: { at: 36, width: 4, access: "r", about: "most sectors of a discarded range" },
  max_discard_seg: { at: 40, width: 4, access: "r", about: "most ranges of a discard" },
  discard_sector_alignment: { at: 44, width: 4, access: "r", about: "sectors that discarded ranges are aligned to" },
  max_write_zeroes_sectors: { at: 48, width: 4, access: "r", about: "most sectors of a zeroed range" },
  max_write_zeroes_seg: { at: 52, width: 4, access: "r", about: "most ranges of a write of zeroes" },
  write_zeroes_may_unmap: { at: 56, width: 1, access: "r", about: "1: zeroed ranges may be given back" },
});

const REQUEST_QUEUE = 0;
const QUEUE_SIZE = 256;
const SECTOR = 512;
const HEADER_SIZE = 16;
/** A range of a discard or write-zeroes request. */
const RANGE_SIZE = 16;
const ID_SIZE = 20;
/** Per range: 64 MiB, so that a host that has to write zeroes for it does not stop the guest for long. */
const RANGE_SECTORS_MAX = 0x2_0000;
const RANGES_MAX = 16;
/** Bytes that one kick moves before the guest has its turn again. */
const BATCH_MAX = 32 << 20;

const ZEROES = new Uint8Array(65536);

const ascii = new TextEncoder();

export const virtioBlk = defineVirtio({
  type: "virtio-blk",
  summary: "virtio block device on a raw image file or a block device of the host",
  deviceId: 2,
  options: v.object({
    file: v.pipe(inputFile(), v.description("Raw image; what exceeds a whole number of 512-byte sectors is not seen.")),
    read_only: v.pipe(v.optional(v.boolean(), false), v.description("The guest cannot write; the file is opened so.")),
    serial: v.pipe(
      v.optional(
        v.pipe(v.string(), v.regex(/^[\x20-\x7e]{0,20}$/, "a serial number is at most 20 printable ASCII characters")),
        "",
      ),
      v.description("Serial number that the guest sees, at most 20 characters."),
    ),
  }),
  features: ({ read_only }) => [
    Feature.segMax,
    Feature.blockSize,
    Feature.flush,
    ...(read_only ? [Feature.readOnly] : [Feature.configWce, Feature.discard, Feature.writeZeroes]),
  ],
  queues: () => [{ name: "requestq", size: QUEUE_SIZE }],
  config,
  bench: [
    {
      what: "read a sector",
      queue: REQUEST_QUEUE,
      chain: [{ bytes: Array<number>(HEADER_SIZE).fill(0) }, { room: SECTOR }, { room: 1 }],
    },
  ],

  create(port, { file, read_only, serial }) {
    const { host } = port;
    const requests = port.queue(REQUEST_QUEUE);
    const disk = host.disk(file, { readOnly: read_only });
    const capacity = Math.floor(disk.size / SECTOR);
    if (disk.size % SECTOR !== 0) {
      host.log.warn(
        `${file} is not a whole number of ${SECTOR}-byte sectors: its last ${disk.size % SECTOR} bytes are left out`,
      );
    }
    const id = new Uint8Array(ID_SIZE);
    ascii.encodeInto(serial, id);
    const header = new Uint8Array(HEADER_SIZE);
    const fields = new DataView(header.buffer);
    const status = new Uint8Array(1);

    port.config.setBigUint64(config.capacity.at, BigInt(capacity), true);
    // A header and a status byte go with every request, and no chain is longer than the queue.
    port.config.setUint32(config.seg_max.at, QUEUE_SIZE - 2, true);
    port.config.setUint32(config.blk_size.at, SECTOR, true);
    if (!read_only) {
      port.config.setUint8(config.writeback.at, 1);
      port.config.setUint32(config.max_discard_sectors.at, RANGE_SECTORS_MAX, true);
      port.config.setUint32(config.max_discard_seg.at, RANGES_MAX, true);
      port.config.setUint32(config.discard_sector_alignment.at, 4096 / SECTOR, true);
      port.config.setUint32(config.max_write_zeroes_sectors.at, RANGE_SECTORS_MAX, true);
      port.config.setUint32(config.max_write_zeroes_seg.at, RANGES_MAX, true);
      port.config.setUint8(config.write_zeroes_may_unmap.at, 1);
    }

    /** VIRTIO 1.3 §5.2.6.2: a driver that cannot flush must find every finished write safe. */
    function writeThrough(): boolean {
      if (!port.negotiated(Feature.flush)) return true;
      return port.negotiated(Feature.configWce) && port.config.getUint8(config.writeback.at) === 0;
    }

    function finishWrite(): number {
      return !writeThrough() || disk.flush() ? Answer.ok : Answer.ioError;
    }

    function fits(sector: number, sectors: number): boolean {
      return sector + sectors <= capacity;
    }

    function read(chain: Chain, sector: number): number {
      const bytes = chain.writable.length - 1;
      if (bytes % SECTOR !== 0 || !fits(sector, bytes / SECTOR)) return Answer.ioError;
      const start = sector * SECTOR;
      while (chain.written < bytes) {
        const at = start + chain.written;
        const window = chain.nextWritable(bytes - chain.written);
        if (window === undefined || !readInto(disk, at, window)) return Answer.ioError;
      }
      return Answer.ok;
    }

    function write(chain: Chain, sector: number): number {
      const bytes = chain.readable.left;
      if (read_only || bytes % SECTOR !== 0 || !fits(sector, bytes / SECTOR)) return Answer.ioError;
      let at = sector * SECTOR;
      for (let window = chain.nextReadable(); window; window = chain.nextReadable()) {
        if (!disk.write(at, window)) return Answer.ioError;
        at += window.length;
      }
      return finishWrite();
    }

    /** VIRTIO 1.3 §5.2.6.2: discard and write zeroes take a list of ranges. All are checked before any is touched. */
    function clear(chain: Chain, type: number): number {
      const bytes = chain.readable.left;
      if (bytes === 0 || bytes % RANGE_SIZE !== 0 || bytes / RANGE_SIZE > RANGES_MAX) return Answer.ioError;
      const data = chain.read(bytes);
      const view = new DataView(data.buffer);
      for (let at = 0; at < bytes; at += RANGE_SIZE) {
        // Discard knows no flag, write zeroes knows one.
        if (view.getUint32(at + 12, true) & ~(type === Request.writeZeroes ? UNMAP : 0)) return Answer.unsupported;
        const sectors = view.getUint32(at + 8, true);
        if (sectors > RANGE_SECTORS_MAX || !fits(wide(view, at), sectors)) return Answer.ioError;
      }
      for (let at = 0; at < bytes; at += RANGE_SIZE) {
        const start = wide(view, at) * SECTOR;
        const length = view.getUint32(at + 8, true) * SECTOR;
        const unmap = type === Request.discard || view.getUint32(at + 12, true) & UNMAP;
        if (length > 0 && !(unmap ? disk.discard(start, length) : zero(disk, start, length))) return Answer.ioError;
      }
      return finishWrite();
    }

    function execute(chain: Chain): number {
      const type = fields.getUint32(0, true);
      const sector = wide(fields, 8);
      switch (type) {
        case Request.in:
          return read(chain, sector);
        case Request.out:
          return write(chain, sector);
        case Request.flush:
          return disk.flush() ? Answer.ok : Answer.ioError;
        case Request.getId:
          chain.write(id.subarray(0, Math.min(ID_SIZE, chain.writable.left - 1)));
          return Answer.ok;
        case Request.discard:
          return port.negotiated(Feature.discard) ? clear(chain, type) : Answer.unsupported;
        case Request.writeZeroes:
          return port.negotiated(Feature.writeZeroes) ? clear(chain, type) : Answer.unsupported;
        default:
          return Answer.unsupported;
      }
    }

    return {
      notify() {
        for (let moved = 0; moved < BATCH_MAX; ) {
          const chain = requests.pop();
          if (chain === undefined) return;
          if (chain.writable.length === 0 || chain.copyOut(header) < HEADER_SIZE) {
            port.broken(REQUEST_QUEUE, "request without a header or without room for its status");
            return;
          }
          status[0] = execute(chain);
          // The status is the last byte. What a failed read leaves open is cleared: `len` vouches for it.
          chain.fill(0, chain.writable.left - 1);
          chain.write(status);
          requests.push(chain);
          moved += chain.readable.length + chain.writable.length;
        }
        port.later(REQUEST_QUEUE);
      },
      negotiated() {
        // VIRTIO 1.3 §5.2.5.2
        if (!port.negotiated(Feature.flush)) port.config.setUint8(config.writeback.at, 0);
      },
      writeConfig(offset, width, value) {
        if (offset !== config.writeback.at || width !== 1 || !port.negotiated(Feature.configWce)) {
          host.log.guestError("wrote to config space that cannot be written");
          return;
        }
        // What was written before is to be as safe as what comes after.
        if ((value & 1) === 0) disk.flush();
        port.config.setUint8(offset, value & 1);
      },
      restore() {
        // The image may have been replaced by a larger or smaller one since.
        if (port.config.getBigUint64(config.capacity.at, true) === BigInt(capacity)) return;
        port.config.setBigUint64(config.capacity.at, BigInt(capacity), true);
        port.configChanged();
      },
      terminate() {
        disk.flush();
        disk.close();
      },
    };
  },
});

/** A sector number may be any 64 bits; those that a number cannot hold are beyond every disk anyway. */
function wide(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
}

/** A read that fails leaves no stale bytes: the guest sees zeroes. */
function readInto(disk: DiskImage, at: number, window: Uint8Array): boolean {
  if (disk.read(at, window)) return true;
  window.fill(0);
  return false;
}

function zero(disk: DiskImage, start: number, length: number): boolean {
  for (let done = 0; done < length; done += ZEROES.length) {
    if (!disk.write(start + done, ZEROES.subarray(0, Math.min(ZEROES.length, length - done)))) return false;
  }
  return true;
}
