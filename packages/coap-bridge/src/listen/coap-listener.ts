import {
  type Clock,
  codeOf,
  type Endpoint,
  type Log,
  lacksIpv6,
  NomqError,
  openReopeningTransport,
  parseEndpoint,
  plainAddress,
  reachableAddress,
  silentLog,
  type Transport,
} from "@nomq/core";
import { COAP_PORT } from "../wire/coap-scheme.ts";
import { type Binding, type BoundSocket, bindSocket } from "./bound-socket.ts";
import type { CoapSocket, ReceiveDatagram } from "./coap-socket.ts";
import { groupPlaces, joinPlace, refuseGroups } from "./groups.ts";

/** All CoAP nodes: of an IPv4 network, of an IPv6 link, of an IPv6 site (RFC 7252 section 12.8). */
const ALL_COAP_NODES: readonly string[] = ["224.0.1.187", "ff02::fd", "ff05::fd"];

const SCHEME = "coap://";

/** Options of {@link openCoapListener}. */
export interface CoapListenerOptions {
  /** `coap://HOST[:PORT]`, the host an IP literal. `[::]` takes both families, or is `0.0.0.0` where IPv6 is off. */
  readonly url: string;
  /** Default the URL. See {@link CoapSocket.name}. */
  readonly name?: string;
  /**
   * Groups to be a member of. Default all CoAP nodes (224.0.1.187, ff02::fd, ff05::fd) where all addresses of the machine are listened to at a
   * port that was chosen, else none. What cannot be joined is logged, and nothing fails for it.
   */
  readonly groups?: readonly string[];
  readonly clock: Clock;
  /** Default silent. */
  readonly log?: Log;
  /** Default {@link bindSocket}. */
  readonly bind?: (binding: Binding) => Promise<BoundSocket>;
  /** Told when the socket has failed, with the reason, and with undefined when it works again. */
  readonly changed?: (reason: string | undefined) => void;
}

/** Reads `coap://HOST[:PORT]`; the host is an IP literal or `localhost`. Throws `config-invalid`. */
export function parseCoapListen(url: string): Endpoint {
  const text = (url.startsWith(SCHEME) ? url.slice(SCHEME.length) : url)
    .replace(/\/$/, "")
    .replace("%25", "%");
  const hasPort = /[^:]:\d+$/.test(text) || /\]:\d+$/.test(text);
  return parseEndpoint(hasPort ? text : `${text}:${COAP_PORT}`);
}

/**
 * Binds a listener. A taken port rejects with `port-in-use`, anything else with `listen-failed`, naming the URL. What
 * fails later is closed and opened again, as the NoMQ sockets are. Keeps the process alive until disposed.
 */
export async function openCoapListener(options: CoapListenerOptions): Promise<CoapSocket> {
  const { clock, log = silentLog, changed } = options;
  const listener = new Listener(options);
  const lifecycle = await openReopeningTransport({
    clock,
    log,
    ...(changed && { changed }),
    open: (port) => listener.open(port),
  });
  return listener.over(lifecycle);
}

/** Sockets that are open together: one that answers, and those of the groups. */
interface Opened {
  readonly unicast: BoundSocket;
  readonly groups: readonly BoundSocket[];
}

class Listener {
  readonly #options: CoapListenerOptions;
  readonly #log: Log;
  #opened: Opened | undefined;
  #receive: ReceiveDatagram | undefined;

  constructor(options: CoapListenerOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLog;
  }

