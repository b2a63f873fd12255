import {
  type BridgeContract,
  type BridgeHarness,
  bridgeContractCases,
  type ContractPublisher,
  type ContractSend,
  type ContractSubscriber,
  createFakeClock,
  createMemoryBridge,
  type MemoryClient,
  settle,
} from "@nomq/core/testing";
import { describe, test } from "vitest";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (payload: Uint8Array): string => new TextDecoder().decode(payload);

async function send(client: MemoryClient, message: ContractSend): Promise<"acknowledged" | "refused"> {
  const receipt = await client.publish({
    channel: message.channel,
    payload: bytes(message.text),
    qos: message.qos,
    retain: message.retain ?? false,
    ...(message.ttlSeconds === undefined ? {} : { ttlMs: message.ttlSeconds * 1000 }),
  });
  return receipt.at === "refused" ? "refused" : "acknowledged";
}

const asPublisher = (client: MemoryClient): ContractPublisher => ({
  send: (message) => send(client, message),
  [Symbol.asyncDispose]: () => Promise.resolve(client[Symbol.asyncDispose]()),
});

const asSubscriber = (client: MemoryClient, channel: string): ContractSubscriber => ({
  get seen() {
    return client.peer.arrivals.map(({ message }) => ({
      channel: message.channel,
      text: textOf(message.payload),
    }));
  },
  unsubscribe: () => client.attachment.change({ remove: [channel] }),
  stall: () => {
    client.peer.mode = "hang";
  },
  [Symbol.asyncDispose]: () => Promise.resolve(client[Symbol.asyncDispose]()),
});

function makeHarness(failStart: boolean): BridgeHarness {
  const bridge = createMemoryBridge({ failStart });
  let number = 0;
  const subscriber = (channel: string): Promise<MemoryClient> =>
    bridge.connect({ name: `peer-${++number}`, filters: [channel], retained: "deliver" });
  return {
    bridge,
    clock: createFakeClock(),
    turn: () => settle(),
    publisher: async () => asPublisher(await bridge.connect({ name: `peer-${++number}` })),
    subscriber: async (channel) => asSubscriber(await subscriber(channel), channel),
    both: async (channel) => {
      const client = await subscriber(channel);
      return Object.assign(asSubscriber(client, channel), { send: asPublisher(client).send });
    },
    refusals: bridge.refusals,
    [Symbol.asyncDispose]: () => bridge.stop(),
  };
}

const contract: BridgeContract = {
  traits: { qos: [0, 1, 2], ttl: true, ownCopies: 0, refusal: "said", invalidChannel: "$contract/x" },
  make: () => Promise.resolve(makeHarness(false)),
  makeBroken: () => Promise.resolve(makeHarness(true)),
};

describe("the memory bridge keeps the bridge contract", () => {
  test.for(bridgeContractCases.filter((one) => one.applies(contract)))("$name", (one) => one.run(contract));
});
