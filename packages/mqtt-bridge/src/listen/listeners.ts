import { createServer as createHttpServer } from "node:http";
import type { Socket } from "node:net";
import { createServer as createTcpServer } from "node:net";
import { listenOnTcp } from "@nomq/core";
import type { ListenerSettings } from "../options.ts";
import type { ListenerEvents } from "./arrival.ts";
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
  const bound = await listenOnTcp(server, settings);
  const closed = new Promise<void>((resolve) => server.once("close", () => resolve()));
  const close = (): void => {
    if (!server.listening) return;
    endWebSockets?.();
    server.close();
  };
  return {
    address: `${settings.scheme}://${bound}`,
    close,
    async destroy() {
      close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
