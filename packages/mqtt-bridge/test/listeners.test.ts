import { connect as connectTcp, createServer } from "node:net";
import { NomqError } from "@nomq/core";
import { describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { MqttListener } from "../src/index.ts";
import { createMqttBridge } from "../src/index.ts";
import { startBench } from "./bench.ts";
import { createToyHub } from "./toy-hub.ts";

/** Opens a WebSocket by hand and resolves with the status line, or the close code of what came after. */
function upgrade(port: number, headers: Readonly<Record<string, string>>): Promise<string> {
  const all: Record<string, string> = {
    Host: `127.0.0.1:${port}`,
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": "mqtt",
    ...headers,
  };
  const lines = Object.entries(all).filter(([, value]) => value !== "");
  return new Promise((resolve) => {
    const socket = connectTcp(port, "127.0.0.1", () => {
      socket.write(`GET / HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`);
    });
    socket.once("data", (data) => {
      socket.destroy();
      resolve(data.toString().split("\r\n")[0] ?? "");
    });
    socket.once("close", () => resolve("closed"));
  });
}

describe("WebSocket", () => {
  const listen: MqttListener[] = [{ url: "ws://127.0.0.1:0", origins: ["https://dash.example"] }];

  test.each([
    ["no Origin, as programs send", {}, "101"],
    ["our own Origin", { Origin: "http://127.0.0.1:PORT" }, "101"],
    ["a configured Origin", { Origin: "https://dash.example" }, "101"],
    ["a foreign Origin", { Origin: "https://evil.example" }, "403"],
    ["a sandboxed page's Origin", { Origin: "null" }, "403"],
    ["another page of this machine", { Origin: "http://127.0.0.1:1" }, "403"],
    [
      "a Host that is not ours (DNS rebinding)",
      { Host: "evil.example", Origin: "http://evil.example" },
      "403",
    ],
    ["localhost as Host", { Host: "localhost:PORT" }, "101"],
    ["a configured origin's Host", { Host: "dash.example" }, "101"],
    ["no Host", { Host: "" }, "403"],
    ["no MQTT among the subprotocols [MQTT-6.0.0-3]", { "Sec-WebSocket-Protocol": "soap" }, "400"],
    ["several subprotocols", { "Sec-WebSocket-Protocol": "soap, mqtt" }, "101"],
  ])("%s", async (_name, headers, status) => {
    await using bench = await startBench({ listen });
    const real = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, value.replace("PORT", String(bench.port))]),
    );
    expect(await upgrade(bench.port, real)).toContain(status);
  });

  test("a text frame closes the connection [MQTT-6.0.0-1]", async () => {
    await using bench = await startBench({ listen });
    const socket = new WebSocket(`ws://127.0.0.1:${bench.port}`, "mqtt");
    await new Promise((resolve) => socket.once("open", resolve));
    expect(socket.protocol).toBe("mqtt");
    socket.send("hello");
    await new Promise((resolve) => socket.once("close", resolve));
  });

  test("a refused page is in the log once, with the line that would admit it", async () => {
    await using bench = await startBench({ listen });
    for (let count = 0; count < 3; count += 1) await upgrade(bench.port, { Origin: "https://evil.example" });
    expect(bench.hub.warnings).toHaveLength(1);
    expect(bench.hub.warnings[0]?.[1]).toMatchObject({
      reason: "origin-foreign",
      admit: expect.stringContaining("origins"),
    });
    expect(bench.bridge.counts().clientsRefused).toEqual({ "origin-foreign": 3 });
  });
});

describe("clients without credentials", () => {
  const at = { url: "mqtt://127.0.0.1:0" };

  test.each([4, 5] as const)("are refused where `anonymous: none`, MQTT %i", async (protocolVersion) => {
    await using bench = await startBench({ listen: [{ ...at, anonymous: "none" }] });
    for (let count = 0; count < 2; count += 1) {
      const client = await bench.client({ bare: true, protocolVersion });
      const connack = await client.take("connack");
      expect(protocolVersion === 5 ? connack.reasonCode : connack.returnCode).toBe(
        protocolVersion === 5 ? 0x87 : 5,
      );
      await client.closed;
    }
    expect(bench.hub.warnings).toHaveLength(1);
    expect(bench.hub.warnings[0]?.[1]).toMatchObject({
      reason: "anonymous",
      address: "127.0.0.1",
      admit: `- { url: "mqtt://127.0.0.1:0", anonymous: ["127.0.0.1/32"] }`,
    });
  });

  test.each(["10.0.0.0/33", "everyone", "10.0.0/8", "::1/129", "10.0.0.0/x"])(
    "%s is no network",
    (network) => {
      expect(() => createMqttBridge({ listen: [{ ...at, anonymous: [network] }] })).toThrow(
        /config-invalid.*anonymous/,
      );
    },
  );
});

describe("addresses", () => {
  test("a port that is taken ends the start with its address, and nothing stays open", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const address = taken.address();
    const port = address !== null && typeof address === "object" ? address.port : 0;
    const hub = createToyHub();
    await using bridge = createMqttBridge({ listen: ["mqtt://127.0.0.1:0", `ws://127.0.0.1:${port}`] });
    await bridge.attach(hub.port);
    const failure = await bridge.start().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(NomqError);
    expect(failure).toMatchObject({
      code: "port-in-use",
      message: expect.stringContaining(`ws://127.0.0.1:${port}`),
    });
    expect(bridge.addresses()).toEqual([]);
    await new Promise((resolve) => taken.close(resolve));
    await bridge.start();
    expect(bridge.addresses()).toHaveLength(2);
  });

  test("stop says so to MQTT 5 clients and leaves nobody connected, not even who has only begun", async () => {
    await using bench = await startBench({ listen: ["mqtt://127.0.0.1:0", "ws://127.0.0.1:0"] });
    const client = await bench.client();
    const silent = await bench.client({ silent: true });
    const half = connectTcp(Number(new URL(bench.bridge.addresses()[1] ?? "").port), "127.0.0.1");
    const halfClosed = new Promise((resolve) => half.once("close", resolve));
    half.on("error", () => undefined).resume();
    await new Promise((resolve) => half.once("connect", resolve));
    half.write("GET / HTTP/1.1\r\nHost: ");
    await bench.bridge.stop();
    expect(await client.take("disconnect")).toMatchObject({ reasonCode: 0x8b });
    await Promise.all([client.closed, silent.closed, halfClosed]);
    expect(bench.hub.clock.pending()).toBe(0);
  });

  test("[::] takes IPv4 clients too", async () => {
    await using bench = await startBench({ listen: ["mqtt://[::]:0"] });
    const client = await bench.client();
    await client.settled();
    expect(bench.bridge.addresses()[0]).toMatch(/^mqtt:\/\/(\[::\]|0\.0\.0\.0):\d+$/);
  });

  test.each([
    ["mqtts://127.0.0.1:8883", "not-available-yet"],
    ["wss://127.0.0.1", "not-available-yet"],
    ["http://127.0.0.1", "config-invalid"],
    ["127.0.0.1:1883", "config-invalid"],
    ["mqtt://", "config-invalid"],
  ])("%s is %s", (url, code) => {
    expect(() => createMqttBridge({ listen: [url] })).toThrow(new RegExp(`^${code}: mqtt.listen\\[0\\]`));
  });
});
