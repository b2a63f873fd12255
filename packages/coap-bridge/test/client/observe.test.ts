import { describe, expect, test } from "vitest";
import { MessageType, OptionNumber } from "../../src/wire/coap-message.ts";
import { Response } from "../../src/wire/code.ts";
import { CHANNEL, observing, stateOf, willing } from "./observing.ts";
import { datagramOf, texts, uintOf } from "./toy-peer.ts";
import { createWorld, SENSOR, text, type WorldOptions } from "./world.ts";

describe("registration", () => {
  test("RFC 7641 §3.1: a GET with Observe 0; the answer becomes the channel's value, with format and time", async () => {
    await using world = await createWorld({ client: observing({ qos: 2 }), prepare: willing(30) });
    const [request] = world.peer.requests;
    expect(request && uintOf(request, OptionNumber.observe)).toBe(0);
    expect(request && texts(request, OptionNumber.uriPath)).toEqual(["temp"]);
    expect(request?.token.length).toBe(8);
    const value = await world.latest(CHANNEL);
    expect(text(value)).toBe("1");
    expect(value).toMatchObject({ qos: 2, retain: true, contentType: "text/plain;charset=utf-8" });
    expect((value?.expiresAt ?? 0) - world.clock.now()).toBe(30_000);
    expect(stateOf(world)).toBe("fresh");
  });

  test("a notification becomes a value; the relation's token is the same over a restart, and so is our port", async () => {
    await using world = await createWorld({ client: observing(), prepare: willing() });
    world.peer.say({ token: world.peer.token(), observe: 20, payload: "2" });
    await world.settle();
    expect(text(await world.latest(CHANNEL))).toBe("2");
    expect(world.peer.answers.map(({ type }) => type)).toEqual([MessageType.acknowledgement]);
    const before = world.peer.token();
    const stopping = world.client.stop();
    await world.settle();
    await stopping;
    await world.client.attach(world.port());
    await world.client.start();
    await world.settle();
    expect(world.peer.token()).toEqual(before);
    expect(world.peer.ports.size).toBe(1);
  });

  test("while the hub takes nothing the newest value waits, and is taken once there is room", async () => {
    await using world = await createWorld({ client: observing(), isStarted: false, prepare: willing(600) });
    const taken: string[] = [];
    const held = Promise.withResolvers<void>();
    await using _full = await world.hub.port("test").attach({
      name: "test:full",
      as: "*",
      filters: [CHANNEL],
      durable: false,
      outbox: { messages: 1, whenFull: "refuse" },
      async deliver(message) {
        await held.promise;
        taken.push(text(message) ?? "");
        return { is: "delivered" };
      },
    });
    await world.client.start();
    await world.settle();
    for (let number = 20; number < 24; number += 1) {
      world.peer.say({ token: world.peer.token(), observe: number, maxAge: 600, payload: `${number}` });
      await world.settle();
    }
    expect(text(await world.latest(CHANNEL))).toBe("1");
    held.resolve();
    await world.clock.advance(10_000);
    expect(taken).toEqual(["1", "23"]);
    expect(text(await world.latest(CHANNEL))).toBe("23");
    expect(world.client.counts().refused).toMatchObject({ superseded: 2 });
  });

  test("TD_COAP_OBS_08: another Content-Format is another content type; an empty value clears", async () => {
    await using world = await createWorld({ client: observing(), prepare: willing() });
    for (const [observe, format, contentType] of [
      [20, 50, "application/json"],
      [21, 9_999, "coap/9999"],
      [22, 65_001, "coap/65001"],
    ] as const) {
      world.peer.say({ token: world.peer.token(), observe, format, payload: "{}" });
      await world.settle();
      expect(await world.latest(CHANNEL)).toMatchObject({ contentType });
    }
    world.peer.say({ token: world.peer.token(), observe: 23 });
    await world.settle();
    expect(await world.latest(CHANNEL)).toBeUndefined();
  });

  test("RFC 7641 §3.6: stopping tells the server once, and leaves no timer", async () => {
    const world = await createWorld({ client: observing(), prepare: willing() });
    const stopping = world.client.stop();
    await world.settle();
    await stopping;
    const last = world.peer.requests.at(-1);
    expect(last && uintOf(last, OptionNumber.observe)).toBe(1);
    expect(last?.token).toEqual(world.peer.requests[0]?.token);
    await world[Symbol.asyncDispose]();
    expect(world.clock.pending()).toBe(0);
  });

  test("RFC 7252 §6.4: percent-encoding, queries and names go as options; IPv6 literals are addresses", async () => {
    const resolved: string[] = [];
    await using world = await createWorld({
      client: {
        observe: [
          { url: "coap://Sensor.example/a%20b//%2F?x=%26&y", channel: "one" },
          { url: "coap://[2001:db8::9]:7000/", channel: "two" },
        ],
      },
      resolve: async (name) => {
        resolved.push(name);
        return ["10.0.0.9"];
      },
    });
    const [request] = world.peer.requests;
    expect(resolved).toEqual(["sensor.example"]);
    expect(request && texts(request, OptionNumber.uriHost)).toEqual(["sensor.example"]);
    expect(request && texts(request, OptionNumber.uriPath)).toEqual(["a b", "", "/"]);
    expect(request && texts(request, OptionNumber.uriQuery)).toEqual(["x=&", "y"]);
    expect(world.client.sensors()[1]?.url).toBe("coap://[2001:db8::9]:7000/");
  });
});

