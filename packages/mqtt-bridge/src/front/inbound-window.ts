import type { Verdict } from "./packets.ts";
import { REASON } from "./packets.ts";

/** A publish at QoS 1 or 2 that has come in and is not finished. */
interface Open {
  readonly qos: 1 | 2;
  /** aedes wants to acknowledge it. */
  wanted: boolean;
  /** What the hub says. */
  verdict: Verdict | undefined;
  /** The acknowledgement has left; PUBREL and PUBCOMP are still to come. */
  answered: boolean;
}

/** What to do with a PUBLISH that has arrived. */
export type Arriving = "pass" | "drop" | { readonly fault: number };

/**
 * The publishes of one client that are under way (MQTT 5.0 sections 3.3.4 and 4.3). aedes acknowledges before it
 * publishes; an acknowledgement leaves here only when aedes wants it and the hub has answered, in either order.
 */
export interface InboundWindow {
  arrive(id: number, qos: 1 | 2, dup: boolean): Arriving;
  /** aedes has written PUBACK or PUBREC. False for an id that is not open. */
  want(id: number): boolean;
  /** The hub has answered. Unknown ids and second answers change nothing. */
  settle(id: number, verdict: Verdict): void;
  /** PUBCOMP leaves. */
  complete(id: number): void;
  /** How many wait for the hub. */
  waiting(): number;
}

/** Makes a window of `limit` open publishes; `answer` sends the acknowledgement. */
export function createInboundWindow(
  limit: number,
  answer: (id: number, qos: 1 | 2, verdict: Verdict) => void,
): InboundWindow {
  const open = new Map<number, Open>();
  let waiting = 0;

  const answerIfBoth = (id: number, one: Open): void => {
    if (!one.wanted || one.verdict === undefined || one.answered) return;
    one.answered = true;
    // MQTT 5.0 section 4.3.3: a PUBREC of 0x80 or above ends the transfer.
    if (one.qos === 1 || one.verdict.code >= REASON.unspecified) open.delete(id);
    answer(id, one.qos, one.verdict);
  };

  return {
    arrive(id, qos, dup) {
      if (id === 0) return { fault: REASON.protocolError };
      const before = open.get(id);
      if (before === undefined) {
        if (open.size >= limit) return { fault: REASON.receiveMaximumExceeded };
        open.set(id, { qos, wanted: false, verdict: undefined, answered: false });
        waiting += 1;
        return "pass";
      }
      if (before.qos !== qos) return { fault: REASON.protocolError };
      if (!before.answered) return dup ? "drop" : { fault: REASON.protocolError };
      // PUBREC got lost: aedes knows the id and only acknowledges again.
      before.answered = false;
      before.wanted = false;
      return "pass";
    },
    want(id) {
      const one = open.get(id);
      if (one === undefined) return false;
      one.wanted = true;
      answerIfBoth(id, one);
      return true;
    },
    settle(id, verdict) {
      const one = open.get(id);
      if (one === undefined || one.verdict !== undefined) return;
      one.verdict = verdict;
      waiting -= 1;
      answerIfBoth(id, one);
    },
    complete: (id) => void open.delete(id),
    waiting: () => waiting,
  };
}
