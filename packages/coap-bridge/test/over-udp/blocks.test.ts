import type { Access } from "@nomq/core";
import { createFakeClock } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { longText } from "../../../../test/real/coap-programs.ts";
import {
  blockOf,
  GET,
  numberOf,
  OPTION,
  optionOf,
  POST,
  PUT,
  uint,
} from "../../../../test/real/coap-wire.ts";

import { block, get, put, running } from "./running.ts";

describe("RFC 7959 over UDP, datagram by datagram", () => {
  test("TD_COAP_BLOCK_03, TD_COAP_BLOCK_01: a body goes up and comes back in blocks of any size", async () => {
    await using server = await running();
    const client = await server.client();
    const body = longText(1500);
    for (const size of [16, 64, 256, 1024]) {
      const codes = await put(client, "big", { body, size });
      expect([codes.at(-1), new Set(codes.slice(0, -1))]).toEqual([
        size === 16 ? "2.01" : "2.04",
        new Set(["2.31"]),
      ]);
      const fetched = await get(client, "big", { size });
      expect([fetched.body === body, fetched.etags.length]).toEqual([true, 1]);
    }
  });

  test("RFC 7959 §2.4: a value that changes meanwhile is fetched to its end by whoever began it", async () => {
    await using server = await running();
    const [reader, writer] = [await server.client(), await server.client()];
    const [old, young] = [longText(3000, "a"), longText(3000, "b")];
    await put(writer, "big", { body: old, size: 1024 });
    const first = await reader.ask({ code: GET, uri: "big" });
    expect([blockOf(first, OPTION.block2), numberOf(first, OPTION.size2)]).toEqual([
      { num: 0, more: true, size: 1024 },
      3000,
    ]);
    await put(writer, "big", { body: young, size: 1024 });
    const rest = await get(reader, "big", { size: 1024, from: 1 });
    expect(first.payload.toString() + rest.body === old).toBe(true);
    const anew = await get(reader, "big", { size: 256 });
    expect([anew.body === young, anew.etags[0] === rest.etags[0]]).toEqual([true, false]);
  });

  test("RFC 7959 §3.4: a large notification carries Observe and its first block; the rest is that version's", async () => {
    // Time stands still: nothing is said again, so what came before stays the newest until it is acknowledged.
    await using server = await running({}, { clock: createFakeClock() });
    const [observer, writer] = [await server.client(), await server.client()];
    await put(writer, "big", { body: "small", size: 1024 });
    const registered = await observer.ask({ code: GET, uri: "big", options: [[OPTION.observe, uint(0)]] });
    expect(numberOf(registered, OPTION.observe)).toBeDefined();
    observer.acknowledges = false;
    const body = longText(2500);
    await put(writer, "big", { body, size: 512 });
    const told = await observer.next((packet) => packet.payload.length === 1024);
    expect(told.token).toEqual(registered.token);
    expect(blockOf(told, OPTION.block2)).toEqual({ num: 0, more: true, size: 1024 });
    expect(numberOf(told, OPTION.observe)).toBeGreaterThan(numberOf(registered, OPTION.observe) ?? 0);
    await put(writer, "big", { body: longText(2500, "newer"), size: 512 });
    const rest = await get(observer, "big", { size: 1024, from: 1 });
    expect(told.payload.toString() + rest.body === body).toBe(true);
    expect(rest.etags).toEqual([optionOf(told, OPTION.etag)?.toString("hex")]);
  });

  test("a value that expires meanwhile is not fetched to its end", async () => {
    const clock = createFakeClock();
    await using server = await running({}, { clock });
    const client = await server.client();
    await put(client, "big?ttl=30", { body: longText(3000), size: 1024 });
    const first = await client.ask({ code: GET, uri: "big" });
    expect([first.code, numberOf(first, OPTION.maxAge)]).toEqual(["2.05", 30]);
    await clock.advance(20_000);
    const second = await client.ask({
      code: GET,
      uri: "big",
      options: [block(OPTION.block2, 1, false, 1024)],
    });
    expect([second.code, numberOf(second, OPTION.maxAge)]).toEqual(["2.05", 10]);
    await clock.advance(10_000);
    const third = await client.ask({
      code: GET,
      uri: "big",
      options: [block(OPTION.block2, 2, false, 1024)],
    });
    expect(third.code).toBe("4.04");
  });

  test("block 1048575, 1 GiB announced and size 7 are refused at once, and nothing is published", async () => {
    await using server = await running();
    const client = await server.client();
    const far = {
      code: PUT,
      uri: "big",
      options: [block(OPTION.block1, 1_048_575, true, 1024)],
      payload: longText(1024),
    };
    const huge = {
      ...far,
      options: [block(OPTION.block1, 0, true, 1024), [OPTION.size1, uint(2 ** 30)] as const],
    };
    const reserved = { ...far, options: [[OPTION.block1, Buffer.of(0x0f)] as const] };
    const answers = [await client.ask(far), await client.ask(huge), await client.ask(reserved)];
    expect(answers.map(({ code }) => code)).toEqual(["4.08", "4.13", "4.00"]);
    expect(answers.map((answer) => numberOf(answer, OPTION.size1))).toEqual([
      undefined,
      1_048_576,
      undefined,
    ]);
    expect((await client.ask({ code: GET, uri: "big" })).code).toBe("4.04");
  });

  test("RFC 7252 §4.5: a block that comes again as the same message is answered with the same bytes", async () => {
    await using server = await running();
    const client = await server.client();
    const last = {
      code: POST,
      uri: "big",
      messageId: 77,
      token: Buffer.from("t"),
      options: [block(OPTION.block1, 1, false, 16)],
      payload: "end",
    };
    await client.ask({
      code: POST,
      uri: "big",
      options: [block(OPTION.block1, 0, true, 16)],
      payload: "0123456789abcdef",
    });
    const answers = [await client.ask(last), await client.ask(last)];
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[0]?.code).toBe("2.04");
  });
});

test("a right that is withdrawn ends transfers at their next block, and listings begin anew", async () => {
  let isAllowed = true;
  let changed = (): void => {};
  const access: Access = {
    may: (who) => isAllowed || who === "*",
    onChange(told) {
      changed = told;
      return () => {};
    },
  };
  await using server = await running({}, { access });
  const client = await server.client();
  await put(client, "big", { body: longText(3000), size: 1024 });
  for (const at of [1, 2, 3]) await client.ask({ code: PUT, uri: `site/${at}`, payload: "1" });
  const second = (uri: string) =>
    client.ask({ code: GET, uri, options: [block(OPTION.block2, 1, false, 64)] });
  const upload = (num: number, more: boolean) =>
    client.ask({
      code: PUT,
      uri: "up",
      options: [block(OPTION.block1, num, more, 16)],
      payload: longText(16),
    });
  await client.ask({ code: GET, uri: "big", options: [block(OPTION.block2, 0, false, 64)] });
  await client.ask({ code: GET, uri: ".well-known/core", options: [block(OPTION.block2, 0, false, 64)] });
  expect([(await second("big")).code, (await second(".well-known/core")).code]).toEqual(["2.05", "2.05"]);
  expect((await upload(0, true)).code).toBe("2.31");
  isAllowed = false;
  changed();
  expect([(await second("big")).code, (await second(".well-known/core")).code]).toEqual(["4.03", "4.00"]);
  expect((await upload(1, false)).code).toBe("4.03");
});
