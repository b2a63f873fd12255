import { IncomingError } from "./incoming-error.ts";
import type { IncomingLimits } from "./kept-text.ts";
import { createTagScan, type TagScan } from "./tag-scan.ts";
import type { Parser } from "./xmpp-js.ts";

/**
 * Feeds what a socket brings to a parser. Answers whether a stanza has begun that has not ended. Throws where the stream
 * cannot go on; it must then be ended.
 */
export type Incoming = (data: Uint8Array | string, parser: Parser) => boolean;

/**
 * Reads one connection. Characters split over chunks stay whole (RFC 6120 section 11.6 wants UTF-8), the parser gets
 * whole tags and the text before them (see {@link TagScan}), and stanzas have bounds. A string is a message of a
 * WebSocket, which holds whole elements (RFC 7395 section 3.3.3).
 */
export function createIncoming(limits: IncomingLimits): Incoming {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let reading: { readonly parser: Parser; readonly tags: TagScan } | undefined;
  let total = 0;

  const tagsOf = (parser: Parser, top: 0 | 1): TagScan => {
    if (reading?.parser === parser) return reading.tags;
    if (reading?.tags.isInside === true) throw notWellFormed();
    // The next stream on the same socket; blanks may have followed the last element of the one before.
    reading = { parser, tags: createTagScan(top, limits) };
    return reading.tags;
  };

  return (data, parser) => {
    const isMessage = typeof data === "string";
    const text = isMessage ? data : decode(decoder, data);
    const top = isMessage ? 0 : 1;
    const tags = tagsOf(parser, top);
    total += text.length;
    // Before any of it is read: a message of a WebSocket may be far larger than that.
    if (total > (limits.total ?? Number.POSITIVE_INFINITY))
      throw new IncomingError("too-large", `more than ${limits.total} characters before anybody was known`);
    const { isWhole, ready } = tags.scan(text);
    if (isMessage && !(isWhole && tags.level === 0)) throw notWellFormed();
    const isOpen = tags.isInside || tags.level > top;
    if (ready === "") return isOpen;
    try {
      parser.write(ready);
    } catch (error) {
      throw new IncomingError("malformed", "XML that is not well-formed", { cause: error });
    }
    // The parser keeps text between stanzas, and servers send some to keep connections alive.
    if (parser.root !== null) parser.root.children.length = 0;
    return isOpen;
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
