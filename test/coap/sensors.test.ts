import { createFakeClock } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { describeWithPeers } from "../peers.ts";
import { openCoapEndpoint } from "../real/coap-endpoint.ts";
import { type CoapPlace, openBridgePlace, PLACES } from "../real/coap-places.ts";
import { coapClient, longText, startCoapServer } from "../real/coap-programs.ts";
import { type CoapPacket, numberOf, OPTION, uint } from "../real/coap-wire.ts";
import { isLong } from "../trust/seed.ts";

/**
 * Numbers of the server's datagrams, about a third, and never three in a row: a datagram that chance loses four times
 * costs half a minute, and one that it loses five times a minute.
 */
const LOST = "2,5-6,9,11,14-15,18,21-22,25";

const textsOn = ({ seen }: CoapPlace, channel: string): readonly string[] =>
  seen.filter((message) => message.channel === channel).map(({ text }) => text);

describeWithPeers("Debian's coap-server as sensors and actuators", ["libcoap3-bin"], () => {
  describe.each(PLACES)("$name", ({ open }) => {
    test("a resource that changes by itself becomes a channel, with its time to live", async () => {
      await using server = await startCoapServer();
      const observe = [{ url: server.url("time"), channel: "sensors/time" }];
      await using place = await open({ observe });
      await expect.poll(() => new Set(textsOn(place, "sensors/time")).size).toBeGreaterThanOrEqual(3);
      const [first] = place.seen.filter(({ channel }) => channel === "sensors/time");
      expect(first).toMatchObject({ qos: 1, retain: true });
      // The server says Max-Age 1.
      expect((first?.expiresAt ?? 0) - Date.now()).toBeLessThanOrEqual(1_000);
    });

    test("what others write there arrives, large values whole, and a deletion clears the channel", async () => {
      await using server = await startCoapServer();
      await coapClient(server.port, "room/t", { method: "put", body: "20", more: ["-t", "50"] });
      const observe = [{ url: server.url("room/t"), channel: "room/t", qos: 2 as const }];
      await using place = await open({ observe });
      const on = () => textsOn(place, "room/t");
      await expect.poll(() => on().at(-1)).toBe("20");
      const texts = [longText(5_000, "a"), longText(5_000, "b"), "21"];
      for (const text of texts) {
        await coapClient(server.port, "room/t", { method: "put", body: text, more: ["-t", "50"] });
        await expect.poll(() => on().at(-1) === text).toBe(true);
      }
      const got = await coapClient(place.port, "room/t");
      expect([got.code, got.body.toString()]).toEqual(["2.05", "21"]);
      expect(got.options).toContain("Content-Format:application/json");
      await coapClient(server.port, "room/t", { method: "delete" });
      await expect.poll(() => on().at(-1)).toBe("");
      expect((await coapClient(place.port, "room/t")).code).toBe("4.04");
    });

    test("a resource that is polled becomes a channel too", async () => {
      await using server = await startCoapServer();
      const poll = [{ url: server.url("example_data"), channel: "polled", every: 1_000 }];
      await using place = await open({ poll });
      await expect.poll(() => textsOn(place, "polled").length).toBeGreaterThan(0);
      await coapClient(server.port, "example_data", { method: "put", body: "new" });
      await expect.poll(() => textsOn(place, "polled").at(-1)).toBe("new");
    });

    test("what is published to an actuator's channel is written there, small and large", async () => {
      await using server = await startCoapServer();
      const send = [
        { name: "valve", from: "actuators/valve", url: server.url("valve"), method: "put" as const },
      ];
      await using place = await open({ send });
      for (const text of ["open", longText(5_000), "shut"]) {
        await place.publish({ channel: "actuators/valve", text, qos: 1, contentType: "application/json" });
        await expect
          .poll(async () => (await coapClient(server.port, "valve")).body.toString() === text)
          .toBe(true);
      }
      expect((await coapClient(server.port, "valve")).options).toContain("Content-Format:application/json");
    });
  });

  test("of the server's datagrams many lost, nothing is: all that is written arrives in order", async () => {
    await using server = await startCoapServer(["-l", isLong ? "20%" : LOST]);
    const send = [{ name: "valve", from: "lossy", url: server.url("lossy"), method: "put" as const }];
    const observe = [{ url: server.url("lossy"), channel: "echo" }];
    await using place = await openBridgePlace({ send, observe });
    for (const text of isLong ? ["1", "2", "3", "4", "5", "6", "7", "8", "9"] : ["1", "2"])
      await place.publish({ channel: "lossy", text, qos: 1 });
    await expect
      .poll(() => textsOn(place, "echo").at(-1), { timeout: isLong ? 300_000 : 55_000 })
      .toBe(isLong ? "9" : "2");
    const numbers = textsOn(place, "echo")
      .filter((text) => text !== "")
      .map(Number);
    expect(numbers).toEqual(numbers.toSorted());
  });

  test("a server that was away is observed again when it is back, and the channel goes on", async () => {
    const clock = createFakeClock();
    const first = await startCoapServer();
    const observe = [{ url: first.url("time"), channel: "time" }];
    await using place = await openBridgePlace({ observe }, { clock });
    const ticks = () => textsOn(place, "time").filter((text) => text !== "").length;
    await expect.poll(ticks).toBeGreaterThan(0);
    await first[Symbol.asyncDispose]();
    const before = ticks();
    await clock.advance(5_000);
    await using _second = await startCoapServer([], first.port);
    const later = async (): Promise<number> => {
      await clock.advance(5_000);
      return ticks();
    };
    await expect.poll(later).toBeGreaterThan(before + 1);
  });
});

test("TD_COAP_OBS_04: silence beyond Max-Age makes the client register again, with the same token", async () => {
  const clock = createFakeClock();
  await using sensor = await openCoapEndpoint();
  const registrations: CoapPacket[] = [];
  sensor.serve((request) => {
    if (numberOf(request, OPTION.observe) !== 0) return { code: "2.05", payload: "read" };
    registrations.push(request);
    const options = [
      [OPTION.observe, uint(registrations.length)],
      [OPTION.maxAge, uint(30)],
    ] as const;
    return { code: "2.05", options, payload: String(registrations.length) };
  });
  const observe = [{ url: `coap://127.0.0.1:${sensor.port}/temp`, channel: "roof/t" }];
  await using place = await openBridgePlace({ observe }, { clock });
  await expect.poll(() => textsOn(place, "roof/t")).toEqual(["1"]);
  await clock.advance(30_000);
  expect(registrations).toHaveLength(1);
  // 5 to 15 s after Max-Age (RFC 7641 section 3.3.1).
  await clock.advance(15_000);
  await expect.poll(() => registrations.length).toBe(2);
  expect(registrations[1]?.token.equals(registrations[0]?.token ?? Buffer.alloc(0))).toBe(true);
  await expect.poll(() => textsOn(place, "roof/t").at(-1)).toBe("2");
});
