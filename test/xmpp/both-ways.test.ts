import { expect, test } from "vitest";
import { connectClient } from "../../packages/xmpp-bridge/test/pubsub-client.ts";
import { describeWithPeers } from "../peers.ts";
import { openModelDevice } from "../real/model-device.ts";
import { publish, subscribe } from "../real/mosquitto.ts";
import { startProsody } from "../real/prosody.ts";
import { ACK, PUBLISH, randomId, unixSeconds } from "../real/seal.ts";
import { openDevice } from "../real/udp-device.ts";
import { vectorKey } from "../real/vectors.ts";
import { launchXmppGateway } from "../real/xmpp-gateway.ts";

const BOTH = { memory: true, admins: ["gw@localhost", "bob@localhost"] };

describeWithPeers("two gateways at one Prosody", ["prosody", "openssl", "mosquitto-clients"], () => {
  test("what MQTT and a v1 device publish at one is what MQTT and a v1 device get at the other", {
    timeout: 240_000,
  }, async () => {
    await using prosody = await startProsody(BOTH);
    // Nodes are looked for once in a while: those that are there already are found at once.
    for (const [who, way] of [
      ["gw", "up"],
      ["bob", "down"],
    ] as const) {
      await using owner = await connectClient(prosody, who);
      for (const name of ["cmd", "temp"]) await owner.create(`${way}/${name}`);
    }
    await using valve = await openModelDevice(vectorKey, ["up/cmd", "up/temp"]);
    await using lamp = await openModelDevice(vectorKey, ["down/cmd", "down/temp"]);
    const entry = (device: { readonly address: string }, filter: string) => ({
      nomq: {
        devices: [{ name: "thing", address: device.address, key: "site", subscribe: [filter] }],
        channels: ["up/temp", "down/temp"].map((name) => ({ name, contentType: "text/plain" })),
      },
    });
    await using left = await launchXmppGateway(
      prosody,
      { username: "gw", publish: ["up/#"], subscribe: ["down/#"] },
      entry(lamp, "down/#"),
    );
    await using right = await launchXmppGateway(
      prosody,
      { username: "bob", publish: ["down/#"], subscribe: ["up/#"] },
      entry(valve, "up/#"),
    );
    for (const [from, to, way, device] of [
      [left, right, "up", valve],
      [right, left, "down", lamp],
    ] as const) {
      await to.xmpp.subscribed(2);
      await publish(from.mqtt, `${way}/cmd`, "shut", ["-q", "1", "-r"]);
      await using board = await openDevice(vectorKey, from.nomqPort);
      const transfer = { sessionId: randomId(), packetId: randomId(), timestamp: unixSeconds() };
      await board.send({ ...transfer, channel: `${way}/temp`, message: "21.5", flags: 1 | 4, ttl: 900 });
      await board.next(({ type, packetId }) => type === ACK && packetId === transfer.packetId);
      await expect
        .poll(() => new Set(device.delivered))
        .toEqual(new Set([`${way}/cmd shut`, `${way}/temp 21.5`]));
      const told = device.received.find(({ type, message }) => type === PUBLISH && message === "21.5");
      expect(told?.ttl).toBeGreaterThan(600);
      expect(told?.ttl).toBeLessThanOrEqual(900);

      await using subscriber = await subscribe(to.mqtt, `${way}/#`, ["-q", "2"]);
      const states = [...(await subscriber.atLeast(2))].sort((a, b) => a.topic.localeCompare(b.topic));
      expect(states).toMatchObject([
        { topic: `${way}/cmd`, text: "shut", qos: 1, retain: true },
        { topic: `${way}/temp`, text: "21.5", qos: 1, retain: true, contentType: "text/plain" },
      ]);
      expect(states[1]?.expiry).toBeGreaterThan(600);

      await publish(from.mqtt, `${way}/cmd`, "open", ["-q", "2"]);
      await subscriber.atLeast(3);
      expect(subscriber.printed[2]).toMatchObject({ topic: `${way}/cmd`, text: "open", retain: false });
      await expect.poll(() => device.delivered.filter((each) => each === `${way}/cmd open`)).toHaveLength(1);
      // Clearing goes through too.
      await publish(from.mqtt, `${way}/temp`, "", ["-q", "1", "-r"]);
      await subscriber.atLeast(4);
      await using late = await subscribe(to.mqtt, `${way}/#`, ["-q", "1"]);
      await late.atLeast(1);
      await publish(to.mqtt, `${way}/end`, "end", ["-q", "1"]);
      await late.atLeast(2);
      expect(late.printed.map(({ topic, text }) => `${topic} ${text}`)).toEqual([
        `${way}/cmd shut`,
        `${way}/end end`,
      ]);
    }
    for (const gateway of [left, right])
      expect(await gateway.xmpp.health()).toMatchObject({ state: "ready" });
  });
});
