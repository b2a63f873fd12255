import { describe, expect, test } from "vitest";
import type { BlockLimits } from "../../src/blocks/block-limits.ts";
import { type CoapMessage, OptionNumber } from "../../src/wire/coap-message.ts";
import { Method } from "../../src/wire/code.ts";
import { findOption, readUint } from "../../src/wire/option-value.ts";
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

const { block1, block2, size1, maxAge, contentFormat } = OptionNumber;

interface Sending extends Asking {
  readonly body: Uint8Array;
  readonly szx: number;
}

/** One block of a body. */
function part({ body, szx, ...asking }: Sending, num: number): Asking {
  const size = 16 << szx;
  const end = (num + 1) * size;
  const payload = body.subarray(num * size, end);
  return { code: Method.put, ...asking, payload, block1: block(num, end < body.length, szx) };
}

/** Sends blocks in this order; the answers. */
async function send(server: ToyServer, sending: Sending, nums: readonly number[]): Promise<CoapMessage[]> {
  const answers: CoapMessage[] = [];
  for (const num of nums) answers.push(await server.ask(part(sending, num)));
  return answers;
}

const codes = (answers: readonly CoapMessage[]): string[] => answers.map(codeOf);
const uintOf = (answer: CoapMessage | undefined, number: number): number | undefined => {
  const value = answer && findOption(answer.options, number)?.value;
  return value && readUint(value, 4);
};
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

describe("uploads that are never finished", () => {
  const serverWith = (limits: BlockLimits): ToyServer => createToyServer(limits);

  test("end after 93 s without a block", async () => {
    const server = serverWith({});
    await send(server, { body: bodyOf(200), szx: 2 }, [0]);
    await server.clock.advance(60_000);
    await send(server, { body: bodyOf(200), szx: 2 }, [1]);
    await server.clock.advance(92_000);
    expect(server.blocks.counts().uploads).toBe(1);
    await server.clock.advance(1000);
    expect(server.blocks.counts()).toMatchObject({ uploads: 0, uploadBytes: 0, uploadsLost: { idle: 1 } });
    expect(server.clock.pending()).toBe(0);
  });

  test("end after half an hour however they drip", async () => {
    const server = serverWith({});
    const sending = { body: bodyOf(10_000), szx: 0 };
    await send(server, sending, [0]);
    let last: string | undefined = "";
    for (let num = 1; num <= 31; num += 1) {
      await server.clock.advance(60_000);
      last = codes(await send(server, sending, [num])).at(0);
      if (last !== "2.31") break;
    }
    expect([last, server.blocks.counts().uploadsLost]).toEqual(["4.08", { slow: 1 }]);
  });

  test("100,000 beginnings from as many endpoints hold what the limits allow", async () => {
    const server = serverWith({ uploads: 50, uploadBytes: 40 * 1024 });
    const count = process.env["NOMQ_LONG"] ? 100_000 : 5000;
    for (let at = 0; at < count; at += 1) {
      await send(server, { from: `peer ${at}`, body: bodyOf(5000), szx: 6 }, [0]);
      const { uploads, uploadBytes } = server.blocks.counts();
      if (uploads > 50 || uploadBytes > 40 * 1024)
        throw new Error(`${uploads} uploads, ${uploadBytes} bytes`);
    }
    expect(server.blocks.counts().uploads).toBe(40);
  });

  test("beginnings crowd out no upload that goes on", async () => {
    const server = serverWith({ uploads: 20 });
    const honest = { from: "honest", body: bodyOf(5000), szx: 6 };
    await send(server, honest, [0, 1]);
    for (let at = 0; at < 100; at += 1)
      await send(server, { from: `peer ${at}`, body: bodyOf(5000), szx: 6 }, [0]);
    expect(codes(await send(server, honest, [2, 3, 4]))).toEqual(["2.31", "2.31", "2.04"]);
  });

  test("where all go on, a new one is 5.03, and 4.29 where they are the endpoint's own; both say when to try again", async () => {
    const server = serverWith({ uploads: 3, uploadsEach: 2 });
    for (const path of ["a", "b"]) await send(server, { path, body: bodyOf(5000), szx: 6 }, [0, 1]);
    const [own] = await send(server, { path: "c", body: bodyOf(5000), szx: 6 }, [0]);
    await send(server, { from: "two", body: bodyOf(5000), szx: 6 }, [0, 1]);
    const [other] = await send(server, { from: "three", body: bodyOf(5000), szx: 6 }, [0]);
    expect([own, other].map((answer) => [answer && codeOf(answer), uintOf(answer, maxAge)])).toEqual([
      ["4.29", 93],
      ["5.03", 93],
    ]);
  });

  test("bytes are counted as they are held, and given back", async () => {
    const server = serverWith({ uploadBytes: 8 * 1024 });
    const big = { from: "big", body: bodyOf(20_000), szx: 6 };
    const answers = await send(
      server,
      big,
      Array.from({ length: 10 }, (_, num) => num),
    );
    expect(codes(answers)).toContain("5.03");
    expect(server.blocks.counts()).toMatchObject({ uploads: 0, uploadBytes: 0 });
  });

  test("all is given back when the layer is disposed of", async () => {
    const server = serverWith({});
    server.values.set("big", { payload: bodyOf(5000), options: [] });
    await server.ask({});
    await send(server, { body: bodyOf(5000), szx: 6 }, [0, 1]);
    server.blocks[Symbol.dispose]();
    expect(server.blocks.counts()).toMatchObject({
      uploads: 0,
      uploadBytes: 0,
      snapshots: 0,
      snapshotBytes: 0,
    });
    expect(server.clock.pending()).toBe(0);
  });
});
