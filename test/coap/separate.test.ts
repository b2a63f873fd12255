import { createFakeClock } from "@nomq/core/testing";
import { expect, test } from "vitest";
import { type CoapEndpoint, openCoapEndpoint } from "../real/coap-endpoint.ts";
import { openBridgePlace } from "../real/coap-places.ts";
import { type CoapPacket, EMPTY, GET, OPTION, POST, PUT, uint } from "../real/coap-wire.ts";

const shown = ({ type, code, payload }: CoapPacket): string => `${type} ${code} ${payload.toString()}`.trim();

/** All that answers one request, the acknowledgement with its message id and what has its token. */
function answersTo(raw: CoapEndpoint, { messageId, token }: CoapPacket): readonly CoapPacket[] {
  return raw.received.filter((each) =>
    each.code === EMPTY ? each.messageId === messageId : each.token.equals(token),
  );
}

test("TD_COAP_CORE_09: what the store takes longer for is acknowledged, and answered separately", async () => {
  await using place = await openBridgePlace();
  await using raw = await openCoapEndpoint(place.port);
  place.store.hang("commits");
  const put = raw.send({ code: PUT, uri: "separate/09", payload: "on" });
  await expect.poll(() => answersTo(raw, put).map(shown)).toEqual(["ACK 0.00"]);
  place.store.heal();
  await expect.poll(() => answersTo(raw, put).map(shown)).toEqual(["ACK 0.00", "CON 2.01"]);
});

test("TD_COAP_CORE_11: the separate answer carries the token, whatever its message id", async () => {
  await using place = await openBridgePlace();
  await using raw = await openCoapEndpoint(place.port);
  place.store.hang("commits");
  const token = Buffer.from("tokenful");
  const post = raw.send({ code: POST, uri: "separate/11", payload: "on", token });
  const ack = await raw.next(({ type }) => type === "ACK");
  expect(ack).toMatchObject({ code: EMPTY, messageId: post.messageId, token: Buffer.alloc(0), options: [] });
  place.store.heal();
  const answer = await raw.next(({ type }) => type === "CON");
  expect(answer.token.equals(token)).toBe(true);
});

test("TD_COAP_CORE_16: a separate answer that nobody acknowledged comes again, and the request is done once", async () => {
  const clock = createFakeClock();
  await using place = await openBridgePlace({}, { clock });
  await using raw = await openCoapEndpoint(place.port);
  raw.acknowledges = false;
  place.store.hang("commits");
  const post = raw.send({ code: POST, uri: "separate/16", payload: "on" });
  const passes = async (): Promise<number> => {
    await clock.advance(100);
    return answersTo(raw, post).length;
  };
  await expect.poll(passes).toBe(1);
  // The acknowledgement was lost as well: it comes again, and the handler is not asked twice.
  raw.send({ code: POST, uri: "separate/16", payload: "on", messageId: post.messageId, token: post.token });
  await expect.poll(passes).toBe(2);
  place.store.heal();
  await expect.poll(passes).toBeGreaterThanOrEqual(5);
  const [first, second, ...answers] = answersTo(raw, post);
  expect([first, second].map((each) => each && shown(each))).toEqual(["ACK 0.00", "ACK 0.00"]);
  expect(new Set(answers.map(({ messageId }) => messageId)).size).toBe(1);
  expect(answers.every(({ type, code }) => type === "CON" && code.startsWith("2."))).toBe(true);
  const { messageId = 0 } = answers[0] ?? {};
  raw.send({ type: "ACK", code: EMPTY, messageId });
  await raw.ask({ code: GET, uri: "separate/16" });
  const count = answersTo(raw, post).length;
  await clock.advance(120_000);
  await raw.ask({ code: GET, uri: "separate/16" });
  expect(answersTo(raw, post)).toHaveLength(count);
  expect(place.seen.map(({ text }) => text)).toEqual(["on"]);
});

test("TD_COAP_CORE_17: a non-confirmable request is answered late by a non-confirmable answer, and no acknowledgement", async () => {
  await using place = await openBridgePlace();
  await using raw = await openCoapEndpoint(place.port);
  place.store.hang("commits");
  const put = raw.send({ type: "NON", code: PUT, uri: "separate/17?qos=1", payload: "on" });
  // Answered after it: it waits for the store by then.
  await raw.ask({ code: GET, uri: "separate/17/other" });
  expect(answersTo(raw, put)).toEqual([]);
  place.store.heal();
  await expect.poll(() => answersTo(raw, put).map(shown)).toEqual(["NON 2.01"]);
});

test("TD_COAP_OBS_05: an observer that is gone costs six datagrams at most, within MAX_TRANSMIT_WAIT", async () => {
  const clock = createFakeClock();
  await using place = await openBridgePlace({}, { clock });
  await using raw = await openCoapEndpoint(place.port);
  const observe = [[OPTION.observe, uint(0)]] as const;
  await raw.ask({ code: PUT, uri: "dead", payload: "0" });
  const { token } = await raw.ask({ code: GET, uri: "dead?qos=1", options: observe });
  raw.acknowledges = false;
  const notes = (): readonly CoapPacket[] =>
    raw.received.filter((each) => each.type === "CON" && each.token.equals(token));
  let value = 0;
  // 93 s (RFC 7252 section 4.8.2), with a change every three.
  for (let second = 0; second <= 93; second += 3) {
    value += 1;
    await place.publish({ channel: "dead", text: String(value), qos: 1, retain: true });
    await clock.advance(3_000);
    // A datagram takes real time.
    await new Promise((resolve) => setImmediate(resolve));
  }
  await place.publish({ channel: "dead", text: "too late", qos: 1, retain: true });
  await clock.advance(1_000);
  await using other = await openCoapEndpoint(place.port);
  expect((await other.ask({ code: GET, uri: "dead" })).payload.toString()).toBe("too late");
  expect(notes().length).toBeGreaterThan(1);
  expect(notes().length).toBeLessThanOrEqual(6);
  expect(notes().map(({ payload }) => payload.toString())).not.toContain("too late");
});
