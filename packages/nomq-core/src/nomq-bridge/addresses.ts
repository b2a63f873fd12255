import { isIP } from "node:net";
import { NomqError } from "../errors.ts";
import type { Endpoint } from "../transport.ts";

const HOST_AND_PORT = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/;
const SCHEME = "udp://";

/** Reads `HOST:PORT`, IPv6 in brackets. Throws `config-invalid`; the host must be an IP literal, port 0 is for listeners. */
export function parseEndpoint(text: string): Endpoint {
  const match = HOST_AND_PORT.exec(text);
  const host = match?.[1] ?? match?.[2] ?? "";
  const port = Number(match?.[3]);
  if (isIP(host) === 0 || !(port <= 65_535)) {
    throw new NomqError(
      "config-invalid",
      `"${text}" is not IP:PORT, such as 10.0.0.7:9001 or [fe80::7]:9001`,
    );
  }
  return { host, port };
}

/** Reads `udp://HOST:PORT`; the scheme may be left out. Throws `config-invalid`. */
export function parseListen(url: string): Endpoint {
  return parseEndpoint(url.startsWith(SCHEME) ? url.slice(SCHEME.length) : url);
}

/** `udp://HOST:PORT` of an endpoint. */
export function listenUrl({ host, port }: Endpoint): string {
  return `${SCHEME}${host.includes(":") ? `[${host}]` : host}:${port}`;
}
