import { describe, expect, test } from "vitest";
import { OptionNumber } from "../../src/wire/coap-message.ts";
import { Method } from "../../src/wire/code.ts";
import { readUint } from "../../src/wire/option-value.ts";
import { findOption } from "../../src/wire/options.ts";
import {
  type Asking,
  block,
  bodyOf,
  codeOf,
  createToyServer,
  etag,
  said,
  type ToyServer,
  uint,
} from "./toy-server.ts";

const { block2, size2, maxAge, observe } = OptionNumber;
const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();

/** A server with a value of so many bytes at `big`, ETag `v1`. */
function serverWith(length: number): ToyServer {
  const server = createToyServer();
  server.values.set("big", { payload: bodyOf(length), options: [etag("v1")] });
  return server;
}

/** Fetches all blocks from a number on, as a client does; the payloads joined, and the ETags seen. */
async function fetchFrom(
  server: ToyServer,
  first: Asking,
  from = 0,
): Promise<{ body: Buffer; etags: Set<string> }> {
  const parts: Uint8Array[] = [];
  const etags = new Set<string>();
  const szx = first.block2?.szx ?? 6;
  for (let num = from; ; num += 1) {
    const answer = await server.ask(num === 0 ? first : { ...first, block2: block(num, false, szx) });
    parts.push(answer.payload);
    etags.add(text(findOption(answer.options, OptionNumber.etag)?.value));
    if (said(answer, block2)?.split("/")[1] !== "1") return { body: Buffer.concat(parts), etags };
  }
}

describe("RFC 7959 §2.4: a large response goes in blocks", () => {
  test("TD_COAP_BLOCK_01 early negotiation: the client names its size in the first request", async () => {
    const server = serverWith(5000);
    const first = await server.ask({ block2: block(0, false, 2) });
    expect([codeOf(first), said(first, block2), first.payload.length]).toEqual(["2.05", "0/1/64", 64]);
    const { body, etags } = await fetchFrom(server, { block2: block(0, false, 2) });
    expect(body).toEqual(Buffer.from(bodyOf(5000)));
    expect([...etags]).toEqual(["v1"]);
  });

  test("TD_COAP_BLOCK_02 late negotiation: the client goes on with smaller blocks, counted from the same bytes", async () => {
    const server = serverWith(5000);
    const first = await server.ask({});
    expect([said(first, block2), first.payload.length]).toEqual(["0/1/1024", 1024]);
    const rest = await fetchFrom(server, { block2: block(0, false, 2) }, 1024 / 64);
    expect(Buffer.concat([first.payload, rest.body])).toEqual(Buffer.from(bodyOf(5000)));
  });

  test("TD_COAP_BLOCK_06: down to 16 bytes, also where the option is no byte long", async () => {
    const server = serverWith(1000);
    const first = await server.ask({ block2: block(0, false, 0) });
    expect([said(first, block2), first.payload.length]).toEqual(["0/1/16", 16]);
    const { body } = await fetchFrom(server, { block2: block(0, false, 0) });
    expect(body).toEqual(Buffer.from(bodyOf(1000)));
  });

  test("a value that fits one block has no Block2 unless it was asked for", async () => {
    const server = serverWith(1024);
    expect(said(await server.ask({}), block2)).toBeUndefined();
    expect(said(await server.ask({ block2: block(0, false, 6) }), block2)).toBe("0/0/1024");
    server.values.set("big", { payload: bodyOf(1025), options: [etag("v2")] });
    expect(said(await server.ask({}), block2)).toBe("0/1/1024");
    expect(said(await server.ask({ block2: block(1, false, 6) }), block2)).toBe("1/0/1024");
  });

  test("RFC 7959 §4: the first block says the size of all, others where they are asked", async () => {
    const server = serverWith(5000);
    const sizeIn = async (asking: Asking): Promise<number | undefined> => {
      const value = findOption((await server.ask(asking)).options, size2)?.value;
      return value && readUint(value, 4);
    };
    expect(await sizeIn({})).toBe(5000);
    expect(await sizeIn({ block2: block(1, false, 6) })).toBeUndefined();
    expect(await sizeIn({ block2: block(1, false, 6), options: [uint(size2, 0)] })).toBe(5000);
  });

  test("a number beyond the end is 4.00, the largest there is too", async () => {
    const server = serverWith(5000);
    expect(codeOf(await server.ask({ block2: block(5, false, 6) }))).toBe("4.00");
    expect(codeOf(await server.ask({ block2: block(1_048_575, false, 6) }))).toBe("4.00");
    expect(server.blocks.counts().snapshotBytes).toBeLessThanOrEqual(5000);
  });

  test("RFC 7959 §2.2: block size 7 is 4.00, an option of four bytes 4.02", async () => {
    const server = serverWith(5000);
    expect(codeOf(await server.ask({ block2: block(0, false, 7) }))).toBe("4.00");
    const tooLong = { number: block2, value: Uint8Array.of(0, 0, 0, 6) };
    expect(codeOf(await server.ask({ options: [tooLong] }))).toBe("4.02");
  });

  test("errors are not cut", async () => {
    const server = createToyServer();
    const answer = await server.ask({ block2: block(3, false, 6) });
    expect([codeOf(answer), said(answer, block2)]).toEqual(["4.04", undefined]);
  });
});

