import { isIP } from "node:net";
import { isGroupHost, listenUrl, parseEndpoint, parseListen } from "../address.ts";
import type { Attachment, BridgeStatus } from "../bridge.ts";
import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { Endpoint, Transport } from "../transport.ts";
import { openReopeningTransport } from "../udp/reopening-transport.ts";
import { type MulticastGroup, openUdpTransport } from "../udp/udp-transport.ts";
import { type AckSettings, ackSettings, urlOf } from "./ack-settings.ts";
import { type JoinedTransport, openJoined } from "./joined-transport.ts";
import type { NomqBridgeOptions } from "./options.ts";

/** The listeners of a bridge: opened together, each opened again when it fails. */
export interface Listeners {
  open(use: { readonly clock: Clock; readonly log: Log }): Promise<Transport>;
  /** Where each listens; undefined before they are open. */
  locals(): readonly Endpoint[] | undefined;
  /** When a message that comes from there now is acknowledged. */
  pointFor(from: Endpoint): AckSettings;
  /** How the bridge is while it runs. */
  status(): Pick<BridgeStatus, "state" | "reason">;
}

type ListenersUse = Pick<
  Extract<NomqBridgeOptions, { listen: unknown }>,
  "listen" | "openTransport" | "broadcast" | "ack" | "ackTimeout"
>;

/** Makes the listeners, of which nothing is open yet; `changed` is told when {@link Listeners.status} is another. */
export function createListeners(options: ListenersUse, changed: () => void): Listeners {
  const listen = options.listen.map(urlOf);
  const points = options.listen.map((listener) => ackSettings(options, listener));
  const { broadcast, openTransport = (url) => openUdpListener(url, broadcast) } = options;
  const failed = new Map<object, string>();
  let joined: JoinedTransport | undefined;
  return {
    async open({ clock, log }) {
      joined = await openJoined(listen, (url) => {
        // Port 0 may be asked for twice: the URL names no listener.
        const listener = {};
        return openReopeningTransport({
          clock,
          log,
          open: (port) => openTransport(port === undefined ? url : listenUrl({ ...parseListen(url), port })),
          changed(reason) {
            if (reason === undefined) failed.delete(listener);
            else failed.set(listener, `${url}: ${reason}`);
            changed();
          },
        });
      });
      return joined;
    },
    locals: () => joined?.locals,
    pointFor: (from) => points[joined?.heardBy(from) ?? 0] ?? ackSettings(options),
    status() {
      const [reason] = failed.values();
      if (reason === undefined) return { state: "ready" };
      return { state: failed.size < listen.length ? "degraded" : "reconnecting", reason };
    },
  };
}

/** While nothing leaves, messages wait: handed to a socket that is being opened again they would be lost. */
export function pauseUnless(works: boolean, attachments: readonly Attachment[]): void {
  for (const attachment of attachments) {
    if (works) attachment.resume();
    else attachment.pause("reconnecting");
  }
}

/** Opens a UDP socket for a listener's URL, a member of the multicast groups among the broadcast addresses. */
export function openUdpListener(listen: string, broadcast: readonly string[] = []): Promise<Transport> {
  const { host, port } = parseListen(listen);
  return openUdpTransport({ host, port, multicast: groupsOf(host, broadcast) });
}

/** A socket that is bound to one address hears no multicast. */
function groupsOf(host: string, broadcast: readonly string[]): readonly MulticastGroup[] {
  if (host !== "::" && host !== "0.0.0.0") return [];
  return broadcast
    .map((address) => parseEndpoint(address).host)
    .filter((group) => isGroupHost(group) && group !== "255.255.255.255")
    .filter((group) => host === "::" || isIP(group) === 4)
    .map((group) => ({ group }));
}
