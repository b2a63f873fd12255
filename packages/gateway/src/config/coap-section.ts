import type { OutboxLimits } from "@nomq/core";
import { z } from "zod";
import type { ListenerConfig } from "./config.ts";
import {
  anyText,
  channel,
  coapUrl,
  duration,
  filter,
  list,
  name,
  oneOf,
  qos,
  secret,
  text,
  yesOrNo,
} from "./fields.ts";
import { coapListeners, outbox } from "./shared-sections.ts";

/** A resource of a sensor and the channel it becomes. */
export interface CoapSensorConfig {
  /** `coap://HOST[:PORT]/PATH`. */
  readonly url: string;
  readonly channel: string;
  readonly qos: 0 | 1 | 2;
  /** A value that came without Max-Age expires too. */
  readonly expire: boolean;
}

/** A sensor that is asked; `every` in milliseconds. */
export interface CoapPolledConfig extends CoapSensorConfig {
  readonly every: number;
}

/** An actuator that gets the messages of `from`; its attachment is `coap:send:NAME`. */
export interface CoapActuatorConfig {
  readonly name: string;
  readonly from: string;
  readonly url: string;
  readonly method: "put" | "post";
  readonly outbox?: Partial<OutboxLimits>;
}

/** The `coap` section. */
export interface CoapConfig {
  readonly listen: readonly ListenerConfig[];
  /** Path in front of every channel; empty: none. */
  readonly prefix: string;
  readonly observe: readonly CoapSensorConfig[];
  readonly poll: readonly CoapPolledConfig[];
  readonly send: readonly CoapActuatorConfig[];
}

const sensor = {
  url: coapUrl,
  channel,
  qos: qos.default(1),
  expire: yesOrNo.default(false),
};

/** An interval that does not ask a battery to death, and that a timer takes. */
const every = duration.refine((ms) => ms >= 1_000 && ms < 2 ** 31, { error: "expected 1s to 576h" });

const prefix = text("a path such as devices/coap, without ? or #", isPrefix);

/** The schema of `coap` (docs/configuration.md); OSCORE and DTLS are checked and refused until they are served. */
export const coapSection: z.ZodType<CoapConfig> = z
  .strictObject({
    listen: coapListeners().default([{ url: "coap://[::]:5683" }]),
    prefix: prefix.default(""),
    observe: list(z.strictObject(sensor)).default([]),
    poll: list(z.strictObject({ ...sensor, every })).default([]),
    send: list(
      z.strictObject({
        name,
        from: filter,
        url: coapUrl,
        method: oneOf(["put", "post"]).default("put"),
        outbox: outbox.exactOptional(),
      }),
    ).default([]),
    oscore: list(
      z.strictObject({
        id: anyText,
        masterSecret: secret,
        masterSalt: secret.exactOptional(),
        senderId: anyText,
        recipientId: anyText,
        idContext: anyText.exactOptional(),
      }),
    ).exactOptional(),
    psk: list(z.strictObject({ id: anyText, key: secret })).exactOptional(),
  })
  .transform(({ listen, prefix: path, observe, poll, send }) => ({
    ...{ listen, prefix: path, observe, poll, send },
  }));

interface Contradiction {
  readonly path: (string | number)[];
  readonly reason: string;
  readonly suggestion: string;
}

/** What one entry alone does not show to be wrong. */
export function coapContradictions({ observe, poll, send }: CoapConfig): Contradiction[] {
  const names = new Map<string, string>();
  const twice = send.flatMap((each, at) =>
    takenBefore(names, { key: each.name, as: `coap.send[${at}]` }).map((first) => ({
      path: ["coap", "send", at, "name"],
      reason: `is that of ${first}, and each actuator has an outbox of its own`,
      suggestion: `give it another name; its attachment is coap:send:NAME`,
    })),
  );
  const channels = new Map<string, string>();
  const overlapping = Object.entries({ observe, poll }).flatMap(([key, sensors]) =>
    sensors.flatMap((each, at) =>
      takenBefore(channels, { key: each.channel, as: `coap.${key}[${at}]` }).map((first) => ({
        path: ["coap", key, at, "channel"],
        reason: `is that of ${first}; each value would replace the other's`,
        suggestion: "give each sensor a channel of its own",
      })),
    ),
  );
  return [...twice, ...overlapping];
}

/** Who has the key already; nobody: it is taken. */
function takenBefore(
  taken: Map<string, string>,
  { key, as }: { readonly key: string; readonly as: string },
): readonly string[] {
  const first = taken.get(key);
  if (first !== undefined) return [first];
  taken.set(key, as);
  return [];
}

/** Slashes around it mean nothing; `.well-known` is discovery's. */
function isPrefix(value: string): boolean {
  const trimmed = value.replace(/^\/+|\/+$/g, "");
  if (trimmed === "") return true;
  const levels = trimmed.split("/");
  const isLevel = (level: string): boolean =>
    level !== "" && level !== "." && level !== ".." && Buffer.byteLength(level) <= LONGEST_LEVEL;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  return levels[0] !== ".well-known" && levels.every(isLevel) && !/[?#\u0000-\u001f]/.test(trimmed);
}

/** Bytes of one Uri-Path option (RFC 7252 section 5.10). */
const LONGEST_LEVEL = 255;
