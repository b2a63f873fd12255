import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { silentLog, systemClock } from "@nomq/core";
import { expect, test } from "vitest";
import { createLink } from "../../src/link/create-link.ts";
import { readNotification } from "../../src/receiving/notification.ts";
import type { Element } from "../../src/stream/element.ts";
import { fakeServer } from "../fake-server.ts";

const MIB = 1_048_576;
const SERVICE = "pubsub.localhost";
const ITEMS = 400;

setFlagsFromString("--expose-gc");
const collect: unknown = runInNewContext("gc");

function memoryHeld(): number {
  for (let round = 0; round < 4; round += 1) if (typeof collect === "function") collect();
  return process.memoryUsage().heapUsed;
}

const itemOf = (at: number): string =>
  `<message from='${SERVICE}'><event xmlns='http://jabber.org/protocol/pubsub#event'><items node='a/node/with/a/name'>` +
  `<item id='an-item-with-an-id-of-its-own-${at}'><data xmlns='urn:nomq:xmpp:0'>${"x".repeat(100_000)}</data></item>` +
  "</items></event></message>";

test("what is remembered of items keeps nothing of their payloads: 40 MB went by", async () => {
  await using server = await fakeServer();
  const kept: string[] = [];
  await using link = createLink({
    ...{ service: server.service, domain: "localhost", username: "gw", password: "gwpw", resource: "nomq" },
    ...{ clock: systemClock, log: silentLog, random: () => 0 },
  });
  const isAll = new Promise<void>((resolve) => {
    link.onStanza((stanza: Element) => {
      const told = readNotification(stanza, SERVICE);
      if (told.is !== "events") return;
      for (const event of told.events) if (event.is === "item") kept.push(event.node, event.item.id);
      if (kept.length === 2 * ITEMS) resolve();
    });
  });
  link.start();
  const connection = await server.accept();
  await connection.login();
  const before = memoryHeld();
  for (let at = 0; at < ITEMS; at += 1) connection.write(itemOf(at));
  await isAll;
  expect(memoryHeld() - before).toBeLessThan(8 * MIB);
  expect(kept.at(-1)).toBe(`an-item-with-an-id-of-its-own-${ITEMS - 1}`);
}, 60_000);
