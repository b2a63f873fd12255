import type { Port } from "@nomq/core";

/**
 * What the hub keeps as a channel's state, where it came from these nodes; undefined: nothing, or somebody else's. After a
 * crash it is newer than what is remembered of a node, which is written half a second later.
 */
export type HubState = (channel: string) => Promise<Uint8Array | undefined>;

/** Reads it through the port. */
export function hubStateOf(port: Pick<Port, "latest" | "log">, attachment: string): HubState {
  return async (channel) => {
    try {
      const kept = await port.latest(channel, "*");
      return kept?.origin === attachment ? kept.payload : undefined;
    } catch (error) {
      port.log.warn("the state of an XMPP node could not be compared", {
        channel: channel.slice(0, 300),
        error: String(error),
      });
      return undefined;
    }
  };
}
