import { describe, expect, test } from "vitest";
import { MessageType, OptionNumber } from "../../src/wire/coap-message.ts";
import { Method, Response } from "../../src/wire/code.ts";
import { answering, CHANNEL, NAME, outcomeAt, publish, sending } from "./sending.ts";
import { texts, uintOf } from "./toy-peer.ts";
import { createWorld } from "./world.ts";

describe("writing to an actuator", () => {
  test("a message is a PUT with its Content-Format; 2.04 is its delivery in the receipt", async () => {
    await using world = await createWorld({ client: sending(), prepare: answering(Response.changed) });
    const receipt = await publish(world, { contentType: "application/json", payload: "{}" });
    expect(outcomeAt(await receipt())).toBe("delivered");
    const [request] = world.peer.requests;
    expect(request).toMatchObject({ type: MessageType.confirmable, code: Method.put });
    expect(request && texts(request, OptionNumber.uriPath)).toEqual(["valve"]);
    expect(request && uintOf(request, OptionNumber.contentFormat)).toBe(50);
    expect(Buffer.from(request?.payload ?? []).toString()).toBe("{}");
  });

  test("POST where it says so; a content type without a number goes without", async () => {
    await using world = await createWorld({
      client: sending({ method: "post" }),
      prepare: answering(Response.created),
    });
    const receipt = await publish(world, { contentType: "application/x-unheard-of" });
    expect(outcomeAt(await receipt())).toBe("delivered");
    expect(world.peer.requests[0]?.code).toBe(Method.post);
    expect(world.peer.requests[0]?.options.some(({ number }) => number === OptionNumber.contentFormat)).toBe(
      false,
    );
  });

  test("levels that wildcards stand for are appended to the path; what is no path is refused", async () => {
    await using world = await createWorld({
      client: sending({ from: "act/+/x/#", url: "coap://10.0.0.9/base" }),
      prepare: answering(Response.changed),
    });
    await publish(world, { channel: "act/a b/x/1//2" });
    await publish(world, { channel: "act/c/x" });
    const paths = world.peer.requests.map((request) => texts(request, OptionNumber.uriPath));
    expect(paths).toEqual([
      ["base", "a b", "1", "", "2"],
      ["base", "c"],
    ]);
    const dots = await publish(world, { channel: "act/../x" });
    const long = await publish(world, { channel: `act/${"l".repeat(256)}/x` });
    expect([outcomeAt(await dots()), outcomeAt(await long())]).toEqual(
      Array.from({ length: 2 }, () => "refused: channel is no path"),
    );
  });

  test.each([Response.badRequest, Response.forbidden, Response.notFound, Response.internalServerError])(
    "error %d is a refusal with its code",
    async (code) => {
      await using world = await createWorld({ client: sending(), prepare: answering(code) });
      const receipt = await publish(world, { qos: 2 });
      expect(outcomeAt(await receipt())).toBe(`refused: answered ${code >> 5}.0${code & 31}`);
    },
  );

  test("RFC 7252 §5.9.3.4, RFC 8516: 5.03 and 4.29 are tried again after their Max-Age, also at QoS 2; QoS 0 is not", async () => {
    for (const code of [Response.serviceUnavailable, Response.tooManyRequests]) {
      await using world = await createWorld({ client: sending(), prepare: answering(code, { maxAge: 30 }) });
      const receipt = await publish(world, { qos: 2 });
      await world.clock.advance(29_000);
      expect(world.peer.requests).toHaveLength(1);
      world.peer.serve = () => ({ code: Response.changed });
      await world.clock.advance(2_000);
      expect(world.peer.requests).toHaveLength(2);
      expect(outcomeAt(await receipt())).toBe("delivered");
      world.peer.serve = () => ({ code });
      expect(outcomeAt(await (await publish(world, { qos: 0 }))())).toMatch(/^refused: answered/);
    }
  });

  test("RFC 7252 §4.2: silence is five transmissions; QoS 1 is tried again, QoS 2 and 0 are uncertain", async () => {
    for (const qos of [0, 1, 2] as const) {
      await using world = await createWorld({ client: sending() });
      const receipt = await publish(world, { qos });
      await world.clock.advance(94_000);
      const ids = new Set(world.peer.requests.map(({ messageId }) => messageId));
      const first = world.peer.requests.filter(({ messageId }) => messageId === [...ids][0]);
      expect(first).toHaveLength(5);
      if (qos === 1) {
        world.peer.serve = () => ({ code: Response.changed });
        world.peer.servesRepeats = true;
        await world.clock.advance(60_000);
        expect(outcomeAt(await receipt())).toBe("delivered");
      } else {
        expect(ids.size).toBe(1);
        expect(outcomeAt(await receipt())).toBe("uncertain: no answer");
        expect(world.client.counts().writes).toEqual({ uncertain: 1 });
      }
    }
  });

  test("Max-Age says how long it is good for; what has expired is not repeated", async () => {
    for (const qos of [1, 2] as const) {
      await using world = await createWorld({ client: sending() });
      const receipt = await publish(world, { qos, ttlMs: 10_000 });
      await world.clock.advance(60_000);
      expect(world.peer.requests.length).toBeLessThan(4);
      expect(world.peer.requests[0] && uintOf(world.peer.requests[0], OptionNumber.maxAge)).toBe(10);
      const ends = { 1: "expired", 2: "uncertain: aborted while it was written" };
      expect(outcomeAt(await receipt())).toBe(ends[qos]);
    }
  });

  test("RFC 7252 §5.2.2: an acknowledged request is answered separately, within 93 s", async () => {
    await using world = await createWorld({ client: sending() });
    world.peer.serve = (request) => {
      world.clock.after(60_000, () =>
        world.peer.say({ code: Response.changed, token: request.token, id: 4_711 }),
      );
      return { code: 0, token: new Uint8Array() };
    };
    const receipt = await publish(world, { qos: 2 });
    await world.clock.advance(59_000);
    expect(outcomeAt(await receipt())).toBe("pending");
    await world.clock.advance(2_000);
    expect(outcomeAt(await receipt())).toBe("delivered");
    expect(world.peer.requests).toHaveLength(1);
    expect(world.peer.answers.map(({ messageId }) => messageId)).toEqual([4_711]);
  });

  test("C13: a reset is no answer, and no delivery", async () => {
    await using world = await createWorld({
      client: sending(),
      prepare: answering(0, { type: MessageType.reset, token: new Uint8Array() }),
    });
    const receipt = await publish(world, { qos: 2 });
    expect(outcomeAt(await receipt())).toBe("pending");
    world.peer.serve = () => ({ code: Response.changed });
    await world.clock.advance(2_000);
    expect(outcomeAt(await receipt())).toBe("delivered");
  });

  test("an answer with another token, message id or address is none", async () => {
    await using world = await createWorld({ client: sending() });
    world.peer.serve = (request) => {
      const { token, messageId: id } = request;
      world.peer.say({ type: 2, code: Response.changed, token: Uint8Array.of(1), id });
      world.peer.say({ type: 2, code: Response.changed, token, id: (id + 1) & 0xffff });
      return undefined;
    };
    const receipt = await publish(world);
    await world.clock.advance(1_000);
    expect(outcomeAt(await receipt())).toBe("pending");
  });
});

