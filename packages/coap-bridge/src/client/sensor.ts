import type { CancelTimer, Port } from "@nomq/core";
import { type CoapOption, NO_BYTES } from "../wire/coap-message.ts";
import { type Code, codeText, Response } from "../wire/code.ts";
import { contentTypeOf } from "../wire/content-format.ts";
import { DEFAULT_MAX_AGE } from "../wire/options.ts";
import { formatOf, maxAgeOf } from "./answer-options.ts";
import type { SensorSettings } from "./client-options.ts";
import type { ClientTallies } from "./counters.ts";
import { createPublisher, type Publisher } from "./publisher.ts";
import type { SensorState } from "./sensor-state.ts";
import { createStanding } from "./standing.ts";

/** The value of one sensor and how it stands: what observing and polling it have in common. */
export interface Sensor {
  readonly settings: SensorSettings;
  /** Reads what the hub holds of it, so that the same is not told again after a restart. */
  restore(): Promise<void>;
  /** A new state. `isRepeat`: asked for again, so an equal one need not be told again. */
  value(options: readonly CoapOption[], payload: Uint8Array, isRepeat: boolean): void;
  /** The state has not changed; its time runs anew (2.03). */
  unchanged(options: readonly CoapOption[]): void;
  /** The server answered with an error: 4.04 clears the channel, others leave it to become stale. */
  failed(code: Code): void;
  /** It does not answer, or what it says makes no sense. */
  troubled(reason: string): void;
  /** How it is read. */
  readAs(mode: SensorState["mode"]): void;
  state(): SensorState;
  stop(): Promise<void>;
}

/** What a {@link Sensor} needs. */
export interface SensorParts {
  readonly port: Port;
  readonly random: () => number;
  readonly tallies: ClientTallies;
  /** The actuator that is the same resource. */
  readonly attachment?: string;
}

/** A polled value without Max-Age is fresh until the next reading should long have come. */
const POLL_SLACK_MS = 10_000;

interface Held {
  readonly payload: Uint8Array;
  readonly contentType?: string;
}

/** Makes it; nothing happens before the first call. */
export function createSensor(settings: SensorSettings, parts: SensorParts): Sensor {
  const { port, tallies } = parts;
  const { channel, target, qos, expire } = settings;
  const where = { url: target.shown, channel };
  const standing = createStanding(port, where, settings.every === undefined ? "observed" : "polled");
  /** What the hub holds, where it lasts until the next value. */
  let held: Held | undefined;
  let mayBeKept = false;
  let cancelStale: CancelTimer | undefined;
  const said = new Set<string>();

  const publisher: Publisher = createPublisher({
    port,
    random: parts.random,
    draft: { channel, qos },
    ...(parts.attachment === undefined ? {} : { attachment: parts.attachment }),
    taken: () => tallies.values.add("taken"),
    superseded: () => tallies.refused.add("superseded"),
    refused(why, isFinal) {
      tallies.refused.add(isFinal ? "by-hub" : "hub-busy");
      if (said.has(why)) return;
      said.add(why);
      port.log.warn("a sensor's value was refused", { ...where, reason: why });
    },
  });

  const holds = (options: readonly CoapOption[]): { expiresAt?: number } => {
    cancelStale?.();
    mayBeKept = true;
    standing.become("fresh");
    const { ms, isSaid } = freshFor(options, settings.every);
    cancelStale = port.clock.after(ms, standing.outlived);
    return isSaid || expire ? { expiresAt: port.clock.monotonic() + ms } : {};
  };
  const clear = (why: string): void => {
    cancelStale?.();
    held = undefined;
    if (mayBeKept) publisher.offer({ payload: NO_BYTES });
    mayBeKept = false;
    standing.become("gone", why);
  };
  return {
    settings,
    async restore() {
      const kept = await port.latest(channel, "*");
      mayBeKept = kept !== undefined;
      if (kept === undefined || kept.expiresAt !== undefined) return;
      const { payload, contentType } = kept;
      held = { payload, ...(contentType === undefined ? {} : { contentType }) };
    },
    value(options, payload, isRepeat) {
      const contentType = contentTypeIn(options);
      const now: Held = { payload, ...(contentType === undefined ? {} : { contentType }) };
      const lasts = holds(options);
      const isNews = !isRepeat || held === undefined || !isSame(held, now);
      held = now;
      // Equal and without an end: the hub holds it as it is.
      if (isNews || lasts.expiresAt !== undefined) publisher.offer({ ...now, ...lasts });
    },
    unchanged(options) {
      const lasts = holds(options);
      if (held !== undefined && lasts.expiresAt !== undefined) publisher.offer({ ...held, ...lasts });
    },
    failed(code) {
      if (code === Response.notFound) clear(`answered ${codeText(code)}`);
      else standing.troubled(`answered ${codeText(code)}`);
    },
    troubled: standing.troubled,
    readAs: standing.readAs,
    state: standing.state,
    async stop() {
      cancelStale?.();
      await publisher.stop();
    },
  };
}

/** Milliseconds that a value said now is fresh, and whether the server said so. */
function freshFor(
  options: readonly CoapOption[],
  every: number | undefined,
): { readonly ms: number; readonly isSaid: boolean } {
  const said = maxAgeOf(options);
  if (said !== undefined) return { ms: said * 1_000, isSaid: true };
  const ms = DEFAULT_MAX_AGE * 1_000;
  return { ms: every === undefined ? ms : Math.max(ms, every + POLL_SLACK_MS), isSaid: false };
}

/** Numbers without a media type go round as they came. */
function contentTypeIn(options: readonly CoapOption[]): string | undefined {
  const format = formatOf(options);
  return format === undefined ? undefined : (contentTypeOf(format) ?? `coap/${format}`);
}

function isSame(one: Held, other: Held): boolean {
  return one.contentType === other.contentType && Buffer.compare(one.payload, other.payload) === 0;
}
