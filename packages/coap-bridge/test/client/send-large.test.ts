import { describe, expect, test } from "vitest";
import { decodeBlock, encodeBlock } from "../../src/wire/block-option.ts";
import { type CoapMessage, OptionNumber } from "../../src/wire/coap-message.ts";
import { Response } from "../../src/wire/code.ts";
import { findOption } from "../../src/wire/options.ts";
import { answering, block1, outcomeAt, publish, sending } from "./sending.ts";
import { uintOf } from "./toy-peer.ts";
import { createWorld, type WorldOptions } from "./world.ts";

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

  test("a long path leaves room for smaller blocks only; one that leaves none is refused and not sent", async () => {
    await using world = await createWorld({
      client: sending({ from: "act/#" }),
      prepare: taking(6),
    });
    const levels = (count: number): string =>
      ["act", ...Array.from({ length: count }, () => "l".repeat(200))].join("/");
    const receipt = await publish(world, { channel: levels(3), payload: big, qos: 2 });
    expect(outcomeAt(await receipt())).toBe("delivered");
    expect(world.peer.requests.map(block1).at(0)).toBe("0/1/512");
    expect(joined(world.peer.requests)).toEqual(Buffer.from(big));
    const before = world.peer.requests.length;
    const none = await publish(world, { channel: levels(7), qos: 1 });
    expect(outcomeAt(await none())).toBe("refused: path-too-long");
    expect(world.peer.requests).toHaveLength(before);
  });
});
