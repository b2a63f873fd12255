import { addressText } from "../address.ts";
import type { CancelTimer, Clock } from "../clock.ts";
import { NomqError } from "../errors.ts";
import { type Log, silentLog } from "../log.ts";
import type { Endpoint, Transport } from "../transport.ts";

/** What a reopening transport is doing. */
export type ReopeningState =
  | { readonly is: "open" /** Monotonic milliseconds. */; readonly since: number; readonly attempts: number }
  | { readonly is: "closing"; readonly reason: string; readonly attempts: number }
  | { readonly is: "waiting"; readonly reason: string; readonly attempts: number }
  | { readonly is: "opening"; readonly reason: string; readonly attempts: number }
  | { readonly is: "closed" };

/** What happens to it. */
export type ReopeningInput =
  | { readonly on: "failed"; readonly reason: string; readonly now: number }
  | { readonly on: "gone" }
  | { readonly on: "due" }
  | { readonly on: "opened"; readonly now: number }
  | { readonly on: "unopened"; readonly reason: string }
  | { readonly on: "close" };

/** The next state, and how long to wait where it is `waiting`. */
export interface ReopeningStep {
  readonly state: ReopeningState;
  readonly waitMs?: number;
}

/** The original's series, in seconds; the last again and again. */
const WAITS_MS: readonly number[] = [2000, 4000, 8000, 16_000, 32_000];
/** A transport that failed sooner continues the series: what fails at once must not be opened at once for ever. */
const HELD_MS = 60_000;

/** What a reopening transport does next; undefined where the input changes nothing. */
export function stepReopening(state: ReopeningState, input: ReopeningInput): ReopeningStep | undefined {
  if (state.is === "closed") return undefined;
  switch (input.on) {
    case "close":
      return { state: { is: "closed" } };
    case "failed": {
      if (state.is !== "open") return undefined;
      const attempts = input.now - state.since >= HELD_MS ? 0 : state.attempts;
      return { state: { is: "closing", reason: input.reason, attempts } };
    }
    case "gone":
      return state.is === "closing" ? waiting(state) : undefined;
    case "due":
      return state.is === "waiting" ? { state: { ...state, is: "opening" } } : undefined;
    case "opened":
      if (state.is !== "opening") return undefined;
      return { state: { is: "open", since: input.now, attempts: state.attempts } };
    case "unopened":
      return state.is === "opening" ? waiting({ ...state, reason: input.reason }) : undefined;
  }
}

function waiting(so: { reason: string; attempts: number }): ReopeningStep {
  const waitMs = WAITS_MS[Math.min(so.attempts, WAITS_MS.length - 1)] ?? 0;
  return { state: { is: "waiting", reason: so.reason, attempts: so.attempts + 1 }, waitMs };
}

/** Options of {@link openReopeningTransport}. */
export interface ReopeningOptions {
  /** Opens one; from the second time on at the port of the first, so that peers find it again. */
  readonly open: (port: number | undefined) => Promise<Transport>;
  readonly clock: Clock;
  /** Default silent. */
  readonly log?: Log;
  /** Told when it fails, with the reason, and with undefined when it works again. */
  readonly changed?: (reason: string | undefined) => void;
}

/**
 * A transport that, when it fails, is closed and opened again after 2, 4, 8, 16 and 32 s, then every 32 s until it
 * is disposed. What is sent meanwhile is lost, as on any network. Rejects if it cannot be opened the first time.
 */
export async function openReopeningTransport(options: ReopeningOptions): Promise<Transport> {
  return new Reopening(options, await options.open(undefined));
}

class Reopening implements Transport {
  readonly #options: ReopeningOptions;
  readonly #log: Log;
  #state: ReopeningState;
  /** The one in use, or the last. */
  #inner: Transport;
  #receive: ((datagram: Uint8Array, from: Endpoint) => void) | undefined;
  #timer: CancelTimer | undefined;
  /** Closing or opening under way; never rejects. */
  #busy: Promise<void> = Promise.resolve();
  #disposed: Promise<void> | undefined;

  constructor(options: ReopeningOptions, first: Transport) {
    this.#options = options;
    this.#log = options.log ?? silentLog;
    this.#inner = first;
    this.#state = { is: "open", since: options.clock.monotonic(), attempts: 0 };
    this.#watch(first);
  }

  get local(): Endpoint {
    return this.#inner.local;
  }

  async send(datagram: Uint8Array, to: Endpoint): Promise<void> {
    switch (this.#state.is) {
      case "open":
        return this.#inner.send(datagram, to);
      case "closed":
        throw new NomqError("closed", "the transport is closed");
      case "closing":
      case "waiting":
      case "opening":
        this.#log.debug("datagram lost", { host: to.host, port: to.port, code: "reopening" });
    }
  }

  onDatagram(receive: (datagram: Uint8Array, from: Endpoint) => void): void {
    this.#receive = receive;
    this.#inner.onDatagram(receive);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  async #dispose(): Promise<void> {
    const wasOpen = this.#state.is === "open";
    this.#step({ on: "close" });
    this.#timer?.();
    await this.#busy;
    if (wasOpen) await this.#inner[Symbol.asyncDispose]();
  }

  #watch(transport: Transport): void {
    void transport.failed?.then((reason) => {
      if (transport === this.#inner)
        this.#step({ on: "failed", reason, now: this.#options.clock.monotonic() });
    });
  }

  #step(input: ReopeningInput): void {
    const step = stepReopening(this.#state, input);
    if (step === undefined) return;
    const before = this.#state;
    this.#state = step.state;
    switch (step.state.is) {
      case "closing":
        this.#say(step.state.reason);
        this.#busy = this.#close();
        break;
      case "waiting":
        // The same reason every 32 s is said once.
        if (before.is === "opening" && before.reason !== step.state.reason) this.#say(step.state.reason);
        this.#timer = this.#options.clock.after(step.waitMs ?? 0, () => this.#step({ on: "due" }));
        break;
      case "opening":
        this.#busy = this.#open();
        break;
      case "open":
        this.#log.info("listening again", { at: addressText(this.local) });
        this.#options.changed?.(undefined);
        break;
      case "closed":
        break;
    }
  }

  #say(reason: string): void {
    this.#log.warn("the socket failed; it is opened again", { at: addressText(this.local), reason });
    this.#options.changed?.(reason);
  }

  async #close(): Promise<void> {
    try {
      await this.#inner[Symbol.asyncDispose]();
    } catch (error) {
      this.#log.warn("a failed socket could not be closed", { reason: textOf(error) });
    }
    this.#step({ on: "gone" });
  }

  async #open(): Promise<void> {
    try {
      const opened = await this.#options.open(this.local.port);
      if (this.#state.is === "closed") {
        await opened[Symbol.asyncDispose]();
        return;
      }
      this.#inner = opened;
      if (this.#receive !== undefined) opened.onDatagram(this.#receive);
      this.#step({ on: "opened", now: this.#options.clock.monotonic() });
      this.#watch(opened);
    } catch (error) {
      this.#step({ on: "unopened", reason: textOf(error) });
    }
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : "unknown";
}
