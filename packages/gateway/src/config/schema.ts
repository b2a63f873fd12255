import { z } from "zod";
import { type AccessSection, accessSection } from "./access-section.ts";
import { type CoapConfig, coapSection } from "./coap-section.ts";
import type { ListenerConfig, LogConfig } from "./config.ts";
import { list, oneOf, path } from "./fields.ts";
import { type HttpSection, httpSection } from "./http-section.ts";
import { type KeepConfig, keepSection } from "./keep-section.ts";
import { remote } from "./later-sections.ts";
import { type NomqSection, nomqSection } from "./nomq-section.ts";
import { listeners } from "./shared-sections.ts";
import { type XmppSection, xmppSection } from "./xmpp-section.ts";

/** The file after its values were checked; sections of later versions are left out. */
export interface ConfigFile {
  readonly version: 1;
  readonly data: string;
  readonly durability: "process" | "power";
  readonly nomq: NomqSection;
  readonly mqtt: { readonly listen: readonly ListenerConfig[] };
  readonly coap: CoapConfig;
  readonly xmpp?: XmppSection;
  readonly access?: AccessSection;
  readonly keep: KeepConfig;
  readonly http: HttpSection;
  readonly log: LogConfig;
}

const mqttSection = z.strictObject({
  listen: listeners(["mqtt", "mqtts", "ws", "wss"], "mqtt://[::]:1883").default([
    { url: "mqtt://[::]:1883" },
    { url: "ws://[::]:8083" },
  ]),
  remotes: list(remote).default([]),
});

const logSection = z.strictObject({
  level: oneOf(["debug", "info", "warn", "error"]).default("info"),
  format: oneOf(["pretty", "json"]).default("pretty"),
  file: path.nullable().default(null),
});

/** Everything that `gateway.yaml` may hold (docs/configuration.md). An empty file is a valid one. */
export const fileSchema: z.ZodType<ConfigFile> = z.strictObject(
  {
    version: z.literal(1).default(1),
    data: path.default("./data"),
    durability: oneOf(["process", "power"]).default("process"),
    nomq: nomqSection.prefault({}),
    mqtt: mqttSection.prefault({}),
    coap: coapSection.prefault({}),
    xmpp: xmppSection.exactOptional(),
    http: httpSection.prefault({}),
    access: accessSection.exactOptional(),
    keep: keepSection.prefault({}),
    log: logSection.prefault({}),
  },
  { error: "expected a mapping of sections such as nomq: and mqtt:" },
);
