/** V8 copies shorter parts of a text; a longer part is a view that keeps the whole text. */
const SHORTEST_VIEW = 13;

/**
 * The same text with memory of its own. What is read of a stanza is a view of all that came with it: who keeps an item's
 * id for long would keep payloads too.
 */
export const ownText = (text: string): string =>
  text.length < SHORTEST_VIEW ? text : Buffer.from(text).toString();
