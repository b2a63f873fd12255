import { IncomingError } from "./incoming-error.ts";
import { createKept, type IncomingLimits, type Scanned } from "./kept-text.ts";

/** Longest XML declaration. */
const MOST_DECLARATION = 200;
/**
 * Reads the tags of one stream ahead of its parser, in one pass however chunks are cut. The parser is lax, and looks for
 * the end of what it is in from every character of it: it gets whole tags only, and none that it would read otherwise
 * than they are written. Throws an {@link IncomingError} where RFC 6120 sections 11.1 and 11.3 forbid what comes: comments,
 * processing instructions, document types, XML that is not well-formed; and for more of it than a stanza may have.
 * Anybody may publish items: what is too deep, too wide or too long in one is left out of it, and ends no stream.
 */
export interface TagScan {
  scan(text: string): Scanned;
  /** Elements that are open. */
  readonly level: number;
  /** Whether a tag, or a section, has begun and not ended. */
  readonly isInside: boolean;
}

type State =
  | "text"
  | "open"
  | "marked"
  | "section"
  | "declaration"
  | "name"
  | "blank"
  | "attribute"
  | "equals"
  | "quote"
  | "value"
  | "behind"
  | "slash"
  | "end-first"
  | "end-name"
  | "end-blank";

const SECTION = "[CDATA[";
const DECLARATION = /^xml[\t\n\r ][^<>?]*\?$/;
// XML 1.0 section 2.2; halves of surrogate pairs come out of no UTF-8.
const NO_CHARACTER = /[^\t\n\r -\ufffd]/;

/** Begins before a stream; `top`: the level that stanzas stand on, 1 inside of a stream element, 0 where none is around. */
export function createTagScan(top: 0 | 1, limits: IncomingLimits): TagScan {
  let state: State = "text";
  let level = 0;
  let attributes = 0;
  let quote = "";
  let endName = "";
  const section = createSection();
  const declaration = createDeclaration();
  const kept = createKept(top, limits);

  const begin = (text: string, at: number, next: "name" | "attribute" | "end-name"): number => {
    if (!isNameFirst(text.charCodeAt(at))) throw malformed();
    if (next === "end-name") endName = text[at] ?? "";
    else kept.count(level);
    state = next;
    return at + 1;
  };
  const started = (text: string, at: number, isEmpty: boolean): number => {
    state = "text";
    kept.started(text, { at, level: level + 1, isEmpty, attributes });
    if (!isEmpty) level += 1;
    return at + 1;
  };
  const closed = (text: string, at: number): number => {
    level -= 1;
    if (level < 0) throw malformed();
    state = "text";
    kept.closed(text, { at, level, name: endName });
    return at + 1;
  };
  /** What may stand behind a name or a value in a start tag. */
  const goOn = (text: string, at: number): number => {
    const next = text[at];
    if (next === ">") return started(text, at, false);
    if (next === "/") state = "slash";
    else if (isBlank(next)) state = "blank";
    else throw malformed();
    return at + 1;
  };
  const steps: Readonly<Record<State, (text: string, at: number) => number>> = {
    text(text, at) {
      const next = text.indexOf("<", at);
      if (next < 0) return text.length;
      state = "open";
      return next + 1;
    },
    open(text, at) {
      attributes = 0;
      const next = text[at];
      if (next === "/") state = "end-first";
      else if (next === "!" && level > 0) state = "marked";
      else if (next === "?" && level === 0 && !declaration.isOver) state = "declaration";
      else return begin(text, at, "name");
      return at + 1;
    },
    marked(text, at) {
      if (section.begins(text[at])) {
        kept.count(level);
        state = "section";
      }
      return at + 1;
    },
    section(text, at) {
      if (section.ends(text[at])) state = "text";
      const end = state === "text" || text[at] === "]" ? at + 1 : text.indexOf("]", at + 1);
      return end < 0 ? text.length : end;
    },
    declaration(text, at) {
      const end = declaration.read(text, at);
      if (declaration.isOver) state = "text";
      return end;
    },
    name(text, at) {
      const end = pastName(text, at);
      return end === text.length ? end : goOn(text, end);
    },
    blank(text, at) {
      const end = pastBlanks(text, at);
      const next = text[end];
      if (next === undefined) return end;
      if (next === ">" || next === "/") return goOn(text, end);
      attributes += 1;
      return begin(text, end, "attribute");
    },
    attribute(text, at) {
      const end = pastName(text, at);
      if (end < text.length) state = "equals";
      return end;
    },
    equals(text, at) {
      const end = pastBlanks(text, at);
      if (end === text.length) return end;
      if (text[end] !== "=") throw malformed();
      state = "quote";
      return end + 1;
    },
    quote(text, at) {
      const end = pastBlanks(text, at);
      if (end === text.length) return end;
      quote = text[end] ?? "";
      if (quote !== "'" && quote !== '"') throw malformed();
      state = "value";
      return end + 1;
    },
    value(text, at) {
      const end = text.indexOf(quote, at);
      // Not looked for beyond the value: many values would each cost the whole chunk.
      if (text.slice(at, end < 0 ? undefined : end).includes("<")) throw malformed();
      if (end < 0) return text.length;
      state = "behind";
      return end + 1;
    },
    behind: goOn,
    slash(text, at) {
      if (text[at] !== ">") throw malformed();
      return started(text, at, true);
    },
    "end-first": (text, at) => begin(text, at, "end-name"),
    "end-name"(text, at) {
      const end = pastName(text, at);
      endName += text.slice(at, end);
      if (end < text.length) state = "end-blank";
      return end;
    },
    "end-blank"(text, at) {
      const end = pastBlanks(text, at);
      if (end === text.length) return end;
      if (text[end] !== ">") throw malformed();
      return closed(text, end);
    },
  };

  return {
    scan(text) {
      if (NO_CHARACTER.test(text)) throw new IncomingError("malformed", "characters that XML cannot hold");
      for (let at = 0; at < text.length; ) at = steps[state](text, at);
      return kept.end(text, { level, mayDrop: state !== "open" && !state.startsWith("end") });
    },
    get level() {
      return level;
    },
    get isInside() {
      return state !== "text";
    },
  };
}

