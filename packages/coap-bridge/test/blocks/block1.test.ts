import { describe, expect, test } from "vitest";
import { OptionNumber } from "../../src/wire/coap-message.ts";
import { Method } from "../../src/wire/code.ts";
import { codes, part, send, uintOf } from "./sending.ts";
import {
  type Asking,
  block,
  bodyOf,
  codeOf,
  createToyServer,
  MOST,
  said,
  type ToyServer,
  tag,
  uint,
} from "./toy-server.ts";

const { block1, block2, size1, contentFormat } = OptionNumber;

const bodies = (server: ToyServer): Buffer[] => server.ran.map(({ body }) => Buffer.from(body));

describe("RFC 7959 §2.5: a body comes in blocks, and its method runs once on all of it", () => {
  test("TD_COAP_BLOCK_03: PUT, with another token for every block", async () => {
    const server = createToyServer();
    const body = bodyOf(200);
    const answers = await send(server, { body, szx: 2 }, [0, 1, 2, 3]);
    expect(codes(answers)).toEqual(["2.31", "2.31", "2.31", "2.04"]);
    expect(answers.map((answer) => said(answer, block1))).toEqual(["0/1/64", "1/1/64", "2/1/64", "3/0/64"]);
    expect(bodies(server)).toEqual([Buffer.from(body)]);
    expect(server.blocks.counts()).toMatchObject({ uploads: 0, uploadBytes: 0 });
  });

  test("TD_COAP_BLOCK_04: POST", async () => {
    const server = createToyServer();
    server.values.set("big", { payload: Buffer.from("taken"), options: [] });
    const answers = await send(server, { code: Method.post, body: bodyOf(100), szx: 2 }, [0, 1]);
    expect(codes(answers)).toEqual(["2.31", "2.05"]);
    expect(bodies(server)).toEqual([Buffer.from(bodyOf(100))]);
  });

  test("TD_COAP_BLOCK_05: POST both ways; the last request names the size of the answer's blocks", async () => {
    const server = createToyServer();
    server.values.set("big", { payload: bodyOf(150, 9), options: [] });
    const sending = { code: Method.post, body: bodyOf(130), szx: 2 };
    const sent = await send(server, sending, [0, 1]);
    const last = await server.ask({ ...part(sending, 2), block2: block(0, false, 2) });
    expect(codes([...sent, last])).toEqual(["2.31", "2.31", "2.05"]);
    expect([said(last, block1), said(last, block2)]).toEqual(["2/0/64", "0/1/64"]);
    const second = await server.ask({ code: Method.post, block2: block(1, false, 2) });
    const third = await server.ask({ code: Method.post, block2: block(2, false, 2) });
    expect(said(third, block2)).toBe("2/0/64");
    expect(Buffer.concat([last.payload, second.payload, third.payload])).toEqual(Buffer.from(bodyOf(150, 9)));
    expect(server.ran.length).toBe(1);
  });

  test("a body of one block", async () => {
    const server = createToyServer();
    const [answer] = await send(server, { body: bodyOf(60), szx: 2 }, [0]);
    expect([answer && codeOf(answer), answer && said(answer, block1)]).toEqual(["2.04", "0/0/64"]);
  });

  test("smaller blocks from the middle on, counted from the same bytes", async () => {
    const server = createToyServer();
    const body = bodyOf(300);
    expect(codes(await send(server, { body, szx: 3 }, [0]))).toEqual(["2.31"]);
    const rest = await send(server, { body, szx: 1 }, [4, 5, 6, 7, 8, 9]);
    expect(codes(rest)).toEqual(["2.31", "2.31", "2.31", "2.31", "2.31", "2.04"]);
    expect(bodies(server)).toEqual([Buffer.from(body)]);
  });

  test("block 0 begins anew", async () => {
    const server = createToyServer();
    await send(server, { body: bodyOf(200, 1), szx: 2 }, [0, 1]);
    const answers = await send(server, { body: bodyOf(200, 2), szx: 2 }, [0, 1, 2, 3]);
    expect(codes(answers).at(-1)).toBe("2.04");
    expect(bodies(server)).toEqual([Buffer.from(bodyOf(200, 2))]);
    expect(server.blocks.counts().uploadsLost).toEqual({ restarted: 1 });
  });

  test("endpoints, resources, queries and Request-Tags (RFC 9175 §3.4) each have their own", async () => {
    const server = createToyServer();
    const query = { number: OptionNumber.uriQuery, value: Buffer.from("id=7") };
    const uploads: readonly Asking[] = [
      {},
      { from: "two" },
      { path: "other" },
      { options: [tag("a")] },
      { options: [query] },
    ];
    const sending = uploads.map((asking, at) => ({ ...asking, body: bodyOf(150, at), szx: 2 }));
    for (const num of [0, 1, 2]) for (const one of sending) await send(server, one, [num]);
    expect(bodies(server)).toEqual(sending.map(({ body }) => Buffer.from(body)));
  });
});

