import { NomqError } from "@nomq/core";
import { OptionNumber } from "../wire/coap-message.ts";
import { createUriPaths } from "../wire/uri-path.ts";
import type { CoapResource } from "./coap-resource.ts";

/** Where resources of programs are. */
export interface Places {
  readonly byPath: ReadonlyMap<string, CoapResource>;
  /** Channels that cannot be reached because of them, and the path each is at. */
  readonly channels: ReadonlyMap<string, string>;
}

/** The bridge's own, which no program can take. */
export const CORE_PATH = ".well-known/core";

/** Throws `config-invalid` for a path that two have, or that nobody can ask for. */
export function placesOf(resources: readonly CoapResource[], prefix: string): Places {
  const paths = createUriPaths(prefix);
  const byPath = new Map<string, CoapResource>();
  const channels = new Map<string, string>();
  for (const resource of resources) {
    const { path } = resource;
    const levels = path
      .split("/")
      .map((level) => ({ number: OptionNumber.uriPath, value: Buffer.from(level) }));
    const target = paths.target(levels);
    if (target.is === "refused" || path === "" || path.startsWith("/"))
      throw new NomqError(
        "config-invalid",
        `coap.resources: "${path}" is no path; write it like admin/uptime`,
      );
    if (byPath.has(path) || path === CORE_PATH)
      throw new NomqError("config-invalid", `coap.resources: there is something else at "${path}"`);
    byPath.set(path, resource);
    if (target.is === "channel") channels.set(target.channel, path);
  }
  return { byPath, channels };
}
