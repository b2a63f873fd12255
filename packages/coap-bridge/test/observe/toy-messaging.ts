import type { Messaging, Outgoing, Remote, Sent, SentOutcome } from "../../src/messaging/messaging.ts";
import { MessageType } from "../../src/wire/coap-message.ts";

/** A datagram of ours as the other side sees it. */
export interface Heard extends Outgoing {
  readonly to: Remote;
  readonly messageId: number;
  /** What the other side answers. */
  acknowledge(): void;
  reset(): void;
}

/** A message layer whose network and time are the test's: one CON at a time per remote, repeated when told to. */
export interface ToyMessaging extends Pick<Messaging, "send" | "remote"> {
  /** Everything that went out, in order. */
  readonly heard: Heard[];
  /** Takes what has gone out since the last call. */
  take(): Heard[];
  /** Repeats what is unacknowledged: to one remote, or to all. */
  repeat(to?: Remote): void;
  /** Gives up what is unacknowledged. */
  timeOut(to?: Remote): void;
  /** CONs that wait for an acknowledgement now. */
  open(): number;
  openTo(remote: Remote): number;
}

const endpoints = new Map<string, Remote>();

/** An endpoint of the toy network: the same object each time. */
export function endpoint(port: number, host = "192.0.2.1"): Remote {
  const key = `toy ${host} ${port}`;
  const known = endpoints.get(key) ?? { host, port, via: "toy", proven: true, key };
  endpoints.set(key, known);
  return known;
}

interface Waiting {
  readonly to: Remote;
  readonly next: () => Outgoing | undefined;
  readonly ended: (outcome: SentOutcome) => void;
  out?: Outgoing | undefined;
  isOver: boolean;
}

/** Makes one; `reaches` tells which keys of an earlier run it still knows (default: all of {@link endpoint}). */
export function createToyMessaging(reaches: (key: string) => boolean = () => true): ToyMessaging {
  const rows = new Map<string, Waiting[]>();
  const heard: Heard[] = [];
  let taken = 0;
  let messageId = 0;

  const end = (waiting: Waiting, outcome: SentOutcome): void => {
    if (waiting.isOver) return;
    waiting.isOver = true;
    waiting.ended(outcome);
  };
  const leave = (waiting: Waiting): void => {
    const row = rows.get(waiting.to.key) ?? [];
    const rest = row.filter((other) => other !== waiting);
    rows.set(waiting.to.key, rest);
    turn(waiting.to);
  };
  const put = (waiting: Waiting, message: Outgoing): void => {
    if (waiting.out !== message) messageId += 1;
    waiting.out = message;
    const isConfirmable = message.type === MessageType.confirmable;
    heard.push({
      ...message,
      to: waiting.to,
      messageId,
      acknowledge() {
        if (waiting.isOver) return;
        end(waiting, "acknowledged");
        leave(waiting);
      },
      reset() {
        if (!isConfirmable) waiting.ended("reset");
        else if (!waiting.isOver) {
          end(waiting, "reset");
          leave(waiting);
        }
      },
    });
    if (isConfirmable) return;
    end(waiting, "sent");
    leave(waiting);
  };
  const say = (waiting: Waiting): void => {
    const message = waiting.next();
    if (message !== undefined) put(waiting, message);
    else {
      end(waiting, "cancelled");
      leave(waiting);
    }
  };
  const turn = (to: Remote): void => {
    const first = rows.get(to.key)?.[0];
    if (first !== undefined && first.out === undefined && !first.isOver) say(first);
  };
  const outTo = (to?: Remote): Waiting[] =>
    [...rows.values()].flatMap((row) =>
      row.slice(0, 1).filter((one) => one.out !== undefined && (to === undefined || one.to === to)),
    );

  return {
    heard,
    send(to, next, ended): Sent {
      const waiting: Waiting = { to, next, ended, isOver: false };
      const row = rows.get(to.key) ?? [];
      rows.set(to.key, [...row, waiting]);
      if (row.length === 0) turn(to);
      return {
        cancel() {
          if (waiting.isOver) return;
          waiting.isOver = true;
          leave(waiting);
        },
      };
    },
    remote(key) {
      const [, host = "", port = "0"] = key.split(" ");
      return reaches(key) ? endpoint(Number(port), host) : undefined;
    },
    take() {
      const fresh = heard.slice(taken);
      taken = heard.length;
      return fresh;
    },
    repeat(to) {
      for (const waiting of outTo(to)) say(waiting);
    },
    timeOut(to) {
      for (const waiting of outTo(to)) {
        end(waiting, "timeout");
        leave(waiting);
      }
    },
    open: () => outTo().length,
    openTo: (remote) => outTo(remote).length,
  };
}
