import { nameOfEnd, WAY_ENDS } from "../../packages/gateway/src/mapping.ts";
import { type Gateway, launchGateway } from "../real/gateway.ts";
import { type ModelDevice, openModelDevice } from "../real/model-device.ts";
import { startProsody } from "../real/prosody.ts";
import { openDevice, type UdpDevice } from "../real/udp-device.ts";
import { vectorKey } from "../real/vectors.ts";
import { coapSender, openCoap } from "./coap.ts";
import { openDevices, openMqtt, openNode, type Receiver } from "./receivers.ts";
import { isBehindUs, isNowOrNever, type Sample, unreadable, valuesAtOnce } from "./sample.ts";
import { deviceSender, mqttSender, nodeSender, type Sender } from "./senders.ts";
import { openXmpp, type XmppReceiver, xmppSection, xmppSender } from "./xmpp.ts";

/** A gateway with one sender and one receiver of every kind. */
export interface Walk extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly senders: Readonly<Record<string, Sender>>;
  readonly receivers: Readonly<Record<string, Receiver>>;
  /** A device that says nothing until it is told to; it may have the first values. */
  readonly silent: UdpDevice;
  /** Who subscribes at the XMPP service. */
  readonly xmpp: XmppReceiver;
  /** A device that reads text only. */
  readonly textOnly: ModelDevice;
}

export const FILTER = "walk/#";
/** A datagram may be lost, and a time to live of 0 end, where the machine is busy: such a message is sent again. */
const AGAIN_MS = 2000;
const MOST_ROUNDS = 8;

/** Opens everybody. */
export async function openWalk(samples: readonly Sample[]): Promise<Walk> {
  await using stack = new AsyncDisposableStack();
  const channels = samples.map(({ channel }) => channel);
  const devices = stack.use(await openDevices(channels));
  const node = stack.use(await openNode(channels));
  const silent = stack.use(await openDevice(vectorKey, 9));
  const textOnly = stack.use(await openModelDevice(vectorKey, namesOf(unreadable)));
  const admins = ["gw@localhost", "alice@localhost"];
  const prosody = stack.use(await startProsody({ admins, memory: true }));
  const xmpp = stack.use(await openXmpp(prosody, samples));
  const gateway = stack.use(
    await launchGateway({
      nomq: {
        pace: 1000,
        channels: samples.map(({ channel, configured }) =>
          configured === undefined ? channel : { name: channel, contentType: configured },
        ),
        devices: [
          ...devices.entries,
          {
            name: "silent",
            address: `127.0.0.1:${silent.port}`,
            key: "site",
            subscribe: namesOf(valuesAtOnce),
          },
          { name: "text-only", address: textOnly.address, key: "site", subscribe: namesOf(unreadable) },
          { name: "node", address: node.address, key: "site", subscribe: [FILTER], kind: "node" },
        ],
      },
      xmpp: xmppSection(prosody, WAY_ENDS.map(nameOfEnd)),
    }),
  );
  const receivers = {
    "nomq:device": devices,
    "nomq:node": node,
    "mqtt:3.1.1": stack.use(await openMqtt(gateway.mqtt, 4, FILTER)),
    "mqtt:5": stack.use(await openMqtt(gateway.mqtt, 5, FILTER)),
    "coap:con": stack.use(await openCoap(gateway.coapPort, "con", channels)),
    "coap:non": stack.use(await openCoap(gateway.coapPort, "non", channels)),
    // An item is the same for whoever reads it.
    "xmpp:item": xmpp,
    "xmpp:plain": xmpp,
  };
  const senders = {
    "nomq:device": stack.use(await deviceSender(gateway)),
    "nomq:node": stack.use(await nodeSender(gateway)),
    "mqtt:3.1.1": stack.use(await mqttSender(gateway, 4)),
    "mqtt:5": stack.use(await mqttSender(gateway, 5)),
    "coap:con": stack.use(await coapSender(gateway.coapPort, "con")),
    "coap:non": stack.use(await coapSender(gateway.coapPort, "non")),
    "xmpp:item": stack.use(await xmppSender(prosody, "item")),
    "xmpp:plain": stack.use(await xmppSender(prosody, "plain")),
  };
  const nodes = samples.filter(({ from }) => isBehindUs(from)).length;
  while ((await subscribedNodes(gateway)) < nodes) await new Promise((again) => setTimeout(again, 20));
  silent.aim(gateway.nomqPort);
  const kept = stack.move();
  const all = { gateway, senders, receivers, silent, textOnly, xmpp };
  return { ...all, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

async function subscribedNodes(gateway: Gateway): Promise<number> {
  // The documented shape of /healthz.
  const { xmpp } = (await gateway.ask("/healthz")) as { xmpp: { receiving?: { subscribed: number } } };
  return xmpp.receiving?.subscribed ?? 0;
}

/** Who must get a sample. */
export type Expects = (sample: Sample, to: string) => boolean;

/** Sends every sample and returns what is still missing, as `CHANNEL to VARIANT`. */
export async function sendAll(
  walk: Walk,
  samples: readonly Sample[],
  expects: Expects,
): Promise<readonly string[]> {
  const there = createArrivals(walk, samples, expects);
  const send = (sample: Sample): Promise<void> | undefined => walk.senders[sample.from]?.send(sample);
  /** Each sender one after the other, all senders at once. */
  const eachOf = async (some: readonly Sample[], act: (sample: Sample) => Promise<void>): Promise<void> => {
    const bySender = [...Map.groupBy(some, ({ from }) => from).values()];
    await Promise.all(
      bySender.map(async (own) => {
        for (const sample of own) await act(sample);
      }),
    );
  };

  const lasting = samples.filter((sample) => !isNowOrNever(sample));
  await eachOf(lasting, async (sample) => await send(sample));
  await there.wait(lasting);
  for (let round = 0, left = there.left(samples); left.length > 0 && round < MOST_ROUNDS; round += 1) {
    await eachOf(left, async (sample) => {
      await send(sample);
      if (isNowOrNever(sample)) await there.wait([sample]);
    });
    await there.wait(left);
    left = there.left(samples);
  }
  return there.missing();
}

/** Who has what. */
interface Arrivals {
  /** Those that somebody still misses. */
  left(some: readonly Sample[]): readonly Sample[];
  /** Resolves when nobody misses one of these, or in time. */
  wait(some: readonly Sample[]): Promise<void>;
  missing(): readonly string[];
}

/** What has come stays: it is looked for until then and not after. */
function createArrivals(walk: Walk, samples: readonly Sample[], expects: Expects): Arrivals {
  const receivers = Object.entries(walk.receivers);
  const misses = new Map(
    samples.map((sample) => [sample, receivers.filter(([to]) => expects(sample, to))] as const),
  );
  const missesOf = (sample: Sample): readonly (readonly [string, Receiver])[] => {
    const still = (misses.get(sample) ?? []).filter(
      ([, receiver]) => receiver.on(sample.channel).length === 0,
    );
    misses.set(sample, still);
    return still;
  };
  const left = (some: readonly Sample[]): readonly Sample[] =>
    some.filter((sample) => missesOf(sample).length > 0);
  return {
    left,
    async wait(some) {
      const until = performance.now() + AGAIN_MS + some.length * 20;
      for (let awaited = left(some); awaited.length > 0 && performance.now() < until; awaited = left(awaited))
        await new Promise((resolve) => setTimeout(resolve, 5));
    },
    missing: () => samples.flatMap((sample) => missesOf(sample).map(([to]) => `${sample.channel} to ${to}`)),
  };
}

const namesOf = (some: readonly Sample[]): readonly string[] => some.map(({ channel }) => channel);
