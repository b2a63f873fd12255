import type { XmppServerPlace } from "./xmpp-server.ts";

/** What a test may want of a Prosody. */
export interface ProsodySetup {
  /** Passwords by bare JID; accounts of other hosts than `localhost` need `hosts`. Default `gw`, `alice` and `bob` at `localhost`, each with its name and `pw`. */
  readonly users?: Readonly<Record<string, string>>;
  /** Who may create nodes at `pubsub.localhost`. Default `gw@localhost`. */
  readonly admins?: readonly string[];
  /** Virtual hosts beside `localhost`: `second.localhost`. */
  readonly hosts?: readonly string[];
  /** STARTTLS and direct TLS with a certificate that signs itself. Default false: neither is there. */
  readonly tls?: boolean;
  /** Plain connections are refused where TLS is on. Default false. */
  readonly requireTls?: boolean;
  /** Whom the certificate names. Default `localhost`. */
  readonly certificateFor?: string;
  /** Modules that are not loaded: `smacks` for a server without stream management. */
  readonly without?: readonly string[];
  /** Modules that are loaded besides: `limits`. */
  readonly including?: readonly string[];
  /** Nodes and items live in memory, and no longer than the process. Default false: in files. */
  readonly memory?: boolean;
  /** False: no pubsub service is there. Default true. */
  readonly pubsub?: boolean;
  /** More lines of configuration, global and of the pubsub component. */
  readonly more?: string;
  readonly morePubsub?: string;
}

const MODULES = ["disco", "roster", "saslauth", "ping", "smacks", "pep", "offline", "websocket", "posix"];

/** Its configuration file. */
export function prosodyConfig(place: XmppServerPlace, setup: ProsodySetup): string {
  const {
    tls = false,
    without = [],
    including = [],
    admins = ["gw@localhost"],
    hosts = [],
    pubsub = true,
  } = setup;
  const modules = [...MODULES, ...including, ...(tls ? ["tls"] : [])].filter(
    (name) => !without.includes(name),
  );
  const list = (values: readonly string[]): string => `{ ${values.map((one) => `"${one}"`).join("; ")} }`;
  return `
run_as_root = true
pidfile = "${place.folder}/prosody.pid"
data_path = "${place.folder}/data"
certificates = "${place.folder}/certs"
log = { { levels = { min = "info" }, to = "file", filename = "${place.folder}/prosody.log" } }
interfaces = { "127.0.0.1" }
local_interfaces = { "127.0.0.1" }
c2s_ports = { ${place.c2s} }
c2s_direct_tls_ports = { ${tls ? place.directTls : ""} }
c2s_direct_tls_interfaces = { "127.0.0.1" }
component_ports = { }
http_ports = { ${place.http} }
http_interfaces = { "127.0.0.1" }
https_ports = { }
s2s_ports = { }
authentication = "internal_plain"
storage = "internal"
c2s_require_encryption = ${setup.requireTls === true}
allow_unencrypted_plain_auth = true
consider_websocket_secure = true
modules_enabled = ${list(modules)}
modules_disabled = { "s2s" }
${setup.more ?? ""}
VirtualHost "localhost"
${hosts.map((host) => `VirtualHost "${host}"`).join("\n")}
${pubsub ? pubsubConfig(admins, setup) : ""}
`;
}

function pubsubConfig(admins: readonly string[], setup: ProsodySetup): string {
  return `Component "pubsub.localhost" "pubsub"
  admins = { ${admins.map((one) => `"${one}"`).join("; ")} }
  ${setup.memory ? 'storage = "memory"' : ""}
  ${setup.morePubsub ?? ""}`;
}
