import { isIP } from "node:net";
import { type Clock, type Log, openReopeningTransport, openUdpTransport, type Transport } from "@nomq/core";
import type { CoapSocket } from "../listen/coap-socket.ts";
import { createMessaging } from "../messaging/create-messaging.ts";
import type { Messaging } from "../messaging/messaging.ts";

/** Opens the client's socket; `port` absent: any. */
export type OpenTransport = (port: number | undefined) => Promise<Transport>;

/** The client's own socket with the message layer on it. Listeners' sockets may reach loopback alone, or not be there. */
export interface ClientSocket extends AsyncDisposable {
  readonly messaging: Messaging;
  readonly port: number;
}

/** Options of {@link openClientSocket}. */
export interface ClientSocketOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  /** Default: UDP, IPv6 and IPv4, opened again when it fails. */
  readonly open?: OpenTransport;
  /** Taken where it is free. */
  readonly port?: number;
}

/** Requests go to the addresses of a configuration: none of them is in need of protection from what it sent. */
const EVERYWHERE = ["0.0.0.0/0", "::/0"];

/** Opens it. Rejects with `listen-failed`. */
export async function openClientSocket(options: ClientSocketOptions): Promise<ClientSocket> {
  const { clock, log, random, port } = options;
  const open = options.open ?? openUdp(clock, log);
  const transport = await openAt(open, port);
  const messaging = createMessaging({ clock, log, random, trusted: EVERYWHERE });
  messaging.listen(socketOn(transport));
  return {
    messaging,
    port: transport.local.port,
    async [Symbol.asyncDispose]() {
      await messaging[Symbol.asyncDispose]();
      await transport[Symbol.asyncDispose]();
    },
  };
}

/** Another program may have our port of the last run. */
async function openAt(open: OpenTransport, port: number | undefined): Promise<Transport> {
  if (port === undefined) return open(undefined);
  return open(port).catch(() => open(undefined));
}

function openUdp(clock: Clock, log: Log): OpenTransport {
  return (wanted) =>
    openReopeningTransport({
      open: (port = wanted) => openUdpTransport({ ...(port === undefined ? {} : { port }), log }),
      clock,
      log,
    });
}

function socketOn(transport: Transport): CoapSocket {
  const isIpv4 = isIP(transport.local.host) === 4;
  return {
    name: "client",
    local: transport.local,
    send(datagram, port, host) {
      // What cannot leave is lost, as on any network.
      transport.send(datagram, { host, port }).catch(() => undefined);
    },
    onDatagram(receive) {
      transport.onDatagram((datagram, { host, port }) => receive(datagram, host, { port, toGroup: false }));
    },
    hostOf: (host) => host,
    addressOf: (host) => (isIpv4 && isIP(host) === 6 ? undefined : host),
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  };
}
