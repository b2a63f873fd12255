import { expect, test } from "vitest";
import { openCoapClient } from "../packages/gateway/test/coap/client.ts";
import { numberOf, OPTION } from "./real/coap-wire.ts";
import { launchGateway } from "./real/gateway.ts";
import { openModelDevice } from "./real/model-device.ts";
import { ACK, PUBLISH, randomId, unixSeconds } from "./real/seal.ts";
import { openDevice } from "./real/udp-device.ts";
import { vectorKey } from "./real/vectors.ts";

test("what a v1 device publishes is what CoAP reads, and a CoAP PUT is a datagram at a v1 device", async () => {
  await using valve = await openModelDevice(vectorKey, ["cmd/valve"]);
  const entry = { name: "valve", address: valve.address, key: "site", subscribe: ["cmd/#"] };
  const channels = [{ name: "line/temp", contentType: "text/plain" }];
  await using gateway = await launchGateway({ nomq: { devices: [entry], channels } });
  await using board = await openDevice(vectorKey, gateway.nomqPort);
  await using client = await openCoapClient(gateway.coapPort);
  const told: string[] = [];
  const observed = await client.observe({
    path: "line/temp",
    tell: ({ code, payload }) => void told.push(`${code} ${payload.toString()}`),
  });
  // Known, for it is configured; it has no value yet.
  expect(observed).toMatchObject({ code: "2.05", registered: true });

  const transfer = { sessionId: randomId(), packetId: randomId(), timestamp: unixSeconds() };
  await board.send({ ...transfer, channel: "line/temp", message: "21.5", flags: 1 | 4, ttl: 900 });
  await board.next(({ type, packetId }) => type === ACK && packetId === transfer.packetId);
  await expect.poll(() => told).toEqual(["2.05 ", "2.05 21.5"]);
  const read = await client.ask({ path: "line/temp" });
  expect([read?.code, read?.payload.toString()]).toEqual(["2.05", "21.5"]);
  expect(read && numberOf(read, OPTION.contentFormat)).toBe(0);
  expect(read && numberOf(read, OPTION.maxAge)).toBeGreaterThan(600);

  const put = { method: "put", path: "cmd/valve", query: ["ttl=300"], payload: Buffer.from("open") } as const;
  expect((await client.ask(put))?.code).toBe("2.01");
  await expect.poll(() => valve.delivered).toEqual(["cmd/valve open"]);
  const [packet] = valve.received.filter(({ type, message }) => type === PUBLISH && message === "open");
  // QoS 1 for a CON, retained for a PUT.
  expect(packet && packet.flags & 7).toBe(5);
  expect(packet?.ttl).toBeGreaterThan(200);
  expect(packet?.ttl).toBeLessThanOrEqual(300);
});
