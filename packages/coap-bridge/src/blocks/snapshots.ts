import { createHash } from "node:crypto";
import type { Clock } from "@nomq/core";
import { OptionNumber } from "../wire/coap-message.ts";
import { readUint, uintValue } from "../wire/option-value.ts";
import { optionValue, withOption, withoutOption } from "../wire/options.ts";
import { createHeld } from "./held.ts";
import type { Whole } from "./whole.ts";

/** One client that has begun to fetch a version. */
interface Reader {
  /** As it was when the client began, so without Observe. */
  readonly whole: Whole;
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
  // How many fetch the same bytes, which are counted once. What is said of them may differ: format, ETag, Max-Age.
  const fetching = new Map<Uint8Array, number>();
  let bytes = 0;

  const claim = ({ payload }: Whole): void => {
    const others = fetching.get(payload) ?? 0;
    fetching.set(payload, others + 1);
    if (others === 0) bytes += payload.length;
  };
  const release = ({ whole: { payload } }: Reader): void => {
    const others = (fetching.get(payload) ?? 1) - 1;
    if (others > 0) {
      fetching.set(payload, others);
      return;
    }
    fetching.delete(payload);
    bytes -= payload.length;
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
  return {
    begin(endpoint, transfer, whole) {
      end(transfer);
      if (whole.payload.length > mostBytes) return;
      while (readers.count(endpoint) >= each) endOldest(endpoint);
      while (readers.count() >= most) endOldest();
      claim(whole);
      // The other blocks are asked for without Observe, and say nothing of it (RFC 7959 section 3.4).
      const options = withoutOption(whole.options, OptionNumber.observe);
      readers.add(endpoint, transfer, { whole: { ...whole, options }, begunAt: clock.monotonic() });
      while (bytes > mostBytes) endOldest();
    },
    find(transfer) {
      const reader = readers.touch(transfer);
      if (reader === undefined) return undefined;
      const elapsed = clock.monotonic() - reader.begunAt;
      const { whole } = reader;
      if (whole.expiresInMs === undefined || elapsed < whole.expiresInMs) return aged(whole, elapsed);
      end(transfer);
      return undefined;
    },
    end,
    count: () => readers.count(),
    bytes: () => bytes,
    [Symbol.dispose]() {
      readers[Symbol.dispose]();
      fetching.clear();
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
