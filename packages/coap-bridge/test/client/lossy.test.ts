import { createPrng } from "@nomq/core/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isNewer } from "../../src/client/order.ts";
import { decodeBlock, encodeBlock } from "../../src/wire/block-option.ts";
import { type CoapMessage, MessageType, OptionNumber } from "../../src/wire/coap-message.ts";
import { Method, Response } from "../../src/wire/code.ts";
import { findOption } from "../../src/wire/options.ts";
import type { Saying, ToyPeer } from "./toy-peer.ts";
import { createWorld, text, type World } from "./world.ts";

const LONG = process.env["NOMQ_LONG"] !== undefined;
const seeds = Array.from({ length: LONG ? 300 : 12 }, (_, at) => at + 1);

/** A sensor of blocks of 64 bytes that tells of its changes by CON, repeated until acknowledged, as RFC 7641 wants it. */
function createSensor(world: World): {
  change(state: string | undefined): void;
  readonly state: () => string;
} {
  const { peer, clock } = world;
  let state: string | undefined = "first";
  let number = 1;
  let id = 20_000;
  const answer = (num: number, observe?: number): Saying => {
    if (state === undefined) return { code: Response.notFound };
    const more = (num + 1) * 64 < state.length;
    const blocks =
      state.length > 64 ? [{ number: OptionNumber.block2, value: encodeBlock({ num, more, szx: 2 }) }] : [];
    return {
      payload: state.slice(num * 64, (num + 1) * 64),
      etag: Uint8Array.of(number >> 8, number & 0xff),
      options: blocks,
      ...(observe === undefined ? {} : { observe }),
    };
  };
  const cache = new Map<number, Saying>();
  peer.servesRepeats = true;
  peer.serve = (request: CoapMessage) => {
    const known = cache.get(request.messageId);
    if (known !== undefined) return known;
    const option = findOption(request.options, OptionNumber.block2);
    const num = option === undefined ? 0 : (decodeBlock(option.value)?.num ?? 0);
    const isRegistration = findOption(request.options, OptionNumber.observe) !== undefined;
    const said = answer(num, isRegistration ? number : undefined);
    cache.set(request.messageId, said);
    return said;
  };
  const repeat = (saying: Saying, left: number): void => {
    const isOver = peer.answers.some(({ messageId }) => messageId === saying.id);
    if (left === 0 || isOver) return;
    peer.say(saying);
    clock.after(2_500 * 2 ** (4 - left), () => repeat(saying, left - 1));
  };
  return {
    state: () => state ?? "",
    change(next) {
      state = next;
      number += 1;
      id += 1;
      repeat({ ...answer(0, next === undefined ? undefined : number), token: peer.token(), id }, 5);
    },
  };
}

const bodies = ["small", "b".repeat(300), undefined, "c".repeat(700), "e", "f".repeat(65)];

