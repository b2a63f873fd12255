import { createSocket } from "node:dgram";
import { once } from "node:events";
import { expect, test } from "vitest";
import { decodeCoap, encodeCoap, GET } from "../real/coap-wire.ts";
import { openCoapLine } from "./coap-line.ts";

test("who asks again with the same token, as an observer does, goes on with one request, answered to both", async () => {
  const server = createSocket("udp4");
  server.bind(0, "127.0.0.1");
  await once(server, "listening");
  {
    await using line = await openCoapLine({ target: server.address().port, take: () => undefined });
    const asked = { code: GET, token: Buffer.from("t"), options: [], mayRenew: true };
    const both = [line.request(asked), line.request(asked)];
    // The second of them is answered.
    const ids: number[] = [];
    server.on("message", (datagram, { port }) => {
      const { messageId, token } = decodeCoap(datagram);
      if (ids.push(messageId) < 2) return;
      const answer = { code: "2.05", messageId, token, options: [], payload: Buffer.from("x") };
      server.send(encodeCoap({ ...answer, type: "ACK" }), port, "127.0.0.1");
    });
    const texts = (await Promise.all(both)).map(({ payload }) => payload.toString());
    expect(texts).toEqual(["x", "x"]);
    expect(new Set(ids).size).toBe(2);
  }
  server.close();
  await once(server, "close");
});

test("a copy of a separate answer is acknowledged and told to nobody (RFC 7252 section 4.5)", async () => {
  const server = createSocket("udp4");
  server.bind(0, "127.0.0.1");
  await once(server, "listening");
  {
    const told: string[] = [];
    await using line = await openCoapLine({
      target: server.address().port,
      take: ({ payload }) => void told.push(payload.toString()),
    });
    const acknowledged: number[] = [];
    server.on("message", (datagram, { port }) => {
      const { type, token, messageId } = decodeCoap(datagram);
      if (type === "ACK") acknowledged.push(messageId);
      if (type !== "CON") return;
      const answer = { type: "CON", code: "2.05", token, options: [] } as const;
      for (const [id, text] of [
        [7, "x"],
        [7, "x"],
        [8, "y"],
      ] as const) {
        const packet = { ...answer, messageId: id, payload: Buffer.from(text) };
        server.send(encodeCoap(packet), port, "127.0.0.1");
      }
    });
    const asked = { code: GET, token: Buffer.from("t"), options: [], mayRenew: true };
    expect((await line.request(asked)).payload.toString()).toBe("x");
    await expect.poll(() => told).toEqual(["y"]);
    await expect.poll(() => acknowledged).toEqual([7, 7]);
  }
  server.close();
  await once(server, "close");
});
