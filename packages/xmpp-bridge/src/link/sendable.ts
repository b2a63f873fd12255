// XML 1.0 section 2.2, and halves of surrogate pairs, which UTF-8 has none of.
const NOT_XML = /(?![\t\n\r])[\p{Cc}\ufffe\uffff]/u;
const C1 = /[\u007f-\u009f]/gu;

/** Most stanzas are of these letters, one byte each, and nothing else. */
const PLAIN = /^[\t\n\r -~]*$/;

/** Why a stanza would end the stream; undefined: it would not. */
export function unsendable(text: string, maxBytes: number): string | undefined {
  const isPlain = PLAIN.test(text);
  const bytes = isPlain ? text.length : Buffer.byteLength(text);
  if (bytes > maxBytes) return `a stanza of ${bytes} bytes: at most ${maxBytes} are sent`;
  if (isPlain) return undefined;
  if (!text.isWellFormed() || NOT_XML.test(text.replace(C1, "")))
    return "a stanza with a character that XML cannot hold";
  return undefined;
}
