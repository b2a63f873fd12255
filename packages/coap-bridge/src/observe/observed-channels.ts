import type { CancelTimer, Message, Port } from "@nomq/core";
import type { Interest } from "./interest.ts";
import type { ObserveLimits } from "./observers.ts";
import type { OrderNumbers } from "./order-numbers.ts";
import type { Relation } from "./relation.ts";
import { endOf, Telling } from "./telling.ts";

/** A channel that somebody observes or is about to. */
export interface ObservedChannel {
  readonly name: string;
  readonly relations: Set<Relation>;
  /** Registrations under way. */
  opening: number;
  /** The hub sends it, and its value is known. */
  ready: Promise<void> | undefined;
  /** What a GET answers, and the `seq` of the change that made it so. */
  value: Message | undefined;
  valueSeq: number;
  /** When the value is over, by the monotonic clock. */
  valueEndsAt: number;
  /** When its observers were last told anything, by the monotonic clock, and when that is over. */
  toldAt: number;
  toldEndsAt: number;
  timer: { readonly at: number; readonly cancel: CancelTimer } | undefined;
}

/** What observed channels need. */
export interface ObservedChannelsOptions {
  readonly port: Pick<Port, "latest" | "clock">;
  readonly interest: Interest;
  readonly numbers: OrderNumbers;
  readonly limits: ObserveLimits;
  /** Something has changed: it goes to every observer of the channel. */
  readonly tell: (channel: ObservedChannel, telling: Telling) => void;
  /** Nothing has changed, and it is time to say so. */
  readonly remind: (channel: ObservedChannel, telling: Telling) => void;
}

/** Observed channels: their value, their order, and when they must be said again. */
export interface ObservedChannels {
  find(name: string): ObservedChannel | undefined;
  /** The channel, made where nobody had it; {@link ObservedChannels.leave} lets go. */
  open(name: string): ObservedChannel;
  /** Its value is known, and all that comes after is told: no change falls between. */
  load(channel: ObservedChannel): Promise<void>;
  /** It ends where nobody is left. */
  leave(channel: ObservedChannel): void;
  /** A message on it, from the hub or from the bridge itself. */
  take(message: Message): void;
  /** The value is gone at this `seq`. */
  clear(channel: ObservedChannel, seq: number): void;
  /** What a GET answers now, as a telling that says nothing new. */
  present(channel: ObservedChannel): Telling;
  count(): number;
  stop(): void;
}

/** Part of Max-Age after which a value is said again. */
const REFRESH_AT = 0.9;
/** Timers are not set for less, in ms. */
const SOONEST_MS = 20;

/** After how long what a channel said last is said again at the latest, in ms. What expires stays fresh until then. */
export const saidAgainMs = (
  { toldEndsAt }: Pick<ObservedChannel, "toldEndsAt">,
  { refreshMs, checkMs }: ObserveLimits,
): number =>
  toldEndsAt === Number.POSITIVE_INFINITY ? Math.min(refreshMs * REFRESH_AT, checkMs / 2) : checkMs / 2;

