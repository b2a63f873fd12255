import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { isIP } from "node:net";
import { addressText, plainIpv4 } from "./address.ts";
import { NomqError } from "./errors.ts";
import { type Log, silentLog } from "./log.ts";
import { LARGEST_DATAGRAM } from "./packet/layout.ts";
import type { Endpoint, Transport } from "./transport.ts";

/** Where to bind and how. */
export interface UdpOptions {
  /**
   * An IP literal without brackets. Default `::`: IPv6 and IPv4 on one socket, or `0.0.0.0` on a machine without
   * IPv6. IPv4 peers appear as plain IPv4 addresses either way.
   */
  readonly host?: string;
  /** Default 0: the kernel picks one. */
  readonly port?: number;
  /** Asked of the kernel, which may grant less. Default 4 MiB: with less, bursts of acknowledgements are lost. */
  readonly receiveBuffer?: number;
  /** Allow sending to broadcast addresses. Default false. */
  readonly broadcast?: boolean;
  /** Default: silent. */
  readonly log?: Log;
}

const DEFAULT_RECEIVE_BUFFER = 4 * 1024 * 1024;
const MAPPED_IPV4 = "::ffff:";
/** What binding `::` answers where IPv6 is compiled out, disabled, or without addresses. */
const NO_IPV6 = new Set(["EAFNOSUPPORT", "EADDRNOTAVAIL", "EPROTONOSUPPORT", "EINVAL"]);

/**
 * Binds a UDP socket. Never shares a port (no SO_REUSEADDR): a taken one rejects with `port-in-use`, anything else
 * with `listen-failed`. Datagrams that the system cannot send are lost, as on any network, and logged at debug.
 * The socket keeps the process alive until disposed.
 */
export async function openUdpTransport(options: UdpOptions = {}): Promise<Transport> {
  const host = options.host ?? "::";
  try {
    return await bind(options, host);
  } catch (error) {
    if (host === "::" && NO_IPV6.has(codeOf(error))) {
      return bind(options, "0.0.0.0").catch((again: unknown) => fail(again, options, "0.0.0.0"));
    }
    return fail(error, options, host);
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

function fail(error: unknown, options: UdpOptions, host: string): never {
  const at = addressText({ host, port: options.port ?? 0 });
  const code = codeOf(error);
  if (code === "EADDRINUSE") {
    throw new NomqError("port-in-use", `udp://${at} is taken by another program`, { cause: error });
  }
  throw new NomqError("listen-failed", `udp://${at} cannot be bound (${code || "unknown cause"})`, {
    cause: error,
  });
}

async function bind(options: UdpOptions, host: string): Promise<Transport> {
  const family = isIP(host);
  if (family === 0) throw new NomqError("listen-failed", `"${host}" is not an IP address`);
  const socket = createSocket({
    type: family === 6 ? "udp6" : "udp4",
    recvBufferSize: options.receiveBuffer ?? DEFAULT_RECEIVE_BUFFER,
    // Hosts are literals: answering here keeps names, and a turn of the resolver, out of every send.
    lookup: (literal, _options, found) => found(null, literal, isIP(literal)),
  });
  const bound = Promise.withResolvers<void>();
  socket.once("error", bound.reject);
  socket.bind({ address: host, port: options.port ?? 0, exclusive: true }, bound.resolve);
  try {
    await bound.promise;
  } catch (error) {
    socket.close();
    throw error;
  }
  socket.off("error", bound.reject);
  if (options.broadcast === true) socket.setBroadcast(true);
  return wrap(socket, {
    family: host === "::" ? "dual" : family === 6 ? "ipv6" : "ipv4",
    log: options.log ?? silentLog,
  });
}

interface Bound {
  readonly family: "dual" | "ipv6" | "ipv4";
  readonly log: Log;
}

function wrap(socket: Socket, { family, log }: Bound): Transport {
  const address = socket.address();
  const local = { host: address.address, port: address.port };
  // The kernel caps what is asked at net.core.rmem_max and reports twice what it granted on Linux.
  log.debug("UDP socket bound", { ...local, receiveBuffer: socket.getRecvBufferSize() });
  let receiver: ((datagram: Uint8Array, from: Endpoint) => void) | undefined;
  let closed: Promise<void> | undefined;

  socket.on("error", (error) => log.warn("UDP socket error", { port: local.port, code: codeOf(error) }));
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
    async send(datagram, to) {
      if (closed !== undefined) throw new NomqError("closed", "the transport is closed");
      if (datagram.length > LARGEST_DATAGRAM) throw tooLarge(datagram.length);
      const host = reachable(to, family);
      if (host === undefined) {
        log.debug("datagram lost", { host: to.host, port: to.port, code: "unreachable" });
        return;
      }
      const code = await sendOn(socket, datagram, { host, port: to.port });
      if (code === "EMSGSIZE") throw tooLarge(datagram.length);
      if (code !== undefined) log.debug("datagram lost", { host: to.host, port: to.port, code });
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

function tooLarge(bytes: number): NomqError {
  return new NomqError("datagram-too-large", `${bytes} bytes, UDP carries ${LARGEST_DATAGRAM}`);
}

function endpointOf({ address, port }: RemoteInfo): Endpoint {
  return { host: plainIpv4(address) ?? address, port };
}

/**
 * The address as this socket wants it: a dual-stack socket answers EINVAL to plain IPv4 literals. Undefined for
 * what no datagram of this socket can reach: a name, or an address of the other family.
 */
function reachable({ host }: Endpoint, family: Bound["family"]): string | undefined {
  const plain = plainIpv4(host) ?? host;
  const kind = isIP(plain);
  if (kind === 0) return undefined;
  if (family === "dual") return kind === 4 ? `${MAPPED_IPV4}${plain}` : plain;
  return (kind === 4) === (family === "ipv4") ? plain : undefined;
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