describe("over a network that loses, copies and reorders", () => {
  test.each(seeds)("a sensor's last state arrives, seed %i", async (seed) => {
    const prng = createPrng(seed);
    await using world = await createWorld({
      client: { observe: [{ url: "coap://10.0.0.9/x", channel: "x" }] },
      seed,
      isStarted: false,
    });
    const sensor = createSensor(world);
    world.network.change({ loss: 0.2, duplicate: 0.2, reorder: 0.2, holdMs: 700, delayMs: [1, 300] });
    await world.client.start();
    for (let step = 0; step < 12; step += 1) {
      await world.clock.advance(prng.between(1, 40_000));
      sensor.change(bodies[prng.between(0, bodies.length - 1)]);
    }
    world.network.change({ loss: 0, duplicate: 0, reorder: 0 });
    // The longest wait before it is asked again, the slowest series of repetitions, and the 60 s of no Max-Age.
    await world.clock.advance(300_000 + 93_000 + 80_000);
    expect(text(await world.latest("x")) ?? "").toBe(sensor.state());
    const states = new Set([...bodies.map((body) => body ?? ""), "first"]);
    expect(world.heard.filter((message) => !states.has(text(message) ?? ""))).toEqual([]);
  });

  test.each(seeds.slice(0, LONG ? 100 : 6))(
    "a QoS 2 write is carried out once or uncertain, seed %i",
    async (seed) => {
      await using world = await createWorld({
        client: { send: [{ name: "v", from: "v/#", url: "coap://10.0.0.9/v", method: "post" }] },
        seed,
      });
      const done = createActuator(world.peer);
      world.network.change({ loss: 0.3, duplicate: 0.2, reorder: 0.2, holdMs: 700, delayMs: [1, 300] });
      const ids: string[] = [];
      for (let at = 0; at < 15; at += 1) {
        const payload = Buffer.from(`${at},`.repeat(at % 3 === 0 ? 700 : 1));
        const { id } = await world.hub.port("test").publish({ channel: `v/${at}`, payload, qos: 2 }, "*");
        ids.push(id);
      }
      await world.clock.advance(3_600_000);
      for (const [at, id] of ids.entries()) {
        const outcome = (await world.port().receipt(id))?.outcomes.find(
          ({ attachment }) => attachment === "coap:send:v",
        );
        const times = done.get(`${at}`) ?? 0;
        expect(times).toBeLessThanOrEqual(1);
        if (outcome?.is === "delivered") expect(times).toBe(1);
        else expect(outcome?.is).toBe("uncertain");
      }
    },
  );
});

/** Counts what it has carried out, by the last segment of the path; a repeated request is answered and not carried out again. */
function createActuator(peer: ToyPeer): ReadonlyMap<string, number> {
  const done = new Map<string, number>();
  const answered = new Map<number, Saying>();
  const bodies = new Map<string, Buffer>();
  peer.servesRepeats = true;
  peer.serve = (request) => {
    const known = answered.get(request.messageId);
    if (known !== undefined) return known;
    const said = carryOut(request);
    answered.set(request.messageId, said);
    return said;
  };
  const carryOut = (request: CoapMessage): Saying => {
    const name = Buffer.from(
      request.options.findLast(({ number }) => number === OptionNumber.uriPath)?.value ?? [],
    ).toString();
    const option = findOption(request.options, OptionNumber.block1);
    const block = option && decodeBlock(option.value);
    const options = option === undefined ? [] : [option];
    const before = (block?.num ?? 0) === 0 ? Buffer.alloc(0) : (bodies.get(name) ?? Buffer.alloc(0));
    const body = Buffer.concat([before, request.payload]);
    bodies.set(name, body);
    if (block?.more === true) return { code: Response.continue, options };
    const isWhole = body.toString() === `${name},`.repeat(Number(name) % 3 === 0 ? 700 : 1);
    if (request.code === Method.post && isWhole) done.set(name, (done.get(name) ?? 0) + 1);
    return { type: MessageType.acknowledgement, code: Response.changed, options };
  };
  return done;
}

describe("order", () => {
  test("RFC 7641 §3.4: of two numbers less than 2^23 apart one is newer, and time makes every next one newer", () => {
    const number = fc.integer({ min: 0, max: 2 ** 24 - 1 });
    fc.assert(
      fc.property(number, fc.integer({ min: 1, max: 2 ** 23 - 1 }), fc.nat(128_000), (first, step, age) => {
        const newest = { number: first, at: 1_000 };
        const next = { number: (first + step) % 2 ** 24, at: 1_000 + age };
        expect(isNewer(newest, next)).toBe(true);
        expect(isNewer({ ...next, at: 1_000 }, { ...newest, at: 1_000 + age })).toBe(false);
        expect(isNewer(newest, { ...newest, at: 1_000 + age })).toBe(false);
        expect(isNewer(newest, { ...newest, at: 129_001 })).toBe(true);
      }),
      { seed: 3, numRuns: LONG ? 100_000 : 1_000 },
    );
  });
});
