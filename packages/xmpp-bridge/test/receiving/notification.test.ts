import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readItem } from "../../src/payload/item.ts";
import { lifetimeOf } from "../../src/receiving/lifetime.ts";
import { readNotification } from "../../src/receiving/notification.ts";
import { parsed } from "../parsed.ts";

const EVENT = "http://jabber.org/protocol/pubsub#event";
const read = (xml: string): ReturnType<typeof readNotification> =>
  readNotification(parsed(xml), "pubsub.localhost");

describe("notifications as the servers write them", () => {
  test("Prosody: an item whose foreign attributes each have a prefix of their own", () => {
    const told = read(
      `<message to='gw@localhost/nomq-g' from='pubsub.localhost' type='headline' id='a'><event xmlns='${EVENT}'>
       <items node='a/b'><item id='current'><json xmlns='urn:xmpp:json:0' xmlns:ns1='urn:nomq:xmpp:0' xmlns:ns2='urn:nomq:xmpp:0'
       ns1:oid='0a' ns2:gw='g'>{}</json></item></items></event></message>`.replace(/>\s+</g, "><"),
    );
    if (told.is !== "events" || told.events[0]?.is !== "item") throw new Error(told.is);
    const { node, item } = told.events[0];
    expect({ node, id: item.id, publisher: item.publisher }).toEqual({
      node: "a/b",
      id: "current",
      publisher: undefined,
    });
    expect(item.payload && readItem(item.payload)).toMatchObject({
      originId: "0a",
      gateway: "g",
      isOurs: true,
    });
  });

  test("ejabberd: the publisher's JID without its resource, and when a kept one was first sent (XEP-0203)", () => {
    const told = read(
      `<message to='gw@localhost/nomq-g' from='pubsub.localhost'><event xmlns='${EVENT}'><items node='n'>
       <item id='5F' publisher='Alice@localhost/phone'><t xmlns='x'>1</t></item></items></event>
       <delay xmlns='urn:xmpp:delay' from='pubsub.localhost' stamp='2026-11-20T10:00:00.5Z'/></message>`,
    );
    expect(told).toMatchObject({
      events: [
        {
          item: { id: "5F", publisher: "alice@localhost" },
          stamp: Date.parse("2026-11-20T10:00:00.5Z"),
        },
      ],
    });
  });

  test("retractions, purges, deletions and configurations", () => {
    const all = `<items node='n'><retract id='old'/></items><purge node='n'/><delete node='n'><redirect uri='x'/></delete>
      <configuration node='n'><x xmlns='jabber:x:data'/></configuration><collection node='n'/>`;
    expect(read(`<message from='PUBSUB.localhost'><event xmlns='${EVENT}'>${all}</event></message>`)).toEqual(
      {
        is: "events",
        events: [
          { is: "retract", node: "n", id: "old" },
          { is: "purge", node: "n" },
          { is: "delete", node: "n" },
          { is: "configuration", node: "n" },
        ],
      },
    );
  });

  test("items with no payload, or several, have none that counts", () => {
    const items = `<item id='a'/><item id='b'><x xmlns='y'/><x xmlns='y'/></item>`;
    const told = read(
      `<message from='pubsub.localhost'><event xmlns='${EVENT}'><items node='n'>${items}</items></event></message>`,
    );
    expect(told).toMatchObject({ events: [{ item: { id: "a" } }, { item: { id: "b" } }] });
    if (told.is !== "events") throw new Error(told.is);
    for (const event of told.events) expect(event.is === "item" && event.item.payload).toBeUndefined();
  });

  test.each(["alice@localhost/x", "pubsub.localhost.evil", "pubsub.localhost/x", "localhost", ""])(
    "from %j it is somebody else's word",
    (from) => {
      const event = `<event xmlns='${EVENT}'><purge node='n'/></event>`;
      expect(read(`<message from='${from}'>${event}</message>`)).toEqual({ is: "other-source" });
    },
  );

  test("chat, errors and iqs are nothing to us", () => {
    expect(read("<message from='pubsub.localhost'><body>hello</body></message>")).toEqual({ is: "nothing" });
    const event = `<event xmlns='${EVENT}'><purge node='n'/></event>`;
    expect(read(`<message type='error' from='pubsub.localhost'>${event}</message>`)).toEqual({
      is: "nothing",
    });
  });

  test.each(["yesterday", "2026-13-40T99:99:99Z", "2026-11-20T10:00:00+01:00", "9".repeat(400)])(
    "a stamp like %j is none",
    (stamp) => {
      const told = read(
        `<message from='pubsub.localhost'><event xmlns='${EVENT}'><items node='n'><item id='a'/></items></event>
         <delay xmlns='urn:xmpp:delay' stamp='${stamp}'/></message>`,
      );
      expect(told.is === "events" && told.events[0]).toEqual({ is: "item", node: "n", item: { id: "a" } });
    },
  );
});

describe("what is left of an item's time", () => {
  const now = 1_000_000;
  test.each<[string, Parameters<typeof lifetimeOf>[0], number | undefined, ReturnType<typeof lifetimeOf>]>([
    ["nothing said", {}, undefined, { is: "endless" }],
    ["nothing said, however old", {}, 1, { is: "endless" }],
    ["told at once", { ttlMs: 500 }, undefined, { is: "left", ms: 500 }],
    ["kept by the server", { ttlMs: 500 }, now - 200, { is: "left", ms: 300 }],
    ["kept too long", { ttlMs: 500 }, now - 500, { is: "over" }],
    ["a stamp of the future counts as now", { ttlMs: 500 }, now + 900, { is: "left", ms: 500 }],
    ["read from the history", { ttlMs: 500, expiresAt: now + 100 }, undefined, { is: "left", ms: 100 }],
    ["sent late by its gateway", { ttlMs: 500, expiresAt: now }, undefined, { is: "over" }],
    ["only the moment said", { expiresAt: now + 1 }, undefined, { is: "left", ms: 1 }],
    ["now or never", { ttlMs: 0 }, undefined, { is: "over" }],
  ])("%s", (_case, said, stamp, expected) => {
    expect(lifetimeOf(said, { now, stamp })).toEqual(expected);
  });

  test("never more than was said, never less than nothing", () => {
    const ms = fc.option(fc.nat(10_000_000), { nil: undefined });
    fc.assert(
      fc.property(ms, ms, ms, (ttlMs, expiresAt, stamp) => {
        const said = {
          ...(ttlMs === undefined ? {} : { ttlMs }),
          ...(expiresAt === undefined ? {} : { expiresAt }),
        };
        const left = lifetimeOf(said, { now, stamp });
        if (left.is !== "left") return;
        expect(left.ms).toBeGreaterThan(0);
        expect(left.ms).toBeLessThanOrEqual(ttlMs ?? Number.POSITIVE_INFINITY);
        expect(now + left.ms).toBeLessThanOrEqual(expiresAt ?? Number.POSITIVE_INFINITY);
      }),
    );
  });
});
