import { isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import { relative } from "node:path";
import type { AccessConfig, Config, ListenerConfig } from "./config/config.ts";
import type { Running } from "./gateway.ts";

/** What the banner shows besides what runs. */
export interface BannerOptions {
  readonly version: string;
  /** How this program's commands are called here: `nomq`, or `npm start -s --`. */
  readonly command: string;
  /** Absent: the defaults. */
  readonly configFile?: string;
  /** `memory`, or the folder. */
  readonly data: string;
  /** The MQTT listeners as configured. */
  readonly mqttListen: readonly ListenerConfig[];
  /** The CoAP listeners. Default none. */
  readonly coapListen?: readonly ListenerConfig[];
  /** The HTTP listeners. Default none. */
  readonly httpListen?: readonly ListenerConfig[];
  /** The XMPP section, if there is one. */
  readonly xmpp?: NonNullable<Config["xmpp"]>;
  /** The access section, if there is one. */
  readonly access?: AccessConfig;
  /** What `nomq pub` needs to find this gateway, as typed: ` --data ./second`; empty for the default. */
  readonly place: string;
}

/** The one line that says the gateway is ready, for programs (docs/api.md). */
export function readyLine({ listen, time, controlSocket }: Running): string {
  return `${JSON.stringify({ event: "ready", listen, time, control: controlSocket })}\n`;
}

/** What a person sees when the gateway is ready: every real address, and three lines to paste. */
export function banner(running: Running, options: BannerOptions): string {
  const rows: [string, string][] = [
    ...Object.entries(running.listen).map(([name, urls]): [string, string] => [name, addressesText(urls)]),
    ["xmpp", xmppText(options.xmpp)],
    ["time", running.time === undefined ? "" : `${running.time} (SNTP, for devices without Internet)`],
    ["reach", reachText(running)],
    ["data", dataText(options)],
    ["control", running.controlSocket],
    ["keys", keysText(running)],
    ...(options.access === undefined ? accessRows(options) : [ruledRow(options.access)]),
    ["config", options.configFile ?? "defaults (no file)"],
  ];
  const shown = rows.filter(([, text]) => text !== "").map(([name, text]) => `  ${name.padEnd(8)}${text}`);
  const lines = tryLines(running, options).map((line) => `  ${line}`);
  return `NoMQ Gateway ${options.version} is ready\n\n${shown.join("\n")}\n\nTry it, each in a terminal of its own:\n\n${lines.join("\n")}\n`;
}

/** That there are rules; who they are about is for who may read the file. */
function ruledRow({ users, tokens, rules }: AccessConfig): [string, string] {
  const counted = (many: readonly unknown[], one: string): string =>
    `${many.length} ${one}${many.length === 1 ? "" : "s"}`;
  const there = [counted(rules, "rule"), counted(users, "user"), counted(tokens, "token")].join(", ");
  return ["access", `${there}; what no rule allows is denied (nomq access explain WHO ACTION CHANNEL)`];
}

/** Who may do what, as long as there are no access rules. */
function accessRows(options: BannerOptions): [string, string][] {
  const { mqttListen, coapListen = [], httpListen = [], xmpp } = options;
  const keys = "NoMQ keys: everything";
  const mqtt =
    mqttListen.length === 0
      ? keys
      : `${keys}. MQTT clients without a name may do everything: ${fromWhere("mqtt", mqttListen)}`;
  const coap =
    coapListen.length === 0 ? "" : `CoAP devices may do everything: ${fromWhere("coap", coapListen)}`;
  const http =
    httpListen.length === 0 ? "" : `HTTP without a token may do everything: ${fromWhere("http", httpListen)}`;
  const open = Object.entries({ mqtt: mqttListen, coap: coapListen }).filter(
    ([, listen]) => listen.length > 0,
  );
  const asDefault = open.filter(([, listen]) => listen.every(({ anonymous }) => anonymous === undefined));
  const sections = asDefault.map(([section]) => `${section}.listen`).join(" or ");
  const advice = `(anonymous: [192.168.0.0/16] on a listener of ${sections} admits a network)`;
  return [
    ["access", mqtt],
    ["", coap],
    ["", http],
    ["", (xmpp?.subscribe.length ?? 0) > 0 ? "XMPP: whoever the server lets publish may do everything" : ""],
    ["", sections === "" ? "" : advice],
  ];
}

/** From where who shows nothing may come. */
function fromWhere(section: string, listen: readonly ListenerConfig[]): string {
  const who = listen.map(({ anonymous = "loopback" }) => {
    if (anonymous === "none") return "nobody";
    return anonymous === "loopback"
      ? "programs on this machine only"
      : `addresses in ${anonymous.join(", ")}`;
  });
  return who.every((each) => each === who[0])
    ? who.slice(0, 1).join("")
    : who.map((each, at) => `${section}.listen[${at}] ${each}`).join("; ");
}

/** Where this gateway is a client; what has become of it `/healthz` says. */
function xmppText(xmpp: BannerOptions["xmpp"]): string {
  if (xmpp === undefined) return "";
  const { domain, username, service = `xmpp://${domain}:5222`, pubsub = `pubsub.${domain}` } = xmpp;
  return `${username}@${domain} at ${service}, nodes of ${pubsub}`;
}

const addressesText = (urls: readonly string[]): string =>
  urls.length === 0 ? "no listener" : urls.join("  ");

/** Where devices on the network find a listener that is bound to every address. */
function reachText({ listen }: Running): string {
  const wild = Object.values(listen)
    .flat()
    .filter((url) => /:\/\/(\[::\]|0\.0\.0\.0):/.test(url));
  if (wild.length === 0) return "";
  const hosts = Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith("fe80:"))
    .map(({ address }) => (isIPv6(address) ? `[${address}]` : address));
  return hosts.length === 0 ? "" : `from other machines at ${hosts.join("  ")}`;
}

