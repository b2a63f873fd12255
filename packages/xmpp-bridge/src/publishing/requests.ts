import type { IqAnswer } from "../link/link.ts";
import { type ItemToSend, itemOfMessage } from "../mapping.ts";
import { nodeOfChannel } from "../nodes/node-name.ts";
import type { ReadyNode } from "../nodes/nodes.ts";
import { itemsOf, requestsTo } from "../nodes/pubsub-request.ts";
import { STATE_ITEM } from "../payload/state-item.ts";
import type { Element } from "../stream/element.ts";
import type { ItemPlace } from "./expiries.ts";
import { isSameState } from "./same-state.ts";
import type { Endings, PublisherUse, Sending } from "./sending.ts";
import { type Verdict, verdictOf } from "./verdict.ts";

/** What is asked of the service for one message. The requests leave in the order of these calls. */
export interface Requests {
  /** Takes the channel's state back. */
  clear(sending: Sending): void;
  publish(sending: Sending, node: ReadyNode): void;
  /** Publishes the state again, for the event of this message may push it out. */
  renewState(sending: Sending, node: ReadyNode): Promise<void>;
  /** Whether the state that the message sets lies on the node already. */
  isThere(sending: Sending, node: ReadyNode): Promise<boolean | Verdict>;
}

/** Messages of QoS 0 under way of which nobody waits for the answer. */
const MOST_UNAWAITED = 32;

/** Makes them. */
export function createRequests(use: PublisherUse, ends: Endings): Requests {
  const { port, link, gateway, known, expiries, sent, tell } = use;
  const pubsub = requestsTo(use.pubsub);
  let unawaited = 0;

  const itemOf = (message: Sending["message"], expiresInMs: number | undefined): ItemToSend =>
    itemOfMessage(message, { gateway, ...(expiresInMs === undefined ? {} : { expiresInMs }) });
  /** At QoS 0 nobody waits for the server, as long as few are under way. */
  const publishUnawaited = (sending: Sending, iq: Element, item: ItemPlace): void => {
    unawaited += 1;
    void link.request(iq).then((answer) => {
      unawaited -= 1;
      const verdict = verdictOf(answer);
      if (verdict.is === "done") tell.taken(sending.message);
      else ends.unheard(sending, verdict);
    });
    ends.done(sending, item);
  };
  const publishAwaited = (sending: Sending, iq: Element, item: ItemPlace & { undo: () => void }): void => {
    const { call, message } = sending;
    const heard = (answer: IqAnswer): void => {
      const verdict = verdictOf(answer);
      if (!call.isOpen) return;
      if (verdict.is === "done") {
        ends.taken(sending, item);
        return;
      }
      if (verdict.is === "refused") item.undo();
      if (message.retain) known.stateFound(message.channel);
      ends.failed(sending, verdict);
    };
    void link.request(iq, { signal: call.signal }).then(heard);
  };

  return {
    clear(sending) {
      const { call, message } = sending;
      const item = { node: nodeOfChannel(message.channel), item: STATE_ITEM };
      const undo = expiries.plan(item, undefined);
      known.stateGone(message.channel);
      sent(item);
      const iq = pubsub.retract(item.node, STATE_ITEM, true);
      void link.request(iq, { signal: call.signal }).then((answer) => {
        const verdict = verdictOf(answer);
        if (!call.isOpen) return;
        // What is not there is cleared.
        if (verdict.is === "done" || verdict.is === "missing") {
          ends.taken(sending, item);
          return;
        }
        undo();
        known.stateFound(message.channel);
        ends.failed(sending, verdict);
      });
    },
    publish(sending, { node }) {
      const { call, message, expiresInMs } = sending;
      const { channel, qos, retain } = message;
      const { id, payload } = itemOf(message, expiresInMs);
      if (payload === "too-large") {
        call.settle({ is: "refused", reason: "too-large" });
        return;
      }
      const item = { node, item: id };
      const undo = expiries.plan(item, expiresInMs);
      if (retain) known.stateSent(channel);
      else known.eventSent(channel);
      sent({ ...item, payload: message.payload });
      const iq = pubsub.publish(node, id, payload);
      if (qos === 0 && !retain && unawaited < MOST_UNAWAITED) publishUnawaited(sending, iq, item);
      else publishAwaited(sending, iq, { ...item, undo });
    },
    async renewState({ call, message }, { node, renews }) {
      const { channel } = message;
      const value = await port.latest(channel, "*");
      if (!call.isOpen) return;
      const left = value?.expiresAt === undefined ? undefined : value.expiresAt - port.clock.now();
      const payload = value === undefined || (left ?? 1) <= 0 ? undefined : itemOf(value, left).payload;
      if (value === undefined || payload === undefined || payload === "too-large") {
        known.stateGone(channel);
        return;
      }
      const place = { node, item: STATE_ITEM };
      if (!renews) {
        sent(place);
        void link.request(pubsub.retract(node, STATE_ITEM, false));
      }
      expiries.plan(place, left);
      known.stateSent(channel);
      sent({ ...place, payload: value.payload });
      tell.renewed();
      void link.request(pubsub.publish(node, STATE_ITEM, payload)).then((answer) => {
        if (verdictOf(answer).is !== "done") known.stateFound(channel);
      });
    },
    async isThere({ call, message }, { node }) {
      const iq = pubsub.items(node, { ids: [STATE_ITEM] });
      const answer = await link.request(iq, { signal: call.signal });
      if (answer.is === "result") {
        return isSameState(stateIn(answer.stanza), message, gateway);
      }
      const verdict = verdictOf(answer);
      return verdict.is === "missing" ? false : verdict;
    },
  };
}

/** The payload of the state in an answer; undefined: it is not there. */
const stateIn = (answer: Element): Element | undefined =>
  itemsOf(answer)
    .find(({ attrs }) => attrs["id"] === STATE_ITEM)
    ?.getChildElements()[0];
