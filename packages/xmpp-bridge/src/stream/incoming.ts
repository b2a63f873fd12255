import type { Parser } from "./xmpp-js.ts";

/** Deeper elements are hostile: what walks them takes a stack frame for each level. */
const MOST_LEVELS = 128;

/** What a stream may bring. */
export interface IncomingLimits {
  /** Characters of one stanza. */
  stanza: number;
}

/** Feeds what a socket brings to a parser. Throws where the stream cannot go on; it must then be ended. */
export type Incoming = (data: Uint8Array | string, parser: Parser) => void;

/** What ended a stream: characters that are none, XML that is none, or too much of it. */
export class IncomingError extends Error {
  override readonly name = "IncomingError";
  readonly why: "malformed" | "too-large";

  constructor(why: "malformed" | "too-large", text: string, options?: ErrorOptions) {
    super(text, options);
    this.why = why;
  }
}

/**
 * Reads one connection. Characters split over chunks stay whole (RFC 6120 section 11.6 wants UTF-8), text waits for the
 * tag behind it (the parser looks for that tag from every character), and stanzas have bounds.
 */
export function createIncoming(limits: IncomingLimits): Incoming {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const bounds = createBounds(limits);
  let waiting: string[] = [];
  return (data, parser) => {
    const text = typeof data === "string" ? data : decode(decoder, data);
    bounds.add(text.length);
    // A WebSocket message is whole: nothing waits for the next one.
    const cut = typeof data === "string" ? text.length : text.lastIndexOf(">") + 1;
    if (cut === 0) {
      if (text !== "") waiting.push(text);
      return;
    }
    waiting.push(text.slice(0, cut));
    const ready = waiting.join("");
    waiting = cut === text.length ? [] : [text.slice(cut)];
    bounds.watch(parser);
    try {
      parser.write(ready);
    } catch (error) {
      if (error instanceof IncomingError) throw error;
      throw new IncomingError("malformed", "XML that is not well-formed", { cause: error });
    }
    // The parser keeps text between stanzas, and servers send some to keep connections alive.
    if (parser.root !== null) parser.root.children.length = 0;
    bounds.written(text.length - cut);
  };
}

function decode(decoder: InstanceType<typeof TextDecoder>, data: Uint8Array): string {
  try {
    return decoder.decode(data, { stream: true });
  } catch (error) {
    throw new IncomingError("malformed", "bytes that are not UTF-8", { cause: error });
  }
}

interface Bounds {
  add(characters: number): void;
  watch(parser: Parser): void;
  /** All but so many characters are parsed. */
  written(left: number): void;
}

function createBounds(limits: IncomingLimits): Bounds {
  let watched: Parser | undefined;
  let level = 0;
  let size = 0;
  let ended = false;
  return {
    add(characters) {
      size += characters;
      if (size > limits.stanza)
        throw new IncomingError("too-large", `a stanza of more than ${limits.stanza} characters`);
    },
    watch(parser) {
      if (parser === watched) return;
      watched = parser;
      level = 0;
      parser.parser.on("startElement", () => {
        level += 1;
        if (level > MOST_LEVELS) throw new IncomingError("too-large", `elements ${level} levels deep`);
      });
      parser.parser.on("endElement", () => {
        level -= 1;
        // Level 1 is inside the stream; of a WebSocket, whose messages are whole, level 0.
        if (level <= 1) ended = true;
      });
    },
    written(left) {
      if (ended) size = left;
      ended = false;
    },
  };
}
