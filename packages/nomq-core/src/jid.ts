/** RFC 7622 section 3.1, for each part. */
const MOST_PART_BYTES = 1_023;

/** What servers map to nothing or never let in: white space, controls, characters nobody sees. */
const UNSEEN = /[\s\p{Cc}\p{Default_Ignorable_Code_Point}]/u;
/** RFC 7622 section 3.3.1. */
const NOT_IN_NAMES = /["&'/:<>]/;

/**
 * A JID without its resource, in the one form in which accounts are compared: width and compatibility forms, case and
 * composition mapped, as servers do it (RFC 7622 section 3, nodeprep before it). Undefined: it names no account and no server.
 */
export function bareJid(jid: string): string | undefined {
  const [bare = ""] = jid.split("/", 1);
  const text = mapped(bare);
  // Mapping may bring spaces: that of an accent alone.
  if (UNSEEN.test(bare) || UNSEEN.test(text)) return undefined;
  const parts = text.split("@");
  const [domain = "", name] = parts.toReversed();
  if (parts.length > 2 || domain === "" || name === "") return undefined;
  if (NOT_IN_NAMES.test(name ?? "") || domain.includes("/")) return undefined;
  const isShort = parts.every((part) => Buffer.byteLength(part) <= MOST_PART_BYTES);
  return isShort ? parts.join("@") : undefined;
}

/** Letter by letter: at the end of a word JavaScript makes another sigma of a large one, and no server does. */
const mapped = (text: string): string =>
  [...text.normalize("NFKC")]
    .map((letter) => letter.toLowerCase())
    .join("")
    .normalize("NFKC");
