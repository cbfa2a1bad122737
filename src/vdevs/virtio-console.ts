/** virtio console device, VIRTIO 1.3 §5.3: byte streams in whole buffers instead of a register access per byte. */
import * as v from "valibot";
import { fail } from "../diagnostics/diagnostic.ts";
import type { ByteStream, Json } from "../vdev/host.ts";
import { integer, stream } from "../vdev/options.ts";
import { registerMap } from "../vdev/registers.ts";
import type { VirtioPort } from "../virtio/core.ts";
import { defineVirtio } from "../virtio/device.ts";
import type { Virtqueue } from "../virtio/virtqueue.ts";

/** VIRTIO 1.3 §5.3.3 */
const Feature = { size: 0, multiport: 1, emergencyWrite: 2 } as const;

/** VIRTIO 1.3 §5.3.4 */
const config = registerMap({
  cols: { at: 0, width: 2, access: "r", about: "width of the terminal; not used" },
  rows: { at: 2, width: 2, access: "r", about: "height of the terminal; not used" },
  max_nr_ports: { at: 4, width: 4, access: "r", about: "ports that there may be" },
  emerg_wr: { at: 8, width: 4, access: "w", about: "a character that needs no queue" },
});

/** Control messages: port id u32, event u16, value u16; a name follows PORT_NAME. VIRTIO 1.3 §5.3.6.2 */
const Event = { deviceReady: 0, portAdd: 1, portReady: 3, consolePort: 4, portOpen: 6, portName: 7 } as const;
const CONTROL_SIZE = 8;

const CONTROL_RECEIVE = 2;
const CONTROL_TRANSMIT = 3;
/** Bytes that one kick hands on before the guest has its turn again, and the most of one buffer chain. */
const BATCH_MAX = 1 << 20;
/** VIRTIO 1.3 §5.3.2: two queues for each port, and two for control. 31 ports are what Linux expects at most. */
const EXTRA_PORTS_MAX = 30;

/** A control message that waits for a buffer. */
const Message = v.object({ id: v.number(), event: v.number(), value: v.number(), name: v.optional(v.string()) });
type Message = v.InferOutput<typeof Message>;
const State = v.object({ announced: v.boolean(), open: v.array(v.boolean()), messages: v.array(Message) });

const utf8 = new TextEncoder();