describe("state, ends and turns", () => {
  test("a cleared value is deleted; where nothing is there it is cleared already; POST has nothing to clear", async () => {
    for (const [method, code, ends] of [
      ["put", Response.deleted, "delivered"],
      ["put", Response.notFound, "delivered"],
      ["put", Response.methodNotAllowed, "refused: answered 4.05"],
      ["post", Response.deleted, "refused: POST cannot clear"],
    ] as const) {
      await using world = await createWorld({ client: sending({ method }), prepare: answering(code) });
      const receipt = await publish(world, { payload: "", retain: true });
      expect(outcomeAt(await receipt())).toBe(ends);
      expect(world.peer.requests.map((request) => request.code)).toEqual(
        method === "put" ? [Method.delete] : [],
      );
    }
  });

  test("the retained value is set when the actuator is attached for the first time", async () => {
    await using world = await createWorld({
      client: sending(),
      isStarted: false,
      prepare: answering(Response.changed),
    });
    await world.client.stop();
    await world.hub.forget(NAME);
    await world.hub
      .port("test")
      .publish({ channel: CHANNEL, payload: Buffer.from("half"), retain: true, qos: 1 }, "*");
    await world.client.attach(world.port());
    expect(world.peer.requests).toEqual([]);
    await world.client.start();
    await world.settle();
    expect(world.peer.requests.map(({ payload }) => Buffer.from(payload).toString())).toEqual(["half"]);
  });

  test("an abort is answered within a second: QoS 1 stays pending, a QoS 2 that has left is uncertain", async () => {
    for (const qos of [1, 2] as const) {
      await using world = await createWorld({ client: sending() });
      const receipt = await publish(world, { qos });
      const stopping = world.client.stop();
      await world.clock.advance(6_000);
      await stopping;
      expect(outcomeAt(await receipt())).toBe(
        qos === 1 ? "pending" : "uncertain: aborted while it was written",
      );
    }
  });

  test("NSTART 1: two actuators of one peer are written to one after the other; those of another do not wait", async () => {
    await using world = await createWorld({
      client: {
        send: ["a", "b"].map((name) => ({ name, from: `act/${name}`, url: `coap://10.0.0.9/${name}` })),
      },
    });
    await publish(world, { channel: "act/a" });
    await publish(world, { channel: "act/b" });
    await world.clock.advance(1_000);
    const asked = world.peer.requests.map((request) => texts(request, OptionNumber.uriPath).join("/"));
    expect(asked).toEqual(["a"]);
    const { token, messageId: id } = world.peer.requests[0] ?? { token: new Uint8Array(), messageId: 0 };
    world.peer.say({ type: MessageType.acknowledgement, code: Response.changed, token, id });
    await world.settle();
    expect(world.peer.requests).toHaveLength(2);
  });

  test("what was written comes back as the sensor's state and is no news: no circle", async () => {
    const url = "coap://10.0.0.9/valve";
    await using world = await createWorld({
      client: { observe: [{ url, channel: CHANNEL }], send: [{ name: "valve", from: CHANNEL, url }] },
      prepare: (peer) => {
        let number = 1;
        let state = "shut";
        peer.serve = (request) => {
          if (request.code === Method.get) return { observe: number, payload: state };
          number += 1;
          state = Buffer.from(request.payload).toString();
          peer.say({ token: peer.token(), observe: number, payload: state });
          return { code: Response.changed };
        };
      },
    });
    const before = world.peer.requests.length;
    await publish(world, { payload: "open", retain: true });
    await world.clock.advance(10_000);
    const puts = world.peer.requests.slice(before).filter(({ code }) => code === Method.put);
    expect(puts).toHaveLength(1);
    // Turned by hand, and back: the hub hears of both, the valve is not told what it is.
    world.peer.say({ token: world.peer.token(), observe: 50, payload: "shut" });
    await world.settle();
    world.peer.say({ token: world.peer.token(), observe: 51, payload: "open" });
    await world.clock.advance(10_000);
    expect(world.heard.map(({ payload }) => Buffer.from(payload).toString())).toEqual([
      ...["shut", "open", "shut", "open"],
    ]);
    expect(world.peer.requests.filter(({ code }) => code === Method.put)).toHaveLength(1);
  });
});