const dataText = ({ data }: BannerOptions): string =>
  data === "memory"
    ? "memory: keys and messages end with this process"
    : `${data} (keys, store, session log)`;

function keysText({ keys }: Running): string {
  const ids = keys.keys.map(({ id }) => id).join(", ");
  switch (keys.from) {
    case "configuration":
      return `${ids} (from the configuration)`;
    case "generated":
      return `${ids} (new: ${keys.path}; copy it to a device to let it join)`;
    case "folder":
      return `${ids} (in ${keys.path})`;
    case "memory":
      return `${ids} (new, in memory only: name keys under nomq.keys to let devices join)`;
  }
}

/**
 * Commands that work as they stand. The subscription names the channel, so that a datagram, which carries only its
 * hash, is understood whichever line is pasted next.
 */
function tryLines(running: Running, options: BannerOptions): string[] {
  const { listen, keys } = running;
  const isOpen = options.access === undefined;
  const mqtt = isOpen ? endpointOf(listen["mqtt"]?.find((url) => url.startsWith("mqtt:"))) : undefined;
  const nomq = endpointOf(listen["nomq"]?.[0]);
  const sub =
    mqtt === undefined
      ? `${options.command} sub demo/hello${options.place}`
      : `mosquitto_sub -h ${mqtt.host} -p ${mqtt.port} -t demo/hello -v`;
  const lines = [sub, `${options.command} pub demo/hello "from the command line" --retain${options.place}`];
  // With rules, only the control socket may surely do both.
  if (!isOpen) return lines;
  const found =
    keys.from === "generated"
      ? keys.path
      : keys.path === undefined
        ? undefined
        : `${keys.path}/${keys.keys[0]?.id}.json`;
  const file = found === undefined ? undefined : shortest(found);
  if (nomq === undefined || file === undefined)
    lines.push(sensorLine(listen) ?? `${options.command} keys new --id site --out site.json`);
  else
    lines.push(
      `${options.command} pub demo/hello "as a device" --qos 1 --nomq udp://${bracketed(nomq.host)}:${nomq.port} --key ${file}`,
    );
  return lines;
}

/** What libcoap's client calls for a sensor that tells its state. */
function sensorLine(listen: Running["listen"]): string | undefined {
  const coap = endpointOf(listen["coap"]?.[0]);
  if (coap === undefined) return undefined;
  return `coap-client-notls -m put -e "as a sensor" coap://${bracketed(coap.host)}:${coap.port}/demo/hello`;
}

/** Where this machine reaches a listener. */
function endpointOf(url: string | undefined): { host: string; port: string } | undefined {
  const parts = /^[a-z]+:\/\/(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(url ?? "");
  const host = parts?.[1] ?? parts?.[2];
  if (host === undefined) return undefined;
  return { host: host === "::" || host === "0.0.0.0" ? "127.0.0.1" : host, port: parts?.[3] ?? "" };
}

/** Relative to the current folder where it lies in it. */
function shortest(path: string): string {
  const from = relative(process.cwd(), path);
  return from.startsWith("..") ? path : from;
}

const bracketed = (host: string): string => (isIPv6(host) ? `[${host}]` : host);
