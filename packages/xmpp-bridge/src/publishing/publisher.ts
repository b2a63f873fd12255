import type { Delivery, Message, Outcome } from "@nomq/core";
import { nodeOfChannel } from "../nodes/node-name.ts";
import type { Keeping } from "../nodes/nodes.ts";
import { STATE_ITEM } from "../payload/state-item.ts";
import type { ItemPlace } from "./expiries.ts";
import { createLane, type Issue, type Lane } from "./lane.ts";
import { createRequests } from "./requests.ts";
import { createEndings, type PublisherUse, type Sending } from "./sending.ts";
import { verdictOf } from "./verdict.ts";

/** Messages of the hub to nodes. */
export interface Publisher {
  deliver(message: Message, delivery: Delivery): Promise<Outcome>;
  /** Answers every open call `retry`. */
  failAll(reason: string): void;
}

/** Makes the way out; nothing happens before the first message. */
export function createPublisher(use: PublisherUse): Publisher {
  const { port, nodes, known, expiries, tell } = use;
  const lanes = new Map<string, Lane>();
  const laneOf = (channel: string): Lane => {
    const there = lanes.get(channel);
    if (there !== undefined) return there;
    const lane = createLane(() => lanes.delete(channel));
    lanes.set(channel, lane);
    return lane;
  };
  const failAll = (reason: string): void => {
    for (const lane of [...lanes.values()]) lane.fail(reason);
  };
  const ends = createEndings(use, failAll);
  const requests = createRequests(use, ends);

  const keepingFor = ({ channel, qos, retain }: Message): Keeping => {
    if (retain) return "state";
    // An event of QoS 0 takes the node as it is, unless it would push the state out.
    return qos > 0 || known.hasState(channel) ? "history" : "state";
  };
  /** Publishes, unless the state to be corrected lies there already. */
  const correct = async (sending: Sending, node: Parameters<typeof requests.publish>[1]): Promise<void> => {
    const there = await requests.isThere(sending, node);
    if (!sending.call.isOpen) return;
    if (there === false) requests.publish(sending, node);
    else if (there === true) {
      const item = { node: node.node, item: STATE_ITEM };
      tell.unchanged();
      known.stateFound(sending.message.channel);
      expiries.plan(item, sending.expiresInMs);
      ends.taken(sending, item);
    } else if (there.is !== "done") ends.failed(sending, there);
  };
  /** What must be asked and waited for before the message can be published. */
  const prepareAndPublish = async (sending: Sending, keeping: Keeping): Promise<void> => {
    const { call, cause, message } = sending;
    const { channel, retain } = message;
    const node =
      nodes.ready(channel, keeping) ?? (await nodes.prepare(channel, keeping, { signal: call.signal }));
    if (!call.isOpen) return;
    if (node.is === "failed") {
      const verdict = verdictOf(node.answer);
      if (verdict.is !== "done") ends.failed(sending, verdict);
    } else if (cause !== "live" && retain) await correct(sending, node);
    else {
      if (!retain && known.isStateDue(channel, node)) await requests.renewState(sending, node);
      await sending.noted;
      if (call.isOpen) requests.publish(sending, node);
    }
  };
  const issue = (sending: Sending): Promise<void> | undefined => {
    const { cause, message } = sending;
    const { channel, payload, retain } = message;
    if (retain && payload.length === 0) {
      requests.clear(sending);
      return undefined;
    }
    const keeping = keepingFor(message);
    const node = nodes.ready(channel, keeping);
    const isNoted = sending.noted === undefined;
    if (node !== undefined && (retain ? cause === "live" : isNoted && !known.isStateDue(channel, node))) {
      requests.publish(sending, node);
      return undefined;
    }
    return prepareAndPublish(sending, keeping).catch((error: unknown) => ends.again(sending, String(error)));
  };

  /** An event that expires is not sent before its end is written down. At QoS 0 nothing waits for the store. */
  const noteEnd = (message: Message, expiresInMs: number): Promise<void> | undefined =>
    expiresInMs > 0 && !message.retain && message.qos > 0
      ? expiries.note(eventOf(message), expiresInMs)
      : undefined;

  return {
    failAll,
    deliver(message, delivery) {
      const lane = laneOf(message.channel);
      const { signal, expiresInMs = 0 } = delivery;
      const noted = noteEnd(message, expiresInMs);
      const abort = (): void => lane.fail("aborted");
      if (signal.aborted) abort();
      const begin: Issue = (call) => issue({ ...delivery, message, call, lane, noted });
      const outcome = lane.call(begin);
      signal.addEventListener("abort", abort, { once: true });
      // What has expired is not sent late, as after a long outage.
      const cancel = expiresInMs > 0 ? port.clock.after(expiresInMs, () => lane.fail("expired")) : undefined;
      return outcome.then((end) => {
        signal.removeEventListener("abort", abort);
        cancel?.();
        if (noted !== undefined && end.is === "refused") expiries.drop(eventOf(message));
        return end;
      });
    },
  };
}

/** Events have the message's id. */
const eventOf = ({ channel, id }: Message): ItemPlace => ({ node: nodeOfChannel(channel), item: id });
