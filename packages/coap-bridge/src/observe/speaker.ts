import type { Port } from "@nomq/core";
import type { Whole } from "../blocks/whole.ts";
import type { Messaging, Outgoing, SentOutcome } from "../messaging/messaging.ts";
import { MessageType } from "../wire/coap-message.ts";
import { type Code, classOf, Response } from "../wire/code.ts";
import type { FanOut } from "./fan-out.ts";
import { createFanOut } from "./fan-out.ts";
import type { ObservedChannel } from "./observed-channels.ts";
import { saidAgainMs } from "./observed-channels.ts";
import type { ObserverLedger } from "./observer-ledger.ts";
import type { ObserveLimits, Show, Shown } from "./observers.ts";
import type { Relation, Voice } from "./relation.ts";
import type { RelationInput } from "./relation-state.ts";
import { stepRelation } from "./relation-state.ts";
import type { Telling } from "./telling.ts";

/** What a speaker needs. */
export interface SpeakerOptions {
  readonly port: Pick<Port, "clock" | "may">;
  readonly ledger: ObserverLedger;
  readonly limits: ObserveLimits;
  readonly show: Show;
  readonly begun: (endpoint: string, transfer: string, whole: Whole) => void;
  /** What a GET answers now. */
  readonly present: (channel: ObservedChannel) => Telling;
  /** The other side has ended the relation, or is not there. */
  readonly lost: (relation: Relation, reason: "reset" | "timeout") => void;
  /** The relation must end with this code. */
  readonly finish: (relation: Relation, code: Code, reason: string) => void;
  /** Its last notification has been acknowledged. */
  readonly over: (relation: Relation) => void;
}

/** Tells relations what they are to be told, each when it is its turn. */
export interface Speaker extends Voice {
  /** The relation has this to say, in place of or behind what waits. */
  offer(relation: Relation, telling: Telling): void;
  /** The same, unless there is something to say anyway. */
  remind(relation: Relation, telling: Telling): void;
  step(relation: Relation, input: RelationInput): void;
  /** Turns now, for what came from the hub. */
  run(): void;
  /** Everything it has yet to be told ends here. */
  drop(relation: Relation, reason: string): void;
  /** There is a message layer now. */
  begin(messaging: Pick<Messaging, "send">): void;
  refreshes(): number;
  stop(): void;
}

const NEWS: RelationInput = { on: "news" };
const TURN: RelationInput = { on: "turn" };
const CON: RelationInput = { on: "spoken", as: "con", more: false };
const LAST: RelationInput = { on: "spoken", as: "last", more: false };

