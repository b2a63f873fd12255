import type { RemoteInfo, Socket } from "node:dgram";
import { isIP } from "node:net";
import { addressText, isGroupHost, plainAddress } from "../address.ts";
import { systemClock } from "../clock.ts";
import { codeOf, NomqError } from "../errors.ts";
import { type Log, silentLog } from "../log.ts";
import { LARGEST_DATAGRAM } from "../packet/layout.ts";
import type { Endpoint, Transport } from "../transport.ts";
import { createFailureWatch } from "./failures.ts";
import { type Families, joinGroups, type MulticastGroup } from "./multicast.ts";
import {
  bindUdpSocket,
  familyOf,
  hasAddress,
  lacksIpv6,
  reachableAddress,
  type SocketFamily,
} from "./udp-socket.ts";

export type { MulticastGroup } from "./multicast.ts";

/** Where to bind and how. */
export interface UdpOptions {
  /**
   * An IP literal without brackets, a link-local one with its zone. Default `::`: IPv6 and IPv4 on one socket, or
   * `0.0.0.0` on a machine without IPv6. IPv4 peers appear as plain IPv4 addresses either way, and IPv4 broadcasts
   * leave and arrive either way.
   */
  readonly host?: string;
  /** Default 0: the kernel picks one. */
  readonly port?: number;
  /** Asked of the kernel, which may grant less. Default 4 MiB: with less, bursts of acknowledgements are lost. */
  readonly receiveBuffer?: number;
  /** Allow sending to broadcast addresses. Default true. */
  readonly broadcast?: boolean;
  /** Multicast groups to join. Default none. `ff02::1`, all nodes of a link, needs no joining. */
  readonly multicast?: readonly MulticastGroup[];
  /** Default: silent. */
  readonly log?: Log;
}

/**
 * Binds a UDP socket. Never shares a port (no SO_REUSEADDR): a taken one rejects with `port-in-use`, anything else
 * with `listen-failed`. Datagrams that the system cannot send are lost, as on any network, and logged at debug; for
 * broadcasts and multicast the first is a warning. A socket that no longer works says so by `failed`: reported by the
 * system, sends that lack memory, buffers or a network, five in a row
 * and for a second, or the address it is bound to taken away. The
 * socket keeps the process alive until disposed.
 */
export async function openUdpTransport(options: UdpOptions = {}): Promise<Transport> {
  const host = options.host ?? "::";
  try {
    return await bind(options, host);
  } catch (error) {
    if (lacksIpv6(host, error)) {
      return bind(options, "0.0.0.0").catch((again: unknown) => fail(again, options, "0.0.0.0"));
    }
    return fail(error, options, host);
  }
}

function fail(error: unknown, options: UdpOptions, host: string): never {
  if (error instanceof NomqError) throw error;
  const at = addressText({ host, port: options.port ?? 0 });
  const code = codeOf(error);
  if (code === "EADDRINUSE") {
    throw new NomqError("port-in-use", `udp://${at} is taken by another program`, { cause: error });
  }
  throw new NomqError("listen-failed", `udp://${at} cannot be bound (${code})`, {
    cause: error,
  });
}

async function bind(options: UdpOptions, host: string): Promise<Transport> {
  if (isIP(host) === 0) throw new NomqError("listen-failed", `"${host}" is not an IP address`);
  const { port = 0, receiveBuffer, broadcast = true, multicast = [] } = options;
  const socket = await bindUdpSocket({ host, port, receiveBuffer });
  const family = familyOf(host);
  try {
    socket.setBroadcast(broadcast);
    joinGroups(socket, multicast, familiesOf(family));
  } catch (error) {
    socket.close();
    throw error;
  }
  return wrap(socket, { family, log: options.log ?? silentLog });
}

function familiesOf(kind: SocketFamily): Families {
  return { ipv4: kind !== "ipv6", ipv6: kind !== "ipv4" };
}

interface Bound {
  readonly family: SocketFamily;
  readonly log: Log;
}

function wrap(socket: Socket, { family, log }: Bound): Transport {
  const address = socket.address();
  const local = { host: address.address, port: address.port };
  // The kernel caps what is asked at net.core.rmem_max and reports twice what it granted on Linux.
  log.debug("UDP socket bound", { ...local, receiveBuffer: socket.getRecvBufferSize() });
  let receiver: ((datagram: Uint8Array, from: Endpoint) => void) | undefined;
  let closed: Promise<void> | undefined;
  const { promise: failed, resolve: fails } = Promise.withResolvers<string>();
  const watch = createFailureWatch({
    hasAddress: () => hasAddress(local.host),
    now: () => systemClock.monotonic(),
  });
  const loses = sayingLoss(log);

  socket.on("error", (error) => {
    log.warn("UDP socket error", { port: local.port, code: codeOf(error) });
    const reason = watch.reported(codeOf(error));
    if (reason !== undefined) fails(reason);
  });
  socket.on("message", (datagram, from) => {
    try {
      receiver?.(datagram, endpointOf(from));
    } catch (error) {
      log.error("receiver of a datagram threw", {
        error: error instanceof Error ? error.message : "unknown",
      });
    }
  });

  return {
    local,
    failed,
    async send(datagram, to) {
      if (closed !== undefined) throw new NomqError("closed", "the transport is closed");
      if (datagram.length > LARGEST_DATAGRAM) throw tooLarge(datagram.length);
      const host = reachableAddress(to.host, family);
      if (host === undefined) {
        loses(to, "unreachable");
        return;
      }
      const code = await sendOn(socket, datagram, { host, port: to.port });
      if (code === "EMSGSIZE") throw tooLarge(datagram.length);
      if (code === undefined) {
        watch.sent();
        return;
      }
      loses(to, code);
      const reason = watch.notSent(code);
      if (reason !== undefined) fails(reason);
    },
    onDatagram(receive) {
      receiver = receive;
    },
    async [Symbol.asyncDispose]() {
      closed ??= new Promise((resolve) => socket.close(resolve));
      await closed;
    },
  };
}

/** What goes to everybody is not repeated: that it never left must not stay unseen. */
function sayingLoss(log: Log): (to: Endpoint, code: string) => void {
  const said = new Set<string>();
  return ({ host, port }, code) => {
    const isNews = isGroupHost(host) && !said.has(code);
    if (isNews) said.add(code);
    log[isNews ? "warn" : "debug"]("datagram lost", { host, port, code });
  };
}

function tooLarge(bytes: number): NomqError {
  return new NomqError("datagram-too-large", `${bytes} bytes, UDP carries ${LARGEST_DATAGRAM}`);
}

function endpointOf({ address, port }: RemoteInfo): Endpoint {
  return { host: plainAddress(address), port };
}

/**
 * Resolves with the error's code, or undefined when the kernel took the datagram. Never rejects: `send` throws on
 * port 0, from which anybody may have sent us a datagram.
 */
function sendOn(socket: Socket, datagram: Uint8Array, to: Endpoint): Promise<string | undefined> {
  return new Promise((resolve) => {
    try {
      socket.send(datagram, to.port, to.host, (error) => {
        resolve(error === null || error === undefined ? undefined : codeOf(error) || "failed");
      });
    } catch (error) {
      resolve(codeOf(error) || "failed");
    }
  });
}
