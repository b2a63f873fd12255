import { describe, expect, test } from "vitest";
import { decodeBlock, encodeBlock } from "../../src/wire/block-option.ts";
import { type CoapMessage, type CoapOption, MessageType, OptionNumber } from "../../src/wire/coap-message.ts";
import { Response } from "../../src/wire/code.ts";
import { uintValue } from "../../src/wire/option-value.ts";
import { findOption } from "../../src/wire/options.ts";
import type { Saying, ToyPeer } from "./toy-peer.ts";
import { createWorld, text, type World } from "./world.ts";

const CHANNEL = "cam/list";
const client = { observe: [{ url: "coap://10.0.0.9/big", channel: CHANNEL }] };
const body = (length: number, letter = "a"): string =>
  Array.from({ length }, (_, at) => String.fromCharCode(letter.charCodeAt(0) + ((at >> 4) % 20))).join("");
const asked = (request: CoapMessage): number => {
  const option = findOption(request.options, OptionNumber.block2);
  return option === undefined ? 0 : (decodeBlock(option.value)?.num ?? -1);
};
const isRegistration = (request: CoapMessage): boolean =>
  findOption(request.options, OptionNumber.observe) !== undefined;

interface Version {
  readonly whole: string;
  readonly etag?: Uint8Array;
  readonly size2?: number;
}

/** One block of a version, as a server of 64-byte blocks says it. */
function blockOf({ whole, etag, size2 }: Version, num: number): Saying {
  const size = 64;
  const piece = whole.slice(num * size, (num + 1) * size);
  const more = (num + 1) * size < whole.length;
  const options: CoapOption[] = [{ number: OptionNumber.block2, value: encodeBlock({ num, more, szx: 2 }) }];
  if (size2 !== undefined) options.push({ number: OptionNumber.size2, value: uintValue(size2) });
  return { payload: piece, options, ...(etag === undefined ? {} : { etag }) };
}

/** Serves what `version` says at each request. */
const serving = (peer: ToyPeer, version: () => Version): void => {
  let number = 1;
  peer.serve = (request) => {
    number += 1;
    return {
      ...blockOf(version(), asked(request)),
      ...(isRegistration(request) ? { observe: number } : {}),
    };
  };
};
const valueIn = async (world: World): Promise<string | undefined> => text(await world.latest(CHANNEL));

const one = Uint8Array.of(0xff, 0x80, 0xfe, 0x01);
const two = Uint8Array.of(0xff, 0x80, 0xfe, 0x02);

