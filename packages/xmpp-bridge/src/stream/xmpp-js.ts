/// <reference path="./untyped-modules.d.ts" />
import type { PeerCertificate } from "node:tls";
import { client } from "@xmpp/client";
import { type ClientOptions, WebSocket } from "ws";
import type { Element } from "./element.ts";

/** xmpp.js's parser of one stream. */
export interface Parser {
  readonly root: Element | null;
  write(text: string): void;
}

/** xmpp.js's sockets: of TCP a socket of Node's, of TLS and WebSocket one around it. */
export interface Socket {
  readonly socket?: Socket | null;
  on?(event: string, heard: (value: never) => void): unknown;
  once(event: string, heard: (value: never) => void): unknown;
  connect(parameters: unknown): void;
  setNoDelay?(on: boolean): unknown;
  /** Bytes not handed to the system yet: of TCP and TLS, and of a WebSocket. */
  readonly writableLength?: number;
  readonly bufferedAmount?: number;
  pause?(): unknown;
  resume?(): unknown;
  destroy?(): unknown;
  terminate?(): unknown;
}

interface Transport {
  readonly prototype: {
    readonly Socket: new () => Socket;
    socketParameters(service: string): unknown;
  };
}

/**
 * What is used of a client of xmpp.js: sockets, framing and XML. Negotiation, stream management, iqs and reconnecting
 * of its own are unplugged (see {@link createClient}).
 */
export interface XmppClient {
  readonly transports: Transport[];
  /** Milliseconds its own waiting takes; 0: for ever, for others watch. */
  timeout: number;
  readonly socket: Socket | null;
  readonly parser: Parser | null;
  readonly reconnect: { stop(): void };
  connect(service: string): Promise<unknown>;
  open(options: { readonly domain: string }): Promise<unknown>;
  restart(): Promise<unknown>;
  write(text: string): Promise<void>;
  footer(element: unknown): string;
  footerElement(): unknown;
  socketParameters(service: string): unknown;
  on(event: "element", heard: (element: Element) => void): unknown;
  on(event: "error", heard: (error: unknown) => void): unknown;
  on(event: "status", heard: (status: string) => void): unknown;
  removeAllListeners(event?: string): unknown;
  listenerCount(event: string): number;
  disconnect(): Promise<unknown>;
  _attachSocket(socket: Socket): void;
  _detachSocket(): void;
  _detachParser(): void;
  _onData(data: Uint8Array | string): void;
  _onStreamError(element: Element): void;
  _streamError(condition: string): Promise<unknown>;
}

/** How sockets with TLS are opened. */
export interface TlsOptions {
  readonly servername?: string;
  readonly ca?: string | readonly string[];
  /** Whether the certificate names whom we want; an error where not. */
  checkServerIdentity?(host: string, certificate: PeerCertificate): Error | undefined;
}

/** What is asked of a client. */
export interface ClientSettings {
  readonly service: string;
  readonly domain: string;
  readonly tls: TlsOptions;
  /** Longest WebSocket message in bytes. */
  readonly maxMessageBytes: number;
}

const METHODS = [
  ...["connect", "open", "restart", "write", "footer", "footerElement", "socketParameters"],
  ...["on", "removeAllListeners", "listenerCount", "disconnect", "_attachSocket", "_detachSocket"],
  ...["_detachParser", "_onData", "_onStreamError", "_streamError"],
];

/**
 * Makes a client for one connection. Its stream features, SASL, stream management and iqs listen to elements: without
 * their listeners they do nothing, so that none of their defects can (they lose count of stanzas, never check the
 * server's signature, go on in clear without STARTTLS). Throws where xmpp.js is not made as this was written for.
 */
export function createClient({ service, domain, tls, maxMessageBytes }: ClientSettings): XmppClient {
  const made: unknown = client({ service, domain });
  assertInternals(made);
  made.reconnect.stop();
  for (const event of ["element", "send", "disconnect", "offline"]) made.removeAllListeners(event);
  made.timeout = 0;
  made._onStreamError = () => undefined;
  made._streamError = () => Promise.resolve();
  made.disconnect = () => Promise.resolve();
  const parametersOf = made.socketParameters.bind(made);
  made.socketParameters = (url) => tcpParameters(parametersOf(url), url.startsWith("xmpps:") ? tls : {});
  const [webSockets] = made.transports;
  if (webSockets !== undefined)
    made.transports[0] = withWs(webSockets, { maxPayload: maxMessageBytes, ...wsTls(tls) });
  return made;
}

/** With the host as sockets take it: without the brackets that a URL has around IPv6. Of a WebSocket: its URL. */
function tcpParameters(parameters: unknown, tls: TlsOptions): unknown {
  if (typeof parameters !== "object" || parameters === null || !("host" in parameters)) return parameters;
  return { ...parameters, host: String(parameters.host).replace(/^\[|\]$/g, ""), ...tls };
}

/** The socket of xmpp.js for TLS, which can also go around one that is connected. */
export function createTlsSocket(of: XmppClient): Socket {
  const transport = of.transports[2];
  if (transport === undefined) throw new Error("xmpp.js: no transport for TLS");
  return new transport.prototype.Socket();
}

/** Throws unless this is a client as version 0.14.0 makes them: any other may go around what we mend. */
export function assertInternals(made: unknown): asserts made is XmppClient {
  const fail = (what: string): never => {
    throw new Error(`@xmpp/client is not the release this was written for (0.14.0): ${what}`);
  };
  if (typeof made !== "object" || made === null) return fail("no client");
  for (const name of METHODS) if (typeof Reflect.get(made, name) !== "function") fail(`no method ${name}`);
  // All methods above are there; the rest is looked at one by one.
  const given = made as XmppClient;
  for (const [at, service] of ["wss://a", "xmpp://a", "xmpps://a"].entries())
    if (given.transports?.[at]?.prototype.socketParameters(service) === undefined)
      fail(`no transport ${service}`);
  if (typeof given.reconnect?.stop !== "function") fail("no reconnect");
  if (given.listenerCount("element") !== 1 || given.listenerCount("send") !== 1)
    fail("other listeners than the middleware's");
  for (const name of ["socket", "parser", "timeout"]) if (!(name in made)) fail(`no ${name}`);
}

const wsTls = ({ ca, ...rest }: TlsOptions): ClientOptions => {
  const options: unknown = { ...rest, ...(ca === undefined ? {} : { ca: [ca].flat() }) };
  // The types of `ws` say otherwise of the check, but it is handed to Node's TLS as it is.
  return options as ClientOptions;
};

/** Node's own WebSocket takes no certificate authority and any size of message. */
function withWs(transport: Transport, options: ClientOptions): Transport {
  const Base = transport.prototype.Socket as new () => Socket & { _attachSocket(socket: WebSocket): void };
  class Around extends Base {
    override connect(url: string): void {
      const socket = new WebSocket(url, ["xmpp"], { perMessageDeflate: false, ...options });
      // An error after it was let go has no other listener.
      socket.on("error", () => undefined);
      this._attachSocket(socket);
    }
  }
  const Made = class extends (transport as unknown as new () => object) {};
  Object.assign(Made.prototype, { Socket: Around });
  return Made as unknown as Transport;
}
