import { resolve } from "node:path";
import { z } from "zod";
import type { HttpConfig, ListenerConfig } from "./config.ts";
import { listeners } from "./shared-sections.ts";

/** The `http` section as read, its paths as written. */
export interface HttpSection {
  readonly listen: readonly ListenerConfig[];
}

/** The schema of `http` (docs/configuration.md). */
export const httpSection: z.ZodType<HttpSection> = z.strictObject({
  listen: listeners(["http", "https"], "http://127.0.0.1:8080").default([{ url: "http://127.0.0.1:8080" }]),
});

/** What one listener alone does not show to be wrong. */
export function httpContradictions({ listen }: HttpSection): { path: (string | number)[]; reason: string }[] {
  return listen.flatMap(({ url, tls }, at) => {
    const path = ["http", "listen", at];
    const isSecure = url.startsWith("https:");
    if (isSecure && tls === undefined) return [{ path, reason: "needs tls: { cert, key } for https://" }];
    if (!isSecure && tls !== undefined) {
      return [{ path: [...path, "tls"], reason: "is for https://; the url says http://" }];
    }
    return [];
  });
}

/** The section with absolute paths. */
export function httpConfig({ listen }: HttpSection, folder: string): HttpConfig {
  return {
    listen: listen.map(({ tls, ...rest }) =>
      tls === undefined
        ? rest
        : {
            ...rest,
            tls: {
              ...tls,
              cert: resolve(folder, tls.cert),
              key: resolve(folder, tls.key),
              ...(tls.ca === undefined ? {} : { ca: resolve(folder, tls.ca) }),
            },
          },
    ),
  };
}
