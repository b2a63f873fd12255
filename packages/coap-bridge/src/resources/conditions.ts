import { type CoapOption, OptionNumber } from "../wire/coap-message.ts";

/** The conditions of a request (RFC 7252 section 5.10.8). */
export interface Conditions {
  /** Each an ETag; an empty one stands for whatever is there. */
  readonly ifMatch: readonly Uint8Array[];
  readonly ifNoneMatch: boolean;
}

/** What a resource is now: the ETags of its representations; undefined: nothing is there. */
export type CurrentEtags = readonly Uint8Array[] | undefined;

/** Reads them; undefined: the request has none. */
export function conditionsOf(options: readonly CoapOption[]): Conditions | undefined {
  let ifMatch: Uint8Array[] | undefined;
  let ifNoneMatch = false;
  for (const { number, value } of options) {
    if (number > OptionNumber.ifNoneMatch) break;
    if (number === OptionNumber.ifMatch) {
      ifMatch ??= [];
      ifMatch.push(value);
    }
    if (number === OptionNumber.ifNoneMatch) ifNoneMatch = true;
  }
  return ifMatch === undefined && !ifNoneMatch ? undefined : { ifMatch: ifMatch ?? [], ifNoneMatch };
}

/** Whether they hold; if not, the answer is 4.12 and nothing is done. */
export function areMet({ ifMatch, ifNoneMatch }: Conditions, current: CurrentEtags): boolean {
  if (ifNoneMatch && current !== undefined) return false;
  if (ifMatch.length === 0) return true;
  return (
    current !== undefined &&
    ifMatch.some((asked) => asked.length === 0 || current.some((etag) => Buffer.compare(etag, asked) === 0))
  );
}
