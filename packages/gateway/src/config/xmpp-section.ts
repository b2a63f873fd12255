import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { codeOf, type OutboxLimits } from "@nomq/core";
import {
  isTlsRequired,
  xmppFindEveryFault,
  xmppHostFault,
  xmppJidFault,
  xmppServiceFault,
  xmppUsernameFault,
} from "@nomq/xmpp-bridge";
import { z } from "zod";
import type { Secret } from "./config.ts";
import type { Fault } from "./faults.ts";
import { duration, filter, judged, list, path, secret, whole, yesOrNo } from "./fields.ts";
import { readSecret, type SecretSource } from "./secret.ts";
import { outbox } from "./shared-sections.ts";

/** What is the same in the file and after it was read. */
interface XmppShared {
  /** `xmpp://HOST:PORT`, `xmpps://`, `ws://` or `wss://HOST:PORT/PATH`. Default `xmpp://DOMAIN:5222`. */
  readonly service?: string;
  readonly domain: string;
  readonly username: string;
  /** Default `pubsub.DOMAIN`. */
  readonly pubsub?: string;
  /** Channels that become nodes. */
  readonly publish: readonly string[];
  /** Nodes that become channels. */
  readonly subscribe: readonly string[];
  /** Items kept on nodes with events at QoS 1 and 2. */
  readonly history: number;
  /** How often nodes of others are looked for, milliseconds. */
  readonly findEvery: number;
  /** Who may use the nodes of `publish`, as bare JIDs. Default: everybody reads, nobody else writes. */
  readonly access: { readonly members?: readonly string[]; readonly publishers?: readonly string[] };
  readonly outbox?: Partial<OutboxLimits>;
}

/** The `xmpp` section, its secret and its certificates read. */
export interface XmppConfig extends XmppShared {
  readonly password: string;
  readonly tls: {
    /** Default: unless the service is loopback and no `ca` is given. */
    readonly required?: boolean;
    /** PEM. */
    readonly ca?: string;
    readonly servername?: string;
  };
}

/** The `xmpp` section as the file has it. */
export interface XmppSection extends XmppShared {
  readonly password: Secret;
  readonly tls: {
    readonly required?: boolean | undefined;
    readonly ca?: string | null | undefined;
    readonly servername?: string | null | undefined;
  };
}

const host = judged("expected the name of a domain, such as example.org", xmppHostFault);
const jids = list(judged("expected a JID such as ann@example.org", xmppJidFault));
const findEvery = duration.refine((ms) => xmppFindEveryFault(ms) === undefined, {
  error: "expected 1s to 576h",
});
const serviceUrl = judged("expected a URL such as xmpp://127.0.0.1:5222", xmppServiceFault);

/** The schema of `xmpp` (docs/configuration.md); component mode is checked and refused until it is served. */
export const xmppSection: z.ZodType<XmppSection> = z
  .strictObject({
    service: serviceUrl.exactOptional(),
    domain: host,
    username: judged("expected the name of an account without its domain", xmppUsernameFault),
    password: secret,
    pubsub: host.exactOptional(),
    publish: list(filter).default([]),
    subscribe: list(filter).default([]),
    tls: z
      .strictObject({
        required: yesOrNo.exactOptional(),
        ca: path.nullable().exactOptional(),
        servername: host.nullable().exactOptional(),
      })
      .prefault({}),
    history: whole(2, 1_000_000).default(250),
    findEvery: findEvery.default(60_000),
    access: z.strictObject({ members: jids.exactOptional(), publishers: jids.exactOptional() }).prefault({}),
    outbox: outbox.exactOptional(),
    component: z.strictObject({ service: serviceUrl, domain: host, secret }).nullable().exactOptional(),
  })
  .transform(({ component: _, ...section }) => section);

/** What one key alone does not show to be wrong. */
export function xmppContradictions(section: XmppSection | undefined): Fault[] {
  const { service, tls } = section ?? { tls: {} };
  if (service === undefined || !service.startsWith("ws:")) return [];
  const { required } = tls;
  if (!isTlsRequired(service, required === undefined ? {} : { required })) return [];
  return [
    {
      path: ["xmpp", "service"],
      reason: "has no TLS, which is required unless the service is on this machine",
      suggestion: "use wss:// or xmpp://; in a network that you trust, tls: { required: false }",
    },
  ];
}

/** Reads the section's secret and certificates; what it answers is good only without faults. */
export function readXmpp(
  { password: given, tls, ...shared }: XmppSection,
  source: SecretSource,
  faults: Fault[],
): XmppConfig {
  const read = readSecret(given, source);
  const password = "text" in read ? read.text : "";
  const wrong = "reason" in read ? read.reason : password === "" ? "is empty" : undefined;
  if (wrong !== undefined) faults.push({ path: ["xmpp", "password"], reason: wrong });
  const ca = typeof tls.ca === "string" ? readCertificates(tls.ca, source, faults) : undefined;
  const { required, servername } = tls;
  return {
    ...shared,
    password,
    tls: {
      ...(required === undefined ? {} : { required }),
      ...(ca === undefined ? {} : { ca }),
      ...(typeof servername === "string" ? { servername } : {}),
    },
  };
}

function readCertificates(file: string, { folder }: SecretSource, faults: Fault[]): string | undefined {
  const full = resolve(folder, file);
  const at = ["xmpp", "tls", "ca"];
  try {
    const pem = readFileSync(full, "utf8");
    if (pem.includes("-----BEGIN CERTIFICATE-----")) return pem;
    faults.push({ path: at, reason: `${full} holds no certificate in PEM` });
  } catch (error) {
    faults.push({ path: at, reason: `cannot read ${full} (${codeOf(error)})` });
  }
  return undefined;
}
