import { addressText } from "../../address.ts";
import type { CancelTimer, Clock } from "../../clock.ts";
import type { Log } from "../../log.ts";
import { channelKey } from "../../packet/channel-id.ts";
import type { Endpoint } from "../../transport.ts";
import type { Rejection } from "../contract.ts";
import { createUnknownChannels, type UnknownChannel, type UnknownChannels } from "./unknown-channels.ts";
import {
  createUnknownClocks,
  type OddClock,
  type UnknownClock,
  type UnknownClocks,
} from "./unknown-clocks.ts";

/** Counts of dropped datagrams, told in the log once by kind and then in sums. */
export interface Rejections {
  add(reason: Rejection, from: Endpoint): void;
  /** Counts what is as it should be, such as our own broadcast coming back, without a word in the log. */
  expected(reason: Rejection): void;
  addUnknownChannel(id: Uint8Array, from: Endpoint): void;
  addOddClock(clock: Omit<OddClock, "source">, from: Endpoint): void;
  counts(): Readonly<Record<Rejection, number>>;
  unknownChannels(): readonly UnknownChannel[];
  unknownClocks(): readonly UnknownClock[];
  /** Forgets a channel that has got a name. */
  named(id: Uint8Array): void;
  /** Forgets a clock that is accepted now: a session has begun there. */
  begun(from: Endpoint): void;
  stop(): void;
}

const SUM_EVERY_MS = 60_000;

/** What the counters work with. */
export interface RejectionsUse {
  readonly clock: Clock;
  readonly log: Log;
  /** Bounds each list of what is unknown. */
  readonly listed: number;
  /** The key that a device's entry in the configuration may leave out. */
  readonly firstKey?: string;
}

/** Makes the counters. */
export function createRejections(use: RejectionsUse): Rejections {
  return new RejectionCounters(use);
}

class RejectionCounters implements Rejections {
  readonly #use: RejectionsUse;
  readonly #counts: Record<Rejection, number> = noRejections();
  readonly #channels: UnknownChannels;
  readonly #clocks: UnknownClocks;
  #summed: Record<Rejection, number> = noRejections();
  #timer: CancelTimer | undefined;
  #stopped = false;

  constructor(use: RejectionsUse) {
    this.#use = use;
    this.#channels = createUnknownChannels(use.listed);
    this.#clocks = createUnknownClocks(use.listed, use.firstKey);
  }

  expected(reason: Rejection): void {
    this.#counts[reason] += 1;
    this.#summed[reason] += 1;
  }

  add(reason: Rejection, from: Endpoint): void {
    this.#counts[reason] += 1;
    if (this.#counts[reason] === 1) {
      this.#summed[reason] += 1;
      this.#use.log.warn("datagram dropped", { reason, from: addressText(from) });
    } else if (this.#timer === undefined && !this.#stopped) {
      this.#timer = this.#use.clock.after(SUM_EVERY_MS, () => this.#sum());
    }
  }

  addUnknownChannel(id: Uint8Array, from: Endpoint): void {
    const hash = channelKey(id);
    const source = addressText(from);
    if (this.#channels.heard(hash, source, this.#use.clock.now())) {
      this.#use.log.warn("message on a channel without a name; nomq name HASH CHANNEL gives it one", {
        hash,
        from: source,
      });
    }
    this.add("unknown-channel", from);
  }

  addOddClock(clock: Omit<OddClock, "source">, from: Endpoint): void {
    const entry = this.#clocks.heard({ ...clock, source: addressText(from) }, this.#use.clock.now());
    if (entry !== undefined) {
      const { source, device, offset, likely, paste } = entry;
      const advice =
        paste === undefined
          ? "a device's clock has jumped; its next session is taken, so restart it or wait"
          : "a device's clock is wrong; set it, let nomq.time serve it, or take it as it is under nomq.devices";
      const more = { ...(device === undefined ? {} : { device }), ...(paste === undefined ? {} : { paste }) };
      this.#use.log.warn(advice, { from: source, offset, likely, ...more });
    }
    this.add(clock.reason, from);
  }

  counts(): Readonly<Record<Rejection, number>> {
    return { ...this.#counts };
  }

  unknownChannels(): readonly UnknownChannel[] {
    return this.#channels.list();
  }

  unknownClocks(): readonly UnknownClock[] {
    return this.#clocks.list();
  }

  named(id: Uint8Array): void {
    if (this.#channels.size > 0) this.#channels.forget(channelKey(id));
  }

  begun(from: Endpoint): void {
    this.#clocks.forget(addressText(from));
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.();
    this.#timer = undefined;
  }

  #sum(): void {
    this.#timer = undefined;
    const fields: Record<string, number> = {};
    for (const reason of REJECTIONS) {
      const more = this.#counts[reason] - this.#summed[reason];
      if (more > 0) fields[reason] = more;
    }
    this.#summed = { ...this.#counts };
    this.#use.log.warn("datagrams dropped in the last minute", fields);
    if (fields["unknown-channel"] === undefined) return;
    for (const { hash, source, count } of this.unknownChannels().slice(0, 8)) {
      this.#use.log.warn("channel without a name", { hash, from: source, count });
    }
  }
}

const REJECTIONS: readonly Rejection[] = [
  "malformed",
  "bad-mac",
  "replay",
  "stale",
  "clock-unknown",
  "unknown-channel",
  "own",
  "limited",
];

/** Every reason, none counted. */
export function noRejections(): Record<Rejection, number> {
  return {
    malformed: 0,
    "bad-mac": 0,
    replay: 0,
    stale: 0,
    "clock-unknown": 0,
    "unknown-channel": 0,
    own: 0,
    limited: 0,
  };
}
