import { describe, expect, test } from "vitest";
import { decodeBlock, encodeBlock } from "../../src/wire/block-option.ts";
import { type CoapMessage, MessageType, OptionNumber } from "../../src/wire/coap-message.ts";
import { Response } from "../../src/wire/code.ts";
import { findOption } from "../../src/wire/options.ts";
import { type Saying, texts } from "./toy-peer.ts";
import { createWorld, text, type World, type WorldOptions } from "./world.ts";

const CHANNEL = "roof/h";
const polling = (more: object = {}): WorldOptions["client"] => ({
  poll: [{ url: "coap://10.0.0.9/hum", channel: CHANNEL, every: 30_000, ...more }],
});
const etagIn = (request: CoapMessage | undefined): Uint8Array | undefined =>
  request && findOption(request.options, OptionNumber.etag)?.value;
const ETAG = Uint8Array.of(0xff, 0x80, 0xfe, 0x01);
const begun = async (options: WorldOptions): Promise<World> => {
  const world = await createWorld(options);
  await world.clock.advance(1_000);
  return world;
};

describe("polling", () => {
  test("reads at `every`, up to a tenth early, without Observe", async () => {
    let count = 0;
    const next = (): string => {
      count += 1;
      return `${count}`;
    };
    await using world = await begun({
      client: polling(),
      prepare: (peer) => {
        peer.serve = () => ({ payload: next(), format: 50 });
      },
    });
    expect(text(await world.latest(CHANNEL))).toBe("1");
    await world.clock.advance(300_000);
    expect(count).toBeGreaterThanOrEqual(11);
    expect(count).toBeLessThanOrEqual(13);
    expect(world.peer.requests.some(({ options }) => findOption(options, OptionNumber.observe))).toBe(false);
    expect(await world.latest(CHANNEL)).toMatchObject({ contentType: "application/json", retain: true });
  });

  test("RFC 7252 §5.10.6.2: an entity tag is sent back as the bytes it is; 2.03 lets the time run anew and no more", async () => {
    for (const maxAge of [60, undefined]) {
      const life = maxAge === undefined ? {} : { maxAge };
      await using world = await begun({
        client: polling(),
        prepare: (peer) => {
          peer.serve = (request) =>
            etagIn(request) === undefined
              ? { payload: "same", etag: ETAG, ...life }
              : { code: Response.valid, etag: ETAG, ...life };
        },
      });
      const first = await world.latest(CHANNEL);
      await world.clock.advance(90_000);
      expect(etagIn(world.peer.requests[1])).toEqual(ETAG);
      const now = await world.latest(CHANNEL);
      expect(text(now)).toBe("same");
      if (maxAge === undefined) expect(world.heard).toHaveLength(1);
      else expect(now?.expiresAt).toBeGreaterThan((first?.expiresAt ?? 0) + 60_000);
      expect(world.client.sensors()[0]).toMatchObject({ state: "fresh", mode: "polled" });
    }
  });

  test("a 4.04 clears, silence leaves the value stale, waits grow", async () => {
    await using world = await begun({
      client: polling(),
      prepare: (peer) => {
        peer.serve = () => ({ payload: "1" });
      },
    });
    world.peer.serve = () => undefined;
    await world.clock.advance(200_000);
    expect(world.client.sensors()[0]).toMatchObject({ state: "stale", reason: "no answer" });
    expect(text(await world.latest(CHANNEL))).toBe("1");
    world.peer.serve = () => ({ code: Response.notFound });
    await world.clock.advance(600_000);
    expect(world.client.sensors()[0]?.state).toBe("gone");
    expect(await world.latest(CHANNEL)).toBeUndefined();
    const before = world.peer.requests.length;
    await world.clock.advance(1_500_000);
    expect(world.peer.requests.length - before).toBeLessThan(12);
  });

  test("C03, C14: a copied acknowledgement appends nothing; a copied separate answer is acknowledged, not reset", async () => {
    const whole = "abcdefghijklmnopqrstuvwxyz".repeat(5);
    await using world = await createWorld({ client: polling() });
    world.peer.serve = (request) => {
      const option = findOption(request.options, OptionNumber.block2);
      const num = option === undefined ? 0 : (decodeBlock(option.value)?.num ?? 0);
      const value = encodeBlock({ num, more: (num + 1) * 32 < whole.length, szx: 1 });
      const answer = {
        payload: whole.slice(num * 32, num * 32 + 32),
        options: [{ number: OptionNumber.block2, value }],
        token: request.token,
      };
      if (num % 2 === 0) {
        const copy = { ...answer, id: request.messageId, type: MessageType.acknowledgement };
        world.peer.say(copy);
        return copy;
      }
      world.peer.say({ type: MessageType.acknowledgement, code: 0, id: request.messageId });
      world.peer.say({ ...answer, id: 9_000 + num });
      world.peer.say({ ...answer, id: 9_000 + num });
      return undefined;
    };
    await world.clock.advance(2_000);
    expect(text(await world.latest(CHANNEL))).toBe(whole);
    expect(world.peer.answers.map(({ type }) => type)).toEqual([2, 2, 2, 2]);
  });

  test("C02: a notification whose message id is that of our request does not answer it", async () => {
    await using world = await createWorld({
      client: { ...polling(), observe: [{ url: "coap://10.0.0.9/temp", channel: "roof/t" }] },
      prepare: (peer) => {
        peer.serve = (request) => {
          if (texts(request, OptionNumber.uriPath)[0] === "temp") return { observe: 1, payload: "t1" };
          peer.say({ token: peer.token(), observe: 2, payload: "t2", id: request.messageId });
          return { payload: "h1" };
        };
      },
    });
    await world.clock.advance(10_000);
    expect(text(await world.latest("roof/t"))).toBe("t2");
    expect(text(await world.latest(CHANNEL))).toBe("h1");
  });

  test("RFC 7252 §4.7: one request at a time with one peer, however many sensors it has", async () => {
    let open = 0;
    let most = 0;
    const channels = Array.from({ length: 20 }, (_, at) => `s/${at}`);
    await using world = await createWorld({
      client: {
        poll: channels.map((channel) => ({ url: `coap://10.0.0.9/${channel}`, channel, every: 60_000 })),
      },
    });
    world.peer.serve = (request) => {
      open += 1;
      most = Math.max(most, open);
      // Acknowledged at once, answered later: the request is outstanding all the same.
      world.clock.after(500, () => {
        open -= 1;
        world.peer.say({ token: request.token, payload: "x" });
      });
      return { code: 0, token: new Uint8Array() };
    };
    await world.clock.advance(20_000);
    expect(world.heard.map(({ channel }) => channel).sort()).toEqual([...channels].sort());
    expect(most).toBe(1);
  });

  test("answers without sense are counted and asked for again", async () => {
    await using world = await begun({
      client: polling({ every: 5_000 }),
      prepare: (peer) => {
        peer.serve = () => ({
          payload: "short",
          options: [{ number: OptionNumber.block2, value: encodeBlock({ num: 7, more: true, szx: 6 }) }],
        });
      },
    });
    await world.clock.advance(20_000);
    expect(world.heard).toEqual([]);
    const { refused } = world.client.counts();
    expect(Object.values(refused).reduce((sum, each) => sum + each, 0)).toBeGreaterThan(1);
  });

  const blocked = (piece: (num: number) => string, more: (num: number) => boolean, tag?: () => number) => {
    return (request: CoapMessage): Saying => {
      const option = findOption(request.options, OptionNumber.block2);
      const num = option === undefined ? 0 : (decodeBlock(option.value)?.num ?? 0);
      const value = encodeBlock({ num, more: more(num), szx: 0 });
      return {
        payload: piece(num),
        options: [{ number: OptionNumber.block2, value }],
        ...(tag === undefined ? {} : { etag: Uint8Array.of(0xff, tag()) }),
      };
    };
  };

  test("blocks of two versions never mix: the value is read anew", async () => {
    let reads = 0;
    const version = (): number => {
      reads += 1;
      return reads < 3 ? 1 : 2;
    };
    await using world = await begun({
      client: polling(),
      prepare: (peer) => {
        const serve = blocked(
          () => (reads < 2 ? "old-old-old-old-" : "new-new-new-new-"),
          (num) => num < 3,
          version,
        );
        peer.serve = serve;
      },
    });
    await world.settle();
    expect(world.heard.map(text)).toEqual(["new-new-new-new-".repeat(4)]);
  });

  test("a first block that comes where a later one was asked for begins a version, and is not appended", async () => {
    let reads = 0;
    await using world = await begun({
      client: polling(),
      prepare: (peer) => {
        peer.serve = (request) => {
          reads += 1;
          if (reads === 2) {
            const value = encodeBlock({ num: 0, more: true, szx: 0 });
            const options = [{ number: OptionNumber.block2, value }];
            return { payload: "new-new-new-new-", options, etag: Uint8Array.of(0xff, 2) };
          }
          const piece = reads < 2 ? "old-old-old-old-" : "new-new-new-new-";
          return blocked(
            () => piece,
            (num) => num < 3,
            () => (reads < 2 ? 1 : 2),
          )(request);
        };
      },
    });
    await world.settle();
    expect(world.heard.map(text)).toEqual(["new-new-new-new-".repeat(4)]);
  });

  test("blocks without end end at 4,096", async () => {
    await using world = await begun({
      client: polling(),
      prepare: (peer) => {
        peer.serve = blocked(
          () => "x".repeat(16),
          () => true,
        );
      },
    });
    for (let turn = 0; turn < 2_000 && world.peer.requests.length < 4_096; turn += 1) await world.settle();
    await world.settle();
    expect(world.peer.requests).toHaveLength(4_096);
    expect(world.client.counts().refused).toEqual({ "too-large": 1 });
  });
});
