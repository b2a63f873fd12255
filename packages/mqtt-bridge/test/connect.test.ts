import { describe, expect, test } from "vitest";
import { startBench } from "./bench.ts";
import { publishOf } from "./raw-client.ts";

const CONNECT_311 = Buffer.from("100c00044d5154540402000000 00".replace(/ /g, ""), "hex");

describe("before CONNECT", () => {
  test("a client that says nothing is closed after 10 s [MQTT-3.1.4]", async () => {
    await using bench = await startBench();
    const client = await bench.client({ silent: true });
    const partly = await bench.client({ silent: true });
    partly.send(CONNECT_311.subarray(0, 5));
    const whole = await bench.client();
    await bench.hub.clock.advance(9_999);
    expect(client.socket.closed || partly.socket.closed).toBe(false);
    await bench.hub.clock.advance(1);
    await Promise.all([client.closed, partly.closed]);
    await whole.settled();
    expect(bench.bridge.counts().clientsRefused).toEqual({ "connect-late": 2 });
  });

  test.each([
    ["HTTP", Buffer.from("GET / HTTP/1.1\r\n\r\n")],
    ["another packet first", Buffer.from([0xc0, 0])],
    ["a length of five bytes", Buffer.from([0x10, 0xff, 0xff, 0xff, 0xff, 0x01])],
    ["a CONNECT above 64 KiB", Buffer.from([0x10, 0xff, 0xff, 0x7f])],
  ])("%s closes without an answer [MQTT-3.1.0-1]", async (_name, bytes) => {
    await using bench = await startBench();
    const client = await bench.client({ silent: true });
    client.send(bytes);
    await client.closed;
    expect(client.got).toEqual([]);
    expect(bench.bridge.counts().clientsRefused).toEqual({ "connect-malformed": 1 });
  });
});

describe("a CONNECT that is refused", () => {
  test("an unknown level is answered with return code 1 [MQTT-3.1.2-2]", async () => {
    await using bench = await startBench();
    const client = await bench.client({ silent: true, protocolVersion: 4 });
    const strange = Buffer.from(CONNECT_311);
    strange[8] = 9;
    client.send(strange);
    expect(await client.take("connack")).toMatchObject({ returnCode: 1 });
    await client.closed;
  });

  test("a malformed MQTT 5 CONNECT is answered with 0x81 [MQTT-3.1.4-1]", async () => {
    await using bench = await startBench();
    const client = await bench.client({ silent: true });
    client.send(Buffer.from([0x10, 10, 0, 4, 0x4d, 0x51, 0x54, 0x54, 5, 0x01, 0, 0]));
    expect(await client.take("connack")).toMatchObject({ reasonCode: 0x81 });
    await client.closed;
  });

  test("a will for a channel that cannot be is answered with 0x90", async () => {
    await using bench = await startBench();
    const will = { topic: "a/#", payload: Buffer.from("x"), qos: 1 as const, retain: false };
    const client = await bench.client({ bare: true, will });
    expect(await client.take("connack")).toMatchObject({ reasonCode: 0x90 });
  });

  test("a client id with NUL, which marks the hub's own messages, is answered with 0x85", async () => {
    await using bench = await startBench();
    const client = await bench.client({ bare: true, clientId: "\0hub" });
    expect(await client.take("connack")).toMatchObject({ reasonCode: 0x85 });
    const old = await bench.client({ bare: true, clientId: "\0hub", protocolVersion: 4 });
    expect(await old.take("connack")).toMatchObject({ returnCode: 2 });
  });

  test("a client id of more than 1,024 characters is answered with 0x85", async () => {
    await using bench = await startBench();
    await bench.client({ clientId: "x".repeat(1024) });
    const client = await bench.client({ bare: true, clientId: "x".repeat(1025) });
    expect(await client.take("connack")).toMatchObject({ reasonCode: 0x85 });
  });
});

test.each(["constructor", "__proto__", "toString", "hasOwnProperty", ""])(
  "the client id %j works like any other (GHSA-52qw-whmv-87c5)",
  async (clientId) => {
    await using bench = await startBench();
    const client = await bench.subscriber("a", 1, { clientId });
    const second = await bench.client({ clientId: "after" });
    second.send(publishOf({ topic: "a", qos: 1, messageId: 5 }));
    await second.take("puback");
    await client.take("publish");
    if (clientId !== "") {
      const again = await bench.client({ clientId });
      expect(await client.take("disconnect")).toMatchObject({ reasonCode: 0x8e });
      await again.settled();
    }
  },
);

