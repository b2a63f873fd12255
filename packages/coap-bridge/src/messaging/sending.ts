import { MessageType } from "../wire/coap-message.ts";
import { encodeMessage } from "../wire/encode.ts";
import type { Outgoing, Sent, SentOutcome } from "./messaging.ts";
import { ACK_RANDOM_FACTOR, ACK_TIMEOUT_MS, MAX_RETRANSMIT } from "./parameters.ts";
import type { Peer } from "./peer.ts";
import { WheelTimer } from "./timing-wheel.ts";

/** Where a message of ours stands. */
export type SendingState = "waiting" | "flying" | "sent" | "ended";

/** What one tells its line. */
export interface SendingLine {
  /** A CON was not acknowledged in time. */
  overdue(sending: Sending): void;
  cancelled(sending: Sending): void;
}

/** One message of ours on its way: waiting for its turn, a CON in flight, or a NON that may still be reset. */
export class Sending extends WheelTimer implements Sent {
  readonly peer: Peer;
  readonly next: () => Outgoing | undefined;
  readonly ended: (outcome: SentOutcome) => void;
  readonly #line: SendingLine;
  state: SendingState = "waiting";
  /** Neighbours while it waits. */
  ahead: Sending | undefined;
  behind: Sending | undefined;
  outgoing: Outgoing | undefined;
  datagram: Uint8Array | undefined;
  /** Of the last transmission, and of those before it that said something older. */
  messageId = -1;
  olderMessageIds: number[] | undefined;
  repetitions = 0;
  timeoutMs = 0;

  constructor(peer: Peer, { next, ended }: Pick<Sending, "next" | "ended">, line: SendingLine) {
    super();
    this.peer = peer;
    this.next = next;
    this.ended = ended;
    this.#line = line;
  }

  fire(): void {
    this.#line.overdue(this);
  }

  cancel(): void {
    this.#line.cancelled(this);
  }

  /** Encodes what is to be said under a message id of its own. */
  load(outgoing: Outgoing): void {
    if (this.messageId !== -1) {
      this.olderMessageIds ??= [];
      this.olderMessageIds.push(this.messageId);
    }
    this.outgoing = outgoing;
    this.messageId = this.peer.takeMessageId();
    // What takes the place of a CON in flight is one too: somebody must acknowledge it.
    const type = this.state === "flying" ? MessageType.confirmable : outgoing.type;
    this.datagram = encodeMessage(
      { type, code: outgoing.code, messageId: this.messageId, token: outgoing.token },
      outgoing.tail,
    );
  }

  /** The first timeout is drawn, each further one twice as long (RFC 7252 section 4.2). Undefined: no more of them. */
  nextTimeout(random: () => number): number | undefined {
    if (this.timeoutMs === 0) {
      this.timeoutMs = ACK_TIMEOUT_MS * (1 + random() * (ACK_RANDOM_FACTOR - 1));
      return this.timeoutMs;
    }
    if (this.repetitions === MAX_RETRANSMIT) return undefined;
    this.repetitions += 1;
    this.timeoutMs *= 2;
    return this.timeoutMs;
  }
}

/** Whether two say the same, so that the second is a repetition. */
export function saysTheSame(one: Outgoing, other: Outgoing): boolean {
  if (one === other) return true;
  return one.code === other.code && one.token === other.token && one.tail === other.tail;
}
