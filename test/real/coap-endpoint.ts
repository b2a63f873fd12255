import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import {
  type CoapOptionPair,
  type CoapPacket,
  decodeCoap,
  EMPTY,
  encodeCoap,
  randomMessageId,
  randomToken,
  uriOptions,
} from "./coap-wire.ts";

/** A message to send; what is absent is drawn, and confirmable. `uri` is written as options before the others. */
export type CoapDraft = Pick<CoapPacket, "code"> &
  Partial<Pick<CoapPacket, "type" | "messageId" | "token">> & {
    readonly uri?: string;
    readonly options?: readonly CoapOptionPair[];
    readonly payload?: Buffer | string;
  };

/** A UDP socket that speaks CoAP for a test, datagram by datagram: it repeats nothing and keeps what it receives. */
export interface CoapEndpoint extends AsyncDisposable {
  readonly port: number;
  /** Every message received, in order. */
  readonly received: readonly CoapPacket[];
  /** Acknowledges confirmable messages, and answers pings. Default true; false: it is silent. */
  acknowledges: boolean;
  /** Sends, and says what it sent. */
  send(draft: CoapDraft): CoapPacket;
  sendRaw(datagram: Uint8Array): void;
  /** Sends a request and resolves with its response, piggybacked or separate. */
  ask(draft: CoapDraft): Promise<CoapPacket>;
  /** Resolves with the first message, past or coming, that the test accepts. */
  next(accepts: (packet: CoapPacket) => boolean): Promise<CoapPacket>;
  /** From now on, requests that come are answered with what this returns, piggybacked; undefined: nothing. */
  serve(answer: (request: CoapPacket) => CoapDraft | undefined): void;
}

/** Opens an endpoint at an address of this machine, default 127.0.0.1, that sends to a port of 127.0.0.1. */
export async function openCoapEndpoint(target = 9, at: string = HOST): Promise<CoapEndpoint> {
  const socket = createSocket("udp4");
  socket.bind(0, at);
  await once(socket, "listening");
  return new Endpoint(socket, target);
}

const HOST = "127.0.0.1";
const isRequest = ({ code }: CoapPacket): boolean => code.startsWith("0.") && code !== EMPTY;

class Endpoint implements CoapEndpoint {
  readonly port: number;
  readonly received: CoapPacket[] = [];
  acknowledges = true;
  readonly #socket: Socket;
  readonly #target: number;
  readonly #lookers = new Set<(packet: CoapPacket) => void>();
  #answer: (request: CoapPacket) => CoapDraft | undefined = () => undefined;

  constructor(socket: Socket, target: number) {
    this.#socket = socket;
    this.#target = target;
    this.port = socket.address().port;
    socket.on("message", (datagram, { port }) => this.#take(decodeCoap(datagram), port));
  }

  #take(packet: CoapPacket, port: number): void {
    this.received.push(packet);
    const { type, messageId, token } = packet;
    if (isRequest(packet)) {
      const answer = this.#answer(packet);
      if (answer !== undefined) this.#sendTo(port, filled({ type: "ACK", messageId, token, ...answer }));
    } else if (type === "CON" && this.acknowledges) {
      // An empty CON is a ping (RFC 7252 section 4.3).
      const back = packet.code === EMPTY ? "RST" : "ACK";
      this.#sendTo(port, filled({ type: back, code: EMPTY, messageId }));
    }
    for (const look of this.#lookers) look(packet);
  }

  #sendTo(port: number, packet: CoapPacket): void {
    this.#socket.send(encodeCoap(packet), port, HOST);
  }

  send(draft: CoapDraft): CoapPacket {
    const packet = filled(draft);
    this.#sendTo(this.#target, packet);
    return packet;
  }

  sendRaw(datagram: Uint8Array): void {
    this.#socket.send(datagram, this.#target, HOST);
  }

  ask(draft: CoapDraft): Promise<CoapPacket> {
    const before = this.received.length;
    const { token } = this.send(draft);
    return this.#nextFrom(before, ({ code, token: its }) => code !== EMPTY && its.equals(token));
  }

  next(accepts: (packet: CoapPacket) => boolean): Promise<CoapPacket> {
    return this.#nextFrom(0, accepts);
  }

  #nextFrom(at: number, accepts: (packet: CoapPacket) => boolean): Promise<CoapPacket> {
    return new Promise((resolve) => {
      const found = this.received.slice(at).find(accepts);
      if (found !== undefined) return resolve(found);
      const look = (packet: CoapPacket): void => {
        if (!accepts(packet)) return;
        this.#lookers.delete(look);
        resolve(packet);
      };
      this.#lookers.add(look);
    });
  }

  serve(answer: (request: CoapPacket) => CoapDraft | undefined): void {
    this.#answer = answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#socket, "close");
    this.#socket.close();
    await closed;
  }
}

function filled({ uri, options = [], payload = "", ...draft }: CoapDraft): CoapPacket {
  return {
    type: draft.type ?? "CON",
    code: draft.code,
    messageId: draft.messageId ?? randomMessageId(),
    token: draft.token ?? (draft.code === EMPTY ? Buffer.alloc(0) : randomToken()),
    options: [...(uri === undefined ? [] : uriOptions(uri)), ...options],
    payload: Buffer.from(payload),
  };
}
