import { admittingEntry, createRefusalLog, type Log, type RefusalLog } from "@nomq/core";

/** Says each refused MQTT client once, with the line under `mqtt: listen:` that would admit it, or what else does. */
export const createMqttRefusalLog = (log: Log): RefusalLog =>
  createRefusalLog({ log, said: "MQTT client refused", advice: ADVICE });

const ADVICE: Readonly<Record<string, (address: string, url: string) => string>> = {
  anonymous: (address, url) => admittingEntry(url, address),
  credentials: () => "a line of `nomq passwd` under access.users",
  "session-of-another": () => "another client id: a session of another user has this one",
  "origin-foreign": (_address, url) => `- { url: "${url}", origins: ["<the page's origin>"] }`,
  "host-not-ours": (_address, url) => `- { url: "${url}", origins: ["http://<the name used>"] }`,
};
