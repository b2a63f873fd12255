import type { Message } from "@nomq/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { itemPayload, MAX_PAYLOAD_BYTES, readItem } from "../../src/payload/item.ts";
import { element } from "../../src/stream/build.ts";
import { type Element, Namespace } from "../../src/stream/element.ts";
import { parsed } from "../parsed.ts";

const runs = process.env["NOMQ_LONG"] ? 20_000 : 500;

const plain = (payload: Uint8Array, more: Partial<Message> = {}): Message => ({
  ...{ id: "0".repeat(32), seq: 1, channel: "a", payload, qos: 0, retain: false, priority: 0 },
  ...{ publishedAt: 1, origin: "test" },
  ...more,
});
const written = (message: Message, expiresInMs?: number): Element => {
  const made = itemPayload(message, {
    gateway: "here",
    ...(expiresInMs === undefined ? {} : { expiresInMs }),
  });
  if (made === "too-large") throw new Error("too large");
  return made;
};
/** As a server passes it on: inside an item inside an event, read from text. */
const carried = (payload: Element): Element => {
  const item = element("item", { id: "x" }, [payload]);
  const event = element("event", { xmlns: Namespace.pubsubEvent }, [item]);
  const [read] = parsed(event.toString()).getChildElements()[0]?.getChildElements() ?? [];
  if (read === undefined) throw new Error("no payload");
  return read;
};
/** As Prosody writes it: each attribute of ours under a prefix of its own. */
const renamed = (payload: Element): Element => {
  const attrs: Record<string, string> = {};
  for (const [name, value] of Object.entries(payload.attrs)) {
    if (name === "xmlns:n") continue;
    const prefix = `ns${Object.keys(attrs).length}`;
    if (!name.startsWith("n:")) attrs[name] = value;
    else Object.assign(attrs, { [`xmlns:${prefix}`]: Namespace.nomq, [`${prefix}:${name.slice(2)}`]: value });
  }
  payload.attrs = attrs;
  return payload;
};

const anyText = fc.string({ unit: "binary", maxLength: 60 }).filter((text) => text.isWellFormed());
const anyPayload = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  anyText.map((text) => Buffer.from(text)),
  fc.json().map((text) => Buffer.from(text)),
  fc
    .constantFrom("&&&&", "\r\n", "]]>", " a ", "\ufffe", "\ufeff{}", "<x/>", "\t")
    .map((t) => Buffer.from(t)),
);
const anyMessage = fc.record({
  payload: anyPayload,
  more: fc.record(
    {
      qos: fc.constantFrom(0, 1, 2),
      retain: fc.boolean(),
      priority: fc.integer({ min: 1, max: 15 }),
      contentType: fc.oneof(
        fc.constantFrom("application/json", "text/plain", "application/senml+json;x=1"),
        anyText,
      ),
      expiresAt: fc.integer({ min: 0, max: 2 ** 45 }),
      responseChannel: anyText,
      correlation: fc.uint8Array({ maxLength: 20 }),
      properties: fc.array(fc.tuple(anyText, anyText), { minLength: 1, maxLength: 4 }),
    },
    { requiredKeys: [] },
  ),
});

describe("a message as an item", () => {
  test.each([
    ["as it was written", (payload: Element) => payload],
    ["under other prefixes", renamed],
  ])("comes back byte for byte with all it says, %s", (_how, change) => {
    fc.assert(
      fc.property(anyMessage, ({ payload, more }) => {
        // fast-check makes a number of `qos`, which is one of the three.
        const message = plain(payload, more as Partial<Message>);
        const read = readItem(carried(change(written(message, 1500))));
        expect(Buffer.from(read?.payload ?? [])).toEqual(Buffer.from(payload));
        const { correlation, ...said } = more;
        expect(read).toMatchObject({
          ...said,
          isOurs: true,
          originId: message.id,
          gateway: "here",
          ttlMs: 1500,
        });
        expect(read?.correlation && Buffer.from(read.correlation)).toEqual(
          correlation && Buffer.from(correlation),
        );
      }),
      { numRuns: runs },
    );
  });

  test("is JSON where it is JSON, text where XML can hold it, else base64", () => {
    const nameOf = (text: string, contentType?: string): string =>
      written(plain(Buffer.from(text), contentType === undefined ? {} : { contentType })).name;
    expect(nameOf('{"a":1}', "application/json")).toBe("json");
    expect(nameOf('{"a":1}', "application/senml+json; v=1")).toBe("json");
    expect(nameOf("{a:1}", "application/json")).toBe("text");
    expect(nameOf('{"a":1}')).toBe("text");
    expect(nameOf("a\r\nb", "text/plain")).toBe("data");
    expect(nameOf("&".repeat(1000))).toBe("data");
  });

  test("is at most a third larger than its payload, and refused above 128 KiB", () => {
    for (const byte of ["&", '"', "<", "a", "\0"]) {
      const most = plain(Buffer.from(byte.repeat(MAX_PAYLOAD_BYTES)), { contentType: "application/json" });
      expect(Buffer.byteLength(written(most).toString())).toBeLessThan(180_000);
      expect(itemPayload(plain(Buffer.alloc(MAX_PAYLOAD_BYTES + 1)), { gateway: "here" })).toBe("too-large");
    }
  });

  test("is refused where its properties are too large for a stanza", () => {
    const message = plain(Buffer.from("x"), { properties: [["name", "v".repeat(40_000)]] });
    expect(itemPayload(message, { gateway: "here" })).toBe("too-large");
  });
});

