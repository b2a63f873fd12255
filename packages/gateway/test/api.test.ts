import { type IncomingMessage, request } from "node:http";
import { createHub } from "@nomq/core";
import { describe, expect, test } from "vitest";
import { ALL_SCOPES } from "../src/api/caller.ts";
import { createApi } from "../src/index.ts";
import { names, raw, reading, served } from "./served.ts";

describe("GET /healthz", () => {
  test("200 with every bridge's state and the NoMQ side's counts", async () => {
    await using it = await served(
      "nomq: { listen: ['udp://127.0.0.1:0'] }\nmqtt: { listen: ['mqtt://127.0.0.1:0'] }",
    );
    const { status, body } = await it.client.get("/healthz");
    expect(status).toBe(200);
    expect(body).toEqual({
      live: true,
      ready: true,
      bridges: {
        nomq: { state: "ready", since: expect.any(Number) },
        mqtt: { state: "ready", since: expect.any(Number) },
      },
      unclaimed: [],
      still: [],
      stillCount: 0,
      store: { state: "memory", damaged: 0, waiting: 0 },
      nomq: expect.objectContaining({
        accepted: 0,
        rejected: expect.objectContaining({ replay: 0, "bad-mac": 0, "unknown-channel": 0 }),
        refused: {},
        unknownChannels: [],
        unknownClocks: [],
      }),
      mqtt: expect.objectContaining({
        clientsRefused: {},
        messagesRefused: {},
        messagesDropped: {},
        lost: [],
      }),
    });
  });

  test("before every bridge has claimed its interest nothing else is answered", async () => {
    await using hub = createHub();
    const store = { state: "memory", damaged: 0, waiting: 0 } as const;
    const nobody = { unclaimed: [], still: [], stillCount: 0 };
    const health = { live: true, ready: false, bridges: {}, ...nobody, store };
    const app = createApi({
      port: hub.port("api"),
      caller: () => ({ principal: "token:test", scopes: ALL_SCOPES }),
      health: () => health,
      attachments: () => hub.attachments(),
      isOpen: () => false,
    });
    const body = JSON.stringify({ channel: "a", payload: "x" });
    expect((await app.request("/api/v1/publish", { method: "POST", body })).status).toBe(503);
    expect((await app.request("/api/v1/stream")).status).toBe(503);
    const answer = await app.request("/healthz");
    expect({ status: answer.status, body: await answer.json() }).toEqual({ status: 503, body: health });
  });

  test("not ready once it has stopped", async () => {
    const it = await served("nomq: { listen: ['udp://127.0.0.1:0'] }\nmqtt: { listen: [] }");
    await it[Symbol.asyncDispose]();
    expect(it.gateway.health()).toMatchObject({ ready: false, bridges: { nomq: { state: "closed" } } });
  });
});

