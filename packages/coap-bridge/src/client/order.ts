/** An Observe number and when it came, monotonic milliseconds. */
export interface Numbered {
  readonly number: number;
  readonly at: number;
}

const HALF = 2 ** 23;
const FRESH_AGAIN_MS = 128_000;

/** Whether a notification is newer than the newest so far (RFC 7641 section 3.4). */
export function isNewer(newest: Numbered, next: Numbered): boolean {
  const [v1, v2] = [newest.number, next.number];
  return (v1 < v2 && v2 - v1 < HALF) || (v1 > v2 && v1 - v2 > HALF) || next.at > newest.at + FRESH_AGAIN_MS;
}
