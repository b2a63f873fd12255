import { createSocket } from "node:dgram";
import { once } from "node:events";
import { networkInterfaces } from "node:os";
import { createHub } from "@nomq/core";
import { createFakeClock } from "@nomq/core/testing";
import { expect, test } from "vitest";
import { type CoapPacket, decodeCoap, encodeCoap, GET, uriOptions } from "../../../../test/real/coap-wire.ts";
import { createCoapBridge } from "../../src/index.ts";

const ALL_COAP_NODES = "224.0.1.187";
const LEISURE_MS = 5000;
const ours = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal }) => family === "IPv4" && !internal)?.address;

const requestOf = (token: string, uri: string): Buffer =>
  encodeCoap({
    type: "NON",
    code: GET,
    messageId: token.charCodeAt(0),
    token: Buffer.from(token),
    options: uriOptions(uri),
    payload: Buffer.alloc(0),
  });

/** A UDP port that is free at every address, below those that the kernel gives away: nobody gets it by chance meanwhile. */
async function freePortOfAll(): Promise<number> {
  for (;;) {
    const socket = createSocket("udp4").bind(10_000 + Math.floor(Math.random() * 20_000));
    try {
      await once(socket, "listening");
      return socket.address().port;
    } catch {
      // Taken: another.
    } finally {
      socket.close();
    }
  }
}

test.skipIf(ours === undefined)(
  "RFC 6690 §4.1, RFC 7252 §8.2: a group is answered where something matches, after a leisure (skipped without an IPv4 network)",
  async () => {
    const clock = createFakeClock();
    await using hub = createHub({ clock });
    // Groups are joined at a port that was chosen.
    const port = await freePortOfAll();
    const bridge = createCoapBridge({ listen: [{ url: `coap://[::]:${port}`, anonymous: [`${ours}/32`] }] });
    hub.add(bridge);
    await hub.start();
    await hub.port("test").publish({ channel: "site/temp", payload: Buffer.from("21"), retain: true }, "*");
    const socket = createSocket("udp4");
    socket.bind(0, ours);
    await once(socket, "listening");
    socket.setMulticastInterface(ours ?? "");
    const answers: CoapPacket[] = [];
    socket.on("message", (datagram) => answers.push(decodeCoap(datagram)));
    const send = (datagram: Buffer, to = ALL_COAP_NODES): Promise<void> =>
      new Promise((resolve) => socket.send(datagram, port, to, () => resolve()));

    await send(requestOf("a", ".well-known/core?href=/none"));
    await send(requestOf("b", "site/none"));
    await send(requestOf("c", ".well-known/core?href=/site/temp"));
    // Asked of the gateway alone: answered at once.
    await send(requestOf("d", "site/none"), ours);
    const tokens = (): string[] => answers.map(({ token }) => token.toString()).toSorted();
    await expect.poll(tokens).toEqual(["d"]);
    const later = async (): Promise<string[]> => {
      await clock.advance(LEISURE_MS);
      return tokens();
    };
    await expect.poll(later).toEqual(["c", "d"]);
    await clock.advance(LEISURE_MS);
    expect(tokens()).toEqual(["c", "d"]);
    expect(answers.find(({ token }) => token.toString() === "c")?.payload.toString()).toContain(
      "</site/temp>",
    );
    socket.close();
    await once(socket, "close");
  },
);
