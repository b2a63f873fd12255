import type { Element } from "./element.ts";
import { createIncoming, type Incoming } from "./incoming.ts";
import { IncomingError } from "./incoming-error.ts";
import type { IncomingLimits } from "./kept-text.ts";
import { createPace } from "./pace.ts";
import { type StreamEnd, socketEnd, streamErrorEnd } from "./stream-end.ts";
import { createClient, createTlsSocket, type Socket, type TlsOptions, type XmppClient } from "./xmpp-js.ts";

const STREAMS = "http://etherx.jabber.org/streams";

/** What one connection needs. */
export interface ConnectionOptions {
  /** `xmpp://HOST:PORT`, `xmpps://HOST:PORT`, `ws://HOST:PORT/PATH`, `wss://HOST:PORT/PATH`. */
  readonly service: string;
  readonly domain: string;
  readonly tls: TlsOptions;
  readonly limits: IncomingLimits;
  /** Longest message of a WebSocket. */
  readonly maxMessageBytes: number;
  /** Every element in order; no more after the end. */
  readonly onElement: (element: Element) => void;
  /** Bytes came, and the elements that they ended; `isOpen`: a stanza has begun that they did not end. */
  readonly onData: (isOpen: boolean) => void;
  /** Once, with the first reason. */
  readonly onEnd: (end: StreamEnd) => void;
}

/** One socket and the streams on it. After its end it does nothing and rejects nothing that nobody awaits. */
export interface Connection {
  /** Opens the socket, and TLS with it where the service says so; a failure is an end. */
  connect(): Promise<void>;
  /** Opens a stream, or the next one on the same socket (RFC 6120 section 4.3.3). */
  openStream(): void;
  /** Puts TLS around the socket; {@link openStream} comes next. */
  upgrade(): Promise<void>;
  /** Writes elements; a WebSocket takes each in a frame of its own (RFC 7395 section 3.3.3). */
  write(elements: readonly string[]): void;
  /** Bytes written that the server has not taken. */
  unsent(): number;
  /** Says that no more comes. */
  closeStream(): void;
  /** Ends it at once, without a word. */
  destroy(end: StreamEnd): void;
}

/** Prepares a connection; nothing is opened yet. */
export function createConnection(options: ConnectionOptions): Connection {
  const { service, domain, limits, tls } = options;
  const client = createClient(options);
  const framed = /^wss?:/.test(service);
  let ended = false;
  let connected = false;
  const end = (why: StreamEnd): void => {
    if (ended) return;
    ended = true;
    release(client);
    options.onEnd(why);
  };
  const failed = (error: unknown): void => end(failureEnd(error, connected));
  let incoming = createIncoming(limits);
  const pace = createPace();
  client._onData = (data) => {
    if (ended || client.parser === null) return;
    const isOfFrames = typeof data === "string";
    const begun = performance.now();
    const fate = isOfFrames === framed ? fed(client, incoming, data) : BINARY;
    if (typeof fate !== "boolean") end(fate);
    else if (!ended) options.onData(fate);
    // Before that little may come, and TLS may have to be put around the socket.
    if (!ended && limits.total === undefined) pace(performance.now() - begun, innermost(client));
  };
  listen(client, { ...options, end, failed, isEnded: () => ended });
  client.on("status", (status) => {
    if (status === "connect") {
      connected = true;
      // Small stanzas would wait for acknowledgements of those before them.
      (client.socket?.socket ?? client.socket)?.setNoDelay?.(true);
    }
  });
  return {
    async connect() {
      try {
        await client.connect(service);
      } catch (error) {
        failed(error);
      }
    },
    openStream() {
      client._detachParser();
      void client.open({ domain }).catch(failed);
    },
    async upgrade() {
      const raw = client.socket;
      if (raw === null) return;
      raw.on?.("error", () => undefined);
      client._detachSocket();
      client._detachParser();
      incoming = createIncoming(limits);
      await secured(client, raw, tls).catch(failed);
    },
    write(elements) {
      if (ended || elements.length === 0) return;
      const parts = framed ? elements.map(inFrame) : [elements.join("")];
      for (const part of parts) void client.write(part).catch(failed);
    },
    unsent() {
      const { writableLength, bufferedAmount } = innermost(client);
      return writableLength ?? bufferedAmount ?? 0;
    },
    closeStream() {
      if (!ended) void client.write(client.footer(client.footerElement())).catch(failed);
    },
    destroy: end,
  };
}

/** The socket of Node, or of a WebSocket. */
const innermost = ({ socket }: XmppClient): Partial<Socket> => socket?.socket ?? socket ?? {};

/** RFC 7395 section 3.2. */
const BINARY: StreamEnd = { is: "unreadable", reason: "the server sent a WebSocket message that is no text" };

/** Outside of a stream element a stanza says its own namespace (RFC 7395 section 3.3.3). */
const inFrame = (element: string): string =>
  element.replace(/^<(iq|message|presence)(?=[\s/>])(?![^>]*\sxmlns=)/, "<$1 xmlns='jabber:client'");

interface Ends extends ConnectionOptions {
  readonly end: (end: StreamEnd) => void;
  readonly failed: (error: unknown) => void;
  readonly isEnded: () => boolean;
}

function listen(client: XmppClient, { onElement, end, failed, isEnded }: Ends): void {
  client.on("error", failed);
  client.on("status", (status) => {
    if (status === "disconnect") end({ is: "closed", reason: "the server closed the connection" });
    if (status === "close") end({ is: "closed", reason: "the server closed the stream" });
  });
  client.on("element", (element) => {
    if (isEnded()) return;
    if (element.getName() === "error" && element.getNS() === STREAMS) end(streamErrorEnd(element));
    else onElement(element);
  });
}

/** Feeds the parser; answers whether a stanza is open, or why that ended the stream. */
function fed(client: XmppClient, incoming: Incoming, data: Uint8Array | string): StreamEnd | boolean {
  const { parser } = client;
  if (parser === null) return false;
  try {
    return incoming(data, parser);
  } catch (error) {
    if (!(error instanceof IncomingError)) throw error;
    const reason = `the server sent ${error.message}`;
    return { is: "unreadable", reason, ...(error.why === "too-large" ? { blamed: true } : {}) };
  }
}

const failureEnd = (error: unknown, connected: boolean): StreamEnd =>
  error instanceof Error && error.name === "XMLError"
    ? { is: "unreadable", reason: "the server sent XML that is not well-formed" }
    : socketEnd(error, connected);

function secured(client: XmppClient, raw: Socket, tls: TlsOptions): Promise<void> {
  const socket = createTlsSocket(client);
  return new Promise((resolve, reject) => {
    socket.once("connect", () => resolve());
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("closed during the TLS handshake")));
    socket.connect({ ...tls, socket: raw });
    client._attachSocket(socket);
  });
}

/** Lets the socket go: it may still have errors, which nobody else listens to. */
function release(client: XmppClient): void {
  const outer = client.socket;
  const inner = outer?.socket ?? undefined;
  client.removeAllListeners();
  client.on("error", () => undefined);
  client._detachParser();
  client._detachSocket();
  for (const socket of [outer, inner]) {
    if (socket === null || socket === undefined) continue;
    socket.on?.("error", () => undefined);
    if (socket.terminate !== undefined) socket.terminate();
    else socket.destroy?.();
  }
}
