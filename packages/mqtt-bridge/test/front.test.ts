import { filterMatches } from "@nomq/core";
import { createFakeClock } from "@nomq/core/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createTopicTrie } from "../src/aedes/topic-trie.ts";
import { createCounters } from "../src/counters.ts";
import { createFrameCutter, publishHead } from "../src/front/frames.ts";
import type { Front } from "../src/front/front.ts";
import { createFront } from "../src/front/front.ts";
import { listenerSettings } from "../src/options.ts";

interface Rig {
  readonly front: Front;
  readonly written: Buffer[];
  readonly reading: boolean[];
  isBehind: boolean;
}

function makeFront(): Rig {
  const [listener] = listenerSettings({ listen: ["mqtt://127.0.0.1:0"] });
  if (listener === undefined) throw new Error("no listener");
  const written: Buffer[] = [];
  const reading: boolean[] = [];
  const front = createFront({
    connect: { cmd: "connect", clientId: "c", clean: true },
    version: 5,
    principal: "anonymous",
    isValid: () => true,
    listener,
    clock: createFakeClock(),
    counters: createCounters(),
    writer: {
      write: (frame) => void written.push(frame),
      hasRoom: () => !rig.isBehind,
      behindSince: () => undefined,
      flush: () => undefined,
      close: () => undefined,
    },
    sessionPresent: false,
    subscriptions: { held: () => ({ filters: 0, levels: 0 }), hasRoom: () => true, may: () => true },
    read: (on) => void reading.push(on),
    retainedSent: () => undefined,
    durable: { connected: () => undefined, stored: () => undefined },
    hangUp: () => undefined,
  });
  const rig: Rig = { front, written, reading, isBehind: false };
  return rig;
}

describe("reading from a client", () => {
  test("stops while what we owe it cannot be written, and goes on afterwards", () => {
    const rig = makeFront();
    rig.front.ready();
    rig.isBehind = true;
    rig.front.stream.write(Buffer.from([0xd0, 0]));
    expect(rig.written).toHaveLength(1);
    expect(rig.reading.at(-1)).toBe(false);
    rig.isBehind = false;
    rig.front.drained();
    expect(rig.reading.at(-1)).toBe(true);
  });

  test("stops at 64 KiB before the session is ready, lets acknowledgements pass, and goes on afterwards", () => {
    const rig = makeFront();
    const publish = Buffer.concat([Buffer.from([0x30, 0x84, 0x08, 0, 1, 0x61, 0]), Buffer.alloc(1024)]);
    for (let count = 0; count < 70; count += 1) rig.front.receive(publish);
    expect(rig.reading).toContain(false);
    expect(rig.front.stream.readableLength).toBe(0);
    rig.front.receive(Buffer.from([0x40, 2, 0, 1]));
    expect(rig.front.stream.readableLength).toBe(4);
    rig.front.ready();
    expect(rig.front.stream.readableLength).toBe(4 + 70 * publish.length);
  });
});

const packet = fc
  .tuple(fc.integer({ min: 1, max: 15 }), fc.uint8Array({ maxLength: 300 }))
  .map(([type, body]) => {
    const length =
      body.length < 128 ? [body.length] : [(body.length % 128) | 0x80, Math.floor(body.length / 128)];
    return Buffer.from([type << 4, ...length, ...body]);
  });

test("packets come out as they went in, however the bytes are cut [MQTT-2.1.1]", () => {
  fc.assert(
    fc.property(fc.array(packet, { maxLength: 20 }), fc.array(fc.nat(200)), (packets, cuts) => {
      const out: Buffer[] = [];
      const cutter = createFrameCutter(
        () => 1000,
        (frame) => void out.push(Buffer.from(frame)),
      );
      let rest = Buffer.concat(packets);
      for (const cut of cuts) {
        expect(cutter.push(rest.subarray(0, cut))).toBeUndefined();
        rest = rest.subarray(cut);
      }
      cutter.push(rest);
      expect(out).toEqual(packets);
    }),
    { numRuns: process.env["NOMQ_LONG"] ? 20_000 : 300 },
  );
});

test("a packet that comes byte by byte is kept in few pieces", () => {
  const body = Buffer.from(Array.from({ length: 20_000 }, (_, at) => at % 251));
  const bytes = Buffer.concat([Buffer.from([0x30, 0xa0, 0x9c, 0x01]), body]);
  const out: Buffer[] = [];
  const cutter = createFrameCutter(
    () => 30_000,
    (frame) => void out.push(frame),
  );
  for (let at = 0; at < bytes.length - 1; at += 1) cutter.push(bytes.subarray(at, at + 1));
  expect(cutter.pieces()).toBeLessThan(64);
  cutter.push(bytes.subarray(-1));
  expect(out).toEqual([bytes]);
  expect(cutter.pieces()).toBe(0);
});

test("the head of any bytes is read without leaving them", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const head = publishHead(Buffer.from(bytes));
      expect(head === undefined || head.topic.length <= bytes.length).toBe(true);
    }),
  );
});

const level = fc.constantFrom("a", "b", "", "$x", "__proto__");
const topic = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join("/"));
const filter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant("+")), { maxLength: 4 }), fc.boolean())
  .map(([levels, isOpen]) => [...levels, ...(isOpen || levels.length === 0 ? ["#"] : [])].join("/"));

test("the trie finds what a look at every filter finds, before and after removals [MQTT-4.7.1-1]", () => {
  fc.assert(
    fc.property(fc.uniqueArray(filter, { maxLength: 12 }), topic, fc.nat(11), (filters, name, gone) => {
      const trie = createTopicTrie<string>();
      for (const one of filters) trie.add(one, one);
      const covers = (one: string): boolean =>
        filterMatches(one, name) && !(name.startsWith("$") && /^[+#]/.test(one));
      expect(trie.match(name).sort()).toEqual(filters.filter(covers).sort());
      const left = filters.filter((_, at) => at !== gone);
      for (const one of filters.slice(gone, gone + 1)) trie.remove(one, one);
      expect(trie.match(name).sort()).toEqual(left.filter(covers).sort());
    }),
    { numRuns: process.env["NOMQ_LONG"] ? 20_000 : 500 },
  );
});

test("a topic of 65,535 levels is matched without recursion", () => {
  const trie = createTopicTrie<number>();
  const deep = "/".repeat(65_534);
  trie.add(deep, 1);
  trie.add("#", 2);
  expect(trie.match(deep).sort()).toEqual([1, 2]);
});
