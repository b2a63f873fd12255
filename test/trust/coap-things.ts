import type { Prng } from "@nomq/core/testing";
import { type CoapPacket, EMPTY, GET, numberOf, OPTION, optionOf, uint } from "../real/coap-wire.ts";
import type { Book, Sent } from "./book.ts";
import { emptyOf, openCoapLine } from "./coap-line.ts";

/** A CoAP server that the gateway writes to or observes; what the network loses is drawn here. */
export interface CoapThing extends AsyncDisposable {
  readonly port: number;
}

/** How a thing is opened. */
export interface ThingOptions {
  readonly name: string;
  readonly book: Book;
  readonly random: Prng;
  /** Part of its datagrams that is lost, each way. */
  readonly loss: () => number;
}

const KEPT = 1_000;
const pathOf = ({ options }: CoapPacket): string =>
  options
    .filter(([number]) => number === OPTION.uriPath)
    .map(([, value]) => value.toString())
    .join("/");

function answerTo(
  { messageId, token }: CoapPacket,
  answer: Pick<CoapPacket, "code"> & Partial<Pick<CoapPacket, "options" | "payload">>,
): CoapPacket {
  return { type: "ACK", messageId, token, options: [], payload: Buffer.alloc(0), ...answer };
}

/** An actuator: does what a request says once, as RFC 7252 section 4.5 asks, and answers copies alike. */
export async function openActuatorParty({ name, book, random, loss }: ThingOptions): Promise<CoapThing> {
  const done = new Map<string, CoapPacket>();
  return openCoapLine({
    target: 9,
    isLost: () => random.chance(loss()),
    take(packet, port) {
      if (packet.code === EMPTY || !packet.code.startsWith("0."))
        return packet.type === "CON" ? emptyOf("RST", packet) : undefined;
      const key = `${port}/${packet.messageId}`;
      const before = done.get(key);
      if (before !== undefined) return before;
      book.receive(name, { id: packet.payload.toString(), channel: pathOf(packet), qos: 0 });
      const answer = answerTo(packet, { code: "2.04" });
      done.set(key, answer);
      if (done.size > KEPT) done.delete(done.keys().next().value ?? "");
      return answer;
    },
  });
}

/** A sensor with resources that change; who observes is told of each change, the newest first of all. */
export interface SensorParty extends CoapThing {
  /** Changes the resource of the same name as the channel. Nobody acknowledges it. */
  change(sent: Sent): void;
}

interface Resource {
  text: string;
  version: number;
  observer?: { readonly token: Buffer; readonly port: number };
  /** The notification that is not acknowledged. */
  open?: CoapPacket;
}

const AGAIN_MS = 500;

export async function openSensorParty({ book, random, loss }: ThingOptions): Promise<SensorParty> {
  const resources = new Map<string, Resource>();
  const resourceAt = (path: string): Resource => {
    const found = resources.get(path) ?? { text: "", version: 1 };
    resources.set(path, found);
    return found;
  };
  const line = await openCoapLine({
    target: 9,
    isLost: () => random.chance(loss()),
    take(packet, port) {
      if (packet.code === EMPTY) {
        for (const resource of resources.values()) {
          if (resource.open?.messageId !== packet.messageId) continue;
          delete resource.open;
          if (packet.type === "RST") delete resource.observer;
        }
        return packet.type === "CON" ? emptyOf("RST", packet) : undefined;
      }
      if (packet.code !== GET) return answerTo(packet, { code: "4.05" });
      const resource = resourceAt(pathOf(packet));
      const isObserving = numberOf(packet, OPTION.observe) === 0;
      if (isObserving) resource.observer = { token: packet.token, port };
      else if (optionOf(packet, OPTION.observe) !== undefined) delete resource.observer;
      delete resource.open;
      return answerTo(packet, { code: "2.05", ...stateOf(resource, isObserving) });
    },
  });
  const notify = (resource: Resource): void => {
    const { observer } = resource;
    if (observer === undefined) return;
    const messageId = line.freeMessageId();
    const packet: CoapPacket = {
      ...{ type: "CON", code: "2.05", messageId, token: observer.token },
      ...stateOf(resource, true),
    };
    resource.open = packet;
    line.sendTo(observer.port, packet);
  };
  // What is not acknowledged goes again, always as it is by then.
  const again = setInterval(() => {
    for (const resource of resources.values()) if (resource.open !== undefined) notify(resource);
  }, AGAIN_MS);
  return {
    port: line.port,
    change(sent) {
      const resource = resourceAt(sent.channel);
      resource.text = sent.id;
      resource.version += 1;
      notify(resource);
      book.settle(sent, "unknown");
    },
    async [Symbol.asyncDispose]() {
      clearInterval(again);
      await line[Symbol.asyncDispose]();
    },
  };
}

function stateOf({ text, version }: Resource, isObserving: boolean): Pick<CoapPacket, "options" | "payload"> {
  const age = [OPTION.maxAge, uint(3_600)] as const;
  const observe = isObserving ? [[OPTION.observe, uint(version)] as const] : [];
  return { options: [...observe, age], payload: Buffer.from(text) };
}
