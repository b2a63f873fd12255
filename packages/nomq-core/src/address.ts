import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { NomqError } from "./errors.ts";
import type { Endpoint } from "./transport.ts";

const HOST_AND_PORT = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/;
const SCHEME = "udp://";
/** How URLs write the `%` before a zone (RFC 6874, section 2). */
const ESCAPED_ZONE = /^([^%]+)%25(?=.)/;
const MAPPED_IPV4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** `HOST:PORT`, IPv6 in brackets: how an endpoint is named in texts, and by what two of them are the same. */
export function addressText({ host, port }: Endpoint): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/**
 * Reads `HOST:PORT`, IPv6 in brackets, a link-local one with its zone (`[fe80::7%eth0]:9001`). The host is an IP
 * literal or `localhost`. Throws `config-invalid`.
 */
export function parseEndpoint(text: string): Endpoint {
  const match = HOST_AND_PORT.exec(text);
  const host = plainHost(match?.[1] ?? match?.[2] ?? "");
  const port = Number(match?.[3]);
  if (isIP(host) === 0 || !(port <= 65_535)) {
    throw new NomqError(
      "config-invalid",
      `"${text}" is not IP:PORT, such as 10.0.0.7:9001 or [fe80::7%eth0]:9001`,
    );
  }
  return { host, port };
}

/** Reads `udp://HOST:PORT`; the scheme may be left out, a zone be escaped as `%25`. Throws `config-invalid`. */
export function parseListen(url: string): Endpoint {
  const text = url.startsWith(SCHEME) ? url.slice(SCHEME.length) : url;
  return parseEndpoint(text.replace(ESCAPED_ZONE, "$1%"));
}

/** `udp://HOST:PORT` of an endpoint. */
export function listenUrl(endpoint: Endpoint): string {
  return `${SCHEME}${addressText(endpoint)}`;
}

/** IPv4 as it is, not as a dual-stack socket shows it (`::ffff:a.b.c.d`); everything else stays. */
export function plainAddress(address: string): string {
  const inner = MAPPED_IPV4.exec(address)?.[1];
  return inner !== undefined && isIP(inner) === 4 ? inner : address;
}

/** One spelling for one address, the one in which datagrams name it; what is no address stays as it is. */
export function plainHost(host: string): string {
  if (host === "localhost") return "127.0.0.1";
  if (isIP(host) !== 6) return host;
  const [address = "", zone] = host.split("%", 2);
  const inner = plainAddress(address);
  const plain = isIP(inner) === 4 ? inner : new URL(`http://[${address}]`).hostname.slice(1, -1);
  return zone === undefined ? plain : `${plain}%${zoneName(zone)}`;
}

/** The endpoint with its host in that one spelling. */
export function plainEndpoint({ host, port }: Endpoint): Endpoint {
  return { host: plainHost(host), port };
}

/** Zones may be written as numbers; datagrams name the interface, except on Windows. */
function zoneName(zone: string): string {
  if (process.platform === "win32" || !/^\d+$/.test(zone)) return zone;
  const numbered = Object.entries(networkInterfaces()).find(([, addresses]) =>
    addresses?.some((one) => one.family === "IPv6" && one.scopeid === Number(zone)),
  );
  return numbered?.[0] ?? zone;
}

/** Whether datagrams to it reach everybody who listens: the limited broadcast, or a multicast group. */
export function isGroupHost(host: string): boolean {
  const plain = plainAddress(host);
  if (isIP(plain) === 6) return /^ff/i.test(plain);
  return isIP(plain) === 4 && (plain === "255.255.255.255" || /^2(2[4-9]|3\d)\./.test(plain));
}
