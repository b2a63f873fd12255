import { addressText } from "../address.ts";
import type { CancelTimer, Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import { channelKey } from "../packet/channel-id.ts";
import type { Endpoint } from "../transport.ts";
import type { Rejection, UnknownChannel, UnknownClock } from "./contract.ts";

/** Counts of dropped datagrams, told in the log once by kind and then in sums. */
export interface Rejections {
  add(reason: Rejection, from: Endpoint): void;
  addUnknownChannel(id: Uint8Array, from: Endpoint): void;
  addUnknownClock(offset: number, from: Endpoint): void;
  counts(): Readonly<Record<Rejection, number>>;
  unknownChannels(): readonly UnknownChannel[];
  unknownClocks(): readonly UnknownClock[];
  /** Forgets a channel that has got a name. */
  named(id: Uint8Array): void;
  stop(): void;
}

const SUM_EVERY_MS = 60_000;

/** Makes the counters; `listed` bounds the lists of unknown channels and clocks. */
export function createRejections(use: { clock: Clock; log: Log; listed: number }): Rejections {
  return new RejectionCounters(use);
}

class RejectionCounters implements Rejections {
  readonly #use: { clock: Clock; log: Log; listed: number };
  readonly #counts: Record<Rejection, number> = noRejections();
  readonly #channels = new Map<string, { source: string; count: number }>();
  readonly #clocks = new Map<string, { offset: number; count: number }>();
  #summed: Record<Rejection, number> = noRejections();
  #timer: CancelTimer | undefined;
  #stopped = false;

  constructor(use: { clock: Clock; log: Log; listed: number }) {
    this.#use = use;
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
    const known = this.#channels.get(hash);
    const source = addressText(from);
    if (known !== undefined) {
      known.count += 1;
      known.source = source;
    } else if (this.#channels.size < this.#use.listed) {
      this.#channels.set(hash, { source, count: 1 });
      this.#use.log.warn("message on a channel without a name; add its name under nomq.channels", {
        hash,
        from: source,
        count: 1,
      });
    }
    this.add("unknown-channel", from);
  }

  addUnknownClock(offset: number, from: Endpoint): void {
    const source = addressText(from);
    const known = this.#clocks.get(source);
    if (known !== undefined) {
      known.count += 1;
      known.offset = offset;
    } else if (this.#clocks.size < this.#use.listed) {
      this.#clocks.set(source, { offset, count: 1 });
      this.#use.log.warn("a device's clock is set to no time zone; to trust it all the same, configure it", {
        from: source,
        offset,
        paste: `{ name: NAME, address: "${source}", clock: any }`,
      });
    }
    this.add("clock-unknown", from);
  }

  counts(): Readonly<Record<Rejection, number>> {
    return { ...this.#counts };
  }

  unknownChannels(): readonly UnknownChannel[] {
    return [...this.#channels].map(([hash, entry]) => ({ hash, ...entry }));
  }

  unknownClocks(): readonly UnknownClock[] {
    return [...this.#clocks].map(([source, entry]) => ({ source, ...entry }));
  }

  named(id: Uint8Array): void {
    if (this.#channels.size > 0) this.#channels.delete(channelKey(id));
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
