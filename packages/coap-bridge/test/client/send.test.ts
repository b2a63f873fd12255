import type { Receipt } from "@nomq/core";
import { describe, expect, test } from "vitest";
import { decodeBlock, encodeBlock } from "../../src/wire/block-option.ts";
import { type CoapMessage, MessageType, OptionNumber } from "../../src/wire/coap-message.ts";
import { type Code, Method, Response } from "../../src/wire/code.ts";
import { findOption } from "../../src/wire/option-value.ts";
import { texts, uintOf } from "./toy-peer.ts";
import { createWorld, type World, type WorldOptions } from "./world.ts";

const CHANNEL = "actuators/valve";
const NAME = "coap:send:valve";
const sending = (more: object = {}): WorldOptions["client"] => ({
  send: [{ name: "valve", from: CHANNEL, url: "coap://10.0.0.9/valve", ...more }],
});
const answering =
  (code: Code, more: object = {}): NonNullable<WorldOptions["prepare"]> =>
  (peer) => {
    peer.serve = () => ({ code, ...more });
  };

interface Publishing {
  readonly payload?: string | Uint8Array;
  readonly channel?: string;
  readonly qos?: 0 | 1 | 2;
  readonly retain?: boolean;
  readonly contentType?: string;
  readonly ttlMs?: number;
}

/** Publishes and lets it happen; the receipt as it is then. */
async function publish(world: World, how: Publishing = {}): Promise<() => Promise<Receipt | undefined>> {
  const { payload = "open", channel = CHANNEL, qos = 1, ...rest } = how;
  const draft = { channel, qos, payload: Buffer.from(payload), ...rest };
  const { id } = await world.hub.port("test").publish(draft, "*");
  await world.settle();
  return () => world.port().receipt(id);
}
const outcomeAt = (receipt: Receipt | undefined): string | undefined => {
  const outcome = receipt?.outcomes.find(({ attachment }) => attachment === NAME);
  return outcome && [outcome.is, ...(outcome.reason === undefined ? [] : [outcome.reason])].join(": ");
};
const block1 = (message: CoapMessage): string | undefined => {
  const option = findOption(message.options, OptionNumber.block1);
  const block = option && decodeBlock(option.value);
  return block && `${block.num}/${block.more ? 1 : 0}/${16 << block.szx}`;
};

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

describe("bodies above 1,024 bytes", () => {
  const big = Uint8Array.from({ length: 5_000 }, (_, at) => (at * 7) & 0xff);
  const joined = (requests: readonly CoapMessage[]): Buffer =>
    Buffer.concat(requests.map(({ payload }) => payload));
  const taking =
    (szx: number, at = 0): NonNullable<WorldOptions["prepare"]> =>
    (peer) => {
      peer.serve = (request) => {
        const option = findOption(request.options, OptionNumber.block1);
        const asked = option && decodeBlock(option.value);
        if (asked === undefined) return { code: Response.changed };
        const value = encodeBlock({ ...asked, szx: asked.num >= at ? Math.min(szx, asked.szx) : asked.szx });
        return {
          code: asked.more ? Response.continue : Response.changed,
          options: [{ number: OptionNumber.block1, value }],
        };
      };
    };

  test("TD_COAP_BLOCK_03, RFC 7959 §2.5: they go in blocks, and the actuator may want smaller ones", async () => {
    await using world = await createWorld({ client: sending(), prepare: taking(6) });
    const receipt = await publish(world, { payload: big, qos: 2 });
    expect(outcomeAt(await receipt())).toBe("delivered");
    expect(world.peer.requests.map(block1)).toEqual([
      "0/1/1024",
      "1/1/1024",
      "2/1/1024",
      "3/1/1024",
      "4/0/1024",
    ]);
    expect(joined(world.peer.requests)).toEqual(Buffer.from(big));
    expect(world.peer.requests[0] && uintOf(world.peer.requests[0], OptionNumber.size1)).toBe(5_000);
  });

  test("RFC 7959 §2.9.3: a 4.13 that names a smaller block begins anew in such ones", async () => {
    await using world = await createWorld({ client: sending() });
    world.peer.serve = (request) => {
      const option = findOption(request.options, OptionNumber.block1);
      const asked = option && decodeBlock(option.value);
      if (asked === undefined) return { code: Response.badRequest };
      const value = encodeBlock({ ...asked, szx: Math.min(asked.szx, 4) });
      const options = [{ number: OptionNumber.block1, value }];
      if (asked.szx > 4) return { code: Response.requestEntityTooLarge, options };
      return { code: asked.more ? Response.continue : Response.changed, options };
    };
    const receipt = await publish(world, { payload: big, qos: 2 });
    expect(outcomeAt(await receipt())).toBe("delivered");
    expect(joined(world.peer.requests.slice(1))).toEqual(Buffer.from(big));
  });

  test("an error in the middle ends it; answers out of step are uncertain", async () => {
    await using world = await createWorld({ client: sending() });
    world.peer.serve = () => ({ code: Response.requestEntityTooLarge });
    expect(outcomeAt(await (await publish(world, { payload: big, qos: 2 }))())).toBe(
      "refused: answered 4.13",
    );
    expect(world.peer.requests).toHaveLength(1);
    for (const block of [
      { num: 9, more: true, szx: 6 },
      { num: 0, more: true, szx: 7 },
    ]) {
      world.peer.serve = () => ({
        code: Response.continue,
        options: [{ number: OptionNumber.block1, value: encodeBlock(block) }],
      });
      const receipt = await publish(world, { payload: big, qos: 2 });
      expect(outcomeAt(await receipt())).toBe("uncertain: block-out-of-step");
    }
    world.peer.serve = () => ({ code: Response.changed });
    const early = await publish(world, { payload: big, qos: 2 });
    expect(outcomeAt(await early())).toBe("uncertain: answered before the last block");
  });

  test("RFC 7959 §2.5: 4.08 begins anew at QoS 1 and 2; more than 1 MiB is too large", async () => {
    await using world = await createWorld({
      client: sending(),
      prepare: answering(Response.requestEntityIncomplete),
    });
    const receipt = await publish(world, { payload: big, qos: 2 });
    taking(6)(world.peer);
    await world.clock.advance(2_000);
    expect(outcomeAt(await receipt())).toBe("delivered");
    const huge = await publish(world, { payload: new Uint8Array(1_048_577), qos: 1 });
    expect(outcomeAt(await huge())).toBe("refused: too-large");
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