describe("POST /api/v1/publish and GET /api/v1/stream", () => {
  test("what is published after `ready` is seen, whole and in order", async () => {
    await using it = await served();
    await using reader = await reading(it.client, ["a/+", "b"]);
    const receipt = await it.client.publish({
      channel: "a/x",
      payload: "grün\n",
      qos: 1,
      priority: 3,
      ttl: 60,
      contentType: "text/plain",
    });
    expect(receipt).toMatchObject({ channel: "a/x", at: expect.stringMatching(/stored|delivered/) });
    await it.client.publish({ channel: "c", payload: "not asked for" });
    await it.client.publish({ channel: "b", payloadBase64: "/wA=", ttl: "1h" });
    expect(await reader.next()).toEqual({
      channel: "a/x",
      payload: "grün\n",
      qos: 1,
      retain: false,
      contentType: "text/plain",
      expiresAt: expect.any(Number),
      priority: 3,
      id: receipt.id,
      origin: "api",
    });
    expect(await reader.next()).toMatchObject({ channel: "b", payloadBase64: "/wA=", qos: 0 });
  });

  test("a stream begins with the retained messages, unless told otherwise", async () => {
    await using it = await served();
    await it.client.publish({ channel: "a", payload: "kept", retain: true });
    await using old = await reading(it.client, ["#"]);
    expect(await old.next()).toMatchObject({ channel: "a", payload: "kept", retain: true });
    await using fresh = await reading(it.client, ["#"], false);
    await it.client.publish({ channel: "a", payload: "new" });
    expect(await fresh.next()).toMatchObject({ payload: "new" });
  });

  test("a reader that leaves is detached", async () => {
    await using it = await served();
    {
      await using reader = await reading(it.client, ["#"]);
      expect(await names(it.client)).toHaveLength(1);
      await it.client.publish({ channel: "a", payload: "x" });
      await reader.next();
    }
    await expect.poll(() => names(it.client)).toEqual([]);
  });

  test("a reader that stops reading delays nobody, and does not hold up the end", async () => {
    await using it = await served();
    const response = await new Promise<IncomingMessage>((resolve) => {
      request({ socketPath: it.socket, path: "/api/v1/stream" }, resolve).end();
    });
    response.on("error", () => undefined);
    await using reader = await reading(it.client, ["#"]);
    const payload = "x".repeat(65_536);
    for (let count = 0; count < 100; count += 1) {
      await it.client.publish({ channel: "a", payload });
      expect(await reader.next()).toMatchObject({ payload });
    }
    // The one that reads has all; the other's socket is full, and the rest waits in its outbox.
    const states = (await names(it.client)) as { ledger: { pending: number; delivered: number } }[];
    expect(states.map(({ ledger }) => ledger.pending > 0).sort()).toEqual([false, true]);
    await it.gateway.stop();
    response.destroy();
  });

  test("`until: delivered` answers when every attachment has it", async () => {
    await using it = await served();
    await using reader = await reading(it.client, ["#"]);
    const { outcomes, at } = await it.client.publish({
      channel: "a",
      payload: "x",
      qos: 1,
      until: "delivered",
    });
    expect(at).toBe("delivered");
    expect(outcomes).toMatchObject([{ attachment: expect.stringMatching(/^api:stream:/), is: "delivered" }]);
    expect(await reader.next()).toMatchObject({ payload: "x" });
  });

  test.each([
    [{ channel: "a/#", payload: "" }, 400, "channel-invalid"],
    [{ channel: "$SYS/x", payload: "" }, 400, "channel-invalid"],
    [{ channel: "", payload: "" }, 400, "channel-invalid"],
  ])("%j is refused by the hub, with a receipt", async (body, status, reason) => {
    await using it = await served();
    const answer = await raw(it.socket, {
      method: "POST",
      path: "/api/v1/publish",
      body: JSON.stringify(body),
    });
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.text)).toMatchObject({ at: "refused", reason, outcomes: [] });
  });

  test.each([
    ["{", "the body is not JSON"],
    ["[]", "expected"],
    ['{"payload":"x"}', "channel: expected a channel name"],
    ['{"channel":"a","qos":3}', "qos: expected 0, 1 or 2"],
    ['{"channel":"a","priority":16}', "priority: expected 0 to 15"],
    ['{"channel":"a","ttl":"soon"}', "ttl: expected seconds, or a duration such as 60s"],
    ['{"channel":"a","payload":"x","payloadBase64":"eA=="}', "give either payload or payloadBase64"],
    ['{"channel":"a","payloadBase64":"%"}', "payloadBase64: expected base64"],
    ['{"channel":"a","retian":true}', "retian: not a known key"],
  ])("%s is no request: 400 with the reason", async (body, text) => {
    await using it = await served();
    const answer = await raw(it.socket, { method: "POST", path: "/api/v1/publish", body });
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.text).error).toMatchObject({ code: "request-invalid" });
    expect(JSON.parse(answer.text).error.text).toContain(text);
  });

  test("a body beyond the limit is 413, whether its length is said or not", async () => {
    await using it = await served();
    const body = Buffer.alloc(9 * 1_048_576, 0x20);
    const answer = await raw(it.socket, { method: "POST", path: "/api/v1/publish", body });
    expect(answer).toMatchObject({ status: 413, text: expect.stringContaining("too-large") });
    expect((await it.client.get("/healthz")).status).toBe(200);
  });

  test("a bad filter is 400", async () => {
    await using it = await served();
    for (const path of ["/api/v1/stream?filter=a%23", "/api/v1/channels?filter=%2B%2B"]) {
      expect(await raw(it.socket, { path })).toMatchObject({
        status: 400,
        text: expect.stringContaining("filter-invalid"),
      });
    }
  });
});

