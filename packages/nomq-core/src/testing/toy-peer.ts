import type { Delivery, Outcome, Peer } from "../bridge.ts";
import type { Message } from "../message.ts";

/**
 * What the connection to a toy peer does with the calls made from now on.
 *
 * - `well`: the message arrives and the answer comes back at once.
 * - `late`: it arrives; the answer comes when the test gives it.
 * - `hang`: nothing arrives and nothing is answered before the call is aborted.
 * - `deaf`: as `hang`, and the abort is not answered either.
 * - `lose-send`: nothing arrives, the sender notices.
 * - `lose-answer`: it arrives, the answer does not come back.
 * - `refuse`, `reject`: the peer says no; `deliver` rejects.
 */
export type ToyMode = "well" | "late" | "hang" | "deaf" | "lose-send" | "lose-answer" | "refuse" | "reject";

/** One call of `deliver`. */
export interface ToyCall {
  readonly message: Message;
  readonly delivery: Delivery;
  /** Whether the message reached the peer. */
  readonly arrived: boolean;
  /** Undefined while the call is open, and for good when the peer went silent or died. */
  readonly outcome: Outcome | undefined;
  /** Still waiting for its answer. */
  readonly open: boolean;
  /** Lets the message of an open call arrive now. */
  arrive(): void;
  /** The connection under an open call broke: answers `retry`, or `uncertain` where repeating is not allowed. */
  fail(reason: string): void;
  /** Answers a call that is open; by default as the peer would by itself. */
  answer(outcome?: Outcome): void;
}

/** A message as the peer itself took it. */
export interface ToyArrival {
  readonly message: Message;
  readonly cause: Delivery["cause"];
}

/** What a peer holds as a channel's state. */
export type ToyValue = Pick<Message, "payload" | "expiresAt">;

/** The device behind the attachment, which lives on when the gateway dies. */
export interface ToyPeer {
  readonly name: string;
  /** All messages that arrived, repetitions too; of one QoS 2 message only the first where the peer can tell. */
  readonly arrivals: readonly ToyArrival[];
  /** Its copy of the retained state: the last value taken or set on each channel; cleared ones are missing. */
  readonly copy: Map<string, ToyValue>;
  /** Calls of the present connection, oldest first. */
  readonly calls: readonly ToyCall[];
  mode: ToyMode;
  /** A new connection: what to hand to `Port.attach`. Calls of the one before are dead. */
  connect(): Peer;
  /** The gateway dies: open calls are never answered and what the connection knew is gone. */
  crash(): void;
}

/** How a toy peer differs from a {@link Peer}. */
export interface ToyPeerOptions extends Partial<Omit<Peer, "deliver">> {
  readonly name: string;
  /** Recognises a repeated QoS 2 message (MQTT, XMPP), or not (NoMQ v1). Default true. */
  readonly continues?: boolean;
  /** Called at each call of `deliver`, before anything else. */
  readonly onCall?: (call: ToyCall) => void;
  /** Called when the message of a call arrives, a repeated QoS 2 message that is recognised left out. */
  readonly onArrive?: (message: Message, cause: Delivery["cause"]) => void;
  /** Called at each answer, before the hub sees it. */
  readonly onAnswer?: (call: ToyCall, outcome: Outcome) => void;
}

interface Connection {
  alive: boolean;
  readonly calls: ToyCall[];
  /** QoS 2 messages that this connection knows it has not sent. */
  readonly unsent: Set<string>;
}

const DELIVERED: Outcome = { is: "delivered" };

