import { createSocket } from "node:dgram";
import { once } from "node:events";
import type { Bridge } from "@nomq/core";
import type {
  BridgeContract,
  BridgeHarness,
  ContractPublisher,
  ContractSubscriber,
} from "@nomq/core/testing";
import { bridgeContractCases, CONTRACT_CHANNELS, createFakeClock, settle } from "@nomq/core/testing";
import { describe, test } from "vitest";
import { type CoapEndpoint, openCoapEndpoint } from "../../../test/real/coap-endpoint.ts";
import { type CoapPacket, DELETE, GET, OPTION, POST, PUT, uint } from "../../../test/real/coap-wire.ts";
import { type CoapBridge, createCoapBridge } from "../src/index.ts";

const asPublisher = (client: CoapEndpoint): ContractPublisher => ({
  async send({ channel, text, qos, retain = false, ttlSeconds }) {
    const query = [`qos=${qos}`, ...(ttlSeconds === undefined ? [] : [`ttl=${ttlSeconds}`])].join("&");
    const isClear = retain && text === "";
    const code = isClear ? DELETE : retain ? PUT : POST;
    const draft = { code, uri: `${channel}?${query}`, payload: text };
    if (qos === 0) {
      client.send({ ...draft, type: "NON" });
      return "acknowledged";
    }
    const answer = await client.ask(draft);
    return answer.code.startsWith("2.") ? "acknowledged" : "refused";
  },
  [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
});

const asSubscriber = async (client: CoapEndpoint, channel: string): Promise<ContractSubscriber> => {
  const registration = { code: GET, uri: `${channel}?all=1` };
  const asked = client.send({ ...registration, options: [[OPTION.observe, uint(0)]] });
  const isTold = ({ token, code }: CoapPacket): boolean => token.equals(asked.token) && code === "2.05";
  await client.next(isTold);
  return {
    get seen() {
      // An empty 2.05 says that there is no value.
      const told = client.received.filter((packet) => isTold(packet) && packet.payload.length > 0);
      const first = (packet: CoapPacket): CoapPacket | undefined =>
        told.find(({ messageId, type }) => messageId === packet.messageId && type === packet.type);
      return told
        .filter((packet) => first(packet) === packet)
        .map(({ payload }) => ({ channel, text: payload.toString() }));
    },
    async unsubscribe() {
      const { token } = asked;
      await client.ask({ ...registration, token, options: [[OPTION.observe, uint(1)]] });
    },
    stall() {
      client.acknowledges = false;
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
};

/** The bridge, to a hub that knows the channels as a configured one would: of an unknown one there is nothing to observe. */
function knowing(bridge: CoapBridge): Bridge {
  return {
    ...bridge,
    async attach(port) {
      await bridge.attach(port);
      const known = await port.attach({
        ...{ name: "coap:known", as: "*", filters: CONTRACT_CHANNELS, durable: false },
        deliver: async () => ({ is: "delivered" }),
      });
      await known[Symbol.asyncDispose]();
    },
  };
}

function makeHarness(listen = "coap://127.0.0.1:0"): BridgeHarness {
  const bridge = createCoapBridge({ listen: [listen] });
  const open: CoapEndpoint[] = [];
  const client = async (): Promise<CoapEndpoint> => {
    const made = await openCoapEndpoint(Number(bridge.addresses()[0]?.split(":").at(-1)));
    open.push(made);
    return made;
  };
  return {
    bridge: knowing(bridge),
    clock: createFakeClock(),
    turn: () => settle(),
    publisher: async () => asPublisher(await client()),
    subscriber: async (channel) => asSubscriber(await client(), channel),
    async both(channel) {
      const made = await client();
      return Object.assign(await asSubscriber(made, channel), { send: asPublisher(made).send });
    },
    refusals: () => Object.values(bridge.counts().messagesRefused).reduce((total, one) => total + one, 0),
    async [Symbol.asyncDispose]() {
      await bridge.stop();
      // A case has disposed of some already.
      for (const one of open) await Promise.resolve(one[Symbol.asyncDispose]()).catch(() => undefined);
    },
  };
}

/** A port that is taken until the harness is disposed. */
async function makeBroken(): Promise<BridgeHarness> {
  const taken = createSocket("udp4");
  taken.bind(0, "127.0.0.1");
  await once(taken, "listening");
  const harness = makeHarness(`coap://127.0.0.1:${taken.address().port}`);
  let isTaken = true;
  let closed: Promise<void> | undefined;
  return {
    ...harness,
    async [Symbol.asyncDispose]() {
      await harness[Symbol.asyncDispose]();
      closed ??= once(taken, "close").then(() => undefined);
      if (isTaken) taken.close();
      isTaken = false;
      await closed;
    },
  };
}

const contract: BridgeContract = {
  traits: { qos: [0, 1, 2], ttl: true, ownCopies: 1, refusal: "said", invalidChannel: "$contract/x" },
  make: () => Promise.resolve(makeHarness()),
  makeBroken,
};

describe("the CoAP bridge keeps the bridge contract", () => {
  test.for(bridgeContractCases.filter((one) => one.applies(contract)))("$name", (one) => one.run(contract));
});
