/** Opens on the host what the streams of a profile name. */
import { fail } from "../diagnostics/diagnostic.ts";
import type { Channel, ChannelUser } from "../host/channels/channel.ts";
import { openPty, openTty } from "../host/channels/devices.ts";
import { openFiles } from "../host/channels/files.ts";
import { openProcess } from "../host/channels/process.ts";
import { connect, listen } from "../host/channels/sockets.ts";
import type { StreamSpec } from "../vdev/stream-spec.ts";

/** What lies outside of vmrun. */
export type ChannelSpec = Exclude<StreamSpec, { readonly kind: "stdio" | "null" }>;

export type OpenChannel = (spec: ChannelSpec, user: ChannelUser) => Channel;

/** @param allowed Whether programs of the host may be run. */
export function hostChannels(allowed: { readonly commands: boolean }): OpenChannel {
  return (spec, user) => {
    switch (spec.kind) {
      case "file":
        return openFiles(spec.output, spec.input, user);
      case "unix":
        return (spec.role === "listen" ? listen : connect)({ unix: spec.path }, user);
      case "tcp":
        return (spec.role === "listen" ? listen : connect)({ hostname: spec.host, port: spec.port }, user);
      case "pty":
        return openPty(spec.link, user);
      case "tty":
        return openTty(spec.path, spec.baud, user);
      case "process":
        if (allowed.commands) return openProcess(spec.command, user);
        return fail("machine/stream", `host commands are not allowed: ${JSON.stringify(spec.command)} was not run`, {
          hint: "start with --allow-host-power",
        });
    }
  };
}
