import { createServer as createHttpServer } from "node:http";
import type { AddressInfo, Server, Socket } from "node:net";
import { createServer as createTcpServer } from "node:net";
import { NomqError } from "@nomq/core";
import type { ListenerEvents } from "./arrival.ts";
import type { ListenerSettings } from "./options.ts";
import { serveWebSocket } from "./websocket.ts";

/** An open listener. */
export interface OpenListener {
  /** The real address, `mqtt://127.0.0.1:1883`. */
  readonly address: string;
  /** Takes no new connections; open ones go on. */
  close(): void;
  /** Ends every connection that is still open; resolves when nothing is left. */
  destroy(): Promise<void>;
}

/** Opens one listener. Rejects with `port-in-use` or `listen-failed`, naming the address. */
export async function openListener(
  settings: ListenerSettings,
  events: ListenerEvents,
): Promise<OpenListener> {
  const server = settings.scheme === "ws" ? createHttpServer() : createTcpServer({ noDelay: true });
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    if (settings.scheme === "mqtt") {
      events.connection({ socket, address: socket.remoteAddress ?? "", listener: settings });
    }
  });
  const endWebSockets = settings.scheme === "ws" ? serveWebSocket(server, settings, events) : undefined;
  await listen(server, settings);
  const { address, family, port } = addressOf(server);
  const host = family === "IPv6" ? `[${address}]` : address;
  const closed = new Promise<void>((resolve) => server.once("close", () => resolve()));
  const close = (): void => {
    if (!server.listening) return;
    endWebSockets?.();
    server.close();
  };
  return {
    address: `${settings.scheme}://${host}:${port}`,
    close,
    async destroy() {
      close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Listens on `[::]` for both families; where IPv6 is off, on `0.0.0.0`. */
async function listen(server: Server, settings: ListenerSettings): Promise<void> {
  try {
    await listenOn(server, settings.host, settings.port);
  } catch (error) {
    const code = codeOf(error);
    if (settings.host === "::" && (code === "EAFNOSUPPORT" || code === "EADDRNOTAVAIL")) {
      await listen(server, { ...settings, host: "0.0.0.0" });
      return;
    }
    if (code === "EADDRINUSE") {
      throw new NomqError("port-in-use", `${settings.url} is taken by another program`, { cause: error });
    }
    throw new NomqError("listen-failed", `${settings.url}: ${String(error)}`, { cause: error });
  }
}

async function listenOn(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      resolve();
    });
  });
  // Errors of a listening server (too many open files) concern one connection, which never came.
  server.on("error", () => undefined);
}

function addressOf(server: Server): AddressInfo {
  const address = server.address();
  if (address === null || typeof address === "string")
    throw new NomqError("listen-failed", "no port was bound");
  return address;
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