describe("packets right behind CONNECT", () => {
  test.each([4, 5] as const)(
    "60 PUBLISH in the same segment are 60 PUBACK, MQTT %i [MQTT-3.1.4]",
    async (protocolVersion) => {
      await using bench = await startBench();
      const ids = Array.from({ length: 60 }, (_, at) => at + 1);
      const behind = ids.map((messageId) => publishOf({ qos: 1, messageId }));
      const client = await bench.client({ protocolVersion, behind });
      for (const messageId of ids) expect(await client.take("puback")).toMatchObject({ messageId });
      expect(client.got[0]?.cmd).toBe("connack");
    },
  );

  test("what was sent before the connection closed is published, will included", async () => {
    await using bench = await startBench();
    const reader = await bench.subscriber("#");
    const will = { topic: "will", payload: Buffer.from("gone"), qos: 0 as const, retain: false };
    const behind = Array.from({ length: 20 }, (_, at) => publishOf({ payload: String(at) }));
    const client = await bench.client({ bare: true, will, behind });
    client.socket.end();
    for (let count = 0; count < 21; count += 1) await reader.take("publish");
    expect(reader.messages().at(-1)).toBe("will gone");
    expect(bench.hub.published.at(-1)?.draft).toMatchObject({ channel: "will" });
  });

  test("DISCONNECT removes the will [MQTT-3.14.4-3]", async () => {
    await using bench = await startBench();
    const will = { topic: "will", payload: Buffer.from("gone"), qos: 0 as const, retain: false };
    const client = await bench.client({ will });
    client.send({ cmd: "disconnect", reasonCode: 0 });
    await client.closed;
    const other = await bench.client();
    await other.settled();
    expect(bench.hub.published).toEqual([]);
  });
});

describe("a connection that breaks the protocol", () => {
  test.each([
    ["a second CONNECT [MQTT-3.1.0-2]", CONNECT_311, 0x82],
    ["a packet only servers send", Buffer.from([0xd0, 0]), 0x82],
    ["AUTH without having begun it", Buffer.from([0xf0, 0]), 0x82],
    ["packet type 0", Buffer.from([0, 0]), 0x82],
    ["QoS 3 [MQTT-3.3.1-4]", Buffer.from([0x36, 6, 0, 1, 0x61, 0, 1, 0]), 0x81],
    ["a topic that is no UTF-8 [MQTT-1.5.4-1]", Buffer.from([0x30, 5, 0, 1, 0xff, 0, 0x78]), 0x81],
    ["a PUBLISH without its topic", Buffer.from([0x30, 2, 0, 9]), 0x81],
    ["a packet id of 0 [MQTT-2.2.1-3]", Buffer.from([0x32, 7, 0, 1, 0x61, 0, 0, 0, 0x78]), 0x82],
    ["SUBSCRIBE with wrong flags [MQTT-3.8.1-1]", Buffer.from([0x80, 7, 0, 1, 0, 0, 1, 0x61, 0]), 0x81],
    ["SUBSCRIBE without a filter [MQTT-3.8.3-2]", Buffer.from([0x82, 3, 0, 1, 0]), 0x82],
    ["a length of five bytes [MQTT-1.5.5-1]", Buffer.from([0x30, 0x80, 0x80, 0x80, 0x80, 1]), 0x81],
    ["a property twice", Buffer.from("300f0001610a02000000010200000001 78".replace(" ", ""), "hex"), 0x82],
  ])("%s: DISCONNECT says so, and everyone else goes on", async (_name, bytes, reasonCode) => {
    await using bench = await startBench();
    const reader = await bench.subscriber("#");
    const client = await bench.client();
    client.send(bytes);
    expect(await client.take("disconnect")).toMatchObject({ reasonCode });
    await client.closed;
    const other = await bench.client();
    other.send(publishOf({ payload: "on" }));
    await reader.take("publish");
    expect(reader.messages()).toEqual(["a on"]);
  });

  test("a packet above maxPayload is refused from its first bytes, with 0x95 [MQTT-3.2.2-15]", async () => {
    await using bench = await startBench({ listen: [{ url: "mqtt://127.0.0.1:0", maxPayload: 1000 }] });
    const client = await bench.client();
    const [connack] = client.got;
    expect(connack).toMatchObject({ properties: { maximumPacketSize: 1000 } });
    client.send(publishOf({ payload: "x".repeat(990) }));
    await client.settled();
    client.send(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]));
    expect(await client.take("disconnect")).toMatchObject({ reasonCode: 0x95 });
    await client.closed;
    expect(bench.hub.published).toHaveLength(1);
  });
});
