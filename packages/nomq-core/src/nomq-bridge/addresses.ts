import { isIP } from "node:net";
import { NomqError } from "../errors.ts";
import type { Endpoint } from "../transport.ts";

const HOST_AND_PORT = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/;
const SCHEME = "udp://";

/** Reads `HOST:PORT`, IPv6 in brackets. Throws `config-invalid`; the host is an IP literal or `localhost`. */
export function parseEndpoint(text: string): Endpoint {
  const match = HOST_AND_PORT.exec(text);
  const host = plainHost(match?.[1] ?? match?.[2] ?? "");
  const port = Number(match?.[3]);
  if (isIP(host) === 0 || !(port <= 65_535)) {
    throw new NomqError(
      "config-invalid",
      `"${text}" is not IP:PORT, such as 10.0.0.7:9001 or [fe80::7]:9001`,
    );
  }
  return { host, port };
}

/** One spelling for one address, the one in which datagrams name it. */
function plainHost(host: string): string {
  if (host === "localhost") return "127.0.0.1";
  if (isIP(host) !== 6 || host.includes("%")) return host;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host);
  return mapped?.[1] ?? new URL(`http://[${host}]`).hostname.slice(1, -1);
}

/** Reads `udp://HOST:PORT`; the scheme may be left out. Throws `config-invalid`. */
export function parseListen(url: string): Endpoint {
  return parseEndpoint(url.startsWith(SCHEME) ? url.slice(SCHEME.length) : url);
}

/** `udp://HOST:PORT` of an endpoint. */
export function listenUrl({ host, port }: Endpoint): string {
  return `${SCHEME}${host.includes(":") ? `[${host}]` : host}:${port}`;
}
