import type { Bridge } from "../bridge.ts";
import type { Qos } from "../message.ts";
import type { FakeClock } from "./fake-clock.ts";

/**
 * Every channel the contract cases use, so that a bridge whose wire carries no names can be told them. They are
 * ordinary valid channels; `contract/other` is one nobody subscribes to.
 */
export const CONTRACT_CHANNELS: readonly string[] = [
  "contract/a",
  "contract/b",
  "contract/c",
  "contract/other",
];

/** What a publisher on the protocol side sends. */
export interface ContractSend {
  readonly channel: string;
  /** Text, so that every protocol can carry it; empty with `retain` clears. */
  readonly text: string;
  readonly qos: Qos;
  readonly retain?: boolean;
  /** Whole seconds, in the protocol's own form. Only sent where {@link ContractTraits.ttl} is true. */
  readonly ttlSeconds?: number;
}

/** What a subscriber on the protocol side got. */
export interface ContractSeen {
  readonly channel: string;
  readonly text: string;
}

/** A client or device of the bridge's protocol that publishes. */
export interface ContractPublisher extends AsyncDisposable {
  /**
   * Sends one message with a fresh identity. Resolves `acknowledged` when the protocol has said so (PUBACK, PUBCOMP,
   * ACK, 2.xx), `refused` when it has said no, and never while it says nothing. At QoS 0: `acknowledged` when sent.
   */
  send(message: ContractSend): Promise<"acknowledged" | "refused">;
}

/** A client or device of the bridge's protocol that subscribes. */
export interface ContractSubscriber extends AsyncDisposable {
  /** All it got, in order, retransmissions of one transfer once. */
  readonly seen: readonly ContractSeen[];
  /** Ends the subscription the protocol's way; absent where the protocol has none. */
  unsubscribe?(): Promise<void>;
  /** Stops reading or answering, as a dead peer does, without closing anything. */
  stall(): void;
}

/** What the protocol can do; the cases ask for no more. */
export interface ContractTraits {
  /** The QoS values a publisher can send. */
  readonly qos: readonly Qos[];
  /** Whether a message in can carry a time to live. */
  readonly ttl: boolean;
  /**
   * Copies of its own message that a subscriber gets: 1 where the protocol returns them (MQTT), 0 where a message
   * never returns to the peer it came from.
   */
  readonly ownCopies: 0 | 1;
  /** How a refusal shows: the protocol says no, or leaves the acknowledgement out. */
  readonly refusal: "said" | "withheld";
  /** A name or form of it that the protocol can carry and the hub refuses; absent where there is none. */
  readonly invalidChannel?: string;
}

/** One bridge, ready for one case, and its protocol's side of the world. Disposing closes all of it. */
export interface BridgeHarness extends AsyncDisposable {
  /** Freshly made: neither attached nor started. */
  readonly bridge: Bridge;
  /** The clock the hub gets. Cases move it, by seconds to let things expire; sockets may be real all the same. */
  readonly clock: FakeClock;
  /** Lets sockets, promises and whatever else carries the messages go on for a moment (about 5 ms). */
  turn(): Promise<void>;
  /**
   * Turns after which what has not come is taken never to come; default 2,000. More where another process carries the
   * messages: it may be kept waiting while turns go by.
   */
  readonly mostTurns?: number;
  /** A new peer that publishes. Called after `start`. */
  publisher(): Promise<ContractPublisher>;
  /** A new peer subscribed to exactly this channel; resolves when the subscription is in force. */
  subscriber(channel: string): Promise<ContractSubscriber>;
  /** One peer that does both, subscribed to the channel. */
  both(channel: string): Promise<ContractPublisher & ContractSubscriber>;
  /** Messages in that the bridge has refused and counted so far. */
  refusals(): number;
}

/** What a bridge's test hands to the contract cases. */
export interface BridgeContract {
  readonly traits: ContractTraits;
  /** Makes a harness for one case. */
  make(): Promise<BridgeHarness>;
  /** Makes a harness whose bridge's `start` fails (its port is taken, say); absent where it cannot. */
  makeBroken?(): Promise<BridgeHarness>;
}

/** One case; it throws an `AssertionError` when the bridge breaks the contract. */
export interface ContractCase {
  readonly name: string;
  /** False where the protocol lacks what the case is about. */
  applies(contract: BridgeContract): boolean;
  run(contract: BridgeContract): Promise<void>;
}
