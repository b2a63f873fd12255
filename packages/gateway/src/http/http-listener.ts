import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer, type ServerOptions } from "node:https";
import type { Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { type Clock, codeOf, listenOnTcp, NomqError } from "@nomq/core";
import type { ApiError } from "../api/failure.ts";
import type { ListenerConfig, ListenerTls } from "../config/config.ts";
import { addressOf } from "./caller.ts";
import { createGuard } from "./guard.ts";
import type { HttpLimits } from "./limits.ts";
import { createPageRules } from "./pages.ts";

/** An HTTP listener that is open. */
export interface HttpListener {
  /** With the real port: `http://127.0.0.1:8080`. */
  readonly address: string;
  /** Takes nothing new, lets what is under way end for the grace, then cuts it. */
  close(): Promise<void>;
}

/** Options of {@link openHttpListener}. */
export interface HttpListenerOptions {
  readonly listener: ListenerConfig;
  /** `http.listen[0]`. */
  readonly key: string;
  readonly fetch: Parameters<typeof getRequestListener>[0];
  readonly limits: HttpLimits;
  readonly clock: Clock;
  /** A request was refused for the page it comes from. */
  refused(error: ApiError, address: string): void;
  /** An answer has been sent. */
  answered(status: number): void;
}

/** Opens one. Rejects with `port-in-use` or `listen-failed`, naming the URL, or `config-invalid` for bad TLS files. */
export async function openHttpListener(options: HttpListenerOptions): Promise<HttpListener> {
  const { listener, limits, clock } = options;
  const rules = createPageRules(listener);
  const guard = createGuard({ rules, limits, refused: options.refused });
  const handle = getRequestListener(options.fetch, { overrideGlobalObjects: false });
  const underWay = new Set<ServerResponse>();
  const serve = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    underWay.add(outgoing);
    outgoing.once("close", () => {
      underWay.delete(outgoing);
      // Its connection would wait for a next request.
      if (!server.listening) setImmediate(() => server.closeIdleConnections());
    });
    outgoing.once("finish", () => options.answered(outgoing.statusCode));
    if (guard(incoming, outgoing, underWay.size)) void handle(incoming, outgoing);
  };
  const server = serverOf(options, serve);
  boundConnections(server, limits);
  const sockets = socketsOf(server, listener.tls !== undefined);
  const { url } = listener;
  const bound = await listenOnTcp(server, { url, host: rules.host, port: Number(/:(\d+)$/.exec(url)?.[1]) });
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const outgoing of underWay) if (!outgoing.headersSent) outgoing.setHeader("connection", "close");
    // Node counts a connection that has not asked yet as busy.
    const busy = new Set([...underWay].map(({ socket }) => socket));
    for (const socket of sockets) if (!busy.has(socket)) socket.destroy();
    const cancel = clock.after(limits.grace, () => server.closeAllConnections());
    await closed;
    cancel();
  };
  return {
    address: `${rules.scheme}://${bound}`,
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}

function serverOf(
  { listener, key, limits }: HttpListenerOptions,
  serve: (incoming: IncomingMessage, outgoing: ServerResponse) => void,
): Server {
  const options: ServerOptions = {
    headersTimeout: limits.headersTimeout,
    requestTimeout: limits.requestTimeout,
    keepAliveTimeout: limits.keepAliveTimeout,
    connectionsCheckingInterval: limits.checkInterval,
    maxHeaderSize: limits.headerBytes,
    noDelay: true,
  };
  if (listener.tls === undefined) return createServer(options, serve);
  const tls = tlsOptions(listener.tls, `${key}.tls`);
  try {
    return createSecureServer({ ...options, ...tls, handshakeTimeout: limits.headersTimeout }, serve);
  } catch (error) {
    throw new NomqError("config-invalid", `${key}.tls: the files do not fit (${codeOf(error)})`, {
      cause: error,
    });
  }
}

function tlsOptions({ cert, key, ca, clients = "none" }: ListenerTls, path: string): ServerOptions {
  const read = (file: string, name: string): Buffer => {
    try {
      return readFileSync(file);
    } catch (error) {
      throw new NomqError("config-invalid", `${path}.${name}: cannot read ${file} (${codeOf(error)})`);
    }
  };
  return {
    cert: read(cert, "cert"),
    key: read(key, "key"),
    ...(ca === undefined ? {} : { ca: read(ca, "ca") }),
    requestCert: clients !== "none",
    rejectUnauthorized: clients === "required",
    minVersion: "TLSv1.2",
  };
}

/** A flood of connections, from everywhere or from one address, takes no more than its share. */
function boundConnections(server: Server, limits: HttpLimits): void {
  server.maxConnections = limits.connections;
  server.maxHeadersCount = limits.headers;
  server.maxRequestsPerSocket = limits.requestsPerConnection;
  const open = new Map<string, number>();
  server.on("connection", (socket: Socket) => {
    const address = addressOf({ socket });
    const count = (open.get(address) ?? 0) + 1;
    if (count > limits.connectionsPerAddress) {
      socket.destroy();
      return;
    }
    open.set(address, count);
    socket.once("close", () => {
      const left = (open.get(address) ?? 1) - 1;
      if (left === 0) open.delete(address);
      else open.set(address, left);
    });
  });
}

/** The connections that are open, as requests know them. */
function socketsOf(server: Server, isSecure: boolean): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  server.on(isSecure ? "secureConnection" : "connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  return sockets;
}