describe("what became of it, and what is there", () => {
  test("GET /api/v1/receipts/{id}", async () => {
    await using it = await served();
    await using reader = await reading(it.client, ["a"]);
    const { id } = await it.client.publish({ channel: "a", payload: "x", qos: 1 });
    await reader.next();
    await expect
      .poll(async () => (await it.client.get(`/api/v1/receipts/${id}`)).body)
      .toMatchObject({
        id,
        channel: "a",
        at: "delivered",
        outcomes: [{ is: "delivered", at: expect.any(Number) }],
      });
    expect((await it.client.get("/api/v1/receipts/none")).status).toBe(404);
  });

  test("GET /api/v1/channels lists what is known, and ends", async () => {
    await using it = await served("nomq: { listen: [], channels: [conf/a] }\nmqtt: { listen: [] }");
    await it.client.publish({ channel: "seen/a", payload: "x" });
    expect((await it.client.get("/api/v1/channels")).body).toEqual(["conf/a", "seen/a"]);
    expect((await it.client.get("/api/v1/channels?filter=seen%2F%23")).body).toEqual(["seen/a"]);
  });

  test("GET /api/v1/channels/{channel}: the retained message of any name, else 404", async () => {
    await using it = await served();
    for (const channel of ["a", "a/b", "/a//", "grün %2F?&", "a b"]) {
      await it.client.publish({ channel, payload: channel, retain: true });
      const { status, body } = await it.client.get(`/api/v1/channels/${encodeURIComponent(channel)}`);
      expect({ status, body }).toMatchObject({
        status: 200,
        body: { channel, payload: channel, retain: true },
      });
    }
    expect((await it.client.get("/api/v1/channels/a/b")).body).toMatchObject({ channel: "a/b" });
    expect((await it.client.get("/api/v1/channels/none")).status).toBe(404);
    expect((await it.client.get("/api/v1/channels/%ff")).status).toBe(404);
  });

  test("GET /api/v1/attachments shows every ledger", async () => {
    await using it = await served("nomq: { listen: [] }\nmqtt: { listen: ['mqtt://127.0.0.1:0'] }");
    const { body } = await it.client.get("/api/v1/attachments");
    expect(body).toMatchObject([
      {
        name: "mqtt:broker",
        durable: true,
        filters: [],
        state: "active",
        ledger: { accepted: 0, pending: 0 },
      },
    ]);
  });

  test("GET /api/v1/attachments and /healthz tell which NoMQ devices are there", async () => {
    const device = '{ name: pump-7, address: "127.0.0.1:9", subscribe: [a/b] }';
    await using it = await served(
      `nomq: { listen: ['udp://127.0.0.1:0'], devices: [${device}] }\nmqtt: { listen: [] }`,
    );
    const { body } = await it.client.get("/api/v1/attachments");
    const presence = {
      state: "offline",
      reason: "never-heard",
      since: expect.any(Number),
      address: "127.0.0.1:9",
    };
    expect(body).toMatchObject([{ name: "nomq:pump-7", presence }]);
    const health = await it.client.get("/healthz");
    expect(health.body).toMatchObject({ nomq: { devices: { online: 0, offline: 1 } } });
  });

  test("GET /api/v1/nomq/unknown", async () => {
    await using it = await served();
    expect((await it.client.get("/api/v1/nomq/unknown")).body).toEqual({ channels: [], clocks: [] });
  });

  test("anything else is 404, and another method 405", async () => {
    await using it = await served();
    expect(await raw(it.socket, { path: "/" })).toMatchObject({ status: 404 });
    expect(await raw(it.socket, { method: "DELETE", path: "/api/v1/publish" })).toMatchObject({
      status: 405,
    });
  });
});
