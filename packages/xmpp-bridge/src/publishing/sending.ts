import type { Delivery, Message, Port } from "@nomq/core";
import type { Link } from "../link/link.ts";
import type { Nodes } from "../nodes/nodes.ts";
import type { SentItem } from "../receiving/receiving.ts";
import type { Expiries, ItemPlace } from "./expiries.ts";
import type { KnownNodes } from "./known-nodes.ts";
import type { Lane, LaneCall } from "./lane.ts";
import type { Verdict } from "./verdict.ts";

/** What publishing tells. */
export interface PublisherEvents {
  /** No pubsub service answers; every open call has been answered `retry`. */
  noService(reason: string): void;
  /** The service has taken the item of a message, or taken one back for it. */
  taken(message: Message): void;
  /** It has refused one for good. */
  refused(channel: string, reason: string): void;
  /** The stream died of an item, twice. */
  poison(message: Message, reason: string): void;
  /** A message that nobody waits for (QoS 0) was not taken; refused: nor would another be. */
  unheard(channel: string, reason: string, isRefused: boolean): void;
  /** A message comes again, for this reason. */
  again(reason: string): void;
  /** State was not sent again: it lies there already. */
  unchanged(): void;
  /** State was sent again before events could push it out. */
  renewed(): void;
}

/** What publishing needs. */
export interface PublisherUse {
  readonly port: Pick<Port, "clock" | "latest">;
  readonly link: Pick<Link, "request">;
  readonly nodes: Pick<Nodes, "ready" | "prepare" | "forget">;
  readonly pubsub: string;
  /** This gateway's name in items. */
  readonly gateway: string;
  readonly known: KnownNodes;
  readonly expiries: Expiries;
  /** Told of every item and retraction before it leaves: what comes back of it is no news. */
  readonly sent: (item: SentItem) => void;
  readonly tell: PublisherEvents;
}

/** One message on its way. */
export interface Sending extends Delivery {
  readonly message: Message;
  readonly call: LaneCall;
  readonly lane: Lane;
  /** Resolves when its end is written down; undefined: nothing has to be. */
  readonly noted: Promise<void> | undefined;
}

/** How messages end. */
export interface Endings {
  /** The service has it; what must be known of its expiry is written down in the same commit. */
  taken(sending: Sending, item: ItemPlace): void;
  /** As far as the hub is concerned: whether the service has it shows later, or never. */
  done(sending: Sending, item: ItemPlace): void;
  /** What to do about a request that was not done. */
  failed(sending: Sending, verdict: Exclude<Verdict, { readonly is: "done" }>): void;
  /** It comes again, and with it all that is open in its lane. */
  again(sending: Sending, reason: string): void;
  /** As {@link failed}, of a message that nobody waits for. */
  unheard(sending: Sending, verdict: Exclude<Verdict, { readonly is: "done" }>): void;
}

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 30_000;
/** A node that has gone is made anew so many times for one message. */
const MOST_MISSING = 4;

/** Makes them; `failAll` answers every open call `retry`. */
export function createEndings(use: PublisherUse, failAll: (reason: string) => void): Endings {
  const { nodes, known, expiries, tell } = use;
  const forget = (channel: string): void => {
    nodes.forget(channel);
    known.stateGone(channel);
  };
  const noService = (reason: string): void => {
    failAll(reason);
    tell.noService(reason);
  };
  const again = ({ lane, attempt }: Sending, reason: string): void => {
    tell.again(reason);
    lane.fail(reason, Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(attempt - 1, 8)));
  };
  const refuse = ({ call, message }: Sending, reason: string): void => {
    tell.refused(message.channel, reason);
    call.settle({ is: "refused", reason });
  };
  const done = ({ call }: Sending, item: ItemPlace): void => {
    const state = expiries.changes(item);
    call.settle(state.length === 0 ? { is: "delivered" } : { is: "delivered", state });
  };
  return {
    again,
    done,
    taken(sending, item) {
      tell.taken(sending.message);
      done(sending, item);
    },
    failed(sending, verdict) {
      const { message, attempt } = sending;
      switch (verdict.is) {
        case "missing":
          forget(message.channel);
          if (attempt < MOST_MISSING) again(sending, "item-not-found");
          else refuse(sending, "item-not-found");
          break;
        case "again":
          again(sending, verdict.reason);
          break;
        case "no-service":
          noService(verdict.reason);
          break;
        case "refused":
          if (verdict.isPoison) tell.poison(message, verdict.reason);
          refuse(sending, verdict.reason);
      }
    },
    unheard({ message }, verdict) {
      tell.unheard(
        message.channel,
        "reason" in verdict ? verdict.reason : "item-not-found",
        verdict.is === "refused",
      );
      if (verdict.is === "missing") forget(message.channel);
      if (verdict.is === "no-service") noService(verdict.reason);
    },
  };
}
