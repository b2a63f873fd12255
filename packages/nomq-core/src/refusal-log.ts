import type { Log } from "./log.ts";

/** Refusals remembered; beyond that they are only counted. */
const MOST_REMEMBERED = 1000;

/** Who was refused, and where. */
export interface RefusedClient {
  readonly address: string;
  readonly listener: { readonly url: string };
  /** The principal it is, or says it is. */
  readonly who?: string;
}

/** Options of {@link createRefusalLog}. */
export interface RefusalLogOptions {
  readonly log: Log;
  /** What a line says: `MQTT client refused`. */
  readonly said: string;
  /** By reason: the line of the configuration that would admit the client, or what else does. */
  readonly advice: Readonly<Record<string, (address: string, url: string) => string>>;
}

/** Says each refused client once, with what an operator may do about it. */
export interface RefusalLog {
  say(reason: string, client: RefusedClient): void;
}

/** Makes a log of refusals; what it remembers is bounded. */
export function createRefusalLog({ log, said, advice }: RefusalLogOptions): RefusalLog {
  const known = new Set<string>();
  return {
    say(reason, { address, listener, who }) {
      const key = `${reason} ${who ?? ""} ${address} ${listener.url}`;
      if (known.has(key) || known.size >= MOST_REMEMBERED) return;
      known.add(key);
      const admit = advice[reason]?.(address, listener.url);
      const details = {
        ...{ reason, address, listener: listener.url },
        ...(who === undefined ? {} : { who }),
        ...(admit === undefined ? {} : { admit }),
      };
      log.warn(said, details);
    },
  };
}
