import { IncomingError } from "./incoming-error.ts";
import { createTagScan, type TagScan } from "./tag-scan.ts";
import type { Parser } from "./xmpp-js.ts";

/** What a stream may bring. */
export interface IncomingLimits {
  /** Characters of one stanza. */
  stanza: number;
  /** Characters altogether; absent: no end. */
  total?: number;
}

/** Feeds what a socket brings to a parser. Throws where the stream cannot go on; it must then be ended. */
export type Incoming = (data: Uint8Array | string, parser: Parser) => void;

/**
 * Reads one connection. Characters split over chunks stay whole (RFC 6120 section 11.6 wants UTF-8), the parser gets
 * whole tags and the text before them (see {@link TagScan}), and stanzas have bounds. A string is a message of a
 * WebSocket, which holds whole elements (RFC 7395 section 3.3.3).
 */
export function createIncoming(limits: IncomingLimits): Incoming {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let reading: { readonly parser: Parser; readonly tags: TagScan } | undefined;
  let waiting: string[] = [];
  /** Characters since the last stanza, and altogether. */
  let size = 0;
  let total = 0;

  const tagsOf = (parser: Parser, top: 0 | 1): TagScan => {
    if (reading?.parser === parser) return reading.tags;
    if (reading?.tags.isInside === true) throw notWellFormed();
    // The next stream on the same socket; blanks may have followed the last element of the one before.
    waiting = [];
    size = 0;
    reading = { parser, tags: createTagScan(top) };
    return reading.tags;
  };
  const measure = (text: string, ended: number | undefined): void => {
    total += text.length;
    if (size + (ended ?? text.length) > limits.stanza)
      throw new IncomingError("too-large", `a stanza of more than ${limits.stanza} characters`);
    if (total > (limits.total ?? Number.POSITIVE_INFINITY))
      throw new IncomingError("too-large", `more than ${limits.total} characters before anybody was known`);
    size = ended === undefined ? size + text.length : text.length - ended;
  };

  return (data, parser) => {
    const isMessage = typeof data === "string";
    const text = isMessage ? data : decode(decoder, data);
    const tags = tagsOf(parser, isMessage ? 0 : 1);
    const { cut, ended } = tags.scan(text);
    measure(text, ended);
    if (isMessage && (tags.isInside || tags.level > 0 || text.slice(cut).trim() !== ""))
      throw notWellFormed();
    if (cut === 0) {
      if (text !== "" && !isMessage) waiting.push(text);
      return;
    }
    waiting.push(text.slice(0, cut));
    const ready = waiting.join("");
    waiting = cut === text.length || isMessage ? [] : [text.slice(cut)];
    try {
      parser.write(ready);
    } catch (error) {
      throw new IncomingError("malformed", "XML that is not well-formed", { cause: error });
    }
    // The parser keeps text between stanzas, and servers send some to keep connections alive.
    if (parser.root !== null) parser.root.children.length = 0;
  };
}

function decode(decoder: InstanceType<typeof TextDecoder>, data: Uint8Array): string {
  try {
    return decoder.decode(data, { stream: true });
  } catch (error) {
    throw new IncomingError("malformed", "bytes that are not UTF-8", { cause: error });
  }
}

const notWellFormed = (): IncomingError => new IncomingError("malformed", "XML that is not well-formed");