export const virtioConsole = defineVirtio({
  type: "virtio-console",
  summary: "virtio console: one console port, and named byte channels beside it",
  deviceId: 3,
  options: v.object({
    host: v.optional(stream(), "null"),
    columns: v.pipe(
      v.optional(integer("columns", 0, 0xffff), 0),
      v.description("Width that the guest is told; 0: none."),
    ),
    rows: v.pipe(v.optional(integer("rows", 0, 0xffff), 0), v.description("Height that the guest is told; 0: none.")),
    ports: v.pipe(
      v.optional(
        v.pipe(
          v.array(v.object({ name: v.pipe(v.string(), v.regex(/^[\x21-\x7e]{1,64}$/)), host: stream() })),
          v.maxLength(EXTRA_PORTS_MAX),
        ),
        [],
      ),
      v.description("Byte channels beside the console; Linux shows them as /dev/virtio-ports/NAME."),
    ),
  }),
  features: ({ columns, rows, ports }) => [
    Feature.emergencyWrite,
    ...(columns > 0 && rows > 0 ? [Feature.size] : []),
    ...(ports.length > 0 ? [Feature.multiport] : []),
  ],
  queues({ ports }) {
    const pair = (name: string) => [
      { name: `receiveq(${name})`, size: 128 },
      { name: `transmitq(${name})`, size: 128 },
    ];
    if (ports.length === 0) return pair("console");
    return [...pair("console"), ...pair("control"), ...ports.flatMap(({ name }) => pair(name))];
  },
  config,
  bench: [{ what: "16 characters", queue: 1, chain: [{ bytes: Array<number>(16).fill(0x2e) }] }],

  create(port, options) {
    const { host } = port;
    port.config.setUint16(config.cols.at, options.columns, true);
    port.config.setUint16(config.rows.at, options.rows, true);
    port.config.setUint32(config.max_nr_ports.at, options.ports.length + 1, true);

    const channels = [{ name: undefined, host: options.host }, ...options.ports].map(
      (spec, id) => new Channel(port, id, spec.name, host.stream(spec.host)),
    );
    const messagesMax = 4 * channels.length + 16;
    let messages: Message[] = [];
    let announced = false;
    const control = new Uint8Array(CONTROL_SIZE);
    const fields = new DataView(control.buffer);

    for (const channel of channels) {
      channel.stream.onInput = () => {
        receive(channel);
        port.signal();
      };
    }

    function receive(channel: Channel): void {
      // VIRTIO 1.3 §5.3.6.2: with several ports, the driver says when it listens.
      if (!port.negotiated(Feature.multiport) ? channel.id === 0 : channel.open) channel.receive();
    }

    function tell(message: Message): void {
      // A driver that asks again and again without reading the answers would fill the host's memory.
      if (messages.length < messagesMax) messages.push(message);
      else host.log.guestError("control messages are not read: dropped");
    }

    function sendMessages(): void {
      const queue = port.queue(CONTROL_RECEIVE);
      while (messages.length > 0) {
        const chain = queue.pop();
        if (chain === undefined) return;
        const { id, event, value, name = "" } = messages.shift()!;
        fields.setUint32(0, id, true);
        fields.setUint16(4, event, true);
        fields.setUint16(6, value, true);
        chain.write(control);
        chain.write(utf8.encode(name));
        queue.push(chain);
      }
    }

    function obey(id: number, event: number, value: number): void {
      if (event === Event.deviceReady) {
        // VIRTIO 1.3 §5.3.6.2: a port that exists is not added again.
        if (value !== 1 || announced) return;
        announced = true;
        for (const channel of channels) tell({ id: channel.id, event: Event.portAdd, value: 1 });
        return;
      }
      const channel = channels[id];
      if (channel === undefined) {
        host.log.guestError("control message about a port that does not exist");
      } else if (event === Event.portReady && value === 1) {
        if (id === 0) tell({ id, event: Event.consolePort, value: 1 });
        else tell({ id, event: Event.portName, value: 1, name: channel.name });
        tell({ id, event: Event.portOpen, value: 1 });
      } else if (event === Event.portOpen) {
        channel.open = value === 1;
        receive(channel);
      }
    }

    function readControl(): void {
      const queue = port.queue(CONTROL_TRANSMIT);
      for (let chain = queue.pop(); chain; chain = queue.pop()) {
        const whole = chain.copyOut(control) === CONTROL_SIZE;
        if (whole) obey(fields.getUint32(0, true), fields.getUint16(4, true), fields.getUint16(6, true));
        else host.log.guestError("control message of less than 8 bytes");
        queue.push(chain, 0);
      }
      sendMessages();
    }

    return {
      notify(queue) {
        if (queue === CONTROL_RECEIVE) sendMessages();
        else if (queue === CONTROL_TRANSMIT) readControl();
        else {
          const channel = channels[queue < 2 ? 0 : (queue >> 1) - 1];
          if (queue % 2 === 0) receive(channel);
          else channel.transmit();
        }
      },
      writeConfig(offset, _width, value) {
        // VIRTIO 1.3 §5.3.5: works at any time, before any negotiation too.
        if (offset === config.emerg_wr.at) channels[0].stream.write(value & 0xff);
        else host.log.guestError("wrote to config space that cannot be written");
      },
      reset() {
        messages = [];
        announced = false;
        for (const channel of channels) channel.open = false;
      },
      snapshot: (): Json => ({
        announced,
        open: channels.map(({ open }) => open),
        messages: messages.map((message) => ({ ...message })) as unknown as Json,
      }),
      restore(json) {
        const state = v.safeParse(State, json);
        if (!state.success) fail("virtio/snapshot", `not the state of a console: ${v.summarize(state.issues)}`);
        announced = state.output.announced;
        messages = state.output.messages.slice(0, messagesMax);
        for (const channel of channels) {
          channel.open = state.output.open[channel.id] ?? false;
          // Bytes that began to wait before now announce themselves no more.
          if (channel.stream.waiting > 0) port.later(channel.receiveQueue.index);
        }
      },
    };
  },
});

/** A port of the console: a stream with a queue in each direction. */
class Channel {
  readonly id: number;
  readonly name: string | undefined;
  readonly stream: ByteStream;
  /** The driver's side of the port is open. */
  open = false;
  readonly receiveQueue: Virtqueue;
  readonly #transmitQueue: Virtqueue;
  readonly #port: VirtioPort;

  constructor(port: VirtioPort, id: number, name: string | undefined, channel: ByteStream) {
    // VIRTIO 1.3 §5.3.2: the control queues lie between those of port 0 and port 1.
    const first = id === 0 ? 0 : 2 * id + 2;
    this.id = id;
    this.name = name;
    this.stream = channel;
    this.receiveQueue = port.queue(first);
    this.#transmitQueue = port.queue(first + 1);
    this.#port = port;
  }

  /** Host to guest, as far as the guest has posted buffers. The rest waits in the stream. */
  receive(): void {
    const { stream, receiveQueue } = this;
    while (stream.waiting > 0) {
      const chain = receiveQueue.pop();
      if (chain === undefined) return;
      for (let room = chain.nextWritable(stream.waiting); room; room = chain.nextWritable(stream.waiting)) {
        for (let i = 0; i < room.length; i++) room[i] = stream.read();
      }
      receiveQueue.push(chain);
    }
  }

  /** Guest to host. */
  transmit(): void {
    for (let moved = 0; moved < BATCH_MAX; ) {
      const chain = this.#transmitQueue.pop();
      if (chain === undefined) return;
      if (chain.readable.length > BATCH_MAX) this.#port.host.log.guestError("output of more than 1 MiB in one go: cut");
      for (;;) {
        const bytes = chain.nextReadable(BATCH_MAX - chain.readable.position);
        if (bytes === undefined) break;
        for (let i = 0; i < bytes.length; i++) this.stream.write(bytes[i]);
      }
      moved += chain.readable.position;
      this.#transmitQueue.push(chain, 0);
    }
    this.#port.later(this.#transmitQueue.index);
  }
}
