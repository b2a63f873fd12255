import type { CancelTimer } from "@nomq/core";
import type { IncomingResponse, Outgoing, Remote, Sent, SentOutcome } from "../messaging/messaging.ts";
import { MAX_TRANSMIT_WAIT_MS } from "../messaging/parameters.ts";
import { type CoapOption, MessageType, OptionNumber } from "../wire/coap-message.ts";
import { classOf, codeText, Method, Response } from "../wire/code.ts";
import { uintValue } from "../wire/option-value.ts";
import { DEFAULT_MAX_AGE, findOption, withOption } from "../wire/options.ts";
import { encodeTail } from "../wire/tail.ts";
import { askedToWaitMs, maxAgeOf, observeOf } from "./answer-options.ts";
import { createBackOff } from "./back-off.ts";
import { targetOptions } from "./coap-url.ts";
import type { ClientTallies } from "./counters.ts";
import type { Lookup } from "./lookup.ts";
import { isNewer, type Numbered } from "./order.ts";
import { readBody } from "./read-body.ts";
import { echoOf, type Wire } from "./request.ts";
import type { Sensor } from "./sensor.ts";
import { PAST_MAX_AGE } from "./sensor-state.ts";
import type { Turns } from "./turns.ts";

/** One sensor under observation (RFC 7641), kept up until stopped. */
export interface Observation {
  start(): void;
  /** Tells the server that we are leaving, once, and ends. */
  stop(): void;
}

/** What an {@link Observation} needs. */
export interface ObservationParts {
  readonly wire: Wire;
  readonly lookup: Lookup;
  readonly turns: Turns;
  readonly tallies: ClientTallies;
  /** The same for every registration, also after a restart: the server replaces, and never adds up, relations. */
  readonly token: Uint8Array;
}

/** Where it stands. `asking`: a registration is under way. `holding`: registered, or polled where the server declines. */
type Phase =
  | { readonly is: "stopped" }
  | { readonly is: "asking"; readonly end: AbortController }
  | { readonly is: "holding"; readonly until: CancelTimer }
  | { readonly is: "waiting"; readonly until: CancelTimer };

const FIRST_RETRY_MS = 5_000;
const LONGEST_RETRY_MS = 300_000;
/** RFC 7641 section 3.3.1: after Max-Age a client waits 5 to 15 s before it registers again. */
const GRACE_MS: readonly [least: number, span: number] = [5_000, 10_000];
/** A server that declines is not read more often. */
const LEAST_POLL_MS = 5_000;

/** Makes it; nothing is sent before `start`. */
export function createObservation(sensor: Sensor, parts: ObservationParts): Observation {
  return new RunningObservation(sensor, parts);
}

class RunningObservation implements Observation {
  readonly #sensor: Sensor;
  readonly #parts: ObservationParts;
  readonly #backOff: ReturnType<typeof createBackOff>;
  readonly #base: readonly CoapOption[];
  #phase: Phase = { is: "stopped" };
  #at: Remote | undefined;
  #answers: { end(): void } | undefined;
  #newest: Numbered | undefined;
  #reading: AbortController | undefined;
  #failures = 0;
  /** What the server wanted to have back to know that we are here; it goes along from then on. */
  #echo: CoapOption | undefined;

  constructor(sensor: Sensor, parts: ObservationParts) {
    this.#sensor = sensor;
    this.#parts = parts;
    this.#backOff = createBackOff(FIRST_RETRY_MS, LONGEST_RETRY_MS, parts.wire.random);
    this.#base = targetOptions(sensor.settings.target);
  }

  start(): void {
    if (this.#phase.is === "stopped") this.#register();
  }

  stop(): void {
    const wasHolding = this.#phase.is === "holding";
    this.#leave();
    this.#phase = { is: "stopped" };
    this.#reading?.abort();
    if (wasHolding && this.#at !== undefined) {
      const leaving = this.#message(MessageType.nonConfirmable, 1);
      this.#parts.wire.messaging.send(
        this.#at,
        () => leaving,
        () => undefined,
      );
    }
    this.#answers?.end();
    this.#answers = undefined;
  }

  /** GET with Observe 0 registers, 1 ends (RFC 7641 section 2); all else is the same in both. */
  #message(type: Outgoing["type"], observe: 0 | 1): Outgoing {
    const asking = withOption(this.#base, { number: OptionNumber.observe, value: uintValue(observe) });
    const tail = encodeTail(this.#echo === undefined ? asking : withOption(asking, this.#echo));
    return { type, code: Method.get, token: this.#parts.token, tail };
  }

  #leave(): void {
    switch (this.#phase.is) {
      case "asking":
        this.#phase.end.abort();
        break;
      case "holding":
      case "waiting":
        this.#phase.until();
        break;
      case "stopped":
        break;
    }
  }

  #register(): void {
    this.#leave();
    const end = new AbortController();
    this.#phase = { is: "asking", end };
    void this.#ask(end.signal);
  }

