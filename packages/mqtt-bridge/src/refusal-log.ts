import type { Log } from "@nomq/core";
import type { ListenerSettings } from "./options.ts";

/** Addresses remembered; beyond that a refusal is only counted. */
const MOST_REMEMBERED = 1000;

/** Says each refused client once, with what an operator may do about it. */
export interface RefusalLog {
  say(reason: string, address: string, listener: ListenerSettings): void;
}

/** Makes a log of refusals over the given one. */
export function createRefusalLog(log: Log): RefusalLog {
  const said = new Set<string>();
  return {
    say(reason, address, listener) {
      const key = `${reason} ${address} ${listener.url}`;
      if (said.has(key) || said.size >= MOST_REMEMBERED) return;
      said.add(key);
      const admit = ADVICE[reason]?.(address, listener.url);
      log.warn("MQTT client refused", { reason, address, listener: listener.url, ...(admit && { admit }) });
    },
  };
}

/** The line under `mqtt: listen:` that would admit the client. */
const ADVICE: Readonly<Record<string, (address: string, url: string) => string>> = {
  anonymous: (address, url) => {
    const plain = address.replace(/^::ffff:(?=\d+\.)/, "");
    return `- { url: "${url}", anonymous: ["${plain}/${plain.includes(":") ? 128 : 32}"] }`;
  },
  "origin-foreign": (_address, url) => `- { url: "${url}", origins: ["<the page's origin>"] }`,
  "host-not-ours": (_address, url) => `- { url: "${url}", origins: ["http://<the name used>"] }`,
};
