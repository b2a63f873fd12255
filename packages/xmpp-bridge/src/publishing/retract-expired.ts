import type { Log } from "@nomq/core";
import type { Counters } from "../counters.ts";
import type { Link } from "../link/link.ts";
import { requestsTo } from "../nodes/pubsub-request.ts";
import { STATE_ITEM } from "../payload/state-item.ts";
import type { SentItem } from "../receiving/receiving.ts";
import type { ItemPlace, Retracted } from "./expiries.ts";
import { verdictOf } from "./verdict.ts";

/** What taking items back needs. */
export interface RetractUse {
  readonly link: Pick<Link, "request">;
  readonly pubsub: string;
  readonly counters: Counters;
  readonly log: Log;
  readonly sent: (item: SentItem) => void;
}

/** Takes one item back whose time is over. Subscribers are told of a state; of an event they have had all there was. */
export async function retractExpired(use: RetractUse, { node, item }: ItemPlace): Promise<Retracted> {
  const { link, pubsub, counters, log, sent } = use;
  sent({ node, item });
  const iq = requestsTo(pubsub).retract(node, item, item === STATE_ITEM);
  const verdict = verdictOf(await link.request(iq));
  switch (verdict.is) {
    case "done":
      counters.count("expired");
      return "gone";
    case "missing":
      return "gone";
    case "again":
    case "no-service":
      return "again";
    case "refused":
      counters.count("unexpired");
      log.warn("an expired XMPP item cannot be taken back", {
        node: node.slice(0, 300),
        item,
        reason: verdict.reason,
      });
      return "given-up";
  }
}
