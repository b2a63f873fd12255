import type { Endpoint } from "@nomq/core";
import type { CoapSocket } from "../listen/coap-socket.ts";
import type { CoapMessage, MessageType } from "../wire/coap-message.ts";
import type { Code } from "../wire/code.ts";

/** One remote endpoint: an address and a port at one of our sockets. The same object while it is known. */
export interface Remote {
  /** IP literal without brackets; an IPv4 address is never written as an IPv6 one. */
  readonly host: string;
  readonly port: number;
  /** Unique among all remotes: socket, host and port. The same after a restart of the process. */
  readonly key: string;
  /** Name of our socket it speaks to. */
  readonly via: string;
  /**
   * Whether something has come back from there that only a receiver of our datagrams can know, or the address cannot
   * be forged. What goes to others is limited to three times what came from there (RFC 9175 section 2.4).
   */
  readonly proven: boolean;
}

/** A request that the message layer has found to be well-formed and new. */
export interface IncomingRequest extends CoapMessage {
  readonly from: Remote;
  /** Came to a multicast group: errors and empty answers are not said, others only after a leisure. */
  readonly toGroup: boolean;
  /** A hash of all its bytes: with remote and message id it names one transmission, also of a peer that starts anew. */
  readonly fingerprint: number;
}

/** What goes back. `tail` holds all that follows the token: options, marker and payload, already encoded. */
export interface Answer {
  readonly code: Code;
  readonly tail?: Uint8Array | undefined;
  /**
   * Told what became of an answer that was not piggybacked: `acknowledged`, `reset` or `timeout` of a separate CON,
   * `reset` of a NON; `reset` also where it was not said, as its address did not prove itself. A piggybacked answer
   * has no outcome.
   */
  readonly ended?: ((outcome: SentOutcome) => void) | undefined;
  /**
   * Of a 2.xx to a request to observe from an address that has not proved itself: it has begun nothing, and is not said.
   * The request is served again once the address has.
   */
  readonly onceProven?: true;
}

/**
 * Answers a request: at once or within 50 ms the answer is piggybacked; later it goes separately. Undefined: nothing
 * is sent but the acknowledgement. Must not throw or reject; it is answered 5.00 without detail where it does.
 */
export type Serve = (request: IncomingRequest) => Answer | undefined | Promise<Answer | undefined>;

/** A message of ours that is no answer to a request under way: a notification, a request to a sensor. */
export interface Outgoing {
  readonly type: typeof MessageType.confirmable | typeof MessageType.nonConfirmable;
  readonly code: Code;
  readonly token: Uint8Array;
  readonly tail?: Uint8Array | undefined;
}

/**
 * What became of one. CON: `acknowledged`, also by a response; `reset` by the other side; `timeout`, no word within
 * MAX_TRANSMIT_WAIT; `cancelled` by us or by `next`. NON: `sent` at once, and perhaps `reset` later.
 */
export type SentOutcome = "sent" | "acknowledged" | "reset" | "timeout" | "cancelled";

/** Takes a message of ours back: it is not repeated any more, and nothing more is told of it. */
export interface Sent {
  cancel(): void;
}

/** A response to a request of ours. CON was acknowledged already; duplicates are not told. */
export interface IncomingResponse extends CoapMessage {
  readonly from: Remote;
}

/** The message layer of RFC 7252 section 4 on one or more sockets. Clock, randomness and sockets are handed in. */
export interface Messaging extends AsyncDisposable {
  /** Takes datagrams of this socket from now on. The socket stays the caller's, who disposes of it after this. */
  listen(socket: CoapSocket): void;

  /**
   * Sends when it is this remote's turn: one CON at a time (NSTART 1), a NON after what waits before it. `next` is
   * asked then, perhaps within this call, and again before each repetition, so that what leaves is the newest: the
   * same object (or one with the same code, token and tail) is repeated under its message id, another gets one of its
   * own and goes on with the timer (RFC 7641 section 4.5.2). Undefined: nothing to say any more. `ended` is told once,
   * for a NON `sent` and then perhaps `reset`, as long as its message id is remembered (NON_LIFETIME, bounded).
   * Neither may throw.
   */
  send(to: Remote, next: () => Outgoing | undefined, ended: (outcome: SentOutcome) => void): Sent;

  /**
   * Takes responses with this token from this remote, again and again (observation) until `end`. A CON is
   * acknowledged, a response nobody waits for is reset. A request is this and a {@link send} with the same token.
   */
  expect(from: Remote, token: Uint8Array, take: (response: IncomingResponse) => void): { end(): void };

  /** The remote at an address, seen or not; `via` is the name of our socket, default the first. Undefined as below. */
  remoteAt(at: Endpoint, via?: string): Remote | undefined;

  /** The remote of a key that was written down, also in an earlier run; undefined where no socket of ours reaches it now. */
  remote(key: string): Remote | undefined;

  /** What was counted since the start. */
  counts(): MessagingCounts;
}

/** Datagrams that were not simply answered. */
export interface MessagingCounts {
  /** Format errors, wrong versions, reserved codes: nothing was executed. */
  readonly malformed: number;
  /** From port 0, or while too many remotes were in use. */
  readonly dropped: number;
  /** Requests that had come before: answered again, not executed again. */
  readonly duplicates: number;
  /** Requests with an option we must not ignore: 4.02, 5.05. */
  readonly badOptions: number;
  /** Requests above the limits of a remote (4.29) or of all (5.03). */
  readonly limited: number;
  /** Answers that an unproven address did not get before it had proved itself. */
  readonly challenged: number;
  /** CON messages of ours that were sent again. */
  readonly repeated: number;
  /** CON messages of ours that nobody answered. */
  readonly timeouts: number;
  /** Remotes remembered now. */
  readonly remotes: number;
}