describe("what others publish", () => {
  const read = (xml: string): { text: string; type: string | undefined } | undefined => {
    const item = readItem(carried(parsed(xml)));
    return item && { text: Buffer.from(item.payload).toString(), type: item.contentType };
  };

  test("XEP-0335: a JSON container is JSON, its text as it was", () => {
    expect(read('<json xmlns="urn:xmpp:json:0">{ "a": "&amp;" }</json>')).toEqual({
      text: '{ "a": "&" }',
      type: "application/json",
    });
  });

  test("RFC 4287: an Atom entry is Atom", () => {
    expect(read('<entry xmlns="http://www.w3.org/2005/Atom"><title>x</title></entry>')).toEqual({
      text: '<entry xmlns="http://www.w3.org/2005/Atom"><title>x</title></entry>',
      type: "application/atom+xml",
    });
  });

  test("sensor data and any other XML stay XML", () => {
    const data = '<ts v="2017-09-22T15:22:33Z" xmlns="urn:nfi:iot:sd:1.0"><q n="T" v="12.3" u="C"/></ts>';
    expect(read(data)).toEqual({ text: data, type: "application/xml" });
  });

  test("XML whose namespaces are declared outside of it stands alone", () => {
    const outer = '<o xmlns="urn:o" xmlns:p="urn:p"><p:in p:a="1"><deep/></p:in></o>';
    const [inner] = parsed(outer).getChildElements();
    if (inner === undefined) throw new Error("no element");
    const text = Buffer.from(readItem(inner)?.payload ?? []).toString();
    const again = parsed(text);
    expect([again.getNS(), again.getName()]).toEqual(["urn:p", "in"]);
    expect(again.getChildElements()[0]?.getNS()).toBe("urn:o");
  });

  test("XEP-0231: a small blob is its bytes", () => {
    expect(read('<data xmlns="urn:xmpp:bob" type="text/x" cid="c">aGk=\n</data>')).toEqual({
      text: "hi",
      type: "text/x",
    });
  });

  test("base64 that is none, numbers out of range and XML too deep are not taken", () => {
    expect(read('<data xmlns="urn:xmpp:bob">%%%</data>')).toBeUndefined();
    expect(
      readItem(parsed(`<x xmlns="urn:x">${"<a>".repeat(5000)}${"</a>".repeat(5000)}</x>`)),
    ).toBeUndefined();
    const odd = '<text xmlns="urn:nomq:xmpp:0" qos="9" prio="-1" ttl="1e9" exp="" retain="yes">x</text>';
    const item = readItem(parsed(odd));
    expect(item).toEqual({ payload: Buffer.from("x"), isOurs: false });
  });

  test("anything a parser reads is read without an error", () => {
    const name = fc.constantFrom("json", "text", "data", "x", "p:y");
    const namespace = fc.constantFrom(Namespace.json, Namespace.nomq, "urn:xmpp:bob", "urn:x");
    const attribute = fc.constantFrom(
      "enc",
      "corr-64",
      "corr",
      "props",
      "props-64",
      "ct-64",
      "qos",
      "__proto__",
    );
    fc.assert(
      fc.property(name, namespace, fc.dictionary(attribute, anyText), anyText, (called, ns, attrs, text) => {
        const made = element(called, { xmlns: ns, "xmlns:p": ns, ...attrs }, [text]);
        expect(() => readItem(made)).not.toThrow();
      }),
      { numRuns: runs },
    );
  });
});
