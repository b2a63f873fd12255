import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCoapBridge } from "@nomq/coap-bridge";
import { type AckPoint, createHub, createNomqBridge, type Outcome } from "@nomq/core";
import { createFaultyStore, type FaultyStore } from "@nomq/core/testing";
import { createMqttBridge } from "@nomq/mqtt-bridge";
import { createDurableStore } from "../../packages/gateway/src/store/index.ts";
import { openCoapClient } from "../../packages/gateway/test/coap/client.ts";
import { connectRaw, publishOf, type RawClient } from "../../packages/mqtt-bridge/test/raw-client.ts";
import { ACK, PUBREC, randomId, unixSeconds } from "./seal.ts";
import { openDevice } from "./udp-device.ts";
import { vectorKey } from "./vectors.ts";

/** Who publishes, and how it is told. */
export type Speaker = "nomq" | "mqtt5" | "mqtt3.1.1" | "coap";

/** One publisher with one transfer, which it can send again. */
export interface AckedPublisher extends AsyncDisposable {
  /** Sends the transfer, or sends it again. */
  send(): Promise<void>;
  /** The answer so far: `none`, `ack`, a refusing reason code as `0x97` or response code as `5.03`, or `cut` for a connection that was ended. */
  answer(): string;
}

/** The channel that the peer wants. */
const WANTED = "a/wanted";
/** One that nobody wants. */
export const LONELY = "b/lonely";

export interface PublisherOptions {
  /** Default: one that the peer wants. */
  readonly channel?: string;
  /** MQTT: its session outlasts the connection; CoAP: the publish has an id. Default false. */
  readonly lasting?: boolean;
}

/** A hub on a disk that can be made to hang, one listener for each protocol, and one peer that the test speaks for. */
export interface AckBench extends AsyncDisposable {
  readonly store: FaultyStore;
  /** Messages the peer was given. */
  readonly given: string[];
  /** What the peer answers from now on; calls that wait are answered too. Before: nothing. */
  answer(outcome: Outcome): void;
  publisher(speaker: Speaker, qos: 1 | 2, options?: PublisherOptions): Promise<AckedPublisher>;
}

export async function openAckBench(ack: AckPoint, ackTimeout: number): Promise<AckBench> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "nomq-acks-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const space = { low: 0, high: 0, reserve: 0 };
  const store = createFaultyStore(createDurableStore({ folder: join(folder, "store"), space }));
  const hub = stack.use(createHub({ store }));
  const mqtt = createMqttBridge({ listen: [{ url: "mqtt://127.0.0.1:0", ack, ackTimeout }] });
  const nomq = createNomqBridge({
    listen: [{ url: "udp://127.0.0.1:0", ack, ackTimeout }],
    keys: [{ id: "site", ...vectorKey, dialect: "auto" }],
    channels: [WANTED, LONELY],
  });
  const coap = createCoapBridge({ listen: [{ url: "coap://127.0.0.1:0", ack, ackTimeout }] });
  hub.add(coap);
  hub.add(mqtt);
  hub.add(nomq);
  await hub.start();
  const given: string[] = [];
  let said: Outcome | undefined;
  const open = new Set<(outcome: Outcome) => void>();
  await hub.port("peer").attach({
    name: "peer",
    as: "*",
    filters: ["a/#"],
    durable: true,
    window: 16,
    deliver: ({ payload }, { signal }) => {
      given.push(Buffer.from(payload).toString());
      if (said !== undefined) return Promise.resolve(said);
      return new Promise((resolve) => {
        open.add(resolve);
        signal.addEventListener("abort", () => resolve({ is: "retry", reason: "the test is over" }));
      });
    },
  });
  const portOf = (urls: readonly string[]): number => Number(/:(\d+)$/.exec(urls[0] ?? "")?.[1]);
  const kept = stack.move();
  const answer = (outcome: Outcome): void => {
    said = outcome;
    for (const settle of open) settle(outcome);
    open.clear();
  };
  return {
    store,
    given,
    answer,
    publisher: (speaker, qos, { channel = WANTED, lasting = false } = {}) => {
      const asked = { qos, channel, lasting };
      switch (speaker) {
        case "nomq":
          return nomqPublisher(portOf(nomq.addresses()), asked);
        case "coap":
          return coapPublisher(portOf(coap.addresses()), asked);
        case "mqtt5":
        case "mqtt3.1.1":
          return mqttPublisher(portOf(mqtt.addresses()), { ...asked, version: speaker === "mqtt5" ? 5 : 4 });
      }
    },
    [Symbol.asyncDispose]: async () => {
      store.heal();
      // Else calls that nobody answers have seconds to end.
      answer({ is: "delivered" });
      await kept.disposeAsync();
    },
  };
}

async function nomqPublisher(
  port: number,
  { qos, channel }: { qos: 1 | 2; channel: string },
): Promise<AckedPublisher> {
  const device = await openDevice(vectorKey, port);
  const transfer = { sessionId: randomId(), packetId: randomId() };
  const wanted = qos === 1 ? ACK : PUBREC;
  return {
    send: () => device.send({ ...transfer, channel, message: "m", flags: qos, timestamp: unixSeconds() }),
    answer: () =>
      device.received.some(({ type, packetId }) => type === wanted && packetId === transfer.packetId)
        ? "ack"
        : "none",
    [Symbol.asyncDispose]: () => device[Symbol.asyncDispose](),
  };
}

async function coapPublisher(
  port: number,
  { qos, channel, lasting }: { qos: 1 | 2; channel: string; lasting: boolean },
): Promise<AckedPublisher> {
  const client = await openCoapClient(port);
  const query = [...(qos === 1 ? [] : ["qos=2"]), ...(lasting ? [`id=${randomId()}`] : [])];
  let sent = 0;
  let answer = "none";
  return {
    async send() {
      sent += 1;
      answer = "none";
      const turn = sent;
      const asked = client.ask({ method: "post", path: channel, query, payload: Buffer.from("m") });
      void asked.then((reply) => {
        if (reply?.code.startsWith("2.")) answer = "ack";
        else if (turn === sent && reply !== undefined) answer = reply.code;
      });
    },
    answer: () => answer,
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

async function mqttPublisher(
  port: number,
  { qos, channel, lasting, version }: { qos: 1 | 2; channel: string; lasting: boolean; version: 4 | 5 },
): Promise<AckedPublisher> {
  const clientId = `acks-${randomId()}`;
  const connect = (): Promise<RawClient> => {
    const kept = lasting && version === 5 ? { properties: { sessionExpiryInterval: 60 } } : {};
    return connectRaw({ port, clientId, clean: !lasting, protocolVersion: version, ...kept });
  };
  let client = await connect();
  let isCut = false;
  let dup = false;
  const watch = (): void => {
    isCut = false;
    void client.closed.then(() => {
      isCut = true;
    });
  };
  watch();
  return {
    async send() {
      if (isCut) {
        client = await connect();
        watch();
      }
      client.send(publishOf({ topic: channel, payload: "m", qos, messageId: 7, dup }));
      dup = true;
    },
    answer() {
      const answer = client.got.find(({ cmd }) => cmd === (qos === 1 ? "puback" : "pubrec"));
      if (answer === undefined) return isCut ? "cut" : "none";
      const code = "reasonCode" in answer ? (answer.reasonCode ?? 0) : 0;
      return code === 0 ? "ack" : `0x${code.toString(16)}`;
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}
