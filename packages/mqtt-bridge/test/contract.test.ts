import { createServer } from "node:net";
import type {
  BridgeContract,
  BridgeHarness,
  ContractPublisher,
  ContractSubscriber,
} from "@nomq/core/testing";
import { bridgeContractCases, createFakeClock, settle } from "@nomq/core/testing";
import { describe, test } from "vitest";
import { createMqttBridge } from "../src/index.ts";
import type { RawClient } from "./raw-client.ts";
import { connectRaw, publishOf } from "./raw-client.ts";

type Version = 4 | 5;

const asPublisher = (client: RawClient, version: Version): ContractPublisher => {
  let lastId = 0;
  return {
    async send({ channel, text, qos, retain = false, ttlSeconds }) {
      const messageId = ++lastId;
      const properties =
        ttlSeconds === undefined ? {} : { properties: { messageExpiryInterval: ttlSeconds } };
      client.send(
        publishOf({
          topic: channel,
          payload: text,
          qos,
          retain,
          ...properties,
          ...(qos > 0 && { messageId }),
        }),
      );
      if (qos === 0) return "acknowledged";
      const answer = await client.take(qos === 1 ? "puback" : "pubrec");
      if (version === 5 && (answer.reasonCode ?? 0) >= 0x80) return "refused";
      if (qos === 1) return "acknowledged";
      client.send({ cmd: "pubrel", messageId: answer.messageId ?? 0 });
      await client.take("pubcomp");
      return "acknowledged";
    },
    [Symbol.asyncDispose]: () => client.end(),
  };
};

const asSubscriber = async (client: RawClient, channel: string): Promise<ContractSubscriber> => {
  const subscriptions = [{ topic: channel, qos: 1 as const }];
  client.send({ cmd: "subscribe", messageId: 60_000, subscriptions });
  await client.take("suback");
  return {
    get seen() {
      return client.got.flatMap((one) =>
        one.cmd === "publish" ? [{ channel: one.topic, text: one.payload.toString() }] : [],
      );
    },
    async unsubscribe() {
      client.send({ cmd: "unsubscribe", messageId: 60_001, unsubscriptions: [channel] });
      await client.take("unsuback");
    },
    stall: () => void client.socket.pause(),
    [Symbol.asyncDispose]: () => client.end(),
  };
};

function makeHarness(version: Version, listen = "mqtt://127.0.0.1:0"): BridgeHarness {
  const bridge = createMqttBridge({ listen: [listen] });
  const open: RawClient[] = [];
  const client = async (): Promise<RawClient> => {
    const port = Number(new URL(bridge.addresses()[0] ?? "").port);
    const made = await connectRaw({ port, protocolVersion: version });
    open.push(made);
    return made;
  };
  const sum = (counts: Readonly<Record<string, number>>): number =>
    Object.values(counts).reduce((total, one) => total + one, 0);
  return {
    bridge,
    clock: createFakeClock(),
    turn: () => settle(),
    publisher: async () => asPublisher(await client(), version),
    subscriber: async (channel) => asSubscriber(await client(), channel),
    async both(channel) {
      const made = await client();
      return Object.assign(await asSubscriber(made, channel), { send: asPublisher(made, version).send });
    },
    refusals: () => sum(bridge.counts().messagesRefused),
    async [Symbol.asyncDispose]() {
      await bridge.stop();
      for (const one of open) await one.end();
    },
  };
}

/** A port that is taken until the harness is disposed. */
async function makeBroken(version: Version): Promise<BridgeHarness> {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const address = taken.address();
  const port = typeof address === "object" ? address?.port : undefined;
  const harness = makeHarness(version, `mqtt://127.0.0.1:${port}`);
  return {
    ...harness,
    async [Symbol.asyncDispose]() {
      await harness[Symbol.asyncDispose]();
      await new Promise((resolve) => taken.close(resolve));
    },
  };
}

for (const version of [4, 5] as const) {
  const contract: BridgeContract = {
    traits: {
      qos: [0, 1, 2],
      ttl: version === 5,
      ownCopies: 1,
      refusal: version === 5 ? "said" : "withheld",
      invalidChannel: "$contract/x",
    },
    make: () => Promise.resolve(makeHarness(version)),
    makeBroken: () => makeBroken(version),
  };
  describe(`the MQTT bridge keeps the bridge contract, MQTT ${version}`, () => {
    test.for(bridgeContractCases.filter((one) => one.applies(contract)))("$name", (one) => one.run(contract));
  });
}
