import type { CoapMessage, MessageType } from "../wire/coap-message.ts";
import type { Code } from "../wire/code.ts";

/** One remote endpoint: an address and a port at one of our sockets. The same object while it is known. */
export interface Remote {
  /** IP literal without brackets; an IPv4 address is never written as an IPv6 one. */
  readonly host: string;
  readonly port: number;
  /** Unique among all remotes: host, port and socket. */
  readonly key: string;
}

/** A request that the message layer has found to be well-formed and new. */
export interface IncomingRequest extends CoapMessage {
  readonly from: Remote;
  /** Came to a multicast group: errors and empty answers are not said, others only after a leisure. */
  readonly toGroup: boolean;
}

/** What goes back. `tail` holds all that follows the token: options, marker and payload, already encoded. */
export interface Answer {
  readonly code: Code;
  readonly tail?: Uint8Array;
}

/**
 * Answers a request: at once or within 50 ms the answer is piggybacked; later it goes separately. Undefined: nothing
 * is sent but the acknowledgement. Must not throw or reject; it is answered 5.00 without detail where it does.
 */
export type Serve = (request: IncomingRequest) => Answer | undefined | Promise<Answer | undefined>;

/** A message of ours that is no answer to a request under way: a notification, a separate response, a request. */
export interface Outgoing {
  readonly type: typeof MessageType.confirmable | typeof MessageType.nonConfirmable;
  readonly code: Code;
  readonly token: Uint8Array;
  readonly tail?: Uint8Array;
}

/** What became of one: `acknowledged` (CON only), `reset` by the other side, `timeout` (no word within MAX_TRANSMIT_WAIT), `cancelled` by us. */
export type SentOutcome = "acknowledged" | "reset" | "timeout" | "cancelled";

/** Takes a message of ours back: it is not repeated any more. */
export interface Sent {
  cancel(): void;
}

/** The message layer of RFC 7252 section 4 on one or more sockets. Clock, randomness and sockets are handed in. */
export interface Messaging {
  /**
   * Sends when it is this remote's turn: one CON at a time (NSTART 1). `next` is asked then, and again before each
   * repetition, so that what leaves is the newest; undefined: nothing to say any more. `ended` is told once. Resets to
   * a NON are told as long as its message id is remembered (NON_LIFETIME, bounded). The same object from `next` is
   * the same message (same message id); another one is a new message that goes on with the repetitions of the old.
   */
  send(to: Remote, next: () => Outgoing | undefined, ended: (outcome: SentOutcome) => void): Sent;
  /** The remote of a key that was written down, also in an earlier run; undefined where no socket of ours reaches it now. */
  remote(key: string): Remote | undefined;
}
