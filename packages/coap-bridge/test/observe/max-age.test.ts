import { describe, expect, test } from "vitest";
import { OptionNumber } from "../../src/wire/coap-message.ts";
import { uintValue } from "../../src/wire/option-value.ts";
import { createNetworkWorld, type Device, type Got } from "./network-world.ts";

const OBSERVE = { observe: 0 as const, token: "obs" };
const notifications = ({ got }: Device): Got[] =>
  got.filter(({ token, type }) => token === "obs" && type !== "ACK");

describe("Max-Age, over the message layer", () => {
  test("a value without TTL is said again before its Max-Age of 60 s runs out", async () => {
    await using world = await createNetworkWorld();
    const ann = world.device(1);
    await world.publish("obs/x", "0");
    await ann.ask("get", "obs/x", OBSERVE);
    await world.clock.advance(600_000);
    const times = [0, ...notifications(ann).map(({ at }) => at)];
    expect(times.length).toBeGreaterThan(10);
    for (const [index, at] of times.slice(1).entries()) expect(at - (times[index] ?? 0)).toBeLessThan(60_000);
  });

  test("a value that expires is an empty 2.05 with Observe", async () => {
    await using world = await createNetworkWorld();
    const ann = world.device(1);
    await world.publish("obs/x", "0", { ttlMs: 30_000 });
    const first = await ann.ask("get", "obs/x", OBSERVE);
    expect(first.option(OptionNumber.maxAge)).toEqual(uintValue(30));
    await world.clock.advance(30_100);
    expect(notifications(ann).at(-1)).toMatchObject({ code: "2.05", text: "" });
    expect(notifications(ann).at(-1)?.observe).toBeDefined();
    expect((await world.device(2).ask("get", "obs/x")).code).toBe("4.04");
  });

  test("Max-Age is what is left when it is said, also to who hears it late", async () => {
    await using world = await createNetworkWorld();
    const [ann, ben] = [world.device(1), world.device(2)];
    await world.publish("obs/x", "0");
    for (const one of [ann, ben]) await one.ask("get", "obs/x", OBSERVE);
    ann.manners = "silent";
    await world.publish("obs/x", "1");
    await world.publish("obs/x", "2", { ttlMs: 30_000 });
    ann.manners = "acknowledge";
    await world.clock.advance(5_000);
    const maxAge = (one: Device) => notifications(one).at(-1)?.option(OptionNumber.maxAge)?.[0] ?? 0;
    expect([notifications(ann).at(-1)?.text, notifications(ben).at(-1)?.text]).toEqual(["2", "2"]);
    expect(maxAge(ben)).toBe(30);
    expect(maxAge(ann)).toBeLessThan(29);
    expect(maxAge(ann)).toBeGreaterThan(24);
  });

  test("an unknown channel is 4.04, and nobody observes it", async () => {
    await using world = await createNetworkWorld();
    expect(await world.device(1).ask("get", "no/such", OBSERVE)).toMatchObject({
      code: "4.04",
      observe: undefined,
    });
    expect(world.server.observers.counts().observers).toBe(0);
  });
});
