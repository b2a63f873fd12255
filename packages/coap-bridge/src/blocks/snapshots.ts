import { createHash } from "node:crypto";
import type { Clock } from "@nomq/core";
import { OptionNumber } from "../wire/coap-message.ts";
import { readUint, uintValue } from "../wire/option-value.ts";
import { createHeld } from "./held.ts";
import { optionValue, type Whole, withOption, withoutOption } from "./whole.ts";

/** One version of a response that somebody is fetching. */
interface Version {
  readonly whole: Whole;
  /** Transfers that hold it. */
  readers: number;
}

/** One client that has begun to fetch a version. */
interface Reader {
  readonly version: Version;
  /** Monotonic ms. */
  readonly begunAt: number;
}

/** Bounds and clock of {@link createSnapshots}. */
export interface SnapshotsOptions {
  readonly clock: Clock;
  readonly most: number;
  readonly each: number;
  readonly bytes: number;
  readonly idleMs: number;
}

/**
 * Versions of responses for those who have begun to fetch one, so that a value that changes faster than it can be fetched
 * can still be fetched (RFC 7959 section 2.4 leaves it to the server). Whoever falls out finds another ETag.
 */
export interface Snapshots extends Disposable {
  /** This transfer has been given a block of this version from the start; it forgets the version it had. */
  begin(endpoint: string, transfer: string, whole: Whole): void;
  /** The version that the transfer began, its Max-Age less by the time since; undefined: none, or it may not live longer. */
  find(transfer: string): Whole | undefined;
  /** The transfer holds nothing any more. */
  end(transfer: string): void;
  count(): number;
  bytes(): number;
}

/** The response with an ETag, made of what it holds where it has none: no two versions are ever taken for one. */
export function withEtag(whole: Whole): Whole {
  if (optionValue(whole.options, OptionNumber.etag) !== undefined) return whole;
  const hash = createHash("sha256").update(Uint8Array.of(whole.code));
  hash
    .update(optionValue(whole.options, OptionNumber.contentFormat) ?? "")
    .update("/")
    .update(whole.payload);
  const value = new Uint8Array(hash.digest().subarray(0, ETAG_BYTES));
  return { ...whole, options: withOption(whole.options, { number: OptionNumber.etag, value }) };
}

const ETAG_BYTES = 8;

/** Makes a place for versions that are being fetched. */
export function createSnapshots({
  clock,
  most,
  each,
  bytes: mostBytes,
  idleMs,
}: SnapshotsOptions): Snapshots {
  // By the payload object: everyone who fetches one version shares its bytes, which are counted once.
  const versions = new Map<Uint8Array, Version>();
  let bytes = 0;

  const release = ({ version }: Reader): void => {
    version.readers -= 1;
    if (version.readers > 0) return;
    versions.delete(version.whole.payload);
    bytes -= version.whole.payload.length;
  };
  const readers = createHeld<Reader>({ clock, idleMs, idle: release });
  const end = (transfer: string): void => {
    const reader = readers.remove(transfer);
    if (reader !== undefined) release(reader);
  };
  const endOldest = (endpoint?: string): void => {
    const oldest = readers.oldest(endpoint);
    if (oldest !== undefined) end(oldest.key);
  };
  const claim = (whole: Whole): Version => {
    const known = versions.get(whole.payload);
    if (known !== undefined) return known;
    // The other blocks are asked for without Observe, and say nothing of it (RFC 7959 section 3.4).
    const options = withoutOption(whole.options, OptionNumber.observe);
    const version = { whole: { ...whole, options }, readers: 0 };
    versions.set(whole.payload, version);
    bytes += whole.payload.length;
    return version;
  };
  return {
    begin(endpoint, transfer, whole) {
      end(transfer);
      if (whole.payload.length > mostBytes) return;
      while (readers.count(endpoint) >= each) endOldest(endpoint);
      while (readers.count() >= most) endOldest();
      const version = claim(whole);
      version.readers += 1;
      readers.add(endpoint, transfer, { version, begunAt: clock.monotonic() });
      while (bytes > mostBytes) endOldest();
    },
    find(transfer) {
      const reader = readers.touch(transfer);
      if (reader === undefined) return undefined;
      const elapsed = clock.monotonic() - reader.begunAt;
      const { whole } = reader.version;
      if (whole.expiresInMs === undefined || elapsed < whole.expiresInMs) return aged(whole, elapsed);
      end(transfer);
      return undefined;
    },
    end,
    count: () => readers.count(),
    bytes: () => bytes,
    [Symbol.dispose]() {
      readers[Symbol.dispose]();
      versions.clear();
      bytes = 0;
    },
  };
}

/** The response as it is `ms` later: Max-Age is what is left of it. */
function aged(whole: Whole, ms: number): Whole {
  const value = optionValue(whole.options, OptionNumber.maxAge);
  const seconds = Math.floor(ms / 1000);
  if (value === undefined || seconds === 0) return whole;
  const left = Math.max((readUint(value, 4) ?? 0) - seconds, 0);
  const others = withoutOption(whole.options, OptionNumber.maxAge);
  return { ...whole, options: withOption(others, { number: OptionNumber.maxAge, value: uintValue(left) }) };
}
