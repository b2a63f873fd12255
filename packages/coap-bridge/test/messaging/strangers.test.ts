import { createSocket } from "node:dgram";
import { once } from "node:events";
import { networkInterfaces } from "node:os";
import { createHub } from "@nomq/core";
import { request } from "coap";
import { describe, expect, test } from "vitest";
import { coapClient, coapObserve } from "../../../../test/real/coap-programs.ts";
import { type CoapBridge, createCoapBridge } from "../../src/coap-bridge.ts";

/** An address of this machine that the gateway must take for one that anybody could forge. */
const own = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal }) => family === "IPv4" && !internal)?.address;

const host = own ?? "";
const body = "0123456789".repeat(500);

interface Served extends AsyncDisposable {
  readonly bridge: CoapBridge;
  readonly port: number;
}

/** A gateway's CoAP side with a value of 5,000 bytes, open to that address. */
async function serve(): Promise<Served> {
  const hub = createHub();
  const bridge = createCoapBridge({ listen: [{ url: "coap://0.0.0.0:0", anonymous: [`${own}/32`] }] });
  hub.add(bridge);
  await hub.start();
  const port = Number(bridge.addresses()[0]?.split(":").at(-1));
  await coapClient(port, "a", { method: "put", body, host });
  return { bridge, port, [Symbol.asyncDispose]: () => hub[Symbol.asyncDispose]() };
}

describe.skipIf(own === undefined)(
  "clients that know nothing of Echo, at an address that could be forged",
  () => {
    test("Debian's coap-client gets 5,000 bytes without options", async () => {
      await using served = await serve();
      expect((await coapClient(served.port, "a", { host })).body.toString()).toBe(body);
      const more = ["-N", "-b", "64"];
      expect((await coapClient(served.port, "a", { host, more })).body.toString()).toBe(body);
    });

    test("node-coap gets them too", async () => {
      await using served = await serve();
      const got = await new Promise<string>((resolve, reject) => {
        const asked = request(`coap://${host}:${served.port}/a`);
        asked.on("response", (response) => resolve(String(response.payload)));
        asked.on("error", reject);
        asked.end();
      });
      expect(got).toBe(body);
    });

    test("RFC 7641 §7: a relation begins with the proof, and nothing of it is written down before", async () => {
      await using served = await serve();
      const socket = createSocket("udp4");
      const { port } = served;
      const next = async (): Promise<Buffer> => {
        const [datagram]: unknown[] = await once(socket, "message");
        if (!Buffer.isBuffer(datagram)) throw new Error("no datagram");
        return datagram;
      };
      const ping = next();
      // CON GET /a with Observe 0.
      socket.send(Buffer.from("41010001a1605161", "hex"), port, own);
      const messageId = (await ping).subarray(2, 4);
      expect(served.bridge.counts().observers).toMatchObject({ observers: 0, registered: 0 });
      // A ping that was repeated meanwhile is no answer.
      const answered = async (): Promise<Buffer> => {
        const datagram = await next();
        return datagram[1] === 0 ? await answered() : datagram;
      };
      const answer = answered();
      socket.send(Buffer.concat([Buffer.from("7000", "hex"), messageId]), port, own);
      expect((await answer)[1]).toBe(0x45);
      expect(served.bridge.counts().observers).toMatchObject({ observers: 1, registered: 1 });
      socket.close();
    });

    test("coap-client observes from there", async () => {
      await using served = await serve();
      await using observer = coapObserve(served.port, "a", { host });
      await expect.poll(() => observer.bodies()).toEqual([body]);
    });
  },
);
