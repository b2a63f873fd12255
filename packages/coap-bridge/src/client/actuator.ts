import type { Attachment, Delivery, Message, Outcome, Port } from "@nomq/core";
import { formatOfMessage, secondsLeft } from "../mapping.ts";
import { type Exchange, exchange } from "./agent-exchange.ts";
import type { ActuatorSettings } from "./client-options.ts";
import type { ClientTallies } from "./counters.ts";
import { createDeadline } from "./deadline.ts";
import type { Lookup } from "./lookup.ts";
import { MAX_BODY_BYTES } from "./read-body.ts";
import type { Wire } from "./request.ts";
import type { Turns } from "./turns.ts";
import { untaken, type WriteCall, type WriteEnd, writeEnd } from "./write-outcome.ts";
import { appendedSegments } from "./write-path.ts";

/** What writes need; there from `start` to `stop`. */
export interface ActuatorParts {
  /** Told of each message that was written. */
  readonly told: (message: Message) => void;
  readonly wire: Wire;
  readonly lookup: Lookup;
  readonly turns: Turns;
}

/** One remote resource that is written to. */
export interface Actuator {
  /** Paused until {@link begin}. */
  attach(port: Port): Promise<void>;
  begin(parts: ActuatorParts): void;
  detach(): Promise<void>;
}

/** The durable attachment of a `send` entry. */
export const actuatorAttachment = (name: string): string => `coap:send:${name}`;

/** Message ids of QoS 2 that no peer can have taken; lanes have one each, so more are not needed. */
const MAX_UNWRITTEN = 1_000;

/** Makes it; nothing happens before `attach`. */
export function createActuator(settings: ActuatorSettings, tallies: ClientTallies): Actuator {
  const { name, from, method, outbox } = settings;
  let attachment: Attachment | undefined;
  let parts: ActuatorParts | undefined;
  /** A repetition of these cannot be a second delivery: the try before was not sent, or answered with a refusal. */
  const unwritten = new Set<string>();

  const write = async (
    using: ActuatorParts,
    message: Message,
    call: WriteCall & Pick<Delivery, "signal" | "expiresInMs">,
  ): Promise<WriteEnd> => {
    const { signal } = call;
    const below = appendedSegments(from, message.channel);
    if (below === undefined) return refused("channel is no path");
    if (call.cleared && method === "post") return refused("POST cannot clear");
    const to = await using.lookup.find(settings.target, call.attempt - 1);
    if (to === undefined) return untaken("no address", call);
    const giveBack = await using.turns.take(to.key, signal);
    if (giveBack === undefined) return untaken("aborted", call);
    try {
      const what = { to, target: settings.target, below, ...written(message, call, method) };
      return writeEnd(await exchange(using.wire, what, signal), call);
    } finally {
      giveBack();
    }
  };
  const deliver = async (message: Message, delivery: Delivery): Promise<Outcome> => {
    const using = parts;
    if (using === undefined) return { is: "retry", reason: "not started" };
    const { id, qos, retain, payload } = message;
    const { attempt } = delivery;
    if (qos === 2 && attempt > 1 && !unwritten.has(id)) {
      return { is: "uncertain", reason: "may have been written before" };
    }
    unwritten.delete(id);
    const cleared = retain && payload.length === 0;
    // A message that has expired is not written, however often it was to be repeated.
    const { signal, cancel } = createDeadline(using.wire.clock, delivery.signal, delivery.expiresInMs);
    const call = { ...delivery, qos, cleared, signal };
    const { outcome, isUntaken } = await write(using, message, call).finally(cancel);
    if (outcome.is === "delivered") using.told(message);
    const comesAgain = qos === 2 && outcome.is === "retry" && isUntaken;
    if (comesAgain && unwritten.size < MAX_UNWRITTEN) unwritten.add(id);
    tallies.writes.add(outcome.is);
    return outcome;
  };
  return {
    async attach(port) {
      attachment = await port.attach({
        name: actuatorAttachment(name),
        as: "*",
        filters: [from],
        durable: true,
        // What comes from it is the state of its resource (publisher.ts), never our own word.
        echoes: false,
        maxPayload: MAX_BODY_BYTES,
        // PUT sets a state, so it is set again after we were away; events are not.
        ...(method === "put" ? { retained: "deliver" } : {}),
        ...(outbox === undefined ? {} : { outbox }),
        deliver,
      });
      attachment.pause("not started");
    },
    begin(using) {
      parts = using;
      attachment?.resume();
    },
    async detach() {
      await attachment?.[Symbol.asyncDispose]();
      attachment = undefined;
      parts = undefined;
    },
  };
}

const refused = (reason: string): WriteEnd => ({ outcome: { is: "refused", reason }, isUntaken: true });

/** A cleared value is deleted; a content type without a number goes without (docs/mapping.md). */
function written(
  message: Message,
  { cleared, expiresInMs }: Pick<WriteCall, "cleared"> & Pick<Delivery, "expiresInMs">,
  method: "put" | "post",
): Pick<Exchange, "method" | "payload" | "contentFormat" | "maxAge"> {
  if (cleared) return { method: "DELETE" };
  const format = formatOfMessage(message);
  return {
    ...(expiresInMs === undefined ? {} : { maxAge: secondsLeft(expiresInMs) }),
    method: method === "put" ? "PUT" : "POST",
    payload: message.payload,
    ...(format === undefined ? {} : { contentFormat: format }),
  };
}