  /** Opens all sockets, at the port of the time before if there was one. What leaves goes past the transport. */
  async open(port: number | undefined): Promise<Transport> {
    const { host, port: asked } = parseCoapListen(this.#options.url);
    const at = { host, port: port ?? asked };
    const groups = this.#options.groups ?? (isEverywhere(host) && asked !== 0 ? ALL_COAP_NODES : []);
    const unicast = await this.#bind(at, groups.length > 0);
    const opened = { unicast, groups: await this.#openGroups(groups, unicast) };
    this.#opened = opened;
    this.#hear(opened);
    return {
      local: unicast.local,
      failed: unicast.failed,
      send: async () => undefined,
      onDatagram: () => undefined,
      [Symbol.asyncDispose]: () => this.#close(opened),
    };
  }

  over(lifecycle: Transport): CoapSocket {
    return {
      name: this.#options.name ?? this.#options.url,
      get local() {
        return lifecycle.local;
      },
      send: (datagram, port, address) => this.#opened?.unicast.send(datagram, port, address),
      onDatagram: (receive) => {
        this.#receive = receive;
      },
      hostOf: (address) => plainAddress(address),
      addressOf: (host) => this.#addressOf(host),
      [Symbol.asyncDispose]: () => lifecycle[Symbol.asyncDispose](),
    };
  }

  #addressOf(host: string): string | undefined {
    return reachableAddress(host, this.#opened?.unicast.family ?? "dual");
  }

  async #bind(at: Endpoint, hasGroups: boolean): Promise<BoundSocket> {
    const { url, clock, bind = bindSocket } = this.#options;
    const context = { clock, log: this.#log };
    try {
      if (!hasGroups || !isEverywhere(at.host)) return await bind({ ...at, ...context });
      return await this.#bindBesideGroups({ ...at, ...context });
    } catch (error) {
      if (lacksIpv6(at.host, error)) return this.#bind({ ...at, host: "0.0.0.0" }, hasGroups);
      if (codeOf(error) === "EADDRINUSE") {
        throw new NomqError("port-in-use", `${url} is taken by another program`, { cause: error });
      }
      throw new NomqError("listen-failed", `${url} cannot be bound (${codeOf(error)})`, { cause: error });
    }
  }

  /**
   * Sockets of groups share the port with this one, which needs a mark that others could have as well: whether they do
   * is seen by one that has none. Where the system has no such mark (macOS, Windows), there are no groups.
   */
  async #bindBesideGroups(binding: Binding): Promise<BoundSocket> {
    const { bind = bindSocket } = this.#options;
    const probe = await bind(binding);
    await probe[Symbol.asyncDispose]();
    const at = { ...binding, port: probe.local.port };
    try {
      return await bind({ ...at, shared: true });
    } catch (error) {
      if (codeOf(error) !== "ENOTSUP") throw error;
      return await bind(at);
    }
  }

  async #openGroups(groups: readonly string[], unicast: BoundSocket): Promise<readonly BoundSocket[]> {
    const { bind = bindSocket } = this.#options;
    const opened: BoundSocket[] = [];
    for (const place of groupPlaces(groups, unicast.family)) {
      try {
        const { port } = unicast.local;
        const context = { clock: this.#options.clock, log: this.#log };
        const socket = await bind({ host: place.bindTo, port, shared: true, ...context });
        opened.push(socket);
        joinPlace(socket.socket, place);
      } catch (error) {
        this.#log.info("a multicast group cannot be joined", { group: place.bindTo, code: codeOf(error) });
      }
    }
    refuseGroups(unicast, groups, this.#log);
    return opened;
  }

  #hear({ unicast, groups }: Opened): void {
    unicast.onDatagram((datagram, { address, port }) => {
      this.#receive?.(datagram, address, { port, toGroup: false });
    });
    for (const group of groups) {
      group.onDatagram((datagram, { address, port }) => {
        // Answers leave from the socket that has an address of its own, which writes addresses its own way.
        const own = this.#addressOf(address);
        if (own !== undefined) this.#receive?.(datagram, own, { port, toGroup: true });
      });
    }
  }

  async #close(opened: Opened): Promise<void> {
    if (this.#opened === opened) this.#opened = undefined;
    for (const socket of [...opened.groups, opened.unicast]) await socket[Symbol.asyncDispose]();
  }
}

const isEverywhere = (host: string): boolean => host === "::" || host === "0.0.0.0";