describe("order, copies, strangers", () => {
  test("RFC 7641 §3.4: an older notification never replaces a newer one, but for 128 s; numbers wrap", async () => {
    await using world = await createWorld({ client: observing(), prepare: willing(600) });
    const say = async (observe: number): Promise<string | undefined> => {
      world.peer.say({ token: world.peer.token(), observe, maxAge: 600, payload: `${observe}` });
      await world.settle();
      return text(await world.latest(CHANNEL));
    };
    expect(await say(50)).toBe("50");
    expect(await say(49)).toBe("50");
    expect(await say(2 ** 23 + 49)).toBe(`${2 ** 23 + 49}`);
    expect(await say(2 ** 24 - 1)).toBe(`${2 ** 24 - 1}`);
    expect(await say(3)).toBe("3");
    expect(await say(2)).toBe("3");
    await world.clock.advance(128_001);
    expect(await say(2)).toBe("2");
    expect(world.client.counts().refused).toEqual({ old: 2 });
  });

  test("RFC 7252 §4.5: a copy of a CON notification is acknowledged again and told once", async () => {
    await using world = await createWorld({ client: observing(), prepare: willing() });
    const copy = { token: world.peer.token(), observe: 20, payload: "2", id: 7 } as const;
    for (let times = 0; times < 3; times += 1) world.peer.say(copy);
    await world.settle();
    expect(world.peer.answers.map(({ type, messageId }) => [type, messageId])).toEqual(
      Array.from({ length: 3 }, () => [MessageType.acknowledgement, 7]),
    );
    expect(world.heard.map(text)).toEqual(["1", "2"]);
  });

  test("C15, RFC 7252 §5.3.2: an answer from another address, or with a token of nobody, is reset", async () => {
    await using world = await createWorld({ client: observing(), prepare: willing() });
    const at = { host: "10.0.0.200", port: [...world.peer.ports][0] ?? 0 };
    const stranger = world.open("10.0.0.66");
    const resets: number[] = [];
    stranger.onDatagram((datagram) => void resets.push((datagram[0] ?? 0) >> 4));
    await stranger.send(datagramOf({ token: world.peer.token(), observe: 99, payload: "forged" }), at);
    world.peer.say({ token: Uint8Array.of(1, 2, 3), observe: 99, payload: "nobody's" });
    await world.settle();
    expect(resets).toEqual([0b0111]);
    expect(world.peer.answers.map(({ type }) => type)).toEqual([MessageType.reset]);
    expect(world.heard.map(text)).toEqual(["1"]);
    expect(SENSOR.port).toBe(5683);
  });
});

