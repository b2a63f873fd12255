import { Namespace } from "./element.ts";
import { IncomingError } from "./incoming-error.ts";

/** Deeper elements are left out: what walks them takes a stack frame for each level. */
const MOST_LEVELS = 128;
/** Attributes of one element. */
const MOST_ATTRIBUTES = 1_000;
/** Elements, attributes and sections, each of which becomes an object of many times its length: of an item, of a stanza. */
const MOST_ITEM_PARTS = 30_000;
const MOST_PARTS = 500_000;
/** Items of the largest size that fit in one stanza. */
const ITEMS = 10;
/** Characters of a text that is no item's, or as many as an item may have: its entities are read in one go. */
const MOST_TEXT = 1_000_000;
/** What is left out of a stanza has an end, too: so many times what is kept. */
const RAW = 8;
/** On which level below the top items stand: in `message`, `event`, `items`, or `iq`, `pubsub`, `items`. */
const ITEM = 4;

/** Stands where something was left out. */
export const LEFT_OUT = "left-out";
const MARK = `<${LEFT_OUT} xmlns='${Namespace.nomq}'/>`;

/** What a stream may bring. */
export interface IncomingLimits {
  /** Characters of one stanza; of one item a tenth of them. */
  stanza: number;
  /** Characters altogether; absent: no end. */
  total?: number;
}

/** What the parser gets of a chunk. */
export interface Scanned {
  /** Whole tags, and the text before each. */
  readonly ready: string;
  /** Whether all that has come is there. */
  readonly isWhole: boolean;
}

/** What a stream brings, tag by tag, and what of it goes on to the parser. */
export interface Kept {
  /** An element, attribute or section begins inside of so many elements. */
  count(level: number): void;
  started(
    text: string,
    tag: {
      readonly at: number;
      readonly level: number;
      readonly isEmpty: boolean;
      readonly attributes: number;
    },
  ): void;
  closed(text: string, tag: { readonly at: number; readonly level: number; readonly name: string }): void;
  end(text: string, now: { readonly level: number; readonly mayDrop: boolean }): Scanned;
}

/** Begins before a stream, as the scan of its tags does. */
export function createKept(top: 0 | 1, limits: IncomingLimits): Kept {
  const item = top + ITEM;
  const mostText = (): number => Math.max(MOST_TEXT, limits.stanza / ITEMS);
  let out: string[] = [];
  /** Of earlier chunks, behind the last whole tag. */
  let waiting: string[] = [];
  let waitingLength = 0;
  /** In this chunk: where what is not handed out yet begins, and where its last whole tag ends. */
  let from = 0;
  let cut = 0;
  /** The level of an element that is left out, with all in it. */
  let skipping: number | undefined;
  /** What waited was too long for its item: the tag behind it comes without it. */
  let isDropping = false;
  let isMarked = false;
  const parts = { stanza: 0, item: 0 };
  /** Characters: handed out of this stanza, of it altogether, of the item; with where each begins in this chunk. */
  const size = { kept: 0, raw: 0, item: 0, rawFrom: 0, itemFrom: 0 };

  const flush = (text: string): void => {
    if (cut <= from) return;
    const pieces = [...waiting, text.slice(from, cut)];
    for (const piece of pieces) size.kept += piece.length;
    out.push(...pieces);
    waiting = [];
    waitingLength = 0;
    from = cut;
  };
  const mark = (): void => {
    if (!isMarked) out.push(MARK);
    isMarked = true;
  };
  const startAt = (at: number): void => {
    waiting = [];
    waitingLength = 0;
    isDropping = false;
    from = at + 1;
    cut = at + 1;
  };
  const wholeTo = (at: number, level: number): void => {
    if (level < item && at - cut > mostText()) throw tooLongText();
    cut = at + 1;
  };
  const isLong = (at: number): boolean => size.item + at + 1 - size.itemFrom > limits.stanza / ITEMS;
  const elementEnded = (text: string, at: number, level: number): void => {
    if (level < item) {
      isMarked = false;
      parts.item = 0;
      size.item = 0;
      size.itemFrom = at + 1;
    }
    if (level > top) return;
    flush(text);
    measure(at + 1 - size.rawFrom);
    parts.stanza = 0;
    size.kept = 0;
    size.raw = 0;
    size.rawFrom = at + 1;
  };
  const measure = (raw: number): void => {
    if (size.kept + waitingLength > limits.stanza || size.raw + raw > RAW * limits.stanza)
      throw tooLarge(`a stanza of more than ${limits.stanza} characters`);
  };
  return {
    count(level) {
      if (skipping !== undefined) return;
      parts.stanza += 1;
      if (level >= item - 1) parts.item += 1;
      if (parts.stanza > MOST_PARTS)
        throw tooLarge(`a stanza of more than ${MOST_PARTS} elements and attributes`);
    },
    started(text, { at, level, isEmpty, attributes }) {
      if (skipping !== undefined) return;
      const isWide = attributes > MOST_ATTRIBUTES;
      if (isWide && level < item) throw tooLarge(`an element of more than ${MOST_ATTRIBUTES} attributes`);
      const isTooMuch = isWide || level > MOST_LEVELS || parts.item > MOST_ITEM_PARTS || isLong(at);
      if (level >= item && isTooMuch) {
        flush(text);
        mark();
        startAt(at);
        if (!isEmpty) skipping = level;
      } else wholeTo(at, level);
      if (isEmpty) elementEnded(text, at, level - 1);
    },
    closed(text, { at, level, name }) {
      if (skipping !== undefined) {
        if (level >= skipping) return;
        skipping = undefined;
        startAt(at);
      } else if (isDropping || (level >= item && isLong(at))) {
        flush(text);
        mark();
        out.push(`</${name}>`);
        startAt(at);
      } else wholeTo(at, level);
      elementEnded(text, at, level);
    },
    end(text, { level, mayDrop }) {
      flush(text);
      size.item += text.length - size.itemFrom;
      size.itemFrom = 0;
      isDropping ||= skipping === undefined && level >= item && mayDrop && isLong(-1);
      const isWhole = skipping === undefined && !isDropping && text.slice(from).trim() === "";
      if (skipping !== undefined || isDropping) {
        waiting = [];
        waitingLength = 0;
      } else if (from < text.length) {
        waiting.push(text.slice(from));
        waitingLength += text.length - from;
        if (level < item && waitingLength > mostText()) throw tooLongText();
      }
      measure(text.length - size.rawFrom);
      size.raw += text.length - size.rawFrom;
      size.rawFrom = 0;
      from = 0;
      cut = 0;
      const ready = out.join("");
      out = [];
      return { ready, isWhole };
    },
  };
}

const tooLongText = (): IncomingError => tooLarge("text without end");

const tooLarge = (text: string): IncomingError => new IncomingError("too-large", text);
