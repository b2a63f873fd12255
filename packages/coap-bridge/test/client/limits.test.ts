import { createMemoryStore } from "@nomq/core";
import { createFaultyStore } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { decodeBlock, encodeBlock } from "../../src/wire/block-option.ts";
import { type CoapMessage, MessageType, OptionNumber } from "../../src/wire/coap-message.ts";
import { Response } from "../../src/wire/code.ts";
import { findOption } from "../../src/wire/options.ts";
import { observing, willing } from "./observing.ts";
import { outcomeAt, publish, sending } from "./sending.ts";
import type { ToyPeer } from "./toy-peer.ts";
import { createWorld, type World } from "./world.ts";

/** Answers each request a minute later, with one more block. */
function dripping(world: World, peer: ToyPeer): void {
  peer.serve = (request: CoapMessage) => {
    const up = findOption(request.options, OptionNumber.block1);
    const down = findOption(request.options, OptionNumber.block2);
    const num = down === undefined ? 0 : (decodeBlock(down.value)?.num ?? 0);
    const answer =
      up === undefined
        ? {
            payload: "x".repeat(16),
            options: [{ number: OptionNumber.block2, value: encodeBlock({ num, more: true, szx: 0 }) }],
          }
        : { code: Response.continue, options: [up] };
    world.clock.after(60_000, () => peer.say({ ...answer, token: request.token }));
    return { type: MessageType.acknowledgement, code: 0, token: new Uint8Array() };
  };
}

describe("bounds", () => {
  test("an operation of many blocks takes ten minutes at most: polled, observed and written", async () => {
    await using world = await createWorld({
      client: {
        poll: [{ url: "coap://10.0.0.9/h", channel: "h", every: 3_600_000 }],
        ...sending(),
      },
    });
    dripping(world, world.peer);
    await world.clock.advance(605_000);
    expect(world.client.counts().refused).toEqual({ "too-slow": 1 });
    const receipt = await publish(world, { payload: new Uint8Array(20_000), qos: 2 });
    await world.clock.advance(605_000);
    expect(outcomeAt(await receipt())).toBe("uncertain: too-slow");
    await using other = await createWorld({ client: observing() });
    dripping(other, other.peer);
    other.peer.servesRepeats = true;
    await other.clock.advance(900_000);
    expect(other.client.counts().refused).toMatchObject({ "too-slow": 1 });
    expect(other.heard).toEqual([]);
  });

  test("a store that hangs keeps nobody from stopping", async () => {
    const store = createFaultyStore(createMemoryStore());
    const world = await createWorld({ client: observing(), store, isStarted: false, prepare: willing() });
    await world.client.start();
    store.hang();
    await world.settle();
    expect(world.peer.requests).toHaveLength(1);
    const stopping = world.client.stop();
    await world.settle();
    await stopping;
    store.heal();
    await world[Symbol.asyncDispose]();
    expect(world.clock.pending()).toBe(0);
  });

  test("a store that takes nothing keeps nobody from starting, and the value comes once it does", async () => {
    const store = createFaultyStore(createMemoryStore());
    await using world = await createWorld({
      client: observing(),
      store,
      isStarted: false,
      prepare: willing(),
    });
    store.fail();
    await world.client.start();
    await world.settle();
    expect(world.peer.requests).toHaveLength(1);
    expect(await world.latest("roof/t")).toBeUndefined();
    store.heal();
    await world.clock.advance(70_000);
    expect(await world.latest("roof/t")).toBeDefined();
  });
});
