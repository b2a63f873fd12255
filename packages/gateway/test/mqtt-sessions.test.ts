import { describe, expect, test } from "vitest";
import { connectRaw, publishOf, type RawClient } from "../../mqtt-bridge/test/raw-client.ts";
import { type LaunchedGateway, launchGateway, testFolder } from "./launch.ts";

const SESSION = { clean: false, properties: { sessionExpiryInterval: 3600 } };
const CONFIG = "nomq: { listen: [] }\n";

const connect = (gateway: LaunchedGateway, clientId: string, options = {}): Promise<RawClient> =>
  connectRaw({ port: gateway.port("mqtt", "mqtt:"), clientId, ...SESSION, ...options });

async function kill(gateway: LaunchedGateway): Promise<void> {
  gateway.signal("SIGKILL");
  await gateway.ended;
}

async function subscribe(client: RawClient, topic: string, qos: 1 | 2): Promise<void> {
  client.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic, qos }] });
  await client.take("suback");
}

describe("MQTT sessions of a gateway that is killed with kill -9", () => {
  test("right after the last PUBACK: nothing acknowledged is lost, in order, QoS 2 once; wills come", async () => {
    using folder = testFolder();
    const acknowledged: string[] = [];
    let halfway = 0;
    {
      await using gateway = await launchGateway({ folder, config: CONFIG });
      const reader = await connect(gateway, "reader");
      await subscribe(reader, "#", 2);
      await subscribe(reader, "other/+", 1);
      await reader.end();
      const watched = await connect(gateway, "watched", {
        will: { topic: "will/watched", payload: Buffer.from("gone"), qos: 1, retain: false },
      });
      const halved = await connect(gateway, "halved");
      await subscribe(halved, "half", 2);
      const writer = await connect(gateway, "writer");
      writer.send(publishOf({ topic: "half", payload: "x", qos: 2, messageId: 1000 }));
      await writer.take("pubrec");
      halfway = (await halved.take("publish")).messageId ?? 0;
      halved.send({ cmd: "pubrec", messageId: halfway });
      await halved.take("pubrel");
      for (let at = 1; at <= 200; at += 1) {
        writer.send(publishOf({ topic: "n", payload: String(at), qos: at % 2 === 0 ? 2 : 1, messageId: at }));
      }
      const last = writer.got.length;
      while (acknowledged.length < 200) {
        for (const packet of writer.got.slice(last + acknowledged.length)) {
          if (packet.cmd !== "puback" && packet.cmd !== "pubrec") throw new Error(packet.cmd);
          acknowledged.push(String(packet.messageId));
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(watched.got).toHaveLength(1);
      await kill(gateway);
    }
    await using gateway = await launchGateway({ folder, config: CONFIG });
    const writer = await connect(gateway, "writer");
    expect(writer.got[0]).toMatchObject({ sessionPresent: true });
    // The transfer goes on where it was: nothing is routed again.
    writer.send(publishOf({ topic: "n", payload: "200", qos: 2, messageId: 200, dup: true }));
    await writer.take("pubrec");
    writer.send({ cmd: "pubrel", messageId: 200 });
    await writer.take("pubcomp");
    const halved = await connect(gateway, "halved");
    expect(await halved.take("pubrel")).toMatchObject({ messageId: halfway });
    const reader = await connect(gateway, "reader");
    const numbers: string[] = [];
    let will = 0;
    while (numbers.length < 200 || will === 0) {
      const { topic, payload, qos, messageId = 0 } = await reader.take("publish");
      if (topic === "n") numbers.push(payload.toString());
      if (topic === "will/watched") will += 1;
      reader.send({ cmd: qos === 2 ? "pubrec" : "puback", messageId });
    }
    await reader.settled();
    expect(numbers).toEqual(Array.from({ length: 200 }, (_, at) => String(at + 1)));
    expect(new Set(acknowledged).size).toBe(200);
    expect(halved.messages()).toEqual([]);
  });

  test("what waited in the hub for the broker, and what a session has wiped, over two kills", async () => {
    using folder = testFolder();
    {
      await using gateway = await launchGateway({ folder, config: CONFIG });
      for (const name of ["kept", "wiped"]) {
        const client = await connect(gateway, name);
        await subscribe(client, `${name}/#`, 1);
        await client.end();
      }
      const passing = await connect(gateway, "passing", { clean: true, properties: {} });
      await subscribe(passing, "passing/#", 1);
      const writer = await connect(gateway, "writer");
      for (const [at, name] of ["kept", "wiped"].entries()) {
        writer.send(publishOf({ topic: `${name}/a`, qos: 1, messageId: at + 1 }));
        await writer.take("puback");
      }
      await connect(gateway, "wiped", { clean: true });
      await kill(gateway);
    }
    {
      await using gateway = await launchGateway({ folder, config: CONFIG });
      await kill(gateway);
    }
    await using gateway = await launchGateway({ folder, config: CONFIG });
    const writer = await connect(gateway, "writer");
    writer.send(publishOf({ topic: "passing/a", qos: 1, messageId: 9 }));
    expect(await writer.take("puback")).toMatchObject({ reasonCode: 0x10 });
    const wiped = await connect(gateway, "wiped");
    expect(wiped.got[0]).toMatchObject({ sessionPresent: true });
    const kept = await connect(gateway, "kept");
    expect(await kept.take("publish")).toMatchObject({ topic: "kept/a", dup: false });
    await wiped.settled();
    expect(wiped.messages()).toEqual([]);
  });
});
