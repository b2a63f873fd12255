import type { Log } from "@nomq/core";
import type { ListenerSettings } from "../options.ts";
import { plainAddress } from "./login.ts";

/** Addresses remembered; beyond that a refusal is only counted. */
const MOST_REMEMBERED = 1000;

/** Who was refused, and where. */
export interface RefusedClient {
  readonly address: string;
  readonly listener: ListenerSettings;
  /** The principal it is, or says it is. */
  readonly who?: string;
}

/** Says each refused client once, with what an operator may do about it. */
export interface RefusalLog {
  say(reason: string, client: RefusedClient): void;
}

/** Makes a log of refusals over the given one. */
export function createRefusalLog(log: Log): RefusalLog {
  const said = new Set<string>();
  return {
    say(reason, { address, listener, who }) {
      const key = `${reason} ${who ?? ""} ${address} ${listener.url}`;
      if (said.has(key) || said.size >= MOST_REMEMBERED) return;
      said.add(key);
      const admit = ADVICE[reason]?.(address, listener.url);
      const details = {
        reason,
        address,
        listener: listener.url,
        ...(who && { who }),
        ...(admit && { admit }),
      };
      log.warn("MQTT client refused", details);
    },
  };
}

/** The line under `mqtt: listen:` that would admit the client, or what else does. */
const ADVICE: Readonly<Record<string, (address: string, url: string) => string>> = {
  anonymous: (address, url) => {
    const plain = plainAddress(address);
    return `- { url: "${url}", anonymous: ["${plain}/${plain.includes(":") ? 128 : 32}"] }`;
  },
  credentials: () => "a line of `nomq passwd` under access.users",
  "session-of-another": () => "another client id: a session of another user has this one",
  "origin-foreign": (_address, url) => `- { url: "${url}", origins: ["<the page's origin>"] }`,
  "host-not-ours": (_address, url) => `- { url: "${url}", origins: ["http://<the name used>"] }`,
};
