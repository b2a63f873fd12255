import type { Draft, Message } from "@nomq/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { draftFromItem, itemOfMessage } from "../src/mapping.ts";
import { readItem } from "../src/payload/item.ts";
import { element } from "../src/stream/build.ts";
import { parsed } from "./parsed.ts";

const text = fc.string({ unit: "binary", minLength: 1, maxLength: 20 }).filter((one) => one.isWellFormed());

const message = fc.record<Message>({
  id: fc.constant("0".repeat(32)),
  seq: fc.constant(1),
  channel: fc.constant("a/b"),
  payload: fc.uint8Array({ minLength: 1, maxLength: 100 }),
  qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
  retain: fc.boolean(),
  priority: fc.nat(15),
  publishedAt: fc.constant(0),
  origin: fc.constant("mqtt:broker"),
});
const more = fc.record(
  {
    contentType: text,
    responseChannel: text,
    correlation: fc.uint8Array({ minLength: 1, maxLength: 20 }),
    properties: fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 4 }),
  },
  { requiredKeys: [] },
);

/** What a draft must say to become that message again. */
function draftOf(sent: Message): Draft {
  const { id: _, seq: _seq, publishedAt: _at, origin: _origin, payload, priority, ...rest } = sent;
  return { ...rest, payload: Buffer.from(payload), ...(priority === 0 ? {} : { priority }) };
}

test("a message becomes an item, and the item that message again, with all it had", () => {
  fc.assert(
    fc.property(message, more, fc.option(fc.nat(1e9), { nil: undefined }), (plain, extra, ttlMs) => {
      const sent = { ...plain, ...extra };
      const expiry = ttlMs === undefined ? {} : { expiresInMs: ttlMs };
      const { id, payload } = itemOfMessage(sent, { gateway: "gw", ...expiry });
      expect(payload).not.toBe("too-large");
      const item = readItem(parsed(payload.toString()));
      if (item === undefined) throw new Error("unreadable");
      expect(item.gateway).toBe("gw");
      expect(item.originId).toBe(sent.id);
      expect(item.ttlMs).toBe(ttlMs);
      const draft = draftFromItem({ channel: "a/b", id, item, ...expiry });
      const { correlation, ...others } = draft;
      expect({ ...others, payload: Buffer.from(draft.payload) }).toEqual({
        ...draftOf({ ...plain, ...extra, correlation: undefined } as unknown as Message),
        ...(ttlMs === undefined ? {} : { ttlMs }),
      });
      expect(correlation && [...correlation]).toEqual(extra.correlation && [...extra.correlation]);
    }),
    { numRuns: process.env["NOMQ_LONG"] ? 5_000 : 200, seed: 7 },
  );
});

test("anyone's item is an event at QoS 1, with the type of its element; `current` is the state", () => {
  const entry = element("entry", { xmlns: "http://www.w3.org/2005/Atom" }, ["news"]);
  const item = readItem(parsed(entry.toString()));
  if (item === undefined) throw new Error("unreadable");
  const draft = draftFromItem({ channel: "a", id: "7", item });
  expect(draft).toMatchObject({ channel: "a", qos: 1, retain: false, contentType: "application/atom+xml" });
  expect(draftFromItem({ channel: "a", id: "current", item }).retain).toBe(true);
});
