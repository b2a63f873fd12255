import { createHash } from "node:crypto";
import type { Clock, Principal } from "@nomq/core";
import { askedSzx } from "../blocks/cut.ts";
import { createHeld } from "../blocks/held.ts";
import { transferKey } from "../blocks/transfer-key.ts";
import { plainAnswer, type Whole } from "../blocks/whole.ts";
import type { IncomingRequest } from "../messaging/messaging.ts";
import { MAX_TRANSMIT_WAIT_MS } from "../messaging/parameters.ts";
import { type BlockOption, decodeBlock, encodeBlock, offsetOf, sizeOfSzx } from "../wire/block-option.ts";
import { type CoapOption, NO_BYTES, OptionNumber } from "../wire/coap-message.ts";
import { Method, Response } from "../wire/code.ts";
import { ContentFormat } from "../wire/content-format.ts";
import type { Link } from "../wire/link-format.ts";
import { uintValue } from "../wire/option-value.ts";
import { optionValue, uintOption } from "../wire/options.ts";
import { type ChannelLinksOptions, channelLinks, type LinksAsked } from "./channel-links.ts";
import { linkFilters, linkMatches } from "./link-filter.ts";
import { createListing, type LinkSource, type Listing, type ListingPart } from "./listing.ts";
import { createTimeSlices } from "./time-slices.ts";

/** What {@link createDiscovery} needs. */
export interface DiscoveryOptions extends ChannelLinksOptions {
  readonly clock: Clock;
  /** Links of resources that are no channels, as far as the asker may see them. */
  readonly others: (as: Principal) => readonly Link[];
}

/** `/.well-known/core` (RFC 6690): links of the channels the asker may see. */
export interface Discovery extends Disposable {
  /**
   * The answer, already cut to the block that was asked for; undefined: nothing is said, as nothing matches what was
   * asked of a group (RFC 6690 section 4.1).
   */
  answer(request: IncomingRequest, as: Principal): Promise<Whole | undefined>;
  /** Rights have changed: whoever reads a listing has to begin anew. */
  forget(): void;
}

interface Reading {
  readonly listing: Listing;
  readonly etag: Uint8Array;
}

/** Listings that are being read, in all and per endpoint: each holds a few kilobytes. */
const MOST_READINGS = 1024;
const READINGS_EACH = 4;
/** So far ahead of what was made a block may lie: listings are read from the front. */
const FARTHEST_AHEAD = 64 * 1024;

const refusal = (code: number, why = ""): Whole => plainAnswer(code, [], why);

/** Makes the resource. One listing holds a few kilobytes however many channels there are. */
export function createDiscovery(options: DiscoveryOptions): Discovery {
  const slices = createTimeSlices();
  const readings = createHeld<Reading>({
    clock: options.clock,
    idleMs: MAX_TRANSMIT_WAIT_MS,
    idle: () => {},
  });
  let begun = 0;

  const begin = (asked: LinksAsked): Reading => {
    begun += 1;
    return {
      listing: createListing(linksFor(options, asked), slices),
      etag: freshEtag(options.clock.now(), begun),
    };
  };
  const keep = (request: IncomingRequest, reading: Reading): void => {
    const endpoint = request.from.key;
    const transfer = transferKey(request);
    readings.remove(transfer);
    while (readings.count(endpoint) >= READINGS_EACH) readings.remove(readings.oldest(endpoint)?.key ?? "");
    while (readings.count() >= MOST_READINGS) readings.remove(readings.oldest()?.key ?? "");
    readings.add(endpoint, transfer, reading);
  };
  /** A block from the front, or one of a listing that this client has begun. */
  const read = async (
    request: IncomingRequest,
    block: BlockOption,
    asked: LinksAsked,
  ): Promise<Whole | undefined> => {
    const known = block.num === 0 ? undefined : readings.touch(transferKey(request));
    const reading = known ?? begin(asked);
    const offset = offsetOf(block);
    if (offset > reading.listing.made() + FARTHEST_AHEAD)
      return refusal(Response.badRequest, "begin with block 0");
    const part = await reading.listing.read(offset, sizeOfSzx(block.szx));
    if (part.is === "passed") {
      readings.remove(transferKey(request));
      return read(request, block, asked);
    }
    if (part.bytes.length === 0 && request.toGroup) return undefined;
    if (part.bytes.length === 0 && offset > 0) return refusal(Response.badRequest, "no such block");
    if (reading !== known && (part.more || block.num > 0)) keep(request, reading);
    return listingAnswer(request, { block, part, etag: reading.etag });
  };
  return {
    async answer(request, as) {
      if (request.code !== Method.get) return refusal(Response.methodNotAllowed);
      const accept = uintOption(request.options, OptionNumber.accept, 2);
      if (accept !== undefined && accept !== ContentFormat.linkFormat) return refusal(Response.notAcceptable);
      const filters = linkFilters(request.options);
      if (filters === undefined) return refusal(Response.badRequest, "a filter is name=value");
      const value = optionValue(request.options, OptionNumber.block2);
      const num = (value === undefined ? undefined : decodeBlock(value))?.num ?? 0;
      return read(request, { num, more: false, szx: askedSzx(request.options) }, { as, filters });
    },
    forget() {
      for (let oldest = readings.oldest(); oldest !== undefined; oldest = readings.oldest())
        readings.remove(oldest.key);
    },
    [Symbol.dispose]: () => readings[Symbol.dispose](),
  };
}

function* linksFor(options: DiscoveryOptions, asked: LinksAsked): LinkSource {
  for (const link of options.others(asked.as))
    if (asked.filters.every((filter) => linkMatches(link, filter))) yield link;
  yield* channelLinks(options, asked);
}

/** An ETag no other listing has, also of an earlier run. */
function freshEtag(now: number, count: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeUIntBE(now, 0, 6);
  bytes.writeUInt16BE(count & 0xffff, 6);
  return new Uint8Array(bytes);
}

/** Of a listing that fits one block, so that it can be validated. */
const etagOf = (bytes: Uint8Array): Uint8Array =>
  new Uint8Array(createHash("sha256").update(bytes).digest().subarray(0, 8));

interface Answering {
  readonly block: BlockOption;
  readonly part: Extract<ListingPart, { is: "bytes" }>;
  readonly etag: Uint8Array;
}

function listingAnswer({ options: asked }: IncomingRequest, { block, part, etag: fresh }: Answering): Whole {
  const { bytes, more, total } = part;
  const isAll = block.num === 0 && !more;
  const etag: CoapOption = { number: OptionNumber.etag, value: isAll ? etagOf(bytes) : fresh };
  if (
    isAll &&
    asked.some(({ number, value }) => number === etag.number && Buffer.compare(value, etag.value) === 0)
  )
    return { code: Response.valid, options: [etag], payload: NO_BYTES };
  const options: CoapOption[] = [
    etag,
    { number: OptionNumber.contentFormat, value: uintValue(ContentFormat.linkFormat) },
  ];
  if (more || optionValue(asked, OptionNumber.block2) !== undefined)
    options.push({ number: OptionNumber.block2, value: encodeBlock({ ...block, more }) });
  if (total !== undefined && optionValue(asked, OptionNumber.size2) !== undefined)
    options.push({ number: OptionNumber.size2, value: uintValue(total) });
  return { code: Response.content, options, payload: bytes };
}
