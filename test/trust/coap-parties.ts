import { randomBytes } from "node:crypto";
import {
  type CoapPacket,
  DELETE,
  GET,
  numberOf,
  OPTION,
  POST,
  PUT,
  uint,
  uriOptions,
} from "../real/coap-wire.ts";
import type { Book, Sent } from "./book.ts";
import { CoapSilence, emptyOf, openCoapLine } from "./coap-line.ts";
import type { Way } from "./relay.ts";

/** Where a CoAP party stands: its way through the relay, and the book. */
export interface CoapPartyOptions {
  readonly name: string;
  readonly way: Way;
  readonly book: Book;
}

/** A CoAP client that sets states and posts events. */
export interface CoapPublisher extends AsyncDisposable {
  /** Confirmable at QoS 1 and 2, again until answered; settles in the book. Resolves when it is settled. */
  publish(sent: Sent): Promise<void>;
}

/** Whether a transfer of QoS 2 is named by `?id=`; else by its message id alone. */
const isNamed = ({ qos, place }: Pick<Sent, "qos" | "place">): boolean => qos === 2 && place % 2 === 0;

/** Opens a publisher behind its way. */
export async function openCoapPublisher({ way, book }: CoapPartyOptions): Promise<CoapPublisher> {
  const line = await openCoapLine({
    target: way.port,
    // An answer to what is answered already: it must not be repeated to us.
    take: (packet) => (packet.type === "CON" ? emptyOf("RST", packet) : undefined),
  });
  way.serve(line.port);
  return {
    async publish(sent) {
      const { channel, qos, id } = sent;
      const query = `?qos=${qos}${isNamed(sent) ? `&id=${encodeURIComponent(id)}` : ""}`;
      const draft = {
        code: sent.clears ? DELETE : sent.retain ? PUT : POST,
        token: randomBytes(6),
        options: uriOptions(`${channel}${query}`),
        payload: Buffer.from(sent.clears ? "" : id),
      };
      if (qos === 0) {
        line.send({ ...draft, type: "NON", messageId: line.freeMessageId() });
        book.settle(sent, "unknown");
        return;
      }
      // Of QoS 1 a second transfer is allowed.
      const mayRenew = qos === 1 || isNamed(sent);
      try {
        settle(book, sent, await line.request({ ...draft, mayRenew }));
      } catch (error) {
        if (!(error instanceof CoapSilence)) throw error;
        book.settle(sent, "unknown");
      }
    },
    [Symbol.asyncDispose]: () => line[Symbol.asyncDispose](),
  };
}

function settle(book: Book, sent: Sent, { code, payload }: CoapPacket): void {
  if (code.startsWith("2.")) book.settle(sent, "acked");
  else if (code === "5.03" || code === "4.29") book.settle(sent, "refused");
  else if (code === "5.04") book.settle(sent, "unknown");
  else book.fail(new Error(`${sent.id} answered ${code} ${payload.toString()}`));
}

/** A CoAP client that observes channels and holds what it was told last. */
export interface CoapObserverParty extends AsyncDisposable {
  /** Resolves when every relation is there. */
  ready(): Promise<void>;
  /** What broke the rules of observation, in words. */
  readonly faults: readonly string[];
  /** Registrations that were answered. */
  readonly registered: number;
}

interface Relation {
  readonly channel: string;
  readonly token: Buffer;
  /** Observe number and message of the newest notification. */
  newest?: { readonly number: number; readonly messageId: number; readonly text: string };
  silence?: ReturnType<typeof setTimeout>;
}

/** How an observer is opened. */
export interface ObserverOptions extends CoapPartyOptions {
  readonly channels: readonly string[];
  /** Milliseconds of silence after which it registers again; default what Max-Age says. */
  readonly patienceMs?: () => number | undefined;
}

/** Opens an observer behind its way; it registers at once, confirmable notifications asked for. */
export async function openObserverParty(options: ObserverOptions): Promise<CoapObserverParty> {
  const observer = new Observer(options);
  await observer.open();
  return observer;
}

const AGAIN_MS = 200;
/** RFC 7641 section 3.4: numbers are compared on a circle of 24 bits. */
const isNewer = (number: number, than: number): boolean => ((number - than) & 0xffffff) - 1 < 0x7fffff;

