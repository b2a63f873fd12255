import { createSocket, type Socket } from "node:dgram";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { plainAddress, plainHost } from "../address.ts";
import { codeOf } from "../errors.ts";

/** Which addresses a UDP socket reaches; `dual` is bound to `::` and reaches both. */
export type SocketFamily = "dual" | "ipv6" | "ipv4";

/** How {@link bindUdpSocket} binds. */
export interface UdpBinding {
  /** An IP literal without brackets. */
  readonly host: string;
  /** 0: the kernel picks one. */
  readonly port: number;
  /** Asked of the kernel, which may grant less. Default 4 MiB: with less, bursts of acknowledgements are lost. */
  readonly receiveBuffer?: number | undefined;
  /** Others of this user may bind the port as well, if they say so too (SO_REUSEPORT). Default false. */
  readonly shared?: boolean;
}

const DEFAULT_RECEIVE_BUFFER = 4 * 1024 * 1024;
const MAPPED_IPV4 = "::ffff:";
/** What binding `::` answers where IPv6 is compiled out, disabled, or without addresses. */
const NO_IPV6: ReadonlySet<string> = new Set(["EAFNOSUPPORT", "EADDRNOTAVAIL", "EPROTONOSUPPORT", "EINVAL"]);

/** The family of a socket bound to this host. */
export function familyOf(host: string): SocketFamily {
  if (host === "::") return "dual";
  return isIP(host) === 6 ? "ipv6" : "ipv4";
}

/** Binds a socket; rejects with what the system says, and leaves nothing open then. */
export async function bindUdpSocket(binding: UdpBinding): Promise<Socket> {
  const { host, port, receiveBuffer = DEFAULT_RECEIVE_BUFFER, shared = false } = binding;
  const socket = createSocket({
    type: isIP(host) === 6 ? "udp6" : "udp4",
    reusePort: shared,
    recvBufferSize: receiveBuffer,
    // Hosts are literals: answering here keeps names, and a turn of the resolver, out of every send.
    lookup: (literal, _options, found) => found(null, literal, isIP(literal)),
  });
  const bound = Promise.withResolvers<void>();
  socket.once("error", bound.reject);
  try {
    socket.bind({ address: host, port, exclusive: true }, bound.resolve);
    await bound.promise;
  } catch (error) {
    socket.close();
    throw error;
  }
  socket.off("error", bound.reject);
  return socket;
}

/** Whether binding a host failed because this machine has no IPv6: `0.0.0.0` is all there is to bind then. */
export const lacksIpv6 = (host: string, error: unknown): boolean =>
  host === "::" && NO_IPV6.has(codeOf(error));

/** Whether this machine has the address a socket is bound to. */
export function hasAddress(host: string): boolean {
  if (host === "::" || host === "0.0.0.0") return true;
  const [plain] = plainHost(host).split("%", 1);
  // All of 127.0.0.0/8 is the loopback interface's.
  if (plain?.startsWith("127.")) return true;
  return Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === plain));
}

/**
 * The address as a socket of this family wants it: a dual-stack one answers EINVAL to plain IPv4 literals. Undefined for
 * what no datagram of it can reach: a name, or an address of the other family.
 */
export function reachableAddress(host: string, family: SocketFamily): string | undefined {
  const plain = plainAddress(host);
  const version = isIP(plain);
  if (version === 0) return undefined;
  if (family === "dual") return version === 4 ? `${MAPPED_IPV4}${plain}` : plain;
  return (version === 4) === (family === "ipv4") ? plain : undefined;
}
