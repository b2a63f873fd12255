import type { Socket } from "node:dgram";
import { EventEmitter } from "node:events";
import type { AddressInfo } from "node:net";
import type { CoapMessage } from "../wire/coap-message.ts";
import { MessageType } from "../wire/coap-message.ts";
import { COAP_PORT } from "../wire/coap-scheme.ts";
import { decodeMessage } from "../wire/decode.ts";
import { encodeMessage } from "../wire/encode.ts";
import { encodeTail } from "../wire/tail.ts";

/** What a node-coap Agent wants to send next: one request, or one block of it. */
export type AgentSends = (request: CoapMessage) => void;

/** The socket that one node-coap Agent sees. */
export interface AgentSocket {
  /** What the Agent is given: of a socket it uses `type`, `on`, `address` and `send`. */
  readonly socket: Socket;
  /** Hands the Agent the answer to what it sent last. */
  answer(message: CoapMessage): void;
}

/**
 * Makes one. It sends nothing itself: repetition, message ids, sources, duplicates, resets and separate answers are the
 * message layer's, and the Agent is told each answer once, as a piggybacked one.
 */
export function createAgentSocket(sends: AgentSends): AgentSocket {
  let request: CoapMessage | undefined;
  // As `dgram.Socket`: buffer, offset, length, port, host, callback.
  const send = (...given: readonly unknown[]): void => {
    const [datagram, , , , , done] = given;
    const message = datagram instanceof Uint8Array ? decodeMessage(datagram) : undefined;
    if (typeof done === "function") queueMicrotask(() => done(null));
    if (message?.type !== MessageType.confirmable) return;
    request = message;
    sends(message);
  };
  const emitter = Object.assign(new EventEmitter(), { type: "udp4", address: () => NOWHERE, send });
  return {
    // The Agent asks for a whole socket and uses these parts of it.
    socket: emitter as unknown as Socket,
    answer({ code, options, payload }) {
      if (request === undefined) return;
      const { messageId, token } = request;
      const header = { type: MessageType.acknowledgement, code, messageId, token };
      emitter.emit("message", encodeMessage(header, encodeTail(options, payload)), NOWHERE);
    },
  };
}

/** The Agent passes on what address it heard from and never looks at it. */
const NOWHERE: AddressInfo = { address: "127.0.0.1", family: "IPv4", port: COAP_PORT };
