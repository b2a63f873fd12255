import { randomBytes } from "node:crypto";
import { type CancelTimer, type Log, silentLog } from "@nomq/core";
import type { Element } from "../stream/element.ts";
import type { Identity } from "../stream/negotiate.ts";
import { openStream, type Stream } from "../stream/stream.ts";
import type { StreamEnd } from "../stream/stream-end.ts";
import type { Resumable } from "../stream/stream-management.ts";
import { isFromOf } from "./from.ts";
import { createHearers } from "./hearers.ts";
import type { Link, LinkState } from "./link.ts";
import { LINK_TIMES, type LinkOptions } from "./options.ts";
import { createAnswering, PRESENCE, pingOf } from "./own-stanzas.ts";
import { patienceAfter } from "./patience.ts";
import { createRequestDesk } from "./request-desk.ts";
import { type LinkEffect, type LinkInput, type Phase, step } from "./transition.ts";

/** Makes a {@link Link}; nothing is opened before `start`. */
export function createLink(options: LinkOptions): Link {
  const { clock, domain, log = silentLog, random = Math.random } = options;
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
  const session = { jid: "", patience: 0 };
  const answering = createAnswering({ clock, domain, jid: () => session.jid });
  const desk = createRequestDesk({
    ...options,
    log,
    isFrom: (from, to) => isFromOf({ from, to, jid: session.jid, domain }),
    write: (texts) => stream?.send(texts),
  });

  const go = (input: LinkInput): void => {
    const next = step(phase, input, { now: clock.monotonic(), random: random(), times });
    phase = next.phase;
    for (const effect of next.effects) act(effect);
  };
  const tell = (now: LinkState): void => {
    report(state, now, log);
    state = now;
    states.tell(now, log);
  };
  const act = (effect: LinkEffect): void => {
    switch (effect) {
      case "connect":
        connect();
        break;
      case "close-stream":
        desk.close();
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
    const after = state.is === "waiting" ? { reason: state.reason, fatal: state.fatal } : undefined;
    tell({ is: "connecting", attempt: counts.attempts, since: clock.now(), ...(after && { after }) });
    stream = openStream({
      ...{ clock, onOnline: up, onStanza: receive, onEnd: down },
      times: { ...times, deadAfterMs: times.deadAfterMs * 2 ** session.patience },
      maxStanza: options.maxReceived ?? 16_777_216,
      // Not by the desk: it must go out when the window is full.
      onAsk: () => stream?.send([pingOf(domain)]),
      who: identityOf(options, resume),
    });
  };
  const up = ({ jid, resumed }: { readonly jid: string; readonly resumed: boolean }): void => {
    session.jid = jid;
    counts[resumed ? "resumptions" : "sessions"] += 1;
    go({ is: "online" });
    // Servers keep messages for an account that is not available, for ever: they are to hand them over.
    if (!resumed) stream?.send([PRESENCE]);
    counts.replayed += desk.up(resumed);
    tell({ is: "online", jid, resumed, since: clock.now() });
    desk.pump();
  };
  const receive = (stanza: Element): void => {
    const { type } = stanza.attrs;
    if (stanza.name !== "iq") stanzas.tell(stanza, log);
    else if (type === "result" || type === "error") desk.answer(stanza);
    else {
      const answer = answering.answerTo(stanza);
      if (answer !== undefined) stream?.sendUnasked(answer);
    }
  };
  const down = (end: StreamEnd, resumable: Resumable | undefined): void => {
    const upMs = phase.is === "online" ? clock.monotonic() - phase.upAt : undefined;
    session.patience = patienceAfter(session.patience, { end, upMs }, times);
    resume = resumable;
    stream = undefined;
    // Before it was online nothing of ours went out: what ended it was none of our stanzas.
    desk.down(upMs === undefined ? { ...end, blamed: false } : end);
    go({ is: "ended", end });
    told(end);
  };
  const told = (end: StreamEnd): void => {
    if (phase.is === "waiting") tell(waitingState({ end, delayMs: phase.delayMs, now: clock.now() }));
    else if (phase.is === "closed") finish();
  };
  const finish = (): void => {
    desk.close();
    tell({ is: "closed", since: clock.now() });
    closed.resolve();
  };

  return {
    start: () => go({ is: "start" }),
    state: () => state,
    ...{ onState: states.add, onStanza: stanzas.add, request: desk.request },
    counts: () => ({ ...counts, ...desk.counts() }),
    async [Symbol.asyncDispose]() {
      const before = phase.is;
      go({ is: "stop" });
      if (phase.is === "closed" && before !== "closed" && state.is !== "closed") finish();
      await closed.promise;
    },
  };
}

interface Wait {
  readonly end: StreamEnd;
  readonly delayMs: number;
  readonly now: number;
}

function waitingState({ end, delayMs, now }: Wait): LinkState {
  const retryAt = now + Math.round(delayMs);
  return { is: "waiting", reason: end.reason, fatal: end.fatal === true, retryAt, since: now };
}

/** A server that is away for hours is said once, and then for whoever looks closely. */
function report(before: LinkState, now: LinkState, log: Log): void {
  if (now.is === "online")
    log.info(now.resumed ? "XMPP session resumed" : "XMPP session begun", { jid: now.jid });
  if (now.is !== "waiting") return;
  const isKnown = before.is === "connecting" && before.after?.reason === now.reason;
  const level = isKnown ? "debug" : now.fatal ? "error" : "warn";
  log[level]("no XMPP connection", { reason: now.reason, retryMs: now.retryAt - now.since });
}

function identityOf(options: LinkOptions, resume: Resumable | undefined): Identity {
  const { domain, resource, username, password, tls = {}, service = `xmpp://${domain}:5222` } = options;
  const nonce = randomBytes(18).toString("base64");
  return { service, domain, resource, username, password, tls, nonce, ...(resume && { resume }) };
}