describe("RFC 7959 §2.4: a value that changes between blocks", () => {
  const changed = { payload: bodyOf(4000, 1), options: [etag("v2")] };

  test("whoever has begun a version goes on with it; whoever begins anew gets the new one", async () => {
    const server = serverWith(3000);
    await server.ask({});
    server.values.set("big", changed);
    const rest = await fetchFrom(server, {}, 1);
    expect([...rest.etags]).toEqual(["v1"]);
    expect(rest.body).toEqual(Buffer.from(bodyOf(3000).subarray(1024)));
    const anew = await fetchFrom(server, {});
    expect([...anew.etags]).toEqual(["v2"]);
    expect(anew.body).toEqual(Buffer.from(changed.payload));
  });

  test("another endpoint, or another Accept, gets what is current, under its own ETag", async () => {
    const server = serverWith(3000);
    await server.ask({});
    server.values.set("big", changed);
    const others: readonly Asking[] = [{ from: "two" }, { options: [uint(OptionNumber.accept, 60)] }];
    for (const other of others) {
      const answer = await server.ask({ ...other, block2: block(1, false, 6) });
      expect(text(findOption(answer.options, OptionNumber.etag)?.value)).toBe("v2");
    }
  });

  test("after the version was let go, the ETag says that the block is of another", async () => {
    const server = serverWith(3000);
    await server.ask({});
    server.values.set("big", changed);
    await server.clock.advance(93_000);
    expect(server.blocks.counts()).toMatchObject({ snapshots: 0, snapshotBytes: 0 });
    const answer = await server.ask({ block2: block(1, false, 6) });
    expect(text(findOption(answer.options, OptionNumber.etag)?.value)).toBe("v2");
  });

  test("a version lives no longer than its value, and its Max-Age runs on", async () => {
    const server = createToyServer();
    const options = [etag("v1"), uint(maxAge, 30)];
    server.values.set("big", { payload: bodyOf(3000), options, expiresInMs: 30_500 });
    await server.ask({});
    server.values.delete("big");
    await server.clock.advance(12_300);
    const later = await server.ask({ block2: block(1, false, 6) });
    expect(readUint(findOption(later.options, maxAge)?.value ?? new Uint8Array(9), 4)).toBe(18);
    await server.clock.advance(18_200);
    expect(codeOf(await server.ask({ block2: block(2, false, 6) }))).toBe("4.04");
  });

  test("the same bytes said in two ways are two transfers: each keeps its format, ETag, Max-Age and end", async () => {
    const server = createToyServer();
    const payload = bodyOf(3000);
    const say = (tag: string, format: number, seconds: number): void => {
      const options = [etag(tag), uint(OptionNumber.contentFormat, format), uint(maxAge, seconds)];
      server.values.set("big", { payload, options, expiresInMs: seconds * 1000 });
    };
    say("text", 0, 60);
    await server.ask({ options: [uint(OptionNumber.accept, 0)] });
    await server.clock.advance(50_000);
    say("json", 50, 10);
    await server.ask({ options: [uint(OptionNumber.accept, 50)] });
    expect(server.blocks.counts()).toMatchObject({ snapshots: 2, snapshotBytes: 3000 });
    server.values.delete("big");
    await server.clock.advance(8000);
    const facts = async (format: number): Promise<unknown> => {
      const { options } = await server.ask({
        options: [uint(OptionNumber.accept, format)],
        block2: block(1, false, 6),
      });
      const number = (of: number): number | undefined =>
        readUint(findOption(options, of)?.value ?? new Uint8Array(9), 4);
      return [
        text(findOption(options, OptionNumber.etag)?.value),
        number(OptionNumber.contentFormat),
        number(maxAge),
      ];
    };
    expect(await facts(0)).toEqual(["text", 0, 2]);
    expect(await facts(50)).toEqual(["json", 50, 2]);
    await server.clock.advance(2000);
    for (const format of [0, 50]) {
      const over = { options: [uint(OptionNumber.accept, format)], block2: block(2, false, 6) };
      expect(codeOf(await server.ask(over))).toBe("4.04");
    }
    expect(server.blocks.counts()).toMatchObject({ snapshots: 0, snapshotBytes: 0 });
  });

  test("a response without ETag gets one that tells its versions apart", async () => {
    const server = createToyServer();
    const seen = new Set<string>();
    for (const seed of [1, 2, 3]) {
      server.values.set("big", { payload: bodyOf(3000, seed), options: [] });
      for (const etagSeen of (await fetchFrom(server, {})).etags) seen.add(etagSeen);
    }
    expect(seen.size).toBe(3);
    expect(seen).not.toContain("");
  });
});

describe("RFC 7959 §3.4: large values and observation", () => {
  test("a number together with Observe is 4.00: the rest is fetched by plain GETs", async () => {
    const server = serverWith(3000);
    expect(codeOf(await server.ask({ options: [uint(observe, 0)], block2: block(1, false, 6) }))).toBe(
      "4.00",
    );
    expect(codeOf(await server.ask({ options: [uint(observe, 0)], block2: block(0, false, 6) }))).toBe(
      "2.05",
    );
  });
});

test("RFC 7959 §3.4: blocks after the first say nothing of Observe", async () => {
  const server = createToyServer();
  server.values.set("big", { payload: bodyOf(3000), options: [etag("v1"), uint(observe, 7)] });
  const answers = [
    await server.ask({ options: [uint(observe, 0)] }),
    await server.ask({ block2: block(1, false, 6) }),
  ];
  expect(answers.map(({ options }) => findOption(options, observe) !== undefined)).toEqual([true, false]);
});

test("RFC 7959 §2.3: a further block of a POST's answer never runs it again", async () => {
  const server = serverWith(3000);
  const post = { code: Method.post, payload: bodyOf(10) };
  expect(said(await server.ask(post), block2)).toBe("0/1/1024");
  const rest = await fetchFrom(server, { code: Method.post }, 1);
  expect(rest.body.length).toBe(3000 - 1024);
  await server.clock.advance(93_000);
  expect(codeOf(await server.ask({ code: Method.post, block2: block(1, false, 6) }))).toBe("4.08");
  expect(server.ran.length).toBe(1);
});
