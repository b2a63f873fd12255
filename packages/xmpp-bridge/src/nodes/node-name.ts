import { createHash } from "node:crypto";
import { isValidChannel } from "@nomq/core";
import { isAttributeSafe } from "../payload/xml-text.ts";

/** Prosody's internal storage makes a file of each node: so many characters of its name, with `%xx` for all but these. */
const MOST_FILE_CHARACTERS = 242;
const PLAIN = /[A-Za-z0-9]/g;

/** In front of a title that XML could not hold as it is. */
const ENCODED = "b64:";

const HASHED = /^h:[0-9a-f]{64}$/;

/**
 * The node of a channel: the channel's own name, where an attribute keeps it and every server can store it, else `h:` and
 * the SHA-256 of its UTF-8; that node's title holds the name. Two channels never have one node.
 */
export function nodeOfChannel(channel: string): string {
  return isOwnName(channel) ? channel : hashed(channel);
}

/** The title that such a node must have; undefined: it needs none. */
export function titleOfChannel(channel: string): string | undefined {
  if (isOwnName(channel)) return undefined;
  return isReadable(channel) ? channel : `${ENCODED}${Buffer.from(channel).toString("base64url")}`;
}

/** The channel of a node. `title`: one must be read to tell, and given. Undefined: this is no channel's node. */
export function channelOfNode(node: string, title?: string): string | "title" | undefined {
  if (!HASHED.test(node)) return isValidChannel(node) ? node : undefined;
  if (title === undefined) return "title";
  const channel = title.startsWith(ENCODED)
    ? Buffer.from(title.slice(ENCODED.length), "base64url").toString()
    : title;
  // Whoever may configure the node writes its title: only the right name has this hash.
  return isValidChannel(channel) && !isOwnName(channel) && hashed(channel) === node ? channel : undefined;
}

function isOwnName(channel: string): boolean {
  if (!isReadable(channel) || HASHED.test(channel)) return false;
  const bytes = Buffer.byteLength(channel);
  const plain = channel.match(PLAIN)?.length ?? 0;
  return plain + 3 * (bytes - plain) <= MOST_FILE_CHARACTERS;
}

/** XML keeps spaces at the ends of an attribute; form fields and people do not. */
const isReadable = (channel: string): boolean =>
  isAttributeSafe(channel) && channel.trim() === channel && !channel.startsWith(ENCODED);

const hashed = (channel: string): string => `h:${createHash("sha256").update(channel).digest("hex")}`;
