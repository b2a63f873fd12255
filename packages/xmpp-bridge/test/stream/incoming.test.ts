import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { element } from "../../src/stream/build.ts";
import { createIncoming } from "../../src/stream/incoming.ts";
import { createClient, type Parser } from "../../src/stream/xmpp-js.ts";

const runs = process.env["NOMQ_LONG"] ? 20_000 : 300;
const HEAD = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

interface Read {
  readonly parser: Parser;
  readonly elements: string[];
}

/** xmpp.js's parser for TCP, found as the link finds it. */
function parser(): Read {
  const client = createClient({
    ...{ service: "xmpp://127.0.0.1:1", domain: "localhost", tls: {}, maxMessageBytes: 1000 },
  });
  const Made: unknown = Reflect.get(client.transports[1]?.prototype ?? {}, "Parser");
  if (typeof Made !== "function") throw new Error("no parser");
  const made: Parser & { on(event: string, heard: (what: unknown) => void): void } = Reflect.construct(
    Made,
    [],
  );
  const elements: string[] = [];
  made.on("element", (each) => elements.push(String(each)));
  made.on("error", (error) => {
    throw error;
  });
  return { parser: made, elements };
}

function read(chunks: readonly Uint8Array[], stanza = 1_000_000): readonly string[] {
  const incoming = createIncoming({ stanza });
  const { parser: to, elements } = parser();
  for (const chunk of chunks) incoming(chunk, to);
  return elements;
}

const anyText = fc
  .string({ unit: "binary", maxLength: 40 })
  .filter((text) => !/[\p{Cc}\ufffe\uffff]/u.test(text));

/** A parser that only counts what it is given. */
function counting(): { readonly parser: Parser; readonly written: number[] } {
  const written: number[] = [];
  return { parser: { root: null, write: (text) => void written.push(text.length) }, written };
}

