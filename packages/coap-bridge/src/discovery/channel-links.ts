import type { Message, Port, Principal } from "@nomq/core";
import { LARGEST_BLOCK_BYTES } from "../wire/block-option.ts";
import type { Link, LinkAttribute } from "../wire/link-format.ts";
import type { UriPaths } from "../wire/uri-path.ts";
import type { ChannelNames } from "./channel-names.ts";
import { type LinkFilter, linkMatches } from "./link-filter.ts";
import type { LinkSource } from "./listing.ts";

/** What links of channels are made of. */
export interface ChannelLinksOptions {
  readonly names: ChannelNames;
  readonly port: Pick<Port, "latest" | "may">;
  readonly paths: UriPaths;
  /** Content-Formats in which a value can be had; the first is its own. */
  readonly formatsOf: (message: Message) => readonly number[];
}

/** Who asks for links, and which of them. */
export interface LinksAsked {
  readonly as: Principal;
  readonly filters: readonly LinkFilter[];
}

/** Resource type of a channel. */
const CHANNEL_TYPE = "nomq.channel";
/** Interfaces as draft-ietf-core-interfaces names them: a parameter, and one that can only be read. */
const READ_AND_WRITTEN = "core.p";
const READ_ONLY = "core.rp";
/** Attributes that are the value's. */
const OF_VALUE: ReadonlySet<string> = new Set(["ct", "sz"]);

/**
 * The links of all channels known now that may be seen, in a stable order: those of channels learned later are not among
 * them. A value is read only for a link that is going to be said.
 */
export function* channelLinks(options: ChannelLinksOptions, { as, filters }: LinksAsked): LinkSource {
  const { names, port } = options;
  const ofName = filters.filter(({ name }) => !OF_VALUE.has(name));
  const ofValue = filters.filter(({ name }) => OF_VALUE.has(name));
  const until = names.end();
  for (let place = names.begin(); place < until; place += 1) {
    const name = names.at(place);
    const link =
      name === undefined || !port.may(as, "subscribe", name) ? undefined : plainLink(options, name, as);
    const isWanted = link !== undefined && ofName.every((filter) => linkMatches(link, filter));
    yield isWanted && name !== undefined
      ? withValue(options, { link, name, as, filters: ofValue })
      : undefined;
  }
}

/** What a name alone says; undefined: it has no path. */
function plainLink({ paths, port }: ChannelLinksOptions, name: string, as: Principal): Link | undefined {
  const href = paths.href(name);
  if (href === undefined) return undefined;
  const writable = port.may(as, "publish", name);
  const attributes: LinkAttribute[] = [
    ["rt", CHANNEL_TYPE],
    ["if", writable ? READ_AND_WRITTEN : READ_ONLY],
    ["obs"],
  ];
  const plain = href.includes("%") ? decodeURIComponent(href) : undefined;
  if (plain === undefined) return { href, attributes };
  return { href, plain, attributes: [...attributes, ["title", name]] };
}

interface Found {
  readonly link: Link;
  readonly name: string;
  readonly as: Principal;
  readonly filters: readonly LinkFilter[];
}

/** The link with what its value says: format, and size where it is large. Undefined: not what was asked for. */
async function withValue(options: ChannelLinksOptions, found: Found): Promise<Link | undefined> {
  const { link, name, as, filters } = found;
  // A store that fails takes nothing from the names.
  const value = await options.port.latest(name, as).catch(() => undefined);
  const attributes = [...link.attributes];
  const formats = value === undefined ? [] : options.formatsOf(value);
  if (formats.length > 0) attributes.push(["ct", formats.join(" ")]);
  if (value !== undefined && value.payload.length > LARGEST_BLOCK_BYTES)
    // Sizes are said of what does not fit one datagram (RFC 6690 section 3.3).
    attributes.push(["sz", String(value.payload.length)]);
  const whole = { ...link, attributes };
  return filters.every((filter) => linkMatches(whole, filter)) ? whole : undefined;
}
