import { randomBytes } from "node:crypto";
import { type CancelTimer, silentLog } from "@nomq/core";
import type { Element } from "../stream/element.ts";
import { openStream, type Stream } from "../stream/stream.ts";
import type { StreamEnd } from "../stream/stream-end.ts";
import type { Resumable } from "../stream/stream-management.ts";
import { isFromOf } from "./from.ts";
import { createHearers } from "./hearers.ts";
import type { Link, LinkState } from "./link.ts";
import { LINK_TIMES, type LinkOptions } from "./options.ts";
import { answerTo, pingOf } from "./own-iqs.ts";
import { createRequestDesk } from "./request-desk.ts";
import { type LinkEffect, type LinkInput, type Phase, step } from "./transition.ts";

/** Makes a {@link Link}; nothing is opened before `start`. */
export function createLink(options: LinkOptions): Link {
  const { clock, log = silentLog, random = Math.random } = options;
  const service = options.service ?? `xmpp://${options.domain}:5222`;
  const times = { ...LINK_TIMES, ...options.times };
  const counts = { attempts: 0, sessions: 0, resumptions: 0, replayed: 0 };
  const states = createHearers<LinkState>();
  const stanzas = createHearers<Element>();
  const closed = Promise.withResolvers<void>();
  let phase: Phase = { is: "idle" };
  let state: LinkState = { is: "connecting", attempt: 0, since: clock.now() };
  let stream: Stream | undefined;
  let resume: Resumable | undefined;
  let cancel: CancelTimer = () => undefined;
  let jid = "";
  const desk = createRequestDesk({
    ...options,
    log,
    isFrom: (from, to) => isFromOf({ from, to, jid, domain: options.domain }),
    write: (texts) => stream?.send(texts),
  });

  const go = (input: LinkInput): void => {
    const next = step(phase, input, { now: clock.monotonic(), random: random(), times });
    phase = next.phase;
    for (const effect of next.effects) act(effect);
  };
  const tell = (now: LinkState): void => {
    state = now;
    states.tell(now, log);
  };
  const act = (effect: LinkEffect): void => {
    switch (effect) {
      case "connect":
        connect();
        break;
      case "close-stream":
        stream?.close();
        break;
      case "stop-waiting":
        cancel();
        break;
      case "wait":
        if (phase.is === "waiting") cancel = clock.after(phase.delayMs, () => go({ is: "due" }));
    }
  };
  const connect = (): void => {
    counts.attempts += 1;
    tell({ is: "connecting", attempt: counts.attempts, since: clock.now() });
    stream = openStream({
      ...{ clock, times, onOnline: up, onStanza: receive, onEnd: down },
      maxStanza: options.maxReceived ?? 16_777_216,
      // Not by the desk: it must go out when the window is full.
      onAsk: () => stream?.send([pingOf(options.domain)]),
      who: {
        ...{ service, domain: options.domain, resource: options.resource },
        ...{ username: options.username, password: options.password, tls: options.tls ?? {} },
        nonce: randomBytes(18).toString("base64"),
        ...(resume === undefined ? {} : { resume }),
      },
    });
  };
  const up = (session: { readonly jid: string; readonly resumed: boolean }): void => {
    jid = session.jid;
    counts[session.resumed ? "resumptions" : "sessions"] += 1;
    go({ is: "online" });
    counts.replayed += desk.up(session.resumed);
    log.info(session.resumed ? "XMPP session resumed" : "XMPP session begun", { jid });
    tell({ is: "online", jid, resumed: session.resumed, since: clock.now() });
    desk.pump();
  };
  const receive = (stanza: Element): void => {
    const { type } = stanza.attrs;
    if (stanza.name !== "iq") stanzas.tell(stanza, log);
    else if (type === "result" || type === "error") desk.answer(stanza);
    else stream?.send([answerTo(stanza)]);
  };
  const down = (end: StreamEnd, resumable: Resumable | undefined): void => {
    resume = resumable;
    stream = undefined;
    desk.down(end);
    go({ is: "ended", end });
    told(end);
  };
  const told = (end: StreamEnd): void => {
    const since = clock.now();
    if (phase.is === "waiting") {
      const fatal = end.fatal === true;
      const retryMs = Math.round(phase.delayMs);
      log[fatal ? "error" : "warn"]("XMPP connection lost", { reason: end.reason, retryMs });
      tell({ is: "waiting", reason: end.reason, fatal, retryAt: since + retryMs, since });
    } else if (phase.is === "closed") finish();
  };
  const finish = (): void => {
    desk.close();
    tell({ is: "closed", since: clock.now() });
    closed.resolve();
  };

  return {
    start: () => go({ is: "start" }),
    state: () => state,
    onState: states.add,
    onStanza: stanzas.add,
    request: desk.request,
    counts: () => ({ ...counts, ...desk.counts() }),
    async [Symbol.asyncDispose]() {
      const before = phase.is;
      go({ is: "stop" });
      if (phase.is === "closed" && before !== "closed" && state.is !== "closed") finish();
      await closed.promise;
    },
  };
}
