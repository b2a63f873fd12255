import { readFileSync } from "node:fs";
import type { BridgeStatus } from "@nomq/core";
import { encode } from "cborg";
import type { CoapResource } from "./coap-resource.ts";

/** What `/.well-known/nomq` says: product, version, health, as its owner sees it. Values JSON can say. */
export type About = () => Readonly<Record<string, unknown>>;

/** What a bridge on its own says. */
export function aboutBridge({ state, reason, since }: BridgeStatus): ReturnType<About> {
  return {
    product: "@nomq/coap-bridge",
    version: packageVersion(),
    bridge: { state, since, ...(reason !== undefined && { reason }) },
  };
}

let version: string | undefined;

function packageVersion(): string {
  // One level up from dist/, two from src/programs/.
  version ??= ["../package.json", "../../package.json"].map(versionIn).find((found) => found !== undefined);
  return version ?? "unknown";
}

function versionIn(path: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8"));
    return typeof parsed === "object" && parsed !== null && "version" in parsed
      ? String(parsed.version)
      : undefined;
  } catch {
    return undefined;
  }
}

const JSON_TYPE = "application/json";
const CBOR_TYPE = "application/cbor";

/** `/.well-known/nomq`: what runs here and how it is, as JSON or CBOR, for whoever may read a channel of that name. */
export function aboutResource(about: About): CoapResource {
  return {
    path: ".well-known/nomq",
    attributes: { rt: "nomq.about", ct: "50 60", title: "NoMQ" },
    handle(request, response) {
      if (request.method !== "GET") {
        response.code = "4.05";
        response.end();
        return;
      }
      const accept = request.headers.Accept ?? JSON_TYPE;
      if (accept !== JSON_TYPE && accept !== CBOR_TYPE) {
        response.code = "4.06";
        response.end();
        return;
      }
      response.setOption("Content-Format", accept);
      // Health is of now.
      response.setOption("Max-Age", 0);
      const facts = about();
      response.end(accept === CBOR_TYPE ? encode(facts) : JSON.stringify(facts));
    },
  };
}
