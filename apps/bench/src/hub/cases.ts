import {
  createHub,
  createMemoryStore,
  type Draft,
  type Hub,
  type Peer,
  type Port,
  type Qos,
} from "@nomq/core";

/** A hub with its attachments, ready to be published to. */
export interface HubCase {
  readonly name: string;
  /** Calls of `deliver` per message. */
  readonly recipients: number;
  /** Twice what a throw-away prototype took on two cores (hub.md, "Cost of the prototype"). */
  readonly targetMicros: number;
  run(messages: number): Promise<void>;
  close(): Promise<void>;
}

const PAYLOAD = Buffer.from("21.5");

interface Setting {
  readonly name: string;
  readonly recipients: number;
  readonly targetMicros: number;
  readonly qos: Qos;
  readonly channels: readonly string[];
  /** Publishes open at once. */
  readonly inFlight?: number;
  readonly once?: boolean;
  readonly peers: readonly Pick<Peer, "name" | "filters" | "durable">[];
}

const peer = (name: string, filters: readonly string[], durable = false): Setting["peers"][number] => ({
  name,
  filters,
  durable,
});
const numbered = (count: number, of: (at: number) => string): string[] =>
  Array.from({ length: count }, (_, at) => of(at));

const settings: readonly Setting[] = [
  {
    name: "QoS 0, one attachment, 1,000 filters",
    recipients: 1,
    targetMicros: 3.2,
    qos: 0,
    channels: ["line/7/temperature"],
    peers: [
      peer(
        "one",
        numbered(1_000, (at) => `line/${at}/+`),
      ),
    ],
  },
  {
    name: "QoS 0, one of 1,000 attachments",
    recipients: 1,
    targetMicros: 3.2,
    qos: 0,
    channels: numbered(1_000, (at) => `line/${at}/temperature`),
    peers: numbered(1_000, (at) => `peer-${at}`).map((name, at) => peer(name, [`line/${at}/+`])),
  },
  {
    name: "QoS 0, 10 of 1,000 attachments",
    recipients: 10,
    targetMicros: 23.2,
    qos: 0,
    channels: numbered(100, (at) => `line/${at}/temperature`),
    peers: numbered(1_000, (at) => `peer-${at}`).map((name, at) => peer(name, [`line/${at % 100}/+`])),
  },
  {
    name: "QoS 0, 100,000 channels",
    recipients: 1,
    targetMicros: 3.6,
    qos: 0,
    channels: numbered(100_000, (at) => `line/${at % 100}/${at}/temperature`),
    peers: [peer("one", ["line/#"])],
  },
  {
    name: "QoS 1 stored in memory with receipts, 64 in flight",
    recipients: 1,
    targetMicros: 13.2,
    qos: 1,
    channels: numbered(64, (at) => `line/${at}/temperature`),
    inFlight: 64,
    peers: [peer("one", ["line/#"], true)],
  },
  {
    name: "QoS 1 stored in memory with receipts, 1 in flight",
    recipients: 1,
    targetMicros: 15.6,
    qos: 1,
    channels: ["line/7/temperature"],
    peers: [peer("one", ["line/#"], true)],
  },
  {
    name: "QoS 2, once and open mark, 64 in flight",
    recipients: 1,
    targetMicros: 19,
    qos: 2,
    channels: numbered(64, (at) => `line/${at}/temperature`),
    inFlight: 64,
    once: true,
    peers: [peer("one", ["line/#"], true)],
  },
];

/** Makers, so that only one hub stands at a time. */
export const cases: readonly (() => Promise<HubCase>)[] = settings.map((setting) => () => make(setting));

async function make(setting: Setting): Promise<HubCase> {
  const hub: Hub = createHub({ store: createMemoryStore() });
  await hub.start();
  const port = hub.port("bench");
  for (const description of setting.peers) {
    await port.attach({
      ...description,
      as: "*",
      window: 64,
      deliver: async () => ({ is: "delivered" }),
    });
  }
  let sent = 0;
  return {
    ...setting,
    run: async (messages) => {
      const publishers = Array.from({ length: setting.inFlight ?? 1 }, async () => {
        const share = Math.floor(messages / (setting.inFlight ?? 1));
        for (let left = share; left > 0; left -= 1) {
          sent += 1;
          await publish(port, setting, sent);
        }
      });
      await Promise.all(publishers);
    },
    close: async () => hub[Symbol.asyncDispose](),
  };
}

async function publish(port: Port, setting: Setting, number: number): Promise<void> {
  const channel = setting.channels[number % setting.channels.length] ?? "line";
  const draft: Draft = { channel, payload: PAYLOAD, qos: setting.qos };
  if (setting.once !== true) {
    await port.publish(draft, "*");
    return;
  }
  const once = `mqtt/bench/1/${number}`;
  await port.publish(draft, "*", { once });
  port.release(once);
}
