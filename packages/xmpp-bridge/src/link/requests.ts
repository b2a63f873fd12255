import type { Element } from "../stream/element.ts";
import { answerOf } from "./answer.ts";
import type { IqAnswer } from "./link.ts";

/** A request on its way. */
export interface Entry {
  readonly id: string;
  /** As it is written, each time the same. */
  readonly text: string;
  readonly to: string | undefined;
  readonly timeoutMs: number;
  readonly settle: (answer: IqAnswer) => void;
}

/** How a lost stream left what was sent on it. */
export interface Lost {
  /** The stream may have died of one of the stanzas. */
  readonly blamed: boolean;
  /** The connection broke, and nobody said why: where a server closes with bytes unread, what it said is lost on the way. */
  readonly broke?: boolean;
  readonly reason: string;
}

/** Requests that wait, and those sent and not answered. Times are monotonic milliseconds. */
export interface Requests {
  /** False: as many wait as may. */
  add(entry: Entry, first: boolean): boolean;
  /** What may be sent now, in order. */
  take(now: number): readonly string[];
  /** Takes an answer, and answers with its request; undefined: nobody asked, or not of whom it comes. */
  answer(stanza: Element): Entry | undefined;
  /** The stream is gone and its session may come back: what is open stays so. Blamed: it is sorted out by itself. */
  lost(lost: Lost): void;
  /** A new session: what was open is sent again, in order, before the rest. Answers how many. */
  replay(): number;
  /** A resumed session: answers may come again, in full time. */
  resumed(now: number): void;
  /** Ends what had no answer in time; answers when to look again. */
  expire(now: number): number | undefined;
  /** The caller gave up. */
  abort(id: string): void;
  /** Ends all. */
  close(): void;
  readonly counts: {
    readonly unanswered: number;
    readonly poisoned: number;
    readonly open: number;
    readonly waiting: number;
  };
}

interface Tracked extends Entry {
  /**
   * The stream died while this was open: it goes alone until it is answered. Told: by a word of the server's; broken: it
   * broke again and again without one.
   */
  suspect: "told" | "broken" | undefined;
  /** Sessions that broke while this was open; of a suspect since it goes alone. */
  breaks: number;
  sentAt: number;
  aborted: boolean;
}

/** Sessions in a row that break with a request open, before it goes alone. */
const SUSPECT_BREAKS = 3;
/**
 * Sessions in a row that break while it is alone, before it is given up: few where the server has said once what it
 * cannot take; else so many that no bad line explains them, each of which let us log in and did not bring one answer.
 */
const MOST_BREAKS = { told: 2, broken: 20 };

/** The limits of {@link Requests}. */
export interface RequestLimits {
  readonly window: number;
  readonly maxWaiting: number;
  /** Whether an answer's `from` may stand for a request's `to`. */
  isFrom(from: string | undefined, to: string | undefined): boolean;
}

/** Keeps requests; nothing is sent, no clock is read. */
export function createRequests(limits: RequestLimits): Requests {
  const open = new Map<string, Tracked>();
  const lanes = { again: [] as Tracked[], first: [] as Tracked[], rest: [] as Tracked[] };
  const lanesInOrder = [lanes.again, lanes.first, lanes.rest];
  const waiting = (): number => lanes.again.length + lanes.first.length + lanes.rest.length;
  const tally = { unanswered: 0, poisoned: 0 };
  /** Why the session broke that has not come back. */
  let broke: string | undefined;
  const end = (tracked: Tracked, answer: IqAnswer): void => {
    open.delete(tracked.id);
    if (!tracked.aborted) tracked.settle(answer);
  };
  const mayGo = (next: Tracked): boolean => {
    if (next.suspect !== undefined) return open.size === 0;
    const [alone] = open.values();
    return open.size < limits.window && alone?.suspect === undefined;
  };
  const suspect = (tracked: Tracked, why: "told" | "broken"): void => {
    if (tracked.suspect !== "told") tracked.suspect = why;
    tracked.breaks = 0;
  };
  const poison = (tracked: Tracked, reason: string): void => {
    tally.poisoned += 1;
    end(tracked, { is: "poison", reason });
  };
  /** A new session followed one that broke. */
  const broken = (reason: string): void => {
    const isAlone = open.size === 1;
    for (const tracked of [...open.values()]) {
      tracked.breaks += 1;
      if (tracked.suspect === undefined) {
        if (tracked.breaks >= SUSPECT_BREAKS) suspect(tracked, "broken");
      } else if (isAlone && tracked.breaks >= MOST_BREAKS[tracked.suspect]) poison(tracked, reason);
    }
  };
  return {
    counts: {
      get unanswered() {
        return tally.unanswered;
      },
      get poisoned() {
        return tally.poisoned;
      },
      get open() {
        return open.size;
      },
      get waiting() {
        return waiting();
      },
    },
    add(entry, first) {
      if (waiting() >= limits.maxWaiting) return false;
      lanes[first ? "first" : "rest"].push({
        ...entry,
        suspect: undefined,
        breaks: 0,
        sentAt: 0,
        aborted: false,
      });
      return true;
    },
    take(now) {
      const texts: string[] = [];
      for (const lane of lanesInOrder) {
        let taken = 0;
        for (const next of lane) {
          if (!mayGo(next)) break;
          taken += 1;
          next.sentAt = now;
          open.set(next.id, next);
          texts.push(next.text);
        }
        lane.splice(0, taken);
        // What is ahead must go first.
        if (lane.length > 0) break;
      }
      return texts;
    },
    answer(stanza) {
      const tracked = open.get(stanza.attrs["id"] ?? "");
      if (tracked === undefined || !limits.isFrom(stanza.attrs["from"], tracked.to)) return undefined;
      end(tracked, answerOf(stanza));
      return tracked;
    },
    lost({ blamed, broke: isBroken = false, reason }) {
      if (isBroken) broke = reason;
      if (!blamed) return;
      const [only] = open.values();
      if (open.size === 1 && only?.suspect !== undefined) poison(only, reason);
      else for (const tracked of open.values()) suspect(tracked, "told");
    },
    replay() {
      if (broke !== undefined) broken(broke);
      broke = undefined;
      const again = [...open.values()].filter((tracked) => !tracked.aborted);
      open.clear();
      lanes.again.unshift(...again);
      return again.length;
    },
    resumed(now) {
      broke = undefined;
      for (const tracked of open.values()) tracked.sentAt = now;
    },
    expire(now) {
      let next: number | undefined;
      for (const tracked of [...open.values()]) {
        const at = tracked.sentAt + tracked.timeoutMs;
        if (at > now) {
          next = Math.min(next ?? at, at);
          continue;
        }
        if (!tracked.aborted) tally.unanswered += 1;
        end(tracked, { is: "unanswered" });
      }
      return next;
    },
    abort(id) {
      const sent = open.get(id);
      if (sent !== undefined && !sent.aborted) {
        // It keeps its place in the window until it is answered, for the server has it.
        sent.aborted = true;
        sent.settle({ is: "aborted" });
        return;
      }
      for (const lane of lanesInOrder) {
        const at = lane.findIndex((tracked) => tracked.id === id);
        if (at >= 0) for (const tracked of lane.splice(at, 1)) tracked.settle({ is: "aborted" });
      }
    },
    close() {
      const all = [...open.values(), ...lanesInOrder.flatMap((lane) => lane.splice(0))];
      open.clear();
      for (const tracked of all) if (!tracked.aborted) tracked.settle({ is: "aborted" });
    },
  };
}