/** Tells letter by letter where a section begins and ends. */
interface Section {
  /** Whether this letter is the last of its mark. */
  begins(letter: string | undefined): boolean;
  /** Whether it is the last of its end; of what stands before, brackets and what follows them must be told. */
  ends(letter: string | undefined): boolean;
}

function createSection(): Section {
  let matched = 0;
  return {
    begins(letter) {
      if (letter !== SECTION[matched]) throw malformed();
      matched = (matched + 1) % SECTION.length;
      return matched === 0;
    },
    ends(letter) {
      if (letter === "]") {
        matched = Math.min(matched + 1, 2);
        return false;
      }
      const isEnd = letter === ">" && matched === 2;
      matched = 0;
      return isEnd;
    },
  };
}

interface Declaration {
  /** Reads on from `at`; answers where it stopped. */
  read(text: string, at: number): number;
  readonly isOver: boolean;
}

/** The XML declaration, of which a stream has one at most. */
function createDeclaration(): Declaration {
  let said = "";
  let isOver = false;
  return {
    read(text, at) {
      const end = text.indexOf(">", at);
      said += text.slice(at, end < 0 ? undefined : end);
      if (said.length > MOST_DECLARATION) throw malformed();
      if (end < 0) return text.length;
      if (!DECLARATION.test(said)) throw malformed();
      isOver = true;
      return end + 1;
    },
    get isOver() {
      return isOver;
    },
  };
}

const isBlank = (next: string | undefined): boolean =>
  next === " " || next === "\n" || next === "\t" || next === "\r";

/** Where the blanks that begin there end. */
function pastBlanks(text: string, from: number): number {
  let at = from;
  while (isBlank(text[at])) at += 1;
  return at;
}

/** Letters below 128 that names may begin with, and that they may go on with; above it all are. */
const FIRST_LETTERS = lettersIn(/[A-Za-z_:]/);
const LETTERS = lettersIn(/[\w:.-]/);

const isNameFirst = (code: number): boolean => code >= FIRST_LETTERS.length || FIRST_LETTERS[code] === 1;

/** Where a name that goes on there ends. */
function pastName(text: string, from: number): number {
  for (let at = from; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code < LETTERS.length && LETTERS[code] === 0) return at;
  }
  return text.length;
}

function lettersIn(these: RegExp): Uint8Array {
  return Uint8Array.from({ length: 128 }, (_, code) => (these.test(String.fromCharCode(code)) ? 1 : 0));
}

const malformed = (): IncomingError => new IncomingError("malformed", "XML that is not well-formed");