/** Makes a set of them, empty. */
export function createObservedChannels(options: ObservedChannelsOptions): ObservedChannels {
  const { port, interest, numbers, limits, tell, remind } = options;
  const { clock } = port;
  const channels = new Map<string, ObservedChannel>();

  const setValue = (channel: ObservedChannel, value: Message | undefined, seq: number): void => {
    channel.value = value;
    channel.valueSeq = seq;
    channel.valueEndsAt = endOf(value, clock);
  };
  const present = (channel: ObservedChannel): Telling => {
    if (clock.monotonic() >= channel.valueEndsAt) setValue(channel, undefined, channel.valueSeq);
    const { value: message, valueSeq: seq, valueEndsAt: endsAt, name } = channel;
    const observe = numbers.next();
    return new Telling({
      channel: name,
      message,
      observe,
      seq,
      counts: false,
      told: message?.seq ?? 0,
      endsAt,
    });
  };

  const dueIn = (channel: ObservedChannel): number => {
    const again = channel.toldAt + saidAgainMs(channel, limits);
    return Math.min(again, channel.toldEndsAt, channel.valueEndsAt) - clock.monotonic();
  };
  const arm = (channel: ObservedChannel): void => {
    const ms = Math.max(SOONEST_MS, dueIn(channel));
    const at = clock.monotonic() + ms;
    // A timer that is early enough stays: it looks again when it comes.
    if (channel.timer !== undefined && channel.timer.at <= at) return;
    channel.timer?.cancel();
    const cancel = clock.after(ms, () => {
      channel.timer = undefined;
      void comeDue(channel);
    });
    channel.timer = { at, cancel };
  };
  const noteTold = (channel: ObservedChannel, endsAt: number): void => {
    channel.toldAt = clock.monotonic();
    channel.toldEndsAt = endsAt;
    arm(channel);
  };
  const isHere = (channel: ObservedChannel): boolean => channels.get(channel.name) === channel;

  /** The hub has the truth: what it moved, after a step of the wall clock, or what we missed. */
  const read = async (channel: ObservedChannel): Promise<void> => {
    const before = channel.valueSeq;
    const latest = await port.latest(channel.name, "*");
    const seq = latest?.seq ?? 0;
    // What came while the store was asked is newer than its answer.
    if (channel.valueSeq === before || seq > channel.valueSeq) {
      setValue(channel, latest, Math.max(seq, channel.valueSeq));
    }
  };
  const comeDue = async (channel: ObservedChannel): Promise<void> => {
    if (dueIn(channel) > 0) return arm(channel);
    const { value: before, valueSeq } = channel;
    // Where the store does not answer, what we hold is the best there is.
    await read(channel).catch(() => undefined);
    if (!isHere(channel)) return;
    // An event that was told last is no reason to keep silent about a value that is over.
    const isOver = before !== undefined && channel.value === undefined && channel.valueSeq === valueSeq;
    // Something was told meanwhile, or the value lives longer than we knew.
    if (!isOver && dueIn(channel) > 0) return arm(channel);
    const now = present(channel);
    noteTold(channel, now.endsAt);
    if (now.message?.seq === before?.seq) remind(channel, now);
    else tell(channel, now);
  };

  return {
    find: (name) => channels.get(name),
    open(name) {
      const known = channels.get(name);
      if (known !== undefined) return known;
      const toldAt = clock.monotonic();
      const made: ObservedChannel = {
        ...{ name, relations: new Set<Relation>(), opening: 0, ready: undefined, timer: undefined },
        ...{ value: undefined, valueSeq: 0, valueEndsAt: Number.POSITIVE_INFINITY },
        ...{ toldAt, toldEndsAt: Number.POSITIVE_INFINITY },
      };
      channels.set(name, made);
      return made;
    },
    async load(channel) {
      channel.ready ??= interest.hold(channel.name).then(() => read(channel));
      try {
        await channel.ready;
      } catch (error) {
        channel.ready = undefined;
        throw error;
      } finally {
        // What is answered first counts as told.
        if (channel.timer === undefined && isHere(channel)) noteTold(channel, channel.valueEndsAt);
      }
    },
    leave(channel) {
      if (channel.relations.size > 0 || channel.opening > 0 || !isHere(channel)) return;
      channels.delete(channel.name);
      channel.timer?.cancel();
      channel.timer = undefined;
      interest.release(channel.name);
    },
    take(message) {
      const channel = channels.get(message.channel);
      if (channel === undefined) return;
      const { seq, retain } = message;
      const said = retain && message.payload.length === 0 ? undefined : message;
      if (retain && seq > channel.valueSeq) setValue(channel, said, seq);
      const endsAt = endOf(said, clock);
      const told = retain ? (said?.seq ?? 0) : undefined;
      const observe = numbers.next();
      noteTold(channel, endsAt);
      tell(
        channel,
        new Telling({ channel: channel.name, message: said, observe, seq, counts: true, told, endsAt }),
      );
    },
    clear(channel, seq) {
      if (seq > channel.valueSeq) setValue(channel, undefined, seq);
    },
    present,
    count: () => channels.size,
    stop() {
      for (const channel of channels.values()) channel.timer?.cancel();
      channels.clear();
    },
  };
}
