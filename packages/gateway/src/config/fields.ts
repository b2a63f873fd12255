import { isIP } from "node:net";
import { coapUrlFault } from "@nomq/coap-bridge";
import { isValidChannel, isValidFilter } from "@nomq/core";
import { z } from "zod";
import { listed } from "./listed.ts";
import { parseDuration, parseSize } from "./units.ts";

// The building blocks of the schema. Each says in words what it wants: the words are what the reader of a
// refusal sees.

type Text = z.ZodType<string, string>;

/** Text that passes a check. */
export const text = (wanted: string, fits: (value: string) => boolean): Text =>
  z.string({ error: `expected ${wanted}` }).refine(fits, { error: `expected ${wanted}` });

/** Text that a bridge judges: what is wrong with it, or undefined. `wanted` is said of what is no text. */
export function judged(wanted: string, faultOf: (value: string) => string | undefined): Text {
  return z.string({ error: wanted }).check((context) => {
    const message = faultOf(context.value);
    if (message !== undefined) context.issues.push({ code: "custom", message, input: context.value });
  });
}

/** Text of one of these forms, which the published JSON Schema checks as well. */
const patterned = (wanted: string, pattern: RegExp): z.ZodString =>
  z.string({ error: `expected ${wanted}` }).regex(pattern, { error: `expected ${wanted}` });

/** `60s` → milliseconds. */
export const duration: z.ZodType<number, string> = patterned(
  "a duration with its unit, such as 500ms, 60s, 5m or 24h",
  /^\d+(\.\d+)?(ms|s|m|h)$/,
).transform((value) => parseDuration(value) ?? 0);

/** `64KiB` → bytes. */
export const size: z.ZodType<number, string> = patterned(
  "a size with its unit, such as 512B, 64KiB, 256MiB or 1GiB",
  /^\d+(B|KiB|MiB|GiB)$/,
).transform((value) => parseSize(value) ?? 0);

/** A whole number within bounds. */
export const whole = (least: number, most: number): z.ZodType<number, number> => {
  const error = `expected a whole number from ${least} to ${most}`;
  return z.int({ error }).min(least, { error }).max(most, { error });
};

export const yesOrNo: z.ZodType<boolean, boolean> = z.boolean({ error: "expected true or false" });
export const anyText: Text = text("text", () => true);
export const name: Text = patterned("a name of letters, digits and . _ -", /^[A-Za-z0-9][A-Za-z0-9._-]*$/);
export const channel: Text = text("a channel name (no NUL, + or #, not starting with $)", isValidChannel);
export const filter: Text = text("a filter (+ is one whole level, # the last)", isValidFilter);
export const path: Text = text("a path", (value) => value.length > 0);
export const qos: z.ZodType<0 | 1 | 2, 0 | 1 | 2> = z.literal([0, 1, 2]);

/** `IP:PORT`, `[IPv6]:PORT`, `[IPv6%ZONE]:PORT`. */
export const ipEndpoint: Text = text("an IP address with a port, such as 192.168.1.7:8888", (value) => {
  // IPv6 needs its brackets: fe80::1:8888 is an address without a port.
  const [, v6 = "", v4 = "", port = ""] = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(value) ?? [];
  return (isIP(v6) === 6 || isIP(v4) === 4) && isPort(port) && Number(port) > 0;
});

/** A URL of one of these schemes with a host and, unless `portOptional`, a port; no path. */
export const url = (schemes: readonly string[], example: string, portOptional = false): Text =>
  text(
    `${listed(schemes.map((scheme) => `${scheme}://`))} with a host and a port, such as ${example}`,
    (value) => {
      const parts = /^([a-z]+):\/\/(\[[0-9a-fA-F:.]+(?:%[^\s/[\]@?#]+)?\]|[^\s/:[\]@?#]+)(?::(\d+))?$/.exec(
        value,
      );
      if (parts === null || !schemes.includes(parts[1] ?? "")) return false;
      return parts[3] === undefined ? portOptional : isPort(parts[3]);
    },
  );

/** One CoAP resource: a URL with a host and, as it may be, a port, a path and a query (RFC 7252 section 6.1). */
export const coapUrl: Text = judged("expected a CoAP URL such as coap://10.0.0.9/temp", coapUrlFault);

/** Inline, `{ file: path }` or `{ env: NAME }`; read later, never shown. */
export const secret: z.ZodType<string | { file: string } | { env: string }> = z.union(
  [z.string(), z.strictObject({ file: path }), z.strictObject({ env: anyText })],
  { error: "expected text, { file: path } or { env: NAME }" },
);

function isPort(digits: string): boolean {
  return /^\d{1,5}$/.test(digits) && Number(digits) <= 65_535;
}

/** One of these words; the refusal lists them and picks the nearest. */
export const oneOf = <const W extends string>(words: readonly [W, ...W[]]): z.ZodType<W, W> => z.enum(words);

/** A list of such things, at most 10,000. */
export const list = <T extends z.ZodType>(item: T): z.ZodArray<T> =>
  z.array(item, { error: "expected a list" }).max(10_000, { error: "expected at most 10,000 entries" });
