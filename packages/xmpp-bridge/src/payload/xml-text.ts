const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

// XML 1.0 section 2.2; CR, of which parsers make a line feed (section 2.11); and controls that XML discourages.
const NOT_IN_TEXT = /[^\t\n -~\u00a0-\ufffd]/;
// In attributes tab and line feed become spaces (section 3.3.3).
const NOT_IN_ATTRIBUTE = /[^ -~\u00a0-\ufffd]/;

/** The bytes as text that comes back the same from any XML parser; undefined where there is none. */
export function xmlSafeText(bytes: Uint8Array): string | undefined {
  try {
    const text = decoder.decode(bytes);
    return NOT_IN_TEXT.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

/** Whether a string comes back the same as an attribute's value. */
export const isAttributeSafe = (text: string): boolean => text.isWellFormed() && !NOT_IN_ATTRIBUTE.test(text);

/** How many bytes a text has once it is escaped and written as UTF-8. */
export function writtenBytes(text: string): number {
  let extra = 0;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit === 0x26) extra += 4;
    else if (unit === 0x3c || unit === 0x3e) extra += 3;
  }
  return Buffer.byteLength(text) + extra;
}
