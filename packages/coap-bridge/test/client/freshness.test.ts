import { describe, expect, test } from "vitest";
import { CHANNEL, observing, stateOf, willing } from "./observing.ts";
import { createWorld, text } from "./world.ts";

describe("freshness", () => {
  test("TD_COAP_OBS_04, RFC 7641 §3.3.1: nothing within Max-Age and 5 to 15 s more: registered again with the same token", async () => {
    await using world = await createWorld({ client: observing(), prepare: willing(60) });
    await world.clock.advance(64_900);
    expect(world.peer.requests).toHaveLength(1);
    expect(stateOf(world)).toBe("stale");
    await world.clock.advance(10_200);
    expect(world.peer.requests).toHaveLength(2);
    expect(world.peer.requests[1]?.token).toEqual(world.peer.requests[0]?.token);
    expect(stateOf(world)).toBe("fresh");
  });

  test("a notification in time puts it off", async () => {
    await using world = await createWorld({ client: observing(), prepare: willing(60) });
    for (let number = 20; number < 25; number += 1) {
      await world.clock.advance(50_000);
      world.peer.say({ token: world.peer.token(), observe: number, maxAge: 60, payload: `${number}` });
    }
    await world.settle();
    expect(world.peer.requests).toHaveLength(1);
    expect(stateOf(world)).toBe("fresh");
  });

  test("a missing Max-Age marks the value stale after 60 s and keeps it; with `expire` it ends then", async () => {
    for (const expire of [false, true]) {
      await using world = await createWorld({ client: observing({ expire }), prepare: willing() });
      world.peer.serve = () => undefined;
      await world.clock.advance(59_000);
      expect(stateOf(world)).toBe("fresh");
      await world.clock.advance(2_000);
      expect(stateOf(world)).toBe("stale");
      expect(text(await world.latest(CHANNEL))).toBe(expire ? undefined : "1");
    }
  });

  test("RFC 7252 §4.8.2: silence is five transmissions and 93 s; then it is asked again, and its name looked up", async () => {
    let lookups = 0;
    await using world = await createWorld({
      client: { observe: [{ url: "coap://sensor/temp", channel: CHANNEL }] },
      resolve: async () => {
        lookups += 1;
        return ["10.0.0.9"];
      },
    });
    await world.clock.advance(100_000);
    const [first] = world.peer.requests;
    expect(world.peer.requests.filter(({ messageId }) => messageId === first?.messageId)).toHaveLength(5);
    expect(lookups).toBe(2);
    expect(new Set(world.peer.requests.map(({ messageId }) => messageId)).size).toBe(2);
    expect(new Set(world.peer.requests.map(({ token }) => `${token}`)).size).toBe(1);
    expect(world.client.sensors()[0]).toMatchObject({ state: "waiting", reason: "no answer" });
  });

  test("an equal value that we asked for again is not told again; one with an end is, for its time runs anew", async () => {
    for (const maxAge of [undefined, 60]) {
      await using world = await createWorld({ client: observing(), prepare: willing(maxAge) });
      await world.clock.advance(76_000);
      expect(world.peer.requests).toHaveLength(2);
      expect(world.heard).toHaveLength(maxAge === undefined ? 1 : 2);
    }
  });
});

test("a quiet sensor is no news; one that was asked in vain is said once, and once when it is well again", async () => {
  const said: string[] = [];
  const note = (text: string): void => void said.push(text);
  await using world = await createWorld({
    client: observing(),
    prepare: willing(),
    log: { debug: () => undefined, info: note, warn: note, error: note },
  });
  await world.clock.advance(300_000);
  expect(world.peer.requests.length).toBeGreaterThan(3);
  expect(said).toEqual([]);
  const { serve } = world.peer;
  world.peer.serve = () => undefined;
  await world.clock.advance(600_000);
  expect(said).toEqual(["no value from a sensor"]);
  world.peer.serve = serve;
  await world.clock.advance(400_000);
  expect(said).toEqual(["no value from a sensor", "sensor well again"]);
});
