import type { Clock } from "@nomq/core";
import { element } from "../stream/build.ts";
import { type Element, Namespace } from "../stream/element.ts";
import { isFromOf } from "./from.ts";

/** A request to see whether the server lives, XEP-0199 section 4.2; any answer is a sign of life. */
export const pingOf = (domain: string): string =>
  element("iq", { type: "get", id: "ping", to: domain }, [
    element("ping", { xmlns: Namespace.ping }),
  ]).toString();

/** Anybody may ask: longer answers, and more of them in a row and by the second, are not written at our cost. */
const LONGEST_ANSWER = 8_192;
const MOST_IN_A_ROW = 50;
const MOST_PER_SECOND = 5;

/** Answers iqs of others. */
export interface Answering {
  /** What is answered; undefined: nothing, for the asker is too many or its id too long to be repeated. */
  answerTo(iq: Element): string | undefined;
}

/** What it needs. */
export interface AnsweringUse {
  readonly clock: Pick<Clock, "monotonic">;
  readonly domain: string;
  /** Our full JID. */
  jid(): string;
}

/** Makes it; our own server is always answered, for it ends who does not answer its pings. */
export function createAnswering({ clock, domain, jid }: AnsweringUse): Answering {
  let left = MOST_IN_A_ROW;
  let at = clock.monotonic();
  const spend = (): boolean => {
    const now = clock.monotonic();
    left = Math.min(MOST_IN_A_ROW, left + ((now - at) / 1_000) * MOST_PER_SECOND);
    at = now;
    if (left < 1) return false;
    left -= 1;
    return true;
  };
  return {
    answerTo(iq) {
      const answer = replyTo(iq);
      if (answer.length > LONGEST_ANSWER) return undefined;
      const isOwnServer = isFromOf({ from: iq.attrs["from"], to: undefined, jid: jid(), domain });
      return isOwnServer || spend() ? answer : undefined;
    },
  };
}

/** Yes to a ping, no to everything else (RFC 6120 section 8.4). */
function replyTo(iq: Element): string {
  const { id, from } = iq.attrs;
  const isPing = iq.attrs["type"] === "get" && iq.getChild("ping", Namespace.ping) !== undefined;
  if (isPing) return element("iq", { type: "result", id, to: from }).toString();
  const condition = element("service-unavailable", { xmlns: Namespace.stanzas });
  return element("iq", { type: "error", id, to: from }, [
    element("error", { type: "cancel" }, [condition]),
  ]).toString();
}

/** We are there, and take what was kept for us (RFC 6121 section 4.2, XEP-0160). */
export const PRESENCE: string = element("presence").toString();
