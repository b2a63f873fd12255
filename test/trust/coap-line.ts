import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { type CoapPacket, decodeCoap, EMPTY, encodeCoap, randomMessageId } from "../real/coap-wire.ts";

/** One CoAP endpoint on 127.0.0.1: each of its confirmable requests is repeated until it is answered. */
export interface CoapLine extends AsyncDisposable {
  readonly port: number;
  /** Sends until a response comes; the same message id for an exchange's lifetime, then a new one. */
  request(draft: CoapRequest): Promise<CoapPacket>;
  /** Sends once, and expects nothing. */
  send(packet: CoapPacket): void;
  sendTo(port: number, packet: CoapPacket): void;
  /** A message id that none of the last 65,535 messages had. */
  freeMessageId(): number;
}

/** A confirmable request. */
export type CoapRequest = Pick<CoapPacket, "code" | "token" | "options"> & {
  readonly payload?: Buffer;
  /** Whether it may be sent under a new message id; else it is given up when its own has passed. */
  readonly mayRenew: boolean;
};

/** How a line is opened. */
export interface LineOptions {
  /** Where requests go. */
  readonly target: number;
  /** A message that answers no request of ours; where it came from. Returns what goes back. */
  readonly take: (packet: CoapPacket, port: number) => CoapPacket | undefined;
  /** What the network does to this datagram. Default: nothing. */
  readonly isLost?: () => boolean;
}

const HOST = "127.0.0.1";
/** Sooner than RFC 7252 asks for: after a kill it must be there at once, and copies are what is tried here. */
const AGAIN_MS = 400;
/** Less than the 247 s of RFC 7252 section 4.8.2. */
const LIFETIME_MS = 200_000;

interface Open {
  readonly packet: CoapPacket;
  /** Who asked; whoever asks again with the same token goes on with the request in both names. */
  readonly done: ReadonlySet<(answer: CoapPacket) => void>;
  timer?: ReturnType<typeof setTimeout>;
}

export async function openCoapLine(options: LineOptions): Promise<CoapLine> {
  const socket = createSocket("udp4");
  socket.bind(0, HOST);
  await once(socket, "listening");
  return new Line(socket, options);
}

/** Nothing came for a request that may not be renewed. */
export class CoapSilence extends Error {}

class Line implements CoapLine {
  readonly port: number;
  readonly #socket: Socket;
  readonly #options: LineOptions;
  readonly #open = new Map<string, Open>();
  /** Confirmable answers, byte for byte: after a restart the other end may begin with message ids that it has had. */
  readonly #answers = new Set<string>();
  #isEnded = false;
  #lastId = randomMessageId();

  constructor(socket: Socket, options: LineOptions) {
    this.#socket = socket;
    this.#options = options;
    this.port = socket.address().port;
    socket.on("message", (datagram, { port }) => {
      if (options.isLost?.() !== true) this.#take(decodeCoap(datagram), port);
    });
  }

  freeMessageId(): number {
    this.#lastId = (this.#lastId + 1) % 0x10000;
    return this.#lastId;
  }

  send(packet: CoapPacket): void {
    this.sendTo(this.#options.target, packet);
  }

  sendTo(port: number, packet: CoapPacket): void {
    if (this.#isEnded || this.#options.isLost?.() === true) return;
    this.#socket.send(encodeCoap(packet), port, HOST, () => undefined);
  }

  request({ mayRenew, payload = Buffer.alloc(0), ...draft }: CoapRequest): Promise<CoapPacket> {
    return new Promise((done, fail) => {
      const key = draft.token.toString("hex");
      const begin = (): void => {
        const packet: CoapPacket = { type: "CON", messageId: this.freeMessageId(), payload, ...draft };
        const one: Open = { packet, done: new Set([...(this.#end(key)?.done ?? []), done]) };
        this.#open.set(key, one);
        const begunAt = performance.now();
        const repeat = (): void => {
          if (performance.now() - begunAt > LIFETIME_MS) {
            if (mayRenew) begin();
            else {
              this.#open.delete(key);
              fail(new CoapSilence(`no answer to ${packet.code} ${packet.messageId}`));
            }
            return;
          }
          this.send(packet);
          one.timer = setTimeout(repeat, AGAIN_MS);
        };
        repeat();
      };
      begin();
    });
  }

  /** Sends a request no more. */
  #end(key: string): Open | undefined {
    const one = this.#open.get(key);
    clearTimeout(one?.timer);
    this.#open.delete(key);
    return one;
  }

  #take(packet: CoapPacket, port: number): void {
    const { type, code, messageId, token } = packet;
    // A copy: its acknowledgement was late, or lost (RFC 7252 section 4.5).
    const bytes = encodeCoap(packet).toString("latin1");
    if (type === "CON" && this.#answers.has(bytes)) {
      this.sendTo(port, emptyOf("ACK", packet));
      return;
    }
    const one = this.#open.get(token.toString("hex"));
    const isAnswer =
      one !== undefined && /^[245]/.test(code) && (type !== "ACK" || messageId === one.packet.messageId);
    if (isAnswer) {
      this.#end(token.toString("hex"));
      if (type === "CON") {
        this.#answers.add(bytes);
        this.sendTo(port, emptyOf("ACK", packet));
      }
      for (const done of one.done) done(packet);
      return;
    }
    const back = this.#options.take(packet, port);
    if (back !== undefined) this.sendTo(port, back);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnded = true;
    for (const { timer } of this.#open.values()) clearTimeout(timer);
    this.#open.clear();
    const closed = once(this.#socket, "close");
    this.#socket.close();
    await closed;
  }
}

/** The empty message that acknowledges, or resets. */
export function emptyOf(type: "ACK" | "RST", { messageId }: Pick<CoapPacket, "messageId">): CoapPacket {
  return { type, code: EMPTY, messageId, token: Buffer.alloc(0), options: [], payload: Buffer.alloc(0) };
}