describe("values larger than a block", () => {
  test("TD_COAP_OBS_13, RFC 7959 §2.6: the rest is fetched without Observe, with other tokens", async () => {
    await using world = await createWorld({
      client,
      prepare: (peer) => serving(peer, () => ({ whole: body(1_000), etag: one, size2: 1_000 })),
    });
    expect(await valueIn(world)).toBe(body(1_000));
    const [registration, ...rest] = world.peer.requests;
    expect(rest).toHaveLength(15);
    expect(rest.some(isRegistration)).toBe(false);
    expect(rest.every(({ token }) => `${token}` !== `${registration?.token}`)).toBe(true);
    expect(rest.map(asked)).toEqual(rest.map((_, at) => at + 1));
  });

  test("C04: the second large value comes as the first did", async () => {
    let letter = "a";
    await using world = await createWorld({
      client,
      prepare: (peer) => serving(peer, () => ({ whole: body(300, letter) })),
    });
    expect(await valueIn(world)).toBe(body(300, "a"));
    letter = "f";
    world.peer.say({ ...blockOf({ whole: body(300, "f") }, 0), token: world.peer.token(), observe: 40 });
    await world.settle();
    expect(await valueIn(world)).toBe(body(300, "f"));
  });

  test("C06: blocks of two versions never mix, though their entity tags differ in no text", async () => {
    const first = { whole: body(300, "a"), etag: one };
    const versions: Version[] = [first, first];
    const fresh = { whole: body(300, "f"), etag: two };
    await using world = await createWorld({
      client,
      prepare: (peer) => serving(peer, () => versions.shift() ?? fresh),
    });
    expect(await valueIn(world)).toBe(body(300, "f"));
    expect(world.heard).toHaveLength(1);
  });

  test("C05: a newer value that comes while blocks are fetched is the one that counts", async () => {
    await using world = await createWorld({
      client,
      prepare: (peer) => {
        serving(peer, () => ({ whole: body(300, "a") }));
        const { serve } = peer;
        peer.serve = (request) => (asked(request) === 2 ? undefined : serve(request));
      },
    });
    expect(await valueIn(world)).toBeUndefined();
    world.peer.say({ token: world.peer.token(), observe: 40, payload: "small" });
    await world.settle();
    expect(await valueIn(world)).toBe("small");
    // The block comes after all: nobody waits for it any more.
    const { token, messageId: id } = world.peer.requests.at(-1) ?? { token: new Uint8Array(), messageId: 0 };
    world.peer.say({
      ...blockOf({ whole: body(300, "a") }, 2),
      type: MessageType.acknowledgement,
      token,
      id,
    });
    await world.clock.advance(5_000);
    expect(world.heard.map(text)).toEqual(["small"]);
    expect(world.client.counts().refused).toEqual({});
  });

  test("a value that changes with every block is given up and asked for again, and never told", async () => {
    let served = 0;
    const next = (): Version => {
      served += 1;
      return { whole: body(300), etag: Uint8Array.of(served) };
    };
    await using world = await createWorld({ client, prepare: (peer) => serving(peer, next) });
    expect(world.client.counts().refused["changing"]).toBe(1);
    expect(world.heard).toEqual([]);
    const before = world.peer.requests.length;
    await world.clock.advance(6_000);
    expect(world.peer.requests.length).toBeGreaterThan(before);
  });

  test("blocks without end end at 1 MiB or 4,096; what is announced larger is not begun; Size2 is kept to", async () => {
    const endless = (szx: number): ((request: CoapMessage) => Saying) => {
      return (request) => ({
        payload: "x".repeat(16 << szx),
        options: [
          { number: OptionNumber.block2, value: encodeBlock({ num: asked(request), more: true, szx }) },
        ],
        ...(isRegistration(request) ? { observe: 3 } : {}),
      });
    };
    for (const [szx, most] of [
      [0, 4_096],
      [6, 1_025],
    ] as const) {
      await using world = await createWorld({
        client,
        prepare: (peer) => {
          peer.serve = endless(szx);
        },
      });
      for (let turn = 0; turn < 400 && world.client.counts().refused["too-large"] === undefined; turn += 1) {
        await world.settle();
      }
      expect(world.client.counts().refused).toEqual({ "too-large": 1 });
      expect(world.peer.requests).toHaveLength(most);
      expect(world.heard).toEqual([]);
    }
    for (const [size2, reason] of [
      [2 ** 30, "too-large"],
      [200, "cut-short"],
    ] as const) {
      await using world = await createWorld({
        client,
        prepare: (peer) => serving(peer, () => ({ whole: body(128), size2 })),
      });
      expect(world.client.counts().refused).toEqual({ [reason]: 1 });
      expect(world.heard).toEqual([]);
    }
  });

  test("block numbers, sizes and lengths that make no sense end the fetch", async () => {
    const blocks = [
      { num: 1_048_575, more: true, szx: 6 },
      { num: 0, more: true, szx: 7 },
      { num: 3, more: false, szx: 2 },
    ];
    for (const block of blocks) {
      await using world = await createWorld({
        client,
        prepare: (peer) => {
          peer.serve = (request) => ({
            payload: "short",
            options: [{ number: OptionNumber.block2, value: encodeBlock(block) }],
            ...(isRegistration(request) ? { observe: 3 } : {}),
          });
        },
      });
      await world.settle();
      expect(world.heard).toEqual([]);
      expect(world.peer.requests.length).toBeLessThan(8);
      expect(Object.keys(world.client.counts().refused)).toHaveLength(1);
    }
  });

  test("an error at a later block leaves the old value", async () => {
    await using world = await createWorld({
      client,
      prepare: (peer) => {
        serving(peer, () => ({ whole: body(300) }));
        const { serve } = peer;
        peer.serve = (request) =>
          asked(request) === 1 ? { code: Response.requestEntityIncomplete } : serve(request);
      },
    });
    expect(world.heard).toEqual([]);
    expect(world.client.counts().refused).toEqual({ "block-answered-4.08": 1 });
  });
});
