import { addressText } from "../address.ts";
import type { Attachment, Port } from "../bridge.ts";
import type { NomqNode, NomqPeer, PresenceChange } from "../node/contract.ts";
import { presenceEntry } from "./peer-records.ts";

/** Whether a peer is there, as the API and `/healthz` show it. */
export interface DevicePresence {
  /** The name of its attachment, `nomq:NAME`. */
  readonly attachment: string;
  readonly state: PresenceChange["state"];
  readonly reason: PresenceChange["reason"];
  /** Since when, Unix milliseconds. */
  readonly since: number;
  /** `HOST:PORT` it was last heard from. */
  readonly address: string;
}

/** Who of the peers with an attachment is there. */
export interface Devices {
  list(): readonly DevicePresence[];
  count(): { readonly online: number; readonly offline: number };
  /** Follows the node until the signal aborts; each change of a configured device is logged once. */
  follow(node: NomqNode, use: { readonly port: Port; readonly signal: AbortSignal }): Promise<void>;
}

/** Makes the list; `attachmentOf` names a peer's attachment, if it has one. */
export function createDevices(attachmentOf: (peer: NomqPeer) => string | undefined): Devices {
  // Everybody the node knows: a peer is there before its first SUBSCRIBE gives it an attachment.
  const known = new Map<string, PresenceChange>();
  const list = (): readonly DevicePresence[] =>
    [...known.values()].flatMap(({ peer, state, reason, at: since }) => {
      const attachment = attachmentOf(peer);
      if (attachment === undefined) return [];
      return [{ attachment, state, reason, since, address: addressText(peer.address) }];
    });
  const note = (change: PresenceChange): void => {
    const { peer, state } = change;
    if (state === "online" || peer.known) known.set(peer.id, change);
    else known.delete(peer.id);
  };
  return {
    list,
    count() {
      const all = list();
      const online = all.filter(({ state }) => state === "online").length;
      return { online, offline: all.length - online };
    },
    async follow(node, { port, signal }) {
      for await (const change of node.presence({ signal })) {
        note(change);
        const { peer, state, reason } = change;
        if (reason === "never-heard") continue;
        port.sessionLog.record(presenceEntry(change));
        if (!peer.known) continue;
        port.log.info(`a device is ${state}`, {
          device: peer.id,
          reason,
          address: addressText(peer.address),
        });
      }
    },
  };
}

/**
 * A peer was heard again: what waits after an unanswered try goes now, and retained state is sent again; while no
 * socket works (`isCut`), when one does.
 */
export function welcome(attachment: Attachment | undefined, isCut: boolean): void {
  if (attachment === undefined) return;
  if (!isCut) {
    attachment.pause("heard again");
    attachment.resume();
  }
  attachment.repair();
}
