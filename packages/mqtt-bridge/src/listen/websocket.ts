import type { IncomingMessage } from "node:http";
import type { Server } from "node:net";
import type { Duplex } from "node:stream";
import { pageFault } from "@nomq/core";
import { createWebSocketStream, WebSocketServer } from "ws";
import type { ListenerSettings } from "../options.ts";
import type { ListenerEvents } from "./arrival.ts";

/** MQTT 5.0 section 6: clients must offer `mqtt`; 3.1 clients called it `mqttv3.1`. */
const SUBPROTOCOLS = ["mqtt", "mqttv3.1"];

/**
 * Takes MQTT over WebSocket on an HTTP server (MQTT 5.0 section 6). What is not MQTT, comes from a web page
 * elsewhere, or reached us under a name that is not ours is refused. Returns what ends it.
 */
export function serveWebSocket(
  server: Server,
  settings: ListenerSettings,
  events: ListenerEvents,
): () => void {
  const sockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: settings.maxPayload,
    handleProtocols: (offered) => SUBPROTOCOLS.find((known) => offered.has(known)) ?? false,
  });
  server.on("request", (_request, response) => {
    response.writeHead(426, { "content-type": "text/plain", upgrade: "websocket" });
    response.end("MQTT over WebSocket only\n");
  });
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => undefined);
    const address = request.socket.remoteAddress ?? "";
    const fault = upgradeFault(request, settings);
    if (fault !== undefined) {
      events.refused(fault.reason, address);
      refuse(socket, fault.status);
      return;
    }
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      // MQTT-6.0.0-1: other than binary frames close the connection.
      webSocket.on("message", (_data, isBinary) => {
        if (!isBinary) webSocket.close(1003);
      });
      events.connection({ socket: createWebSocketStream(webSocket), address, listener: settings });
    });
  });
  return () => sockets.close();
}

function upgradeFault(
  { headers }: IncomingMessage,
  settings: ListenerSettings,
): { readonly status: string; readonly reason: string } | undefined {
  const { host, origins } = settings;
  const fault = pageFault(headers, { scheme: "http", host, origins });
  if (fault !== undefined) return { status: "403 Forbidden", reason: fault };
  const offered = (headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
  if (!SUBPROTOCOLS.some((known) => offered.includes(known))) {
    return { status: "400 Bad Request", reason: "subprotocol-missing" };
  }
  return undefined;
}

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
