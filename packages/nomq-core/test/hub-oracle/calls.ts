import type { Delivery, Message, Outcome } from "@nomq/core";
import type { ToyCall, ToyPeerOptions } from "@nomq/core/testing";
import type { World, WorldPeer } from "./world.ts";

const decoder = new TextDecoder();

/** The number a payload carries; -1 for none. */
export const numberIn = (message: Pick<Message, "payload">): number =>
  message.payload.length === 0 ? -1 : Number(decoder.decode(message.payload));

/** Watches every call of one peer's `deliver` for the rules that hold per call . */
export function createCallWatch(
  options: ToyPeerOptions & { readonly window: number },
  world: () => World,
): { hooks(peer: () => WorldPeer): Partial<ToyPeerOptions> } {
  /** Attempts of live messages, over all processes. */
  const attempts = new Map<string, number>();
  /** In this process: live messages called, and the highest `seq` of each channel and kind. */
  let run = 0;
  let called = new Set<string>();
  let highest = new Map<string, number>();
  const blocked = new Set<string>();

  const broken = (call: ToyCall, rule: string): void => {
    const { message, delivery } = call;
    const what = `seq ${message.seq} "${decoder.decode(message.payload)}" on ${message.channel} QoS ${message.qos}`;
    world().problems.push(
      `${rule}: ${options.name} got ${what} (${delivery.cause}, attempt ${delivery.attempt})`,
    );
  };
  const attempt = (call: ToyCall): void => {
    const { message, delivery } = call;
    const before = attempts.get(message.id) ?? 0;
    if (delivery.attempt === 1 && before > 0) broken(call, "attempt 1 repeats");
    if (message.qos === 2 && delivery.attempt <= before) broken(call, "a QoS 2 attempt does not rise");
    attempts.set(message.id, Math.max(before, delivery.attempt));
  };
  const order = (call: ToyCall): void => {
    const { message } = call;
    if (called.has(message.id)) return;
    called.add(message.id);
    // What has nothing to wait for, now-or-never messages too, is in order among itself.
    const isAtOnce = !message.retain && (message.qos === 0 || message.expiresAt === message.publishedAt);
    const kind = `${isAtOnce} ${message.channel}`;
    const before = highest.get(kind) ?? -1;
    if (message.seq < before) broken(call, `out of order, after seq ${before}`);
    highest.set(kind, Math.max(before, message.seq));
  };
  const expiry = (call: ToyCall): void => {
    const { message, delivery } = call;
    if (world().repeated.has(decoder.decode(message.payload))) return;
    const own = world().byId.get(message.id) ?? world().publishes[numberIn(message)];
    if (own === undefined || message.payload.length === 0 || own.ttlMs === undefined) return;
    if (own.run !== world().run.number && world().bigSteps) return;
    const left = own.ttlMs - (world().clock.monotonic() - own.at);
    const slack = world().smallSteps - own.stepsBefore;
    // "Now" is a second at most: a change has waited for its commit.
    if (own.ttlMs === 0 && left + slack >= -1_000) return;
    if (left + slack <= 0) broken(call, `expired ${-left} ms ago`);
    if (delivery.expiresInMs === undefined) broken(call, "expiresInMs is missing");
    else if (Math.abs(delivery.expiresInMs - left) > slack) {
      broken(call, `expiresInMs is ${delivery.expiresInMs}, not ${left}`);
    }
  };
  const limits = (peer: WorldPeer, call: ToyCall): void => {
    const lane = [...peer.open].filter((one) => one.message.channel === call.message.channel);
    if (peer.open.size >= options.window) broken(call, `window of ${options.window} exceeded`);
    if (options.ordered !== true && lane.length > 0) broken(call, "two calls in one lane");
    if (lane.length === 0) blocked.delete(call.message.channel);
    if (blocked.has(call.message.channel)) broken(call, "a call beside one to be retried in its lane");
  };

  /** A live message without retain comes after the value that was there when its subscriber came. */
  const burst = (peer: WorldPeer, { message, delivery }: ToyCall): void => {
    const { live } = peer;
    if (delivery.cause !== "retained" || delivery.attempt > 1) return;
    const after = live.get(message.channel) ?? -1;
    if (message.seq < after) {
      world().problems.push(`${options.name} got the value of ${message.channel} after live seq ${after}`);
    }
  };

  const onCall = (peer: WorldPeer, call: ToyCall): void => {
    if (world().run.number !== run) {
      run = world().run.number;
      called = new Set();
      highest = new Map();
      blocked.clear();
    }
    if (peer.paused) broken(call, "a call while paused");
    if (peer.state === "away") broken(call, "a call to a peer that is not attached");
    limits(peer, call);
    expiry(call);
    if (call.delivery.cause === "live") {
      if (call.message.origin === options.name) broken(call, "back to its origin");
      attempt(call);
      order(call);
      const { channel, retain, seq } = call.message;
      if (!retain && peer.live.get(channel) !== -1) peer.live.set(channel, seq);
    } else {
      peer.corrected.add(call.message.channel);
      burst(peer, call);
    }
    const { channel, payload } = call.message;
    peer.sent.push({ channel, payload: decoder.decode(payload), at: world().clock.monotonic() });
    peer.open.add(call);
  };
  const onAnswer = (peer: WorldPeer, call: ToyCall, outcome: Outcome): void => {
    peer.open.delete(call);
    const { channel, retain } = call.message;
    if (outcome.is === "retry" && [...peer.open].some((one) => one.message.channel === channel)) {
      blocked.add(channel);
    }
    if (outcome.is === "refused" && (retain || call.delivery.cause !== "live")) peer.unsure.add(channel);
  };
  const onArrive = (peer: WorldPeer, message: Message, cause: Delivery["cause"]): void => {
    if (message.retain || cause !== "live") peer.unsure.delete(message.channel);
  };

  return {
    hooks: (peer) => ({
      onCall: (call) => onCall(peer(), call),
      onAnswer: (call, outcome) => onAnswer(peer(), call, outcome),
      onArrive: (message, cause) => onArrive(peer(), message, cause),
    }),
  };
}
