import { describe, expect, test } from "vitest";
import { type CoapMessage, OptionNumber } from "../../src/wire/coap-message.ts";
import { Method, Response } from "../../src/wire/code.ts";
import { findOption } from "../../src/wire/options.ts";
import type { Saying, ToyPeer } from "./toy-peer.ts";
import { createWorld, text } from "./world.ts";

const VALUE = Uint8Array.of(9, 0, 255, 7);
const echoIn = ({ options }: CoapMessage): Uint8Array | undefined =>
  findOption(options, OptionNumber.echo)?.value;

/** A server that answers nobody who does not say back what it said. */
const careful =
  (answer: (request: CoapMessage) => Saying, isNeverContent = false) =>
  (peer: ToyPeer): void => {
    peer.serve = (request) => {
      if (!isNeverContent && echoIn(request) !== undefined) return answer(request);
      return { code: Response.unauthorized, options: [{ number: OptionNumber.echo, value: VALUE }] };
    };
  };

describe("a server that wants proof of our address (RFC 9175 §2.3)", () => {
  test("gets its Echo value back at once, from sensors and actuators alike", async () => {
    await using world = await createWorld({
      client: {
        observe: [{ url: "coap://10.0.0.9/t", channel: "t" }],
        poll: [{ url: "coap://10.0.0.9/h", channel: "h", every: 60_000 }],
        send: [{ name: "v", from: "v", url: "coap://10.0.0.9/v" }],
      },
      prepare: careful(({ code, options }) => {
        if (code === Method.put) return { code: Response.changed };
        return findOption(options, OptionNumber.observe) === undefined
          ? { payload: "read" }
          : { observe: 1, payload: "seen" };
      }),
    });
    const draft = { channel: "v", payload: Buffer.from("on"), qos: 2 } as const;
    const { id } = await world.hub.port("test").publish(draft, "*");
    await world.clock.advance(1_500);
    expect(text(await world.latest("t"))).toBe("seen");
    expect(text(await world.latest("h"))).toBe("read");
    expect((await world.port().receipt(id))?.outcomes).toContainEqual(
      expect.objectContaining({ attachment: "coap:send:v", is: "delivered" }),
    );
    expect(world.peer.requests).toHaveLength(6);
    expect(world.peer.requests.map(echoIn).filter((value) => value !== undefined)).toEqual(
      Array.from({ length: 3 }, () => VALUE),
    );
  });

  test("and is not asked without end where it is never content", async () => {
    await using world = await createWorld({
      client: {
        observe: [{ url: "coap://10.0.0.9/t", channel: "t" }],
        poll: [{ url: "coap://10.0.0.9/h", channel: "h", every: 10_000 }],
      },
      prepare: careful(() => ({}), true),
    });
    await world.clock.advance(60_000);
    expect(world.peer.requests.length).toBeLessThan(30);
    expect(world.client.sensors()).toMatchObject([
      { state: "waiting", reason: "answered 4.01" },
      { state: "waiting", reason: "answered 4.01" },
    ]);
  });
});
