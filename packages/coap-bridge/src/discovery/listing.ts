import { LARGEST_BLOCK_BYTES } from "../wire/block-option.ts";
import type { Link } from "../wire/link-format.ts";
import { linkText } from "../wire/link-format.ts";
import type { TimeSlices } from "./time-slices.ts";

/** Links one after the other, each made when it is asked for; undefined: nothing here, look at the next. */
export type LinkSource = Generator<Link | undefined | Promise<Link | undefined>, void, undefined>;

/** Part of a listing. `isOver`: there is nothing before this any more, as only the last few blocks are kept. */
export type ListingPart =
  | { readonly is: "bytes"; readonly bytes: Uint8Array; readonly more: boolean; readonly total?: number }
  | { readonly is: "passed" };

/** One link-format document, made as far as somebody has read it and forgotten behind. */
export interface Listing {
  /** Bytes from an offset on. Calls come one after the other. */
  read(offset: number, length: number): Promise<ListingPart>;
  /** Bytes made so far. */
  made(): number;
}

/** Kept behind what was last read, for a block that has to be asked for again. */
const KEPT_BEHIND = 4096;
/** Largest read, and the byte after it. */
const LARGEST_READ = LARGEST_BLOCK_BYTES + 1;

/** Makes a listing of these links. It never holds the event loop for longer than a slice of `slices`. */
export function createListing(links: LinkSource, slices: TimeSlices): Listing {
  const encoder = new TextEncoder();
  let window = new Uint8Array(0);
  /** Where the window begins in the whole. */
  let start = 0;
  let ended = false;
  let last: Promise<unknown> = Promise.resolve();

  const end = (): number => start + window.length;
  const append = (text: string): void => {
    const bytes = encoder.encode(end() === 0 ? text : `,${text}`);
    const longer = new Uint8Array(window.length + bytes.length);
    longer.set(window);
    longer.set(bytes, window.length);
    window = longer;
  };
  const step = async (): Promise<void> => {
    const { value, done } = links.next();
    if (done) ended = true;
    const link = value instanceof Promise ? await value : value;
    if (link) append(linkText(link));
  };
  /** Forgets what lies further behind than may be asked for again. */
  const forgetBefore = (offset: number): void => {
    const passed = Math.min(offset, end()) - KEPT_BEHIND - start;
    if (passed <= 0) return;
    window = window.slice(passed);
    start += passed;
  };
  const makeUpTo = async (offset: number): Promise<void> => {
    await slices.enter();
    try {
      while (!ended && end() < offset) {
        await step();
        forgetBefore(offset - LARGEST_READ);
        if (slices.spent()) await slices.rest();
      }
    } finally {
      slices.leave();
    }
  };
  const read = async (offset: number, length: number): Promise<ListingPart> => {
    if (offset < start) return { is: "passed" };
    // One byte more tells whether more follows.
    if (!ended && end() <= offset + length) await makeUpTo(offset + length + 1);
    const bytes = window.subarray(offset - start, offset - start + length);
    const more = end() > offset + length;
    forgetBefore(offset);
    return { is: "bytes", bytes, more, ...(ended ? { total: end() } : {}) };
  };
  return {
    read(offset, length) {
      const part = last.then(() => read(offset, length));
      last = part.catch(() => {});
      return part;
    },
    made: end,
  };
}