/** Makes a peer without a network that records all it sees. Constructing has no effects. */
export function createToyPeer(options: ToyPeerOptions): ToyPeer {
  const { continues = true, onCall, onArrive, onAnswer, ...description } = options;
  const arrivals: ToyArrival[] = [];
  const copy = new Map<string, ToyValue>();
  const exactly = new Set<string>();
  let connection: Connection = { alive: false, calls: [], unsent: new Set() };

  const arrive = (message: Message, cause: Delivery["cause"]): void => {
    const isOnce = message.qos === 2 && cause === "live" && continues;
    if (!isOnce || !exactly.has(message.id)) {
      arrivals.push({ message, cause });
      onArrive?.(message, cause);
    }
    if (isOnce) exactly.add(message.id);
    // A change that is repeated sets the same state again, after an older one that is repeated before it.
    if (!message.retain && cause === "live") return;
    if (message.payload.length === 0) copy.delete(message.channel);
    else copy.set(message.channel, message);
  };
  const mustNotRepeat = (message: Message, delivery: Delivery): boolean =>
    message.qos === 2 && !continues && delivery.cause === "live";

  /** On a connection that keeps order nothing arrives while something older is on its way. */
  const behind = (own: Connection): ToyCall[] =>
    description.ordered === true ? own.calls.filter((call) => call.open && !call.arrived) : [];

  const deliver = (own: Connection, message: Message, delivery: Delivery): Promise<Outcome> => {
    if (!own.alive) return new Promise(() => undefined);
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
    const mode = behind(own).length > 0 ? "hang" : toy.mode;
    let arrived = false;
    let outcome: Outcome | undefined;
    const send = (): void => {
      arrived = true;
      own.unsent.delete(message.id);
      arrive(message, delivery.cause);
    };
    const failed = (reason: string): Outcome => {
      // At QoS 0 there is no answer to lose: sent is all that was promised. A change is repeated all the same, for
      // an older one that is repeated would undo it.
      if (message.qos === 0 && arrived && !message.retain) return DELIVERED;
      if (mustNotRepeat(message, delivery)) {
        if (arrived) return { is: "uncertain", reason };
        own.unsent.add(message.id);
      }
      return { is: "retry", reason };
    };
    const call: ToyCall = {
      message,
      delivery,
      get arrived() {
        return arrived;
      },
      get outcome() {
        return outcome;
      },
      get open() {
        return own.alive && outcome === undefined;
      },
      arrive() {
        if (!call.open || arrived) return;
        send();
        // At QoS 0 nothing more is waited for.
        if (message.qos === 0 && !message.retain) call.answer(DELIVERED);
      },
      fail: (reason) => call.answer(failed(reason)),
      answer(given) {
        if (!call.open) return;
        if (given === undefined && !arrived && description.ordered === true) {
          for (const older of behind(own)) {
            older.arrive();
            if (older === call) break;
          }
        }
        if (!call.open) return;
        outcome = given ?? (arrived ? DELIVERED : failed("not sent"));
        onAnswer?.(call, outcome);
        resolve(outcome);
      },
    };
    own.calls.push(call);
    onCall?.(call);
    // After a crash nobody knows whether the attempt before arrived.
    if (delivery.attempt > 1 && mustNotRepeat(message, delivery) && !own.unsent.has(message.id)) {
      call.answer({ is: "uncertain", reason: "may have been sent" });
      return promise;
    }
    if (mode === "well" || mode === "late" || mode === "lose-answer") send();
    else if (mustNotRepeat(message, delivery)) own.unsent.add(message.id);
    if (mode !== "deaf") {
      delivery.signal.addEventListener("abort", () => call.answer(failed("aborted")), { once: true });
    }
    if (mode === "well") call.answer(DELIVERED);
    if (mode === "lose-send" || mode === "lose-answer") call.answer(failed(mode));
    if (mode === "refuse") call.answer({ is: "refused", reason: "told to refuse" });
    if (mode === "reject") {
      outcome = failed("rejected");
      onAnswer?.(call, outcome);
      reject(new Error("told to reject"));
    }
    return promise;
  };

  const toy: ToyPeer = {
    name: options.name,
    arrivals,
    copy,
    get calls() {
      return connection.calls;
    },
    mode: "well",
    connect() {
      // A detached connection's memory of what it has not sent lives on; only a crash takes it.
      connection.alive = false;
      const own: Connection = { alive: true, calls: [], unsent: connection.unsent };
      connection = own;
      return {
        as: "anonymous",
        durable: false,
        ...description,
        deliver: (message, delivery) => deliver(own, message, delivery),
      };
    },
    crash() {
      connection.alive = false;
      connection = { alive: false, calls: [], unsent: new Set() };
    },
  };
  return toy;
}