describe("what a socket brings", () => {
  test.each([
    ["text full of brackets", `<message><body>${">".repeat(100_000)}`, "</body></message>"],
    ["a value full of brackets", `<message a='${">".repeat(100_000)}`, "'/>"],
    ["a section full of tags", `<message><![CDATA[${"]]<a/>".repeat(20_000)}`, "]]></message>"],
  ])("%s is one piece for the parser, however small its chunks are", (_what, most, end) => {
    const incoming = createIncoming({ stanza: 1_000_000 });
    const { parser: to, written } = counting();
    incoming(Buffer.from(HEAD), to);
    const bytes = Buffer.from(most + end);
    for (let at = 0; at < bytes.length; at += 7) incoming(bytes.subarray(at, at + 7), to);
    expect(written.length).toBeLessThan(6);
    expect(written.reduce((sum, each) => sum + each, 0)).toBe(HEAD.length + bytes.length);
  });

  test("a message of a WebSocket is whole elements: none goes on in the next one", () => {
    for (const message of [
      "<message>",
      "<message><a/>",
      "<message/><a",
      "<message/>text",
      "</message>",
      "<a b='",
    ]) {
      const incoming = createIncoming({ stanza: 1_000 });
      expect(() => incoming(message, counting().parser)).toThrow(
        expect.objectContaining({ name: "IncomingError", why: "malformed" }),
      );
    }
    expect(() => createIncoming({ stanza: 1_000 })(" <a><b/></a> ", counting().parser)).not.toThrow();
  });

  test("before anybody is known all of it together has an end", () => {
    const incoming = createIncoming({ stanza: 1_000, total: 2_000 });
    const { parser: to } = counting();
    incoming(Buffer.from(HEAD), to);
    const flood = (): void => {
      for (let count = 0; count < 100; count += 1) incoming(Buffer.from(`<x>${"y".repeat(90)}</x>`), to);
    };
    expect(flood).toThrow(expect.objectContaining({ name: "IncomingError", why: "too-large" }));
  });

  test("before anybody is known a message of a WebSocket that is too large is not read at all", () => {
    const incoming = createIncoming({ stanza: 1_000, total: 2_000 });
    // Whoever reads it stumbles over its first letter.
    expect(() => incoming(`\0${"x".repeat(2_000)}`, counting().parser)).toThrow(
      expect.objectContaining({ name: "IncomingError", why: "too-large" }),
    );
  });

  test("text that is no item's is no longer than one: its entities would be read in one go", () => {
    const text = `<message><body>${"&amp;".repeat(210_000)}</body></message>`;
    const tooLarge = expect.objectContaining({ name: "IncomingError", why: "too-large" });
    const message = createIncoming({ stanza: 8_000_000 });
    expect(() => message(text, counting().parser)).toThrow(tooLarge);
    const chunks = createIncoming({ stanza: 8_000_000 });
    const { parser: to } = counting();
    const feed = (): void => {
      for (let at = 0; at < text.length; at += 10_000) chunks(Buffer.from(text.slice(at, at + 10_000)), to);
    };
    chunks(Buffer.from(HEAD), to);
    expect(feed).toThrow(tooLarge);
    expect(() => createIncoming({ stanza: 16_000_000 })(text, counting().parser)).not.toThrow();
  });

  test("small elements and attributes without end are too many before they are too long", () => {
    const many = `${HEAD}<message>${"<a/>".repeat(600_000)}`;
    const wide = `${HEAD}<message ${Array.from({ length: 1_001 }, (_, at) => `a${at}=''`).join(" ")}/>`;
    for (const text of [many, wide]) {
      const incoming = createIncoming({ stanza: 16_777_216 });
      expect(() => incoming(Buffer.from(text), counting().parser)).toThrow(
        expect.objectContaining({ name: "IncomingError", why: "too-large" }),
      );
    }
  });

  test("is the same stanzas wherever chunks end, within a character too", () => {
    const anyStanza = fc.record({ text: anyText, attribute: anyText });
    fc.assert(
      fc.property(
        fc.array(anyStanza, { maxLength: 5 }),
        fc.array(fc.nat(2000), { maxLength: 12 }),
        (made, cuts) => {
          const stanzas = made.map(({ text, attribute }) =>
            element("message", { a: attribute }, [element("body", {}, [text])]).toString(),
          );
          const bytes = Buffer.from(HEAD + stanzas.join("\n"));
          const at = [
            0,
            ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b),
            bytes.length,
          ];
          const chunks = at.slice(1).map((to, index) => bytes.subarray(at[index], to));
          expect(read(chunks)).toEqual(stanzas);
        },
      ),
      { numRuns: runs },
    );
  });

  test("a long text goes to the parser once, with the tag behind it: the parser looks for that from each character", () => {
    const written: number[] = [];
    const { parser: real } = parser();
    const to: Parser = {
      root: null,
      write(text) {
        written.push(text.length);
        real.write(text);
      },
    };
    const incoming = createIncoming({ stanza: 16_777_216 });
    incoming(Buffer.from(`${HEAD}<message><body>`), to);
    for (let chunk = 0; chunk < 16; chunk += 1) incoming(Buffer.from("x".repeat(65_536)), to);
    expect(written).toHaveLength(1);
    incoming(Buffer.from("</body></message>"), to);
    expect(written[1]).toBeGreaterThan(16 * 65_536);
  });

  test.each([
    [
      "a byte that is not UTF-8",
      Buffer.concat([Buffer.from(`${HEAD}<a>`), Buffer.from([0xff]), Buffer.from("</a>")]),
    ],
    ["an unknown entity", Buffer.from(`${HEAD}<message>&boom;</message>`)],
    ["a character that XML has not", Buffer.from(`${HEAD}<message>&#0;</message>`)],
    ["tags that do not match", Buffer.from(`${HEAD}<message></presence></message>`)],
    ["an end before the beginning", Buffer.from("</stream:stream>")],
    ["text before the beginning", Buffer.from("hello<a/>")],
    ["more after the end", Buffer.from(`${HEAD}</stream:stream></a></b>`)],
    ["a stanza without an end", Buffer.from(`${HEAD}<message>${"<a/>".repeat(300_000)}`)],
    ["a comment", Buffer.from(`${HEAD}<message><!-- hidden --></message>`)],
    ["a processing instruction", Buffer.from(`${HEAD}<message><?php echo 1 ?></message>`)],
    ["a document type with entities", Buffer.from("<!DOCTYPE x [<!ENTITY a 'aaaaaaaa'>]><stream:stream>")],
    ["a second XML declaration", Buffer.from(`${HEAD}<message/><?xml version='1.0'?>`)],
    ["a tag within a value", Buffer.from(`${HEAD}<message a='<b/>'/>`)],
    ["an attribute without a value", Buffer.from(`${HEAD}<message checked/>`)],
    ["an attribute without quotes", Buffer.from(`${HEAD}<message a=b/>`)],
    ["NUL", Buffer.from(`${HEAD}<message>\0</message>`)],
    ["a tag without an end", Buffer.from(`${HEAD}<message ${"a".repeat(1_100_000)}`)],
  ])("%s is an error that can be told, and nothing worse", (_what, bytes) => {
    expect(() => read([bytes])).toThrow(expect.objectContaining({ name: "IncomingError" }));
  });

  test("many stanzas may be more than one may, and blanks between them are forgotten", () => {
    const incoming = createIncoming({ stanza: 1_000 });
    const { parser: to, elements } = parser();
    incoming(Buffer.from(HEAD), to);
    for (let count = 0; count < 100; count += 1)
      incoming(Buffer.from(`<message>${"x".repeat(500)}</message>\n \n`), to);
    expect(elements).toHaveLength(100);
    expect(to.root?.children).toEqual([]);
  });

  test("any bytes at all are read or refused", () => {
    const pieces = fc.constantFrom(
      "<",
      ">",
      "/",
      "<a>",
      "</a>",
      "<a",
      "'",
      '"',
      "&",
      ";",
      "&lt;",
      "<!--",
      "-->",
      "<?",
      "<![CDATA[",
      "]]>",
      "x=",
      HEAD,
      "</stream:stream>",
      "\0",
      "é",
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 30 }), fc.uint8Array({ maxLength: 8 }), (parts, noise) => {
        try {
          read([...parts.map((part) => Buffer.from(part)), noise]);
        } catch (error) {
          expect(error).toMatchObject({ name: "IncomingError" });
        }
      }),
      { numRuns: runs },
    );
  });
});
