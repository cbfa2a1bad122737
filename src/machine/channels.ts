/** Opens on the host what the streams of a profile name. */
import { fail } from "../diagnostics/diagnostic.ts";
import type { Channel, ChannelUser } from "../host/channels/channel.ts";
import type { StreamSpec } from "../vdev/stream-spec.ts";

/** What lies outside of vmrun. */
export type ChannelSpec = Exclude<StreamSpec, { readonly kind: "stdio" | "null" }>;

export type OpenChannel = (spec: ChannelSpec, user: ChannelUser) => Channel;

/** @param allowed Whether programs of the host may be run. */
export function hostChannels(allowed: { readonly commands: boolean }): OpenChannel {
  return (spec, user) => {
    switch (spec.kind) {
      case "file":
        return files().openFiles(spec.output, spec.input, user);
      case "unix":
        return (spec.role === "listen" ? sockets().listen : sockets().connect)({ unix: spec.path }, user);
      case "tcp":
        return (spec.role === "listen" ? sockets().listen : sockets().connect)(
          { hostname: spec.host, port: spec.port },
          user,
        );
      case "pty":
        return devices().openPty(spec.link, user);
      case "tty":
        return devices().openTty(spec.path, spec.baud, user);
      case "process":
        if (allowed.commands) return processes().openProcess(spec.command, user);
        return fail("machine/stream", `host commands are not allowed: ${JSON.stringify(spec.command)} was not run`, {
          hint: "start with --allow-host-power",
        });
    }
  };
}

// A board has few kinds of streams, most of them none of these.
const files = () => require("../host/channels/files.ts") as typeof import("../host/channels/files.ts");
const sockets = () => require("../host/channels/sockets.ts") as typeof import("../host/channels/sockets.ts");
const devices = () => require("../host/channels/devices.ts") as typeof import("../host/channels/devices.ts");
const processes = () => require("../host/channels/process.ts") as typeof import("../host/channels/process.ts");