/** Makes a speaker; it says nothing before `begin`. */
export function createSpeaker(options: SpeakerOptions): Speaker {
  const { port, ledger, limits, show, begun, present, lost, finish, over } = options;
  const { clock } = port;
  let messaging: Pick<Messaging, "send"> | undefined;
  let refreshes = 0;

  const settle = (telling: Telling, end: Parameters<ObserverLedger["settle"]>[0]): void => {
    if (telling.counts) ledger.settle(end);
  };
  const step = (relation: Relation, input: RelationInput): void => {
    const { state, effect } = stepRelation(relation.state, input);
    relation.state = state;
    if (effect === "enqueue") fanOut.push(relation);
    if (effect === "hand") hand(relation);
  };
  const hand = (relation: Relation): void => {
    if (messaging === undefined || relation.remote === undefined) return;
    // A NON is acknowledged by nobody: from time to time a CON asks whether somebody is there (RFC 7641 section 4.5).
    const nextChance = clock.monotonic() + saidAgainMs(relation.channel, limits);
    const isUnchecked = nextChance - relation.checkedAt >= limits.checkMs;
    relation.isConfirming = relation.confirmable || relation.final !== undefined || isUnchecked;
    const ended = relation.isConfirming ? relation.endedCon : relation.endedNon;
    relation.sent = messaging.send(relation.remote, relation.next, ended);
  };
  /** A right is asked for anew at each notification. */
  const turn = (relation: Relation): void => {
    if (relation.state.is !== "due") return;
    const isAllowed =
      relation.final !== undefined || port.may(relation.as, "subscribe", relation.channel.name);
    if (!isAllowed) finish(relation, Response.forbidden, "access");
    step(relation, TURN);
  };
  const fanOut: FanOut<Relation> = createFanOut(turn, () => clock.monotonic());

  /** What is out stays, unless there is something newer for who wants the newest. */
  const pick = (relation: Relation): Telling | undefined => {
    let telling = relation.said;
    if (telling === undefined || !relation.all) {
      const newer = relation.take();
      if (newer !== undefined && telling !== undefined) settle(telling, "coalesced");
      telling = newer ?? telling;
    }
    const now = clock.monotonic();
    let isOver = false;
    while (telling !== undefined && now >= telling.endsAt) {
      isOver = true;
      settle(telling, "expired");
      telling = relation.take();
    }
    return telling ?? (isOver ? present(relation.channel) : undefined);
  };
  const sayLast = (relation: Relation, code: Code): Outgoing | undefined => {
    if (!relation.isConfirming) return sayNothing(relation);
    if (relation.outgoing?.code !== code) {
      relation.outgoing = { type: MessageType.confirmable, code, token: relation.token };
    }
    step(relation, LAST);
    return relation.outgoing;
  };
  const sayNothing = (relation: Relation): undefined => {
    relation.said = undefined;
    relation.outgoing = undefined;
    step(relation, { on: "spoken", as: "nothing", more: relation.hasMore });
    return undefined;
  };
  const say = (relation: Relation, telling: Telling, shown: Shown): Outgoing => {
    const { token, isConfirming, transfer } = relation;
    relation.format ??= shown.format;
    if (shown.whole !== undefined && transfer !== undefined) begun(relation.remoteKey, transfer, shown.whole);
    const { code, tail } = shown;
    if (isConfirming) {
      relation.said = telling;
      relation.outgoing = { type: MessageType.confirmable, code, token, tail };
      step(relation, CON);
      return relation.outgoing;
    }
    settle(telling, "delivered");
    relation.told = telling.told ?? relation.told;
    step(relation, { on: "spoken", as: "non", more: relation.hasMore });
    return { type: MessageType.nonConfirmable, code, token, tail };
  };
  const next = (relation: Relation): Outgoing | undefined => {
    // Once stopped, nothing is said: what waited behind an open CON must not count as told.
    if (relation.state.is === "gone" || messaging === undefined) return undefined;
    if (relation.final !== undefined) return sayLast(relation, relation.final);
    const telling = pick(relation);
    if (telling === undefined) return sayNothing(relation);
    if (telling === relation.said && relation.outgoing !== undefined) return relation.outgoing;
    const shown = telling.shownFor(relation.wish, show, clock.now());
    const fits =
      classOf(shown.code) === 2 && (shown.format ?? relation.format) === (relation.format ?? shown.format);
    if (fits) return say(relation, telling, shown);
    // RFC 7641 section 4.2: the format of a relation does not change.
    settle(telling, { dropped: "format" });
    relation.said = undefined;
    finish(relation, Response.notAcceptable, "format");
    return sayLast(relation, Response.notAcceptable);
  };
  const acknowledged = (relation: Relation): void => {
    relation.checkedAt = clock.monotonic();
    if (relation.said !== undefined) settle(relation.said, "delivered");
    relation.told = relation.said?.told ?? relation.told;
    relation.said = undefined;
    relation.outgoing = undefined;
    step(relation, { on: "acknowledged", more: relation.hasMore });
    if (relation.state.is === "gone") over(relation);
  };
  /** The message layer has let go of it unsaid: it waits for the next occasion, and does not ask again and again. */
  const withdrawn = (relation: Relation): void => {
    if (relation.state.is !== "handed" && relation.state.is !== "said") return;
    if (relation.said !== undefined) settle(relation.said, { dropped: "unsent" });
    relation.said = undefined;
    relation.outgoing = undefined;
    step(relation, { on: "withdrawn" });
  };
  const ended = (relation: Relation, outcome: SentOutcome, isConfirmed: boolean): void => {
    if (relation.state.is === "gone") return;
    if (outcome === "reset") lost(relation, "reset");
    // A NON may be told of after a CON has followed it.
    else if (isConfirmed !== relation.isConfirming) return;
    else if (outcome === "timeout") lost(relation, "timeout");
    else if (outcome === "acknowledged") acknowledged(relation);
    else if (outcome === "cancelled") withdrawn(relation);
  };

  return {
    next,
    ended,
    step,
    offer(relation, telling) {
      if (telling.counts) {
        ledger.accept();
        if (telling.seq <= relation.seq) {
          settle(telling, { dropped: "overtaken" });
          return;
        }
        relation.seq = telling.seq;
      }
      const out = relation.put(telling, limits.queue);
      if (out !== undefined) settle(out, relation.all ? { dropped: "overflow" } : "coalesced");
      step(relation, NEWS);
    },
    remind(relation, telling) {
      if (!relation.hasMore && relation.state.is === "quiet") {
        refreshes += 1;
        relation.put(telling, limits.queue);
      }
      if (relation.hasMore) step(relation, NEWS);
    },
    drop(relation, reason) {
      if (relation.said !== undefined) settle(relation.said, { dropped: reason });
      relation.said = undefined;
      for (let rest = relation.take(); rest !== undefined; rest = relation.take()) {
        settle(rest, { dropped: reason });
      }
    },
    run() {
      if (messaging !== undefined) fanOut.run();
    },
    begin(through) {
      messaging = through;
    },
    refreshes: () => refreshes,
    stop() {
      messaging = undefined;
      fanOut.stop();
    },
  };
}