describe("endings", () => {
  test("C01, RFC 7641 §3.2: a 4.04 clears the channel and says so; the sensor is asked again and may come back", async () => {
    await using world = await createWorld({ client: observing(), prepare: willing() });
    const serve = world.peer.serve;
    world.peer.serve = () => ({ code: Response.notFound });
    world.peer.say({ token: world.peer.token(), code: Response.notFound });
    await world.settle();
    expect(await world.latest(CHANNEL)).toBeUndefined();
    expect(world.client.sensors()[0]).toMatchObject({ state: "gone", reason: "answered 4.04" });
    expect(world.recorded).toContainEqual(expect.objectContaining({ who: "coap", what: "sensor.gone" }));
    await world.clock.advance(20_000);
    expect(world.peer.requests.length).toBeGreaterThan(1);
    // Cleared once: nobody hears of it again and again.
    expect(world.heard.map(text)).toEqual(["1", ""]);
    world.peer.serve = serve;
    await world.clock.advance(120_000);
    expect(stateOf(world)).toBe("fresh");
    expect(text(await world.latest(CHANNEL))).toBe("1");
    expect(world.recorded.at(-1)).toMatchObject({ what: "sensor.back" });
  });

  test("a 4.04 clears what an earlier run left behind", async () => {
    await using world = await createWorld({ client: observing(), isStarted: false });
    const earlier = { channel: CHANNEL, payload: Buffer.from("old"), retain: true, qos: 1 } as const;
    await world.hub.port("test").publish(earlier, "*");
    world.peer.serve = () => ({ code: Response.notFound });
    await world.client.start();
    await world.settle();
    expect(await world.latest(CHANNEL)).toBeUndefined();
  });

  test("RFC 7252 §5.9.3.4, RFC 8516: 5.03 and 4.29 are obeyed for their Max-Age; the value stays", async () => {
    for (const code of [Response.serviceUnavailable, Response.tooManyRequests]) {
      await using world = await createWorld({ client: observing(), prepare: willing() });
      world.peer.say({ token: world.peer.token(), code, maxAge: 40 });
      await world.clock.advance(39_000);
      expect(world.peer.requests).toHaveLength(1);
      expect(text(await world.latest(CHANNEL))).toBe("1");
      await world.clock.advance(2_000);
      expect(world.peer.requests).toHaveLength(2);
    }
  });

  test("other errors, and codes that are no answer, are asked about again with growing waits", async () => {
    for (const code of [Response.forbidden, Response.internalServerError, Response.changed]) {
      await using world = await createWorld({
        client: observing(),
        prepare: (peer) => {
          peer.serve = () => ({ code });
        },
      });
      await world.clock.advance(600_000);
      expect(world.peer.requests.length).toBeGreaterThan(4);
      expect(world.peer.requests.length).toBeLessThan(12);
      expect(world.heard).toEqual([]);
    }
  });

  test("RFC 7252 §4.2: a reset registration is no answer", async () => {
    await using world = await createWorld({
      client: observing(),
      prepare: (peer) => {
        peer.serve = () => ({ type: MessageType.reset, code: 0, token: new Uint8Array() });
      },
    });
    expect(world.client.sensors()[0]?.reason).toBe("it resets registrations");
    await world.clock.advance(6_000);
    expect(world.peer.requests).toHaveLength(2);
  });

  test("RFC 7641 §3.1: a server that declines is polled at Max-Age, says so, and is observed once it takes us", async () => {
    let count = 0;
    const prepare: NonNullable<WorldOptions["prepare"]> = (peer) => {
      peer.serve = () => {
        count += 1;
        return { payload: `${count}`, maxAge: 20 };
      };
    };
    await using world = await createWorld({ client: observing(), prepare });
    expect(world.client.sensors()[0]).toMatchObject({ mode: "polled-instead", state: "fresh" });
    expect(world.recorded.at(-1)).toMatchObject({ what: "sensor.polled-instead" });
    await world.clock.advance(20_500);
    expect(text(await world.latest(CHANNEL))).toBe("2");
    world.peer.serve = () => ({ observe: 5, payload: "seen", maxAge: 20 });
    await world.clock.advance(20_500);
    expect(world.client.sensors()[0]).toMatchObject({ mode: "observed", state: "fresh" });
  });
});
