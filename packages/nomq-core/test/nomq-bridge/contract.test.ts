import { describe, test } from "vitest";
import {
  type Bridge,
  createNomqBridge,
  createNomqNode,
  type NomqNode,
  type Transport,
} from "../../src/index.ts";
import {
  type BridgeContract,
  type BridgeHarness,
  bridgeContractCases,
  CONTRACT_CHANNELS,
  type ContractPublisher,
  type ContractSeen,
  type ContractSend,
  type ContractSubscriber,
  createFakeClock,
  createMemoryNetwork,
  createV1Device,
  type FakeClock,
  type MemoryNetwork,
} from "../../src/testing/index.ts";
import { read, text } from "../node/node-room.ts";
import { vectorKey, vectors } from "../vectors.ts";

const GATEWAY = { host: "10.0.0.200", port: 8888 };

interface Side {
  readonly clock: FakeClock;
  readonly network: MemoryNetwork;
}

/** A node of ours on the other side of the network. */
class Peer implements ContractPublisher, ContractSubscriber {
  readonly seen: ContractSeen[] = [];
  readonly #side: Side;
  readonly #node: NomqNode;
  readonly #channel: string | undefined;
  #stalled = false;

  constructor(side: Side, channel?: string) {
    this.#side = side;
    this.#channel = channel;
    const transport = side.network.open();
    this.#node = createNomqNode({
      transport: this.#deafWhenStalled(transport),
      keys: [vectorKey()],
      clock: side.clock,
      channels: CONTRACT_CHANNELS,
      peers: [{ name: "gateway", address: GATEWAY, kind: "node" }],
    });
    this.#node.receive({
      message: async ({ channel: on, payload }) => {
        this.seen.push({ channel: on, text: read(payload) });
        return { is: "accepted" };
      },
    });
  }

  async open(): Promise<this> {
    await this.#node.start();
    if (this.#channel !== undefined) await this.#node.subscribe(this.#channel, "gateway");
    await this.#side.clock.advance(50);
    return this;
  }

  async send(message: ContractSend): Promise<"acknowledged" | "refused"> {
    if (message.channel === "") return this.#sendAsDevice(message);
    const { qos, retain = false, ttlSeconds } = message;
    const ttl = ttlSeconds === undefined ? {} : { ttl: ttlSeconds };
    const options = { to: "gateway", qos, retain, ...ttl };
    const outcome = await this.#node.publish(message.channel, text(message.text), options);
    // NoMQ cannot say no: what is not acknowledged is silence.
    return outcome.is === "delivered" ? "acknowledged" : new Promise(() => undefined);
  }

  unsubscribe = async (): Promise<void> => {
    if (this.#channel !== undefined) await this.#node.unsubscribe(this.#channel, "gateway");
    await this.#side.clock.advance(50);
  };

  stall(): void {
    this.#stalled = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#node.stop();
  }

  /** Our nodes refuse to send on the empty channel; devices do not. */
  async #sendAsDevice({ channel, text: message, qos }: ContractSend): Promise<never> {
    const { encryption, mac } = vectorKey();
    await using transport = this.#side.network.open();
    const now = Math.floor(this.#side.clock.now() / 1000);
    const [datagram] = createV1Device({ encryption, mac }).publish({ channel, message, qos }, now).datagrams;
    await transport.send(datagram ?? text(""), GATEWAY);
    return new Promise<never>(() => undefined);
  }

  #deafWhenStalled(transport: Transport): Transport {
    return {
      local: transport.local,
      send: (datagram, to) => transport.send(datagram, to),
      onDatagram: (receive) =>
        transport.onDatagram((datagram, from) => {
          if (!this.#stalled) receive(datagram, from);
        }),
      [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
    };
  }
}

async function makeHarness(broken: boolean): Promise<BridgeHarness> {
  const clock = createFakeClock(vectors.time * 1000);
  const side = { clock, network: createMemoryNetwork({ clock }) };
  if (broken) side.network.open(GATEWAY);
  const bridge = createNomqBridge({
    listen: ["udp://10.0.0.200:8888"],
    keys: [vectorKey()],
    channels: CONTRACT_CHANNELS,
    openTransport: async () => side.network.open(GATEWAY),
  });
  const refusals = (): number => Object.values(bridge.counts().refused).reduce((sum, one) => sum + one, 0);
  return {
    bridge: bridge satisfies Bridge,
    clock,
    turn: () => clock.advance(5),
    publisher: () => new Peer(side).open(),
    subscriber: (channel) => new Peer(side, channel).open(),
    both: (channel) => new Peer(side, channel).open(),
    refusals,
    [Symbol.asyncDispose]: () => bridge.stop(),
  };
}

const contract: BridgeContract = {
  traits: { qos: [0, 1, 2], ttl: true, ownCopies: 0, refusal: "withheld", invalidChannel: "" },
  make: () => makeHarness(false),
  makeBroken: () => makeHarness(true),
};

describe("the NoMQ bridge keeps the bridge contract", () => {
  test.for(bridgeContractCases.filter((one) => one.applies(contract)))("$name", (one) => one.run(contract));
});
