import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { networkInterfaces } from "node:os";
import { createHub } from "@nomq/core";
import { request } from "coap";
import { describe, expect, test } from "vitest";
import { type CoapBridge, createCoapBridge } from "../../src/coap-bridge.ts";

/** An address of this machine that the gateway must take for one that anybody could forge. */
const own = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal }) => family === "IPv4" && !internal)?.address;

const body = "0123456789".repeat(500);

interface Served extends AsyncDisposable {
  readonly bridge: CoapBridge;
  readonly url: string;
}

/** A gateway's CoAP side with a value of 5,000 bytes, open to that address. */
async function serve(): Promise<Served> {
  const hub = createHub();
  const bridge = createCoapBridge({ listen: [{ url: "coap://0.0.0.0:0", anonymous: [`${own}/32`] }] });
  hub.add(bridge);
  await hub.start();
  const port = bridge.addresses?.()[0]?.split(":").at(-1);
  const url = `coap://${own}:${port}/a`;
  await coapClient("-m", "put", "-e", body, url);
  return { bridge, url, [Symbol.asyncDispose]: () => hub[Symbol.asyncDispose]() };
}

async function coapClient(...options: readonly string[]): Promise<string> {
  const client = spawn("coap-client-notls", ["-B", "20", ...options], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  client.stdout.on("data", (chunk: Buffer) => {
    text += chunk;
  });
  await once(client, "close");
  return text;
}

describe.skipIf(own === undefined)(
  "clients that know nothing of Echo, at an address that could be forged",
  () => {
    test("Debian's coap-client gets 5,000 bytes without options", async () => {
      await using served = await serve();
      expect((await coapClient("-m", "get", served.url)).trim()).toBe(body);
      expect((await coapClient("-N", "-m", "get", "-b", "64", served.url)).trim()).toBe(body);
    });

    test("node-coap gets them too", async () => {
      await using served = await serve();
      const got = await new Promise<string>((resolve, reject) => {
        const asked = request(served.url);
        asked.on("response", (response) => resolve(String(response.payload)));
        asked.on("error", reject);
        asked.end();
      });
      expect(got).toBe(body);
    });

    test("RFC 7641 §7: a relation begins with the proof, and nothing of it is written down before", async () => {
      await using served = await serve();
      const socket = createSocket("udp4");
      const port = Number(/:(\d+)\//.exec(served.url)?.[1]);
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
      expect(await coapClient("-s", "1", "-m", "get", served.url)).toContain("0123456789");
    });
  },
);
