import { createTally, type Message, type Port } from "@nomq/core";
import type { Answer } from "../messaging/messaging.ts";
import { classOf } from "../wire/code.ts";
import type { KeptRelations } from "./kept-relations.ts";
import type { ObservedChannels } from "./observed-channels.ts";
import type { ObserveLimits, Registration, Show, Shown, Wish } from "./observers.ts";
import { Relation } from "./relation.ts";
import type { RelationBook } from "./relation-book.ts";
import type { RelationRecords } from "./relation-records.ts";
import type { Roster } from "./roster.ts";
import type { Speaker } from "./speaker.ts";

/** What registering needs. */
export interface RegisteringOptions {
  readonly port: Pick<Port, "latest" | "clock" | "log">;
  readonly limits: ObserveLimits;
  readonly show: Show;
  readonly channels: ObservedChannels;
  readonly roster: Roster;
  readonly book: RelationBook;
  readonly kept: KeptRelations;
  readonly speaker: Speaker;
  readonly records: RelationRecords;
}

/** Takes registrations. */
export interface Registering {
  register(registration: Registration): Promise<Answer>;
  readonly counts: () => {
    readonly registered: number;
    readonly unregistered: Readonly<Record<string, number>>;
    readonly unsaved: number;
  };
}

/** How long an answer waits for the store. */
const STORE_WAIT_MS = 5_000;

/** Makes it; one registration of an endpoint and token at a time is in force. */
export function createRegistering(options: RegisteringOptions): Registering {
  const { port, limits, show, channels, roster, book, kept, speaker, records } = options;
  const unregistered = createTally();
  const wishes = createWishes();
  let registered = 0;
  let unsaved = 0;

  const noRoom = ({ from, token }: Registration): string | undefined => {
    if (roster.find(from.key, token) !== undefined) return undefined;
    if (roster.count() >= limits.most) return "limit";
    return roster.countOf(from.key) >= limits.perEndpoint ? "endpoint-limit" : undefined;
  };
  const showFirst = (registration: Registration, message: Message | undefined, observe?: number): Shown => {
    const { first = show, channel, accept, szx } = registration;
    return first({
      ...{ channel, message },
      ...(accept === undefined ? {} : { accept }),
      ...(szx === undefined ? {} : { szx }),
      ...(observe === undefined ? {} : { observe }),
    });
  };
  const turnDown = async (registration: Registration, reason: string): Promise<Answer> => {
    unregistered.add(reason);
    return answerOf(showFirst(registration, await port.latest(registration.channel, "*")));
  };
  const enter = (registration: Registration): Relation => {
    const { from, token, channel, as, confirmable, all = false, transfer } = registration;
    const before = roster.find(from.key, token);
    const observed = channels.open(channel);
    observed.opening += 1;
    book.silence(from.key, token);
    const isRenewal = before?.isRecorded === true && before.channel === observed;
    if (before !== undefined) {
      if (isRenewal) before.isRecorded = false;
      book.end(before, "replaced");
    }
    const facts = { remoteKey: from.key, token: token.slice(), channel: observed, as, confirmable, all };
    const relation = new Relation({ ...facts, transfer, wish: wishes(registration) }, speaker);
    relation.remote = from;
    relation.isRecorded = isRenewal;
    roster.add(relation);
    return relation;
  };
  /** From here on nothing that comes is missed. */
  const join = (relation: Relation, registration: Registration): Shown => {
    const { channel } = relation;
    const telling = channels.present(channel);
    const shown = showFirst(registration, telling.message, telling.observe);
    if (classOf(shown.code) !== 2) {
      book.end(relation, "refused");
      return shown;
    }
    relation.format = shown.format;
    relation.seq = channel.valueSeq;
    relation.told = telling.told ?? 0;
    relation.checkedAt = port.clock.monotonic();
    channel.relations.add(relation);
    for (const other of roster.movedFrom(relation)) book.end(other, "moved");
    registered += 1;
    records.began(relation);
    kept.note(relation);
    return shown;
  };
  /** A store that does not answer must not hold up requests without end. */
  const inTime = async (work: Promise<void>): Promise<void> => {
    const late = Promise.withResolvers<void>();
    const cancel = port.clock.after(STORE_WAIT_MS, () => late.reject(new Error("the store does not answer")));
    await Promise.race([work, late.promise]).finally(cancel);
  };
  const save = async (): Promise<void> => {
    try {
      await inTime(kept.stored());
    } catch (error) {
      unsaved += 1;
      if (unsaved > 1) return;
      port.log.warn("an observer may not survive a restart: the store has not taken it", {
        error: error instanceof Error ? error.message : String(error),
      });
    }
  };

  const register = async (registration: Registration): Promise<Answer> => {
    const full = noRoom(registration);
    if (full !== undefined) return turnDown(registration, full);
    const relation = enter(registration);
    const { channel } = relation;
    try {
      await inTime(channels.load(channel));
    } catch {
      book.end(relation, "refused");
      return await turnDown(registration, "interest");
    } finally {
      channel.opening -= 1;
      if (relation.state.is === "gone") channels.leave(channel);
    }
    if (relation.final !== undefined) {
      book.end(relation, "refused");
      return { code: relation.final };
    }
    if (relation.state.is === "gone") return answerOf(showFirst(registration, channel.value));
    const shown = join(relation, registration);
    await save();
    speaker.step(relation, { on: "opened", more: relation.hasMore });
    return {
      ...answerOf(shown),
      // An answer that went on its own and that nobody wanted, or nobody was there to take.
      ended: (outcome) => {
        if (outcome === "reset" || outcome === "timeout") book.lost(relation, outcome);
      },
    };
  };
  return {
    register,
    counts: () => ({ registered, unregistered: unregistered.read(), unsaved }),
  };
}

const answerOf = ({ code, tail }: Shown): Answer => ({ code, tail });

/** One object for each wish, so that what is encoded for one observer serves all that asked alike. */
function createWishes(): (wish: Wish) => Wish {
  const known = new Map<string, Wish>();
  return ({ accept, szx }) => {
    const key = `${accept}/${szx}`;
    const before = known.get(key);
    if (before !== undefined) return before;
    // Clients choose them: a new beginning costs an encoding, not memory.
    if (known.size >= MOST_WISHES) known.clear();
    const wish = { ...(accept === undefined ? {} : { accept }), ...(szx === undefined ? {} : { szx }) };
    known.set(key, wish);
    return wish;
  };
}

const MOST_WISHES = 256;