  async #ask(signal: AbortSignal): Promise<void> {
    const { lookup, turns, wire, tallies } = this.#parts;
    const { target } = this.#sensor.settings;
    const to = await lookup.find(target, this.#failures);
    if (signal.aborted) return;
    if (to === undefined)
      return this.#later(target.isName ? "its name has no address" : "no way to its address");
    const giveBack = await turns.take(to.key, signal);
    if (giveBack === undefined) return;
    tallies.requests.add("registration");
    this.#listenTo(to);
    const registration = this.#message(MessageType.confirmable, 0);
    let cancelDeadline: CancelTimer | undefined;
    let sent: Sent | undefined;
    const end = (): void => {
      cancelDeadline?.();
      giveBack();
      sent?.cancel();
    };
    const fail = (reason: string): void => {
      if (!signal.aborted) this.#later(reason);
    };
    const ended = (outcome: SentOutcome): void => {
      if (outcome === "reset") fail("it resets registrations");
      if (outcome === "timeout") fail("no answer");
    };
    const next = (): Outgoing => {
      cancelDeadline ??= wire.clock.after(MAX_TRANSMIT_WAIT_MS, () => fail("no answer"));
      return registration;
    };
    signal.addEventListener("abort", end, { once: true });
    sent = wire.messaging.send(to, next, ended);
  }

  /** Responses are taken from where the last registration went, and from nowhere else. */
  #listenTo(to: Remote): void {
    if (this.#answers !== undefined && this.#at?.key === to.key) return;
    this.#answers?.end();
    this.#at = to;
    this.#newest = undefined;
    this.#answers = this.#parts.wire.messaging.expect(to, this.#parts.token, (response) =>
      this.#take(response),
    );
  }

  #later(reason: string, afterMs?: number): void {
    this.#failures += 1;
    this.#sensor.troubled(reason);
    this.#wait(afterMs ?? this.#backOff.next());
  }

  #wait(ms: number): void {
    this.#leave();
    this.#phase = { is: "waiting", until: this.#parts.wire.clock.after(ms, () => this.#register()) };
  }

  #take(response: IncomingResponse): void {
    if (this.#phase.is === "stopped") return;
    if (classOf(response.code) !== 2) {
      this.#refused(response);
      return;
    }
    if (response.code !== Response.content) {
      this.#later(`answered ${codeText(response.code)}`);
      return;
    }
    const number = observeOf(response.options);
    if (number !== undefined && !this.#isNews(number)) {
      this.#parts.tallies.refused.add("old");
      return;
    }
    const wasAsked = this.#phase.is === "asking";
    this.#sensor.readAs(number === undefined ? "polled-instead" : "observed");
    this.#hold(response.options, number !== undefined);
    this.#read(response, wasAsked);
  }

  /** The answer to a registration begins a new order: the server may have started anew. */
  #isNews(number: number): boolean {
    const next = { number, at: this.#parts.wire.clock.monotonic() };
    const isFirst = this.#newest === undefined || this.#phase.is !== "holding";
    if (!isFirst && this.#newest !== undefined && !isNewer(this.#newest, next)) return false;
    this.#newest = next;
    return true;
  }

  #hold(options: readonly CoapOption[], isObserved: boolean): void {
    this.#leave();
    this.#failures = 0;
    this.#backOff.reset();
    const { clock, random } = this.#parts.wire;
    const maxAgeMs = (maxAgeOf(options) ?? DEFAULT_MAX_AGE) * 1_000;
    const [least, span] = GRACE_MS;
    const ms = isObserved ? maxAgeMs + least + span * random() : Math.max(maxAgeMs, LEAST_POLL_MS);
    const until = clock.after(ms, () => {
      if (isObserved) this.#sensor.troubled(PAST_MAX_AGE);
      this.#register();
    });
    this.#phase = { is: "holding", until };
  }

  #refused(response: IncomingResponse): void {
    const { code, options } = response;
    const isFirst = this.#echo === undefined;
    this.#echo = echoOf(response);
    // Asked once at once (RFC 9175 section 2.3); a server that is never content has to wait.
    if (isFirst && this.#echo !== undefined && this.#phase.is === "asking") {
      this.#register();
      return;
    }
    this.#reading?.abort();
    this.#newest = undefined;
    this.#sensor.failed(code);
    this.#later(`answered ${codeText(code)}`, askedToWaitMs(code, options));
  }

  /** A value larger than a block: the rest is fetched (RFC 7959 section 2.6), and given up where a newer one comes. */
  #read(first: IncomingResponse, isRepeat: boolean): void {
    this.#reading?.abort();
    this.#reading = undefined;
    if (findOption(first.options, OptionNumber.block2) === undefined) {
      this.#sensor.value(first.options, Uint8Array.from(first.payload), isRepeat);
      return;
    }
    const reading = new AbortController();
    this.#reading = reading;
    void this.#readAll(first, reading.signal, isRepeat);
  }

  async #readAll(first: IncomingResponse, signal: AbortSignal, isRepeat: boolean): Promise<void> {
    const read = await readBody({ ...this.#parts, base: this.#base }, first, signal);
    if (signal.aborted) return;
    if (read.is === "whole") {
      this.#sensor.value(read.options, read.payload, isRepeat);
      return;
    }
    this.#parts.tallies.refused.add(read.reason);
    if (read.code !== undefined) this.#sensor.failed(read.code);
    this.#later(`its value cannot be read: ${read.reason}`);
  }
}