describe("RFC 7959 §2.9.2: blocks that do not fit together are 4.08, and nothing runs", () => {
  test.each([
    ["a first block that is not block 0", [2]],
    ["a gap", [0, 2]],
    ["the last block without those before", [3]],
  ])("%s", async (_, nums) => {
    const server = createToyServer();
    const answers = await send(server, { body: bodyOf(200), szx: 2 }, nums);
    expect(codes(answers).at(-1)).toBe("4.08");
    expect(server.ran).toEqual([]);
    expect(server.blocks.counts()).toMatchObject({ uploads: 0, uploadBytes: 0 });
  });

  test("another Content-Format, and other bytes for a block that came before", async () => {
    const server = createToyServer();
    const json = [uint(contentFormat, 50)];
    await send(server, { body: bodyOf(200), szx: 2, options: json }, [0]);
    expect(codes(await send(server, { body: bodyOf(200), szx: 2 }, [1]))).toEqual(["4.08"]);
    await send(server, { body: bodyOf(200), szx: 2 }, [0, 1]);
    expect(codes(await send(server, { body: bodyOf(200, 5), szx: 2 }, [1]))).toEqual(["4.08"]);
    expect(server.blocks.counts().uploadsLost).toEqual({ different: 2 });
  });
});

describe("blocks that come twice", () => {
  test("in the middle: 2.31 again, and the body holds them once", async () => {
    const server = createToyServer();
    const answers = await send(server, { body: bodyOf(200), szx: 2 }, [0, 1, 1, 2, 1, 2, 3]);
    expect(codes(answers)).toEqual(["2.31", "2.31", "2.31", "2.31", "2.31", "2.31", "2.04"]);
    expect(bodies(server)).toEqual([Buffer.from(bodyOf(200))]);
  });

  test("the last one, as a new message: the same answer, and the method does not run again", async () => {
    const server = createToyServer();
    server.values.set("big", { payload: Buffer.from("taken"), options: [] });
    const answers = await send(server, { code: Method.post, body: bodyOf(200), szx: 2 }, [0, 1, 2, 3, 3, 3]);
    expect(codes(answers).slice(-3)).toEqual(["2.05", "2.05", "2.05"]);
    expect(answers.slice(-3).map((answer) => said(answer, block1))).toEqual(["3/0/64", "3/0/64", "3/0/64"]);
    expect(server.ran.length).toBe(1);
    await server.clock.advance(93_000);
    expect(codes(await send(server, { code: Method.post, body: bodyOf(200), szx: 2 }, [3]))).toEqual([
      "4.08",
    ]);
    expect(server.clock.pending()).toBe(0);
  });
});

test("a last block that comes again after a large answer is 4.08: large answers are not kept for it", async () => {
  const server = createToyServer();
  server.values.set("big", { payload: bodyOf(2000), options: [] });
  const answers = await send(server, { code: Method.post, body: bodyOf(200), szx: 2 }, [0, 1, 2, 3, 3]);
  expect(codes(answers).slice(-2)).toEqual(["2.05", "4.08"]);
  expect(server.ran.length).toBe(1);
});

describe("what cannot be", () => {
  test("RFC 7959 §2.2: block size 7 is 4.00", async () => {
    const answer = await createToyServer().ask({
      code: Method.put,
      block1: block(0, true, 7),
      payload: bodyOf(1024),
    });
    expect(codeOf(answer)).toBe("4.00");
  });

  test("a block of another size than it says is 4.00, and its upload is over", async () => {
    const server = createToyServer();
    await send(server, { body: bodyOf(200), szx: 2 }, [0]);
    const short = await server.ask({ code: Method.put, block1: block(1, true, 2), payload: bodyOf(63) });
    const long = await server.ask({ code: Method.put, block1: block(0, false, 2), payload: bodyOf(65) });
    expect(codes([short, long])).toEqual(["4.00", "4.00"]);
    expect(server.blocks.counts()).toMatchObject({ uploads: 0, uploadsLost: { malformed: 1 } });
  });

  test("Block1 where there is no body is 4.02", async () => {
    expect(codeOf(await createToyServer().ask({ block1: block(0, false, 2) }))).toBe("4.02");
  });
});

describe("RFC 7959 §2.9.3: what is too large is 4.13, with the size that fits", () => {
  test("said in Size1 of the first block", async () => {
    const server = createToyServer();
    const sending = { body: bodyOf(200), szx: 2, options: [uint(size1, 2 ** 30)] };
    const [answer] = await send(server, sending, [0]);
    expect([answer && codeOf(answer), uintOf(answer, size1)]).toEqual(["4.13", MOST]);
    expect(server.blocks.counts()).toMatchObject({ uploads: 0, uploadBytes: 0 });
  });

  test("found out on the way", async () => {
    const server = createToyServer();
    const nums = Array.from({ length: Math.ceil(MOST / 1024) }, (_, num) => num);
    const answers = await send(server, { body: bodyOf(2 * MOST), szx: 6 }, nums);
    expect(codes(answers).slice(-2)).toEqual(["2.31", "4.13"]);
    expect(server.blocks.counts()).toMatchObject({
      uploads: 0,
      uploadBytes: 0,
      uploadsLost: { "too-large": 1 },
    });
  });

  test("without Block1", async () => {
    const answer = await createToyServer().ask({ code: Method.put, payload: bodyOf(MOST + 1) });
    expect([codeOf(answer), uintOf(answer, size1)]).toEqual(["4.13", MOST]);
  });

  test("block 1048575 costs nothing", async () => {
    const server = createToyServer();
    await send(server, { body: bodyOf(200), szx: 2 }, [0]);
    for (const from of ["one", "two"]) {
      const far = { from, code: Method.put, block1: block(1_048_575, true, 6), payload: bodyOf(1024) };
      expect(codeOf(await server.ask(far))).toBe("4.08");
    }
    expect(server.blocks.counts()).toMatchObject({ uploads: 0, uploadBytes: 0 });
  });
});
