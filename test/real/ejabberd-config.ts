import type { XmppServerPlace } from "./xmpp-server.ts";

/** What a test may want of an ejabberd. */
export interface EjabberdSetup {
  /** Passwords by bare JID at `localhost`. Default `gw`, `alice` and `bob`, each with its name and `pw`. */
  readonly users?: Readonly<Record<string, string>>;
  /** Who may create nodes at `pubsub.localhost`. Default everybody. */
  readonly creators?: readonly string[];
  /** STARTTLS and direct TLS with a certificate that signs itself. Default false: neither is there. */
  readonly tls?: boolean;
  /** Plain connections are refused where TLS is on. Default false. */
  readonly requireTls?: boolean;
  /** Whom the certificate names. Default `localhost`. */
  readonly certificateFor?: string;
  /** How passwords are kept: as packaged `scram`, which offers SCRAM-SHA-1 alone. Default `plain`, which offers more. */
  readonly passwords?: "plain" | "scram";
  /** Modules that are not loaded: `mod_stream_mgmt`, `mod_pubsub`. */
  readonly without?: readonly string[];
  /** The rate limit of Debian's package for clients: 3000 bytes a second. Default none. */
  readonly limited?: boolean;
  /** More lines of the options of `mod_pubsub`. */
  readonly morePubsub?: readonly string[];
  /** Beside `flat`. */
  readonly plugins?: readonly string[];
}

/** Its configuration file. */
export function ejabberdConfig(place: XmppServerPlace, setup: EjabberdSetup): string {
  const { tls = false, requireTls = false, creators, passwords = "plain", without = [] } = setup;
  const listener = "module: ejabberd_c2s, max_stanza_size: 262144, access: c2s, shaper: c2s_shaper";
  const modules = Object.entries(modulesOf(setup)).filter(([name]) => !without.includes(name));
  return `
hosts: [ "localhost" ]
loglevel: info
log_rotate_count: 0
auth_password_format: ${passwords}
${tls ? `certfiles: [ "${place.folder}/localhost.pem" ]` : ""}
acl:
  creators: { user: [ ${(creators ?? []).map((jid) => `"${jid}"`).join(", ")} ] }
access_rules:
  c2s: { allow: all }
  pubsub_createnode: { allow: ${creators === undefined ? "all" : "creators"} }
shaper:
  normal: { rate: 3000, burst_size: 20000 }
shaper_rules:
  c2s_shaper: { ${setup.limited ? "normal" : "none"}: all }
listen:
  - { port: ${place.c2s}, ip: "127.0.0.1", ${listener}, starttls: ${tls}, starttls_required: ${requireTls} }
  ${tls ? `- { port: ${place.directTls}, ip: "127.0.0.1", ${listener}, tls: true }` : ""}
  - { port: ${place.http}, ip: "127.0.0.1", module: ejabberd_http, request_handlers: { /ws: ejabberd_http_ws } }
modules:
${modules.map(([name, options]) => `  ${name}: { ${options} }`).join("\n")}
`;
}

function modulesOf({ plugins = [], morePubsub = [] }: EjabberdSetup): Readonly<Record<string, string>> {
  const pubsub = [
    'host: "pubsub.localhost"',
    "access_createnode: pubsub_createnode",
    "nodetree: tree",
    `plugins: [ ${["flat", ...plugins].join(", ")} ]`,
    ...morePubsub,
  ];
  return {
    ...{ mod_disco: "", mod_ping: "", mod_roster: "", mod_caps: "", mod_offline: "", mod_stream_mgmt: "" },
    mod_pubsub: pubsub.join(", "),
  };
}
