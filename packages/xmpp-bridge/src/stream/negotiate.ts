import { element } from "./build.ts";
import type { Element } from "./element.ts";
import { authenticate } from "./sasl.ts";
import type { Credentials } from "./scram.ts";
import { type StreamEnd, StreamFailure, streamErrorEnd } from "./stream-end.ts";
import { createStreamManagement, type Resumable, type StreamManagement } from "./stream-management.ts";
import { type TlsSettings, tlsStep } from "./tls-policy.ts";

export const STREAM_MANAGEMENT = "urn:xmpp:sm:3";
const STREAMS = "http://etherx.jabber.org/streams";
const TLS = "urn:ietf:params:xml:ns:xmpp-tls";
const SASL = "urn:ietf:params:xml:ns:xmpp-sasl";
const BIND = "urn:ietf:params:xml:ns:xmpp-bind";

/** Who wants to be let in, and where. */
export interface Identity extends Credentials {
  /** `xmpp://HOST:PORT`, `xmpps://HOST:PORT`, `ws://HOST:PORT/PATH`, `wss://HOST:PORT/PATH`. */
  readonly service: string;
  readonly domain: string;
  readonly resource: string;
  readonly tls: TlsSettings;
  readonly nonce: string;
  /** What is left of the stream before, if it can be gone on with. */
  readonly resume?: Resumable;
}

/** The stream that is negotiated: elements in order, each waited for within the phase's time. */
export interface Negotiable {
  openStream(): void;
  /** Puts TLS around it. */
  upgrade(): Promise<void>;
  send(element: string): void;
  /** Rejects with a {@link StreamFailure} where the stream ends or nothing comes. */
  next(): Promise<Element>;
}

/** A stream over which stanzas may go. */
export interface Negotiated {
  readonly jid: string;
  readonly resumed: boolean;
  /** Absent: the server has none. */
  readonly management?: StreamManagement;
  /** Stanzas that came before stream management began to count. */
  readonly early: readonly Element[];
}

const MOST_EARLY = 1000;

/** RFC 6120 sections 5 to 7 in turn: TLS, SASL, resumption (XEP-0198 section 5) or a resource and stream management. */
export async function negotiate(stream: Negotiable, who: Identity): Promise<Negotiated> {
  const { features, isSecure } = await secure(stream, who);
  await authenticate(features.getChild("mechanisms", SASL), {
    credentials: who,
    nonce: who.nonce,
    isSecure,
    send: stream.send,
    next: stream.next,
  });
  stream.openStream();
  const offered = await nextFeatures(stream);
  const manages = offered.getChild("sm", STREAM_MANAGEMENT) !== undefined;
  if (manages && who.resume !== undefined) {
    const resumed = await resume(stream, who.resume);
    if (resumed !== undefined) return resumed;
  }
  const jid = await bind(stream, who.resource);
  return { jid, resumed: false, ...(manages ? await enable(stream, jid) : { early: [] }) };
}

interface Secured {
  readonly features: Element;
  readonly isSecure: boolean;
}

async function secure(stream: Negotiable, who: Identity): Promise<Secured> {
  stream.openStream();
  const features = await nextFeatures(stream);
  if (/^(xmpps|wss):/.test(who.service)) return { features, isSecure: true };
  const starttls = who.service.startsWith("xmpp:") ? features.getChild("starttls", TLS) : undefined;
  const offer = starttls === undefined ? "none" : starttls.getChild("required") ? "required" : "offered";
  switch (tlsStep(who.service, who.tls, offer)) {
    case "go-on":
      return { features, isSecure: false };
    case "refuse":
      throw refused("the server offers no TLS, which is required here", "encryption-required");
    case "upgrade":
  }
  stream.send(`<starttls xmlns='${TLS}'/>`);
  const answer = await stream.next();
  if (answer.getName() !== "proceed" || answer.getNS() !== TLS) throw refused("the server refuses STARTTLS");
  await stream.upgrade();
  stream.openStream();
  return { features: await nextFeatures(stream), isSecure: true };
}

async function nextFeatures(stream: Negotiable): Promise<Element> {
  const features = await stream.next();
  if (features.getName() === "features" && features.getNS() === STREAMS) return features;
  throw refused(`the server sent ${features.getName().slice(0, 40)} before its features`);
}

async function resume(stream: Negotiable, before: Resumable): Promise<Negotiated | undefined> {
  const attributes = { xmlns: STREAM_MANAGEMENT, h: String(before.received), previd: before.id };
  stream.send(element("resume", attributes).toString());
  const answer = await stream.next();
  if (answer.getNS() !== STREAM_MANAGEMENT || answer.getName() !== "resumed") return undefined;
  const { id, jid } = before;
  const { h, previd = id } = answer.attrs;
  const management = createStreamManagement({ id, jid, from: before });
  if (previd !== id) throw unreadable("the server resumed another session than was asked for");
  if (!management.acknowledge(h)) throw unreadable("the server acknowledges more than was sent");
  return { jid, resumed: true, management, early: [] };
}

async function bind(stream: Negotiable, resource: string): Promise<string> {
  const wanted = element("bind", { xmlns: BIND }, [element("resource", {}, [resource])]);
  stream.send(element("iq", { type: "set", id: "bind" }, [wanted]).toString());
  const answer = await stream.next();
  const jid = answer.getChild("bind", BIND)?.getChild("jid")?.getText();
  if (answer.attrs["id"] === "bind" && answer.attrs["type"] === "result" && jid) {
    if (isFullJid(jid)) return jid;
    throw unreadable("the server gives us a resource whose name is no JID");
  }
  const error = answer.getChild("error");
  const { reason, condition } = error ? streamErrorEnd(error) : { reason: "no answer to it", condition: "" };
  throw refused(`the server gives us no resource: ${reason}`, condition);
}

async function enable(stream: Negotiable, jid: string): Promise<Pick<Negotiated, "management" | "early">> {
  stream.send(`<enable xmlns='${STREAM_MANAGEMENT}' resume='true'/>`);
  const early: Element[] = [];
  let answer = await stream.next();
  while (answer.getNS() !== STREAM_MANAGEMENT) {
    if (early.push(answer) > MOST_EARLY) throw refused("the server does not answer <enable/>");
    answer = await stream.next();
  }
  if (answer.getName() !== "enabled") return { early };
  const { id, resume: resumes } = answer.attrs;
  const isResumable = id !== undefined && (resumes === "true" || resumes === "1");
  return { early, management: createStreamManagement({ jid, ...(isResumable ? { id } : {}) }) };
}

/** RFC 7622 section 3.1, as far as it bounds what is written down and sent back. */
const isFullJid = (jid: string): boolean =>
  Buffer.byteLength(jid) <= MOST_JID_BYTES && /^[^@/\s\p{Cc}]+@[^@/\s\p{Cc}]+\/[^\p{Cc}]+$/u.test(jid);

const MOST_JID_BYTES = 3_071;

/** Of what cannot be gone on with: the next attempt begins a session of its own. */
const unreadable = (reason: string): StreamFailure => new StreamFailure({ is: "unreadable", reason });

const refused = (reason: string, condition?: string): StreamFailure =>
  new StreamFailure({
    is: "refused",
    reason,
    fatal: true,
    ...(condition ? { condition } : {}),
  } satisfies StreamEnd);
