import { isIPv6 } from "node:net";
import { isGroupHost } from "../address.ts";
import { type Clock, systemClock } from "../clock.ts";
import { NomqError } from "../errors.ts";
import { type Log, silentLog } from "../log.ts";
import type { Endpoint, Transport } from "../transport.ts";
import { createSourceRates, type SourceRates } from "./source-rates.ts";
import { timeReply } from "./time-reply.ts";

/** Options of {@link createTimeService}. */
export interface TimeServiceOptions {
  /** Opens the port when the service starts, which closes it at its end. */
  readonly openTransport: () => Promise<Transport>;
  /** Its wall clock is what is told. Default the machine's. */
  readonly clock?: Clock;
  /** Default silent. */
  readonly log?: Log;
}

/** Requests by what became of them. */
export interface TimeServiceCounts {
  readonly answered: number;
  /** No request of a client, or from an address that cannot be answered. */
  readonly ignored: number;
  /** More than a source may ask. */
  readonly limited: number;
}

/**
 * Tells the time to devices on networks without Internet, as an SNTP server (RFC 4330, RFC 5905). It knows nothing of
 * NoMQ's keys: whoever reaches the port is answered, 16 times at once and then once a second for each address.
 */
export interface TimeService extends AsyncDisposable {
  /** Rejects with what opening the port says. */
  start(): Promise<void>;
  /** Idempotent. */
  stop(): Promise<void>;
  /** Where it listens; undefined before `start` and after `stop`. */
  local(): Endpoint | undefined;
  counts(): TimeServiceCounts;
}

/** Many boards may share one address behind a router. */
const EACH = { burst: 16, perSecond: 1 };
const REST = { burst: 100, perSecond: 100 };
const MOST_SOURCES = 4096;

/** Makes a service; nothing is opened before `start`. */
export function createTimeService(options: TimeServiceOptions): TimeService {
  return new SntpServer(options);
}

class SntpServer implements TimeService {
  readonly #options: TimeServiceOptions;
  readonly #clock: Clock;
  readonly #rates: SourceRates = createSourceRates({ each: EACH, rest: REST, sources: MOST_SOURCES });
  readonly #counts = { answered: 0, ignored: 0, limited: 0 };
  #opening: Promise<Transport> | undefined;
  #transport: Transport | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: TimeServiceOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  async start(): Promise<void> {
    if (this.#stopped !== undefined) throw new NomqError("closed", "the time service was stopped");
    this.#opening ??= this.#options.openTransport();
    const transport = await this.#opening;
    if (this.#stopped !== undefined || this.#transport !== undefined) return;
    this.#transport = transport;
    transport.onDatagram((request, from) => this.#receive(transport, request, from));
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  local(): Endpoint | undefined {
    return this.#transport?.local;
  }

  counts(): TimeServiceCounts {
    return { ...this.#counts };
  }

  #receive(transport: Transport, request: Uint8Array, from: Endpoint): void {
    const reply = isSender(from) ? timeReply(request, this.#clock.now()) : undefined;
    if (reply === undefined) {
      this.#counts.ignored += 1;
    } else if (this.#rates.take(networkOf(from.host), this.#clock.monotonic())) {
      this.#counts.answered += 1;
      transport.send(reply, from).catch(() => undefined);
    } else {
      this.#counts.limited += 1;
      if (this.#counts.limited > 1) return;
      const { log = silentLog } = this.#options;
      log.warn("asked for the time too often; said once", { from: from.host });
    }
  }

  async #stop(): Promise<void> {
    const transport = await this.#opening?.catch(() => undefined);
    this.#transport = undefined;
    await transport?.[Symbol.asyncDispose]();
  }
}

/** Whether one machine can have sent from there. */
function isSender({ host, port }: Endpoint): boolean {
  return port !== 0 && !isGroupHost(host);
}

/** An IPv6 network of 64 bits is one source: whoever is in it has 2^64 addresses to ask from. */
function networkOf(host: string): string {
  const [address = "", zone = ""] = host.split("%", 2);
  if (!isIPv6(address)) return address;
  const [head = "", tail = ""] = address.split("::", 2);
  const groups = head === "" ? [] : head.split(":");
  const omitted = 8 - groups.length - (tail === "" ? 0 : tail.split(":").length);
  const all = address.includes("::")
    ? [...groups, ...Array<string>(omitted).fill("0"), ...tail.split(":")]
    : groups;
  return `${all.slice(0, 4).join(":")}%${zone}`;
}
