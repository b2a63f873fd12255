import type { Attachment, Outcome } from "@nomq/core";
import { OBSERVERS_ATTACHMENT } from "../resources/parameters.ts";
import { createInterest, type Interest } from "./interest.ts";
import { createKeptRelations, type KeptState, readKept } from "./kept-relations.ts";
import { createObservedChannels } from "./observed-channels.ts";
import { createObserverLedger } from "./observer-ledger.ts";
import type { Observers, ObserversOptions } from "./observers.ts";
import { DEFAULT_OBSERVE_LIMITS } from "./observers.ts";
import { createOrderNumbers, ORDER_MODULUS } from "./order-numbers.ts";
import { createRegistering } from "./registering.ts";
import { createRelationBook } from "./relation-book.ts";
import { createRelationRecords } from "./relation-records.ts";
import { createRestored } from "./restored.ts";
import { createRoster } from "./roster.ts";
import { createSpeaker } from "./speaker.ts";

/** Calls of `deliver` open at once: each only hands over. */
const WINDOW = 256;
const DELIVERED: Promise<Outcome> = Promise.resolve({ is: "delivered" });

/**
 * Takes up the observers that an earlier run left and attaches `coap:observers`, which is durable: what is taken while
 * the gateway starts, or just before it was killed, still reaches those who asked for every message. Nobody is told
 * anything before {@link Observers.begin}. Rejects as `port.attach` and `port.state` do.
 */
export async function openObservers(options: ObserversOptions): Promise<Observers> {
  const { port } = options;
  const past = await readKept(port);
  let attachment: Attachment | undefined;
  const names = new Set(past.relations.map(({ channel }) => channel));
  const change: Attachment["change"] = async (filters) => attachment?.change(filters);
  const isDrained = (): boolean => attachment?.ledger().pending === 0;
  const parts = assemble(options, { past, isDrained, interest: createInterest({ change }, names) });
  const { channels, book } = parts;
  attachment = await port.attach({
    name: OBSERVERS_ATTACHMENT,
    as: "*",
    filters: [...names],
    durable: true,
    retained: "pull",
    // What comes from an observer's side is its own word, never our echo.
    echoes: false,
    window: WINDOW,
    deliver: (message) => {
      channels.take(message);
      return DELIVERED;
    },
  });
  const unwatch = port.onAccessChange(() => {
    book.revoke((who, channel) => port.may(who, "subscribe", channel));
  });
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    unwatch();
    stopping ??= close(parts, attachment);
    return stopping;
  };
  return { ...observersOf(parts), stop };
}

/** What comes from the hub. */
interface Given {
  readonly past: KeptState;
  readonly interest: Interest;
  readonly isDrained: () => boolean;
}

type Parts = ReturnType<typeof assemble>;

function assemble(
  { port, show, begun = () => undefined, limits: given }: ObserversOptions,
  { past, interest, isDrained }: Given,
) {
  const { clock } = port;
  const limits = { ...DEFAULT_OBSERVE_LIMITS, ...given };
  const kept = createKeptRelations((changes) => port.remember(changes));
  kept.drop(past.unreadable);
  const roster = createRoster();
  const ledger = createObserverLedger();
  const numbers = createOrderNumbers({
    ...(past.reserved === undefined ? {} : { reserved: past.reserved }),
    // Where nothing lasts, the wall clock keeps numbers of a later run above those of this one.
    start: Math.floor(clock.now()) % ORDER_MODULUS,
    reserve: (upTo) => kept.reserve(upTo),
  });
  const channels = createObservedChannels({
    ...{ port, numbers, limits, interest },
    tell: (channel, telling) => {
      for (const relation of channel.relations) speaker.offer(relation, telling);
      speaker.run();
    },
    remind: (channel, telling) => {
      for (const relation of channel.relations) speaker.remind(relation, telling);
    },
  });
  const speaker = createSpeaker({
    ...{ port, ledger, limits, show, begun, present: channels.present },
    lost: (relation, reason) => book.lost(relation, reason),
    finish: (relation, code, reason) => book.finish(relation, code, reason),
    over: (relation) => book.over(relation),
  });
  const records = createRelationRecords(port.sessionLog);
  const shared = { roster, channels, kept, speaker, records };
  const book = createRelationBook({ ...shared, monotonic: () => clock.monotonic() });
  const registering = createRegistering({ ...shared, port, limits, show, book });
  const restored = createRestored({ roster, channels, speaker, book, isDrained }, past.relations);
  return { channels, speaker, book, registering, restored, roster, ledger, kept };
}

function observersOf(parts: Parts): Omit<Observers, "stop"> {
  const { channels, speaker, book, registering, restored, roster, ledger } = parts;
  return {
    register: (registration) => registering.register(registration),
    cancel(from, token) {
      book.silence(from.key, token);
      const relation = roster.find(from.key, token);
      if (relation !== undefined) book.end(relation, "cancelled");
    },
    changed: (message) => channels.take(message),
    isWatched: (channel) => channels.find(channel) !== undefined,
    deleted(name, seq) {
      const channel = channels.find(name);
      if (channel === undefined) return;
      channels.clear(channel, seq);
      book.deleteAll(channel, seq);
    },
    has: (name) => (channels.find(name)?.relations.size ?? 0) > 0,
    begin(messaging) {
      speaker.begin(messaging);
      restored.begin(messaging);
    },
    counts() {
      const { registered, ...others } = registering.counts();
      return {
        ...{ observers: roster.count(), endpoints: roster.endpoints(), channels: channels.count() },
        ...{ registered: registered + restored.count, ended: book.ended(), ...others },
        ...{ refreshes: speaker.refreshes(), ledger: ledger.row() },
      };
    },
  };
}

async function close(parts: Parts, attachment: Attachment | undefined): Promise<void> {
  const { channels, speaker, book, roster, kept } = parts;
  channels.stop();
  speaker.stop();
  book.stop();
  await attachment?.[Symbol.asyncDispose]();
  for (const relation of roster.all()) {
    speaker.drop(relation, "stopped");
    relation.sent?.cancel();
    if (relation.keptTold !== relation.told) kept.note(relation);
  }
  await kept.stored().catch(() => undefined);
}
