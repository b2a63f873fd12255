import { createSocket } from "node:dgram";
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import {
  type CoapPacket,
  decodeCoap,
  EMPTY,
  encodeCoap,
  numberOf,
  OPTION,
  uint,
} from "../../../../test/real/coap-wire.ts";
import { served } from "../served.ts";

const BARE = "nomq: { listen: [] }\nmqtt: { listen: [] }\n";

interface Stub extends AsyncDisposable {
  readonly url: string;
  /** Each request once: on a busy machine it may have been sent again before it was answered. */
  readonly asked: CoapPacket[];
}

/** A server that answers each request as it is told; undefined: not at all. */
async function stub(
  answer: (asked: CoapPacket) => Pick<CoapPacket, "code" | "options" | "payload"> | undefined,
): Promise<Stub> {
  const socket = createSocket("udp4").bind(0, "127.0.0.1");
  await once(socket, "listening");
  const asked: CoapPacket[] = [];
  socket.on("message", (bytes, { port, address }) => {
    const request = decodeCoap(bytes);
    if (!request.code.startsWith("0.0") || request.code === EMPTY) return;
    if (!asked.some(({ messageId }) => messageId === request.messageId)) asked.push(request);
    const said = answer(request);
    if (said === undefined) return;
    socket.send(
      encodeCoap({ ...said, type: "ACK", messageId: request.messageId, token: request.token }),
      port,
      address,
    );
  });
  return {
    url: `coap://127.0.0.1:${socket.address().port}/thing`,
    asked,
    [Symbol.asyncDispose]: async () => {
      const closed = once(socket, "close");
      socket.close();
      await closed;
    },
  };
}

const text = (payload: string, maxAge: number, observe?: number) => ({
  code: "2.05",
  options: [
    ...(observe === undefined ? [] : [[OPTION.observe, uint(observe)] as const]),
    [OPTION.contentFormat, uint(0)] as const,
    [OPTION.maxAge, uint(maxAge)] as const,
  ],
  payload: Buffer.from(payload),
});

describe("sensors and actuators", () => {
  test("an observed sensor's value is there for everybody, its state in /healthz and in the metrics", async () => {
    await using sensor = await stub(() => text("21.5", 120, 7));
    await using silent = await stub(() => undefined);
    const observe = [
      { url: sensor.url, channel: "roof/temperature" },
      { url: silent.url, channel: "roof/silent" },
    ];
    await using it = await served(`${BARE}coap: ${JSON.stringify({ listen: [], observe })}`);
    const value = async (): Promise<unknown> =>
      (await it.client.get("/api/v1/channels/roof%2Ftemperature")).body;
    await expect
      .poll(value)
      .toMatchObject({ payload: "21.5", retain: true, contentType: "text/plain;charset=utf-8" });
    expect(sensor.asked[0] && numberOf(sensor.asked[0], OPTION.observe)).toBe(0);
    const health = it.gateway.health();
    expect(health.coap).toMatchObject({
      client: { sensors: { fresh: 1, waiting: 1 } },
      notFresh: [{ channel: "roof/silent", state: "waiting", mode: "observed" }],
    });
    const { body } = await it.client.get("/metrics");
    expect(String(body)).toContain('nomq_coap_sensors{state="fresh"} 1\n');
    expect(String(body)).toContain('nomq_coap_sensors{state="waiting"} 1\n');
  });

  test("a sensor that refuses from the start makes the bridge degraded, not first one that had a value", async () => {
    await using refusing = await stub(() => ({ code: "4.01", options: [], payload: Buffer.alloc(0) }));
    const observe = [{ url: refusing.url, channel: "roof/closed" }];
    await using it = await served(`${BARE}coap: ${JSON.stringify({ listen: [], observe })}`);
    await expect
      .poll(() => it.gateway.health().bridges["coap"])
      .toMatchObject({ state: "degraded", reason: `the sensor ${refusing.url} is waiting: answered 4.01` });
  });

  test("a polled sensor that says it is gone clears its channel, and /healthz names it", async () => {
    let isGone = false;
    const gone = { code: "4.04", options: [], payload: Buffer.alloc(0) };
    await using sensor = await stub(() => (isGone ? gone : text("7", 1)));
    const poll = [{ url: sensor.url, channel: "cellar/level", every: "1s" }];
    await using it = await served(`${BARE}coap: ${JSON.stringify({ listen: [], poll })}`);
    const status = async (): Promise<number> =>
      (await it.client.get("/api/v1/channels/cellar%2Flevel")).status;
    await expect.poll(status).toBe(200);
    isGone = true;
    await expect.poll(status).toBe(404);
    await expect
      .poll(() => it.gateway.health().coap?.notFresh)
      .toMatchObject([{ channel: "cellar/level", state: "gone", reason: expect.stringContaining("4.04") }]);
    expect(it.gateway.health().bridges["coap"]?.state).toBe("degraded");
  });

  test("an actuator gets what is published; its answer is in the receipt", async () => {
    await using valve = await stub(({ payload }) => ({
      code: payload.toString() === "open" ? "2.04" : "4.00",
      options: [],
      payload: Buffer.alloc(0),
    }));
    const send = [{ name: "valve", from: "cmd/valve", url: valve.url }];
    await using it = await served(`${BARE}coap: ${JSON.stringify({ listen: [], send })}`);
    const write = (payload: string): Promise<unknown> =>
      it.client.publish({ channel: "cmd/valve", payload, qos: 1, until: "delivered" });
    expect(await write("open")).toMatchObject({
      at: "delivered",
      outcomes: [{ attachment: "coap:send:valve", is: "delivered" }],
    });
    expect(await write("explode")).toMatchObject({
      outcomes: [{ attachment: "coap:send:valve", is: "refused", reason: expect.stringContaining("4.00") }],
    });
    expect(valve.asked.map(({ code, payload }) => `${code} ${payload.toString()}`)).toEqual([
      "0.03 open",
      "0.03 explode",
    ]);
  });
});
