import type { Endpoint, Transport } from "../transport.ts";

/** A transport over several listeners, and where each of them listens. */
export interface JoinedTransport extends Transport {
  readonly locals: readonly Endpoint[];
  /** Which listener heard the address last, counted from 0; exact while the datagram from there is being taken. */
  heardBy(from: Endpoint): number;
}

const MOST_REMEMBERED = 10_000;

/**
 * Joins listeners into one, so that one node, with one set of replay windows, serves them all. What is sent to an
 * address leaves through the listener that heard it last: devices know us by that port.
 */
function joinTransports(transports: readonly [Transport, ...Transport[]]): JoinedTransport {
  const [first] = transports;
  const heardBy = new Map<string, Transport>();
  const keyOf = ({ host, port }: Endpoint): string => `${host} ${port}`;
  const numbers = new Map(transports.map((transport, at) => [transport, at]));
  const via = (to: Endpoint): Transport => heardBy.get(keyOf(to)) ?? bestFor(transports, to) ?? first;

  return {
    local: first.local,
    get locals() {
      return transports.map((transport) => transport.local);
    },
    heardBy(from) {
      if (transports.length === 1) return 0;
      return numbers.get(heardBy.get(keyOf(from)) ?? first) ?? 0;
    },
    send: (datagram, to) => via(to).send(datagram, to),
    onDatagram(receive) {
      for (const transport of transports) {
        transport.onDatagram((datagram, from) => {
          // Junk from invented addresses must not push out the peers for good: it only turns the table over.
          if (transports.length > 1 && heardBy.get(keyOf(from)) !== transport) {
            if (heardBy.size >= MOST_REMEMBERED) heardBy.clear();
            heardBy.set(keyOf(from), transport);
          }
          receive(datagram, from);
        });
      }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(transports.map((transport) => transport[Symbol.asyncDispose]()));
    },
  };
}

/** The listener that reaches the address: one on every address of its family, for that leaves from the right one. */
function bestFor(transports: readonly Transport[], to: Endpoint): Transport | undefined {
  const isIpv6 = to.host.includes(":");
  const ofFamily = transports.filter(({ local }) => local.host.includes(":") === isIpv6);
  const wildcard = isIpv6 ? "::" : "0.0.0.0";
  const isAt =
    (host: string) =>
    (transport: Transport): boolean =>
      transport.local.host === host;
  return ofFamily.find(isAt(wildcard)) ?? transports.find(isAt("::")) ?? ofFamily[0];
}

/** Opens all or none. */
export async function openJoined(
  listen: readonly string[],
  open: (url: string) => Promise<Transport>,
): Promise<JoinedTransport> {
  const opened: Transport[] = [];
  try {
    for (const url of listen) opened.push(await open(url));
    const [first, ...rest] = opened;
    if (first === undefined) throw new RangeError("no listener");
    return joinTransports([first, ...rest]);
  } catch (error) {
    await Promise.all(opened.map((transport) => transport[Symbol.asyncDispose]()));
    throw error;
  }
}