class Observer implements CoapObserverParty {
  readonly faults: string[] = [];
  registered = 0;
  readonly #options: ObserverOptions;
  readonly #relations: readonly Relation[];
  readonly #ready: Promise<void>[] = [];
  #line: Awaited<ReturnType<typeof openCoapLine>> | undefined;
  #isEnded = false;

  constructor(options: ObserverOptions) {
    this.#options = options;
    this.#relations = options.channels.map((channel) => ({ channel, token: randomBytes(5) }));
  }

  async open(): Promise<void> {
    const { way } = this.#options;
    this.#line = await openCoapLine({ target: way.port, take: (packet) => this.#take(packet) });
    way.serve(this.#line.port);
    for (const relation of this.#relations) this.#ready.push(this.#register(relation));
  }

  async ready(): Promise<void> {
    await Promise.all(this.#ready);
  }

  /** Asks again until there is a relation: a channel that nobody knows is 4.04, and none can be kept on a full disk. */
  async #register(relation: Relation): Promise<void> {
    while (!this.#isEnded && this.#line !== undefined) {
      const options = [...uriOptions(`${relation.channel}?qos=1`), [OPTION.observe, uint(0)] as const];
      const { token } = relation;
      const answer = await this.#line.request({ code: GET, token, options, mayRenew: true });
      if (numberOf(answer, OPTION.observe) !== undefined) {
        this.registered += 1;
        this.#hear(relation, answer);
        return;
      }
      if (!/^(4\.04|2\.05|5\.03)$/.test(answer.code))
        this.faults.push(`${relation.channel} refused ${answer.code}`);
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }

  #take(packet: CoapPacket): CoapPacket | undefined {
    const relation = this.#relations.find(({ token }) => token.equals(packet.token));
    if (packet.type === "ACK" || packet.type === "RST") return undefined;
    if (relation === undefined) return emptyOf("RST", packet);
    this.#hear(relation, packet);
    return packet.type === "CON" ? emptyOf("ACK", packet) : undefined;
  }

  #hear(relation: Relation, packet: CoapPacket): void {
    const { channel, newest } = relation;
    const { messageId } = packet;
    const number = numberOf(packet, OPTION.observe);
    const text = packet.payload.toString();
    if (messageId === newest?.messageId) return;
    if (number === undefined) this.#end(relation, packet);
    else {
      const isRepeat = newest !== undefined && number === newest.number && text === newest.text;
      if (newest !== undefined && !isRepeat && !isNewer(number, newest.number)) {
        // Through loss a request is sent again, and its late answer is older than what was told since: it is not news.
        if (this.#options.patienceMs?.() === undefined)
          this.faults.push(`${channel}: ${number} "${text}" after ${newest.number} "${newest.text}"`);
        return;
      }
      relation.newest = { number, messageId, text };
      this.#options.book.receive(this.#options.name, { id: text, channel, qos: 1 });
    }
    this.#awaitNews(relation, packet);
  }

  /** DELETE ends a relation, and nothing else may here; who is still interested asks again. */
  #end(relation: Relation, { code, messageId }: CoapPacket): void {
    const { newest, channel } = relation;
    if (code !== "4.04") this.faults.push(`${channel} ended with ${code}`);
    if (newest !== undefined) relation.newest = { number: newest.number, messageId, text: "" };
    this.#options.book.receive(this.#options.name, { id: "", channel, qos: 1 });
    this.#register(relation).catch(() => undefined);
  }

  /** Nothing new within Max-Age: perhaps nobody knows of us any more (RFC 7641 section 3.3.1). */
  #awaitNews(relation: Relation, packet: CoapPacket): void {
    clearTimeout(relation.silence);
    if (this.#isEnded) return;
    const age = (numberOf(packet, OPTION.maxAge) ?? 60) * 1_000 + 5_000;
    const waitMs = Math.min(this.#options.patienceMs?.() ?? age, 2 ** 31 - 1);
    relation.silence = setTimeout(() => {
      this.#register(relation).catch(() => undefined);
    }, waitMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnded = true;
    for (const { silence } of this.#relations) clearTimeout(silence);
    await this.#line?.[Symbol.asyncDispose]();
  }
}
