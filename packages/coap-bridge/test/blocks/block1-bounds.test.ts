import { describe, expect, test } from "vitest";
import type { BlockLimits } from "../../src/blocks/block-limits.ts";
import { OptionNumber } from "../../src/wire/coap-message.ts";
import { codes, type Sending, send, uintOf } from "./sending.ts";
import { bodyOf, codeOf, createToyServer, MOST, type ToyServer } from "./toy-server.ts";

const { maxAge } = OptionNumber;

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
    const server = serverWith({ uploads: 300, uploadBytes: 250 * 1024 });
    const count = process.env["NOMQ_LONG"] ? 100_000 : 5000;
    const body = bodyOf(2048);
    for (let at = 0; at < count; at += 1) {
      await send(server, { from: `peer ${at}`, body, szx: 6 }, [0]);
      const { uploads, uploadBytes } = server.blocks.counts();
      if (uploads > 300 || uploadBytes > 250 * 1024)
        throw new Error(`${uploads} uploads, ${uploadBytes} bytes`);
    }
    expect(server.blocks.counts().uploads).toBe(250);
  });

  test("beginnings crowd out no upload that goes on", async () => {
    const server = serverWith({ uploads: 20 });
    const honest = { from: "honest", body: bodyOf(5000), szx: 6 };
    await send(server, honest, [0, 1]);
    for (let at = 0; at < 100; at += 1)
      await send(server, { from: `peer ${at}`, body: bodyOf(5000), szx: 6 }, [0]);
    expect(codes(await send(server, honest, [2, 3, 4]))).toEqual(["2.31", "2.31", "2.04"]);
  });

  test("uploads that go on from addresses that may be forged give way to one of a proven address, not to each other", async () => {
    const server = serverWith({ uploads: 20 });
    const body = bodyOf(5000);
    for (let at = 0; at < 20; at += 1)
      await send(server, { from: `forged ${at}`, proven: false, body, szx: 6 }, [0, 1]);
    const refused = { from: "another", proven: false, body, szx: 6 };
    expect(codes(await send(server, refused, [0]))).toEqual(["5.03"]);
    const honest = { from: "honest", body, szx: 6 };
    expect(codes(await send(server, honest, [0, 1, 2, 3, 4])).at(-1)).toBe("2.04");
    expect(server.blocks.counts()).toMatchObject({ uploads: 19, uploadsLost: { "crowded-out": 1 } });
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

  test("bytes are bounded per endpoint and in all, the largest body always fits, and all are given back", async () => {
    const server = serverWith({ uploadBytes: 1, uploadBytesEach: 1 });
    const nums = Array.from({ length: 97 }, (_, num) => num);
    const sending = (from: string, path: string): Sending => ({ from, path, body: bodyOf(MOST), szx: 6 });
    expect(new Set(codes(await send(server, sending("one", "a"), nums)))).toEqual(new Set(["2.31"]));
    expect(codes(await send(server, sending("one", "b"), [0]))).toEqual(["4.29"]);
    expect(new Set(codes(await send(server, sending("two", "a"), nums)))).toEqual(new Set(["2.31"]));
    expect(codes(await send(server, sending("three", "a"), [0]))).toEqual(["5.03"]);
    expect(server.blocks.counts().uploadBytes).toBeLessThanOrEqual(2 * MOST);
    expect(codes(await send(server, sending("one", "a"), [97]))).toEqual(["2.04"]);
    await server.clock.advance(93_000);
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
