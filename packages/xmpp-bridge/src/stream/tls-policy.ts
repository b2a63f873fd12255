import { BlockList, isIP } from "node:net";
import { checkServerIdentity } from "node:tls";
import type { TlsOptions } from "./xmpp-js.ts";

/** What is asked of the connection's security. */
export interface TlsSettings {
  /** No password and no stanza goes over a connection without TLS. Default: true unless the service is loopback and no `ca` is given. */
  readonly required?: boolean;
  /** Certificate authorities that are trusted instead of the system's, PEM. */
  readonly ca?: string | readonly string[];
  /** Whom the certificate must name. Default: the domain (RFC 6120 section 13.7.2). */
  readonly servername?: string;
}

/** What to do about TLS on a connection whose server says this of STARTTLS. */
export type TlsStep = "upgrade" | "go-on" | "refuse";

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8);
loopback.addAddress("::1", "ipv6");

/** Whether a service's traffic stays on this machine. */
export function isLoopback(service: string): boolean {
  const host = new URL(service).hostname.replace(/^\[|\]$/g, "");
  const family = isIP(host);
  return host === "localhost" || (family > 0 && loopback.check(host, family === 4 ? "ipv4" : "ipv6"));
}

/** Whether TLS must be there before the password goes out. Who names an authority expects it, also at a tunnel's end. */
export const isTlsRequired = (service: string, { required, ca }: TlsSettings): boolean =>
  required ?? (ca !== undefined || !isLoopback(service));

/**
 * A server that offers no STARTTLS may have had it taken out on the way: then nothing more is said where TLS is
 * required. On loopback an offer that nobody asks for is passed over: few servers have a certificate for it.
 */
export function tlsStep(
  service: string,
  settings: TlsSettings,
  offer: "none" | "offered" | "required",
): TlsStep {
  const wanted = isTlsRequired(service, settings);
  if (offer === "none") return wanted ? "refuse" : "go-on";
  const isTaken = wanted || offer === "required" || settings.ca !== undefined || !isLoopback(service);
  return isTaken ? "upgrade" : "go-on";
}

/** Options of Node's TLS: the certificate is always checked, against the domain and not where it was found. */
export function tlsOptions(domain: string, { ca, servername = domain }: TlsSettings): TlsOptions {
  return {
    // No name may be asked for that is an address (RFC 6066 section 3).
    ...(isIP(servername) > 0 ? {} : { servername }),
    checkServerIdentity: (_host, certificate) => checkServerIdentity(servername, certificate),
    ...(ca === undefined ? {} : { ca }),
  };
}
