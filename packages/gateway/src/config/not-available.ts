import type { Fault } from "./faults.ts";

type Step = string | "*";

/** A part of the file that a later version serves. */
interface Later {
  readonly at: readonly Step[];
  readonly what: string;
  /** Values that ask for nothing; default: empty and absent ones. */
  readonly fine?: (value: unknown) => boolean;
  /** Default: to remove it. */
  readonly suggestion?: string;
}

const listenerTls = (section: string): Later => ({
  at: [section, "listen", "*", "tls"],
  what: "TLS on listeners",
});
/** Everything but text that begins with the scheme. */
const without =
  (scheme: string) =>
  (value: unknown): boolean =>
    typeof value !== "string" || !value.startsWith(`${scheme}://`);
const COAP_LISTENERS: readonly Step[][] = [
  ["listen", "*"],
  ["listen", "*", "url"],
];
const COAP_URLS: readonly Step[][] = ["observe", "poll", "send"].map((key) => [key, "*", "url"]);
const PLAIN_COAP = "use coap:// in a network that you trust, or remove it";
const coapSchemes = [...COAP_LISTENERS, ...COAP_URLS].flatMap((at): Later[] => [
  { at: ["coap", ...at], what: "CoAP over DTLS", fine: without("coaps"), suggestion: PLAIN_COAP },
  { at: ["coap", ...at], what: "CoAP over TCP", fine: without("coap+tcp"), suggestion: PLAIN_COAP },
  { at: ["coap", ...at], what: "CoAP over TLS", fine: without("coaps+tcp"), suggestion: PLAIN_COAP },
]);
const secure = (value: unknown): boolean => typeof value !== "string" || !/^(mqtts|wss):/.test(value);

/** What the schema knows and this version does not serve. */
const LATER: readonly Later[] = [
  listenerTls("nomq"),
  listenerTls("mqtt"),
  { at: ["mqtt", "listen", "*"], what: "TLS on listeners", fine: secure },
  { at: ["mqtt", "listen", "*", "url"], what: "TLS on listeners", fine: secure },
  { at: ["mqtt", "remotes"], what: "connecting to other MQTT brokers" },
  { at: ["coap", "listen", "*", "tls"], what: "DTLS on CoAP listeners" },
  ...coapSchemes,
  { at: ["coap", "oscore"], what: "OSCORE, end-to-end encryption of CoAP" },
  { at: ["coap", "psk"], what: "DTLS with pre-shared keys" },
  { at: ["xmpp", "component"], what: "serving XMPP nodes ourselves" },
];

/** Refusals of the parts of a file that ask for something a later version brings. */
export function notAvailable(file: unknown): Fault[] {
  return LATER.flatMap(({ at, what, fine = asksNothing, suggestion = "remove it" }) =>
    valuesAt(file, at)
      .filter(({ value }) => !fine(value))
      .map(({ path }) => ({
        path,
        reason: `not available yet (${what})`,
        suggestion,
        notYet: true,
      })),
  );
}

function valuesAt(value: unknown, steps: readonly Step[], above: readonly PropertyKey[] = []): Found[] {
  const [step, ...rest] = steps;
  if (step === undefined) return [{ path: above, value }];
  if (typeof value !== "object" || value === null) return [];
  if (step === "*") {
    if (!Array.isArray(value)) return [];
    return value.flatMap((each, at) => valuesAt(each, rest, [...above, at]));
  }
  return valuesAt(Reflect.get(value, step), rest, [...above, step]);
}

interface Found {
  readonly path: readonly PropertyKey[];
  readonly value: unknown;
}

function asksNothing(value: unknown): boolean {
  if (value === undefined || value === null || value === "" || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === "object" && Object.values(value).every(asksNothing);
}
