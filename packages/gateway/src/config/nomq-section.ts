import { addressText, parseEndpoint } from "@nomq/core";
import { z } from "zod";
import type { ChannelConfig, DeviceConfig, ListenerConfig, Secret } from "./config.ts";
import { anyText, channel, duration, filter, ipEndpoint, list, name, oneOf, secret } from "./fields.ts";
import { nomqListeners, outbox, udpListener } from "./shared-sections.ts";

/** The `nomq` section as read, its secrets not yet. */
export interface NomqSection {
  readonly listen: readonly ListenerConfig[];
  readonly keys?: readonly {
    readonly id: string;
    readonly encryption: Secret;
    readonly mac: Secret;
    readonly dialect: "micropython" | "standard" | "auto";
  }[];
  readonly channels: readonly ChannelConfig[];
  readonly broadcast: readonly string[];
  readonly broadcastFilters: readonly string[];
  readonly pace: number;
  readonly probe: number;
  readonly time: string | null;
  readonly devices: readonly DeviceConfig[];
}

const key = z.strictObject({
  id: name,
  encryption: secret,
  mac: secret,
  dialect: oneOf(["micropython", "standard", "auto"]).default("auto"),
});

const namedChannel = z.strictObject({ name: channel, contentType: anyText.exactOptional() });

const device = z.strictObject({
  name,
  address: ipEndpoint,
  key: name.exactOptional(),
  subscribe: list(filter).default([]),
  kind: oneOf(["device", "node"]).default("device"),
  clock: oneOf(["learn", "any"]).default("learn"),
  binary: oneOf(["refuse", "base64"]).default("refuse"),
  outbox: outbox.exactOptional(),
});

/** The schema of `nomq` (docs/configuration.md). */
export const nomqSection: z.ZodType<NomqSection> = z.strictObject({
  listen: nomqListeners().default([{ url: "udp://[::]:8888" }]),
  keys: list(key)
    .min(1, { error: "expected at least one key; leave it out to have one generated" })
    .exactOptional(),
  channels: list(
    z
      .union([channel, namedChannel], { error: "expected a channel name or { name, contentType }" })
      .transform((value): ChannelConfig => (typeof value === "string" ? { name: value } : value)),
  ).default([]),
  broadcast: list(ipEndpoint).default([]),
  broadcastFilters: list(filter).default([]),
  pace: z
    .number({ error: "expected a number of datagrams per second above 0" })
    .gt(0, { error: "expected a number of datagrams per second above 0" })
    .max(10_000, { error: "expected at most 10000 datagrams per second" })
    .default(5),
  probe: duration.default(60_000),
  time: udpListener("udp://[::]:123").nullable().default(null),
  devices: list(device).default([]),
});

/** Bounds that other parts of the section set, said where the whole section is known. */
export function nomqContradictions(nomq: NomqSection): { path: (string | number)[]; reason: string }[] {
  const faults: { path: (string | number)[]; reason: string }[] = [];
  if (nomq.time !== null && nomq.listen.length === 0) {
    faults.push({
      path: ["nomq", "time"],
      reason: "is served with the NoMQ listeners, and nomq.listen is empty",
    });
  }
  const keyIds = nomq.keys?.map((each) => each.id) ?? [GENERATED_KEY_ID];
  for (const [at, id] of keyIds.entries()) {
    if (keyIds.indexOf(id) !== at) faults.push({ path: ["nomq", "keys", at, "id"], reason: "is used twice" });
  }
  const names = nomq.devices.map((each) => each.name);
  const addresses = nomq.devices.map((each) => addressText(parseEndpoint(each.address)));
  for (const [at, each] of nomq.devices.entries()) {
    if (names.indexOf(each.name) !== at) {
      faults.push({ path: ["nomq", "devices", at, "name"], reason: "is used twice" });
    }
    const first = addresses.indexOf(addresses[at] ?? "");
    if (first !== at) {
      const reason = `is that of ${names[first]}; what comes from there could be either's`;
      faults.push({ path: ["nomq", "devices", at, "address"], reason });
    }
    if (each.key !== undefined && !keyIds.includes(each.key)) {
      const reason = `names no key; known: ${keyIds.join(", ")}`;
      faults.push({ path: ["nomq", "devices", at, "key"], reason });
    }
  }
  return faults;
}

/** The id of the key that is generated when the file gives none. */
export const GENERATED_KEY_ID = "site";
