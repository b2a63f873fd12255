import { createFakeClock, createPrng, type FakeClock } from "@nomq/core/testing";
import { generate, type ParsedPacket } from "coap-packet";
import type { CoapSocket, ReceiveDatagram } from "../../src/listen/coap-socket.ts";
import { createMessaging, type MessagingOptions } from "../../src/messaging/create-messaging.ts";
import type {
  Answer,
  IncomingRequest,
  Messaging,
  Outgoing,
  Remote,
  SentOutcome,
} from "../../src/messaging/messaging.ts";
import { type CoapMessage, MessageType } from "../../src/wire/coap-message.ts";
import { decodeMessage } from "../../src/wire/decode.ts";
import { encodeTail } from "../../src/wire/tail.ts";

/** A datagram that left. */
export interface Left {
  readonly bytes: Uint8Array;
  readonly host: string;
  readonly port: number;
}

/** A socket that is two arrays. */
export interface ArraySocket extends CoapSocket {
  /** What left since this was asked last. */
  taken(): Left[];
  arrive(datagram: Uint8Array, from?: From): void;
}

/** Where a datagram comes from; default 127.0.0.1:40000, and not to a group. */
export interface From {
  readonly host?: string;
  readonly port?: number;
  readonly toGroup?: boolean;
}

export function createArraySocket(name = "coap://[::]:5683"): ArraySocket {
  let left: Left[] = [];
  let receive: ReceiveDatagram | undefined;
  return {
    name,
    local: { host: "::", port: 5683 },
    send: (bytes, port, host) => void left.push({ bytes, host, port }),
    onDatagram: (receiver) => {
      receive = receiver;
    },
    hostOf: (address) => address,
    addressOf: (host) => host,
    taken() {
      const taken = left;
      left = [];
      return taken;
    },
    arrive: (datagram, { host = "127.0.0.1", port = 40_000, toGroup = false } = {}) =>
      receive?.(datagram, host, { port, toGroup }),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** A message layer between two arrays, on a clock that stands still. */
export interface Lab extends AsyncDisposable {
  readonly clock: FakeClock;
  readonly socket: ArraySocket;
  readonly messaging: Messaging;
  readonly served: IncomingRequest[];
  /** Lets a datagram arrive and answers what left for it at once. */
  ask(datagram: Uint8Array, from?: From): Left[];
  /** The messages that left since. */
  said(): CoapMessage[];
  remote(from?: From): Remote;
}

export function createLab(
  serve: (request: IncomingRequest) => Answer | undefined | Promise<Answer | undefined> = () => ({
    code: 0x45,
  }),
  options: Partial<MessagingOptions> = {},
): Lab {
  const clock = createFakeClock();
  const socket = createArraySocket();
  const served: IncomingRequest[] = [];
  const messaging = createMessaging({
    clock,
    random: createPrng(7).next,
    serve: (request) => {
      served.push(request);
      return serve(request);
    },
    ...options,
  });
  messaging.listen(socket);
  return {
    clock,
    socket,
    messaging,
    served,
    ask(datagram, from) {
      socket.arrive(datagram, from);
      return socket.taken();
    },
    said: () => socket.taken().map(({ bytes }) => read(bytes)),
    remote({ host = "127.0.0.1", port = 40_000 } = {}) {
      const remote = messaging.remoteAt({ host, port });
      if (remote === undefined) throw new Error("no remote");
      return remote;
    },
    [Symbol.asyncDispose]: () => messaging[Symbol.asyncDispose](),
  };
}

/** What left, decoded; it must be a message. */
export function read(bytes: Uint8Array): CoapMessage {
  const message = decodeMessage(bytes);
  if (message === undefined) throw new Error(`no CoAP message left: ${hex(bytes)}`);
  return message;
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
export const bytes = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ""), "hex");
export const hexes = (left: readonly Left[]): string[] => left.map((each) => hex(each.bytes));

/** A message as node-coap's codec writes it. */
export interface Written {
  readonly code?: string;
  readonly type?: "con" | "non" | "ack" | "rst";
  readonly messageId?: number;
  readonly token?: string;
  readonly options?: ReadonlyArray<readonly [number: number, value: string]>;
  readonly payload?: string;
}

/** Encodes with coap-packet: option values and token in hexadecimal, the payload as text. */
export function write({
  code = "0.01",
  type = "con",
  messageId = 0x1234,
  token = "a1",
  options = [],
  payload = "",
}: Written = {}): Buffer {
  return generate({
    code,
    confirmable: type === "con",
    ack: type === "ack",
    reset: type === "rst",
    messageId,
    token: Buffer.from(token, "hex"),
    options: options.map(([number, value]) => ({ name: String(number), value: Buffer.from(value, "hex") })),
    payload: Buffer.from(payload),
  });
}

/** Names of coap-packet's code back to a byte. */
export const codeByte = ({ code }: Pick<ParsedPacket, "code">): number => {
  const [codeClass = "0", detail = "0"] = code.split(".");
  return (Number(codeClass) << 5) | Number(detail);
};

export const say = (text: string, type: Outgoing["type"] = MessageType.confirmable): Outgoing => ({
  type,
  code: 0x45,
  token: Uint8Array.of(0xa1),
  tail: encodeTail([], Buffer.from(text)),
});
export const once = (text: string): Outgoing => say(text, MessageType.nonConfirmable);

/** Sends to 127.0.0.1:40000 and keeps what was told. */
export function send(lab: Lab, next: () => Outgoing | undefined): { told: SentOutcome[]; cancel(): void } {
  const told: SentOutcome[] = [];
  const sent = lab.messaging.send(lab.remote(), next, (outcome) => told.push(outcome));
  return { told, cancel: () => sent.cancel() };
}

export const textOf = ({ payload }: { readonly payload: Uint8Array }): string =>
  Buffer.from(payload).toString();
export const empty = (type: "ack" | "rst", messageId = 0): Buffer =>
  write({ type, code: "0.00", token: "", messageId });

/** Milliseconds from now at which something left, until `ms` have passed. */
export async function times(lab: Lab, ms: number): Promise<number[]> {
  const found: number[] = [];
  const since = lab.clock.monotonic();
  for (let passed = 0; passed < ms; passed += 50) {
    await lab.clock.advance(50);
    found.push(...lab.said().map(() => lab.clock.monotonic() - since));
  }
  return found;
}

/** An address that anybody may put on a datagram. */
export const stranger: From = { host: "192.0.2.7", port: 40_000 };
export const isPing = ({ bytes }: Left): boolean => bytes.length === 4 && bytes[0] === 0x40 && bytes[1] === 0;
/** The answer to a ping. */
export const reset = (ping: Left | undefined): Buffer => empty("rst", ping ? read(ping.bytes).messageId : 0);
