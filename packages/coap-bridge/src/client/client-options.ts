import { isValidChannel, isValidFilter, NomqError, type OutboxLimits, type Qos } from "@nomq/core";
import { type CoapTarget, parseCoapUrl } from "./coap-url.ts";

/** A remote resource whose state becomes a channel, by observation (RFC 7641). */
export interface ObserveOptions {
  /** `coap://HOST[:PORT]/PATH[?QUERY]`. */
  readonly url: string;
  readonly channel: string;
  /** Of the messages that its values become. Default 1. */
  readonly qos?: Qos;
  /** Whether a value without Max-Age expires after the 60 s that RFC 7252 gives it. Default false: it is stale. */
  readonly expire?: boolean;
}

/** A remote resource that cannot be observed: it is read again and again. */
export interface PollOptions extends ObserveOptions {
  /** Milliseconds from one reading to the next, at least 100. */
  readonly every: number;
}

/** Channels that are written to a remote resource. */
export interface SendOptions {
  /** Its attachment is `coap:send:NAME`. */
  readonly name: string;
  /** Levels that `+` and `#` stand for are appended to the path of `url`. */
  readonly from: string;
  readonly url: string;
  /** Default `put`. */
  readonly method?: "put" | "post";
  /** Default 10,000 messages, 64 MiB, drop-oldest. */
  readonly outbox?: Partial<OutboxLimits>;
}

/** The parts of the `coap` section that make the bridge a client. */
export interface ClientOptions {
  readonly observe?: readonly ObserveOptions[];
  readonly poll?: readonly PollOptions[];
  readonly send?: readonly SendOptions[];
}

/** A sensor with every default filled in. */
export interface SensorSettings {
  readonly target: CoapTarget;
  readonly channel: string;
  readonly qos: Qos;
  readonly expire: boolean;
  /** Milliseconds; absent: it is observed. */
  readonly every?: number;
}

/** An actuator with every default filled in. */
export interface ActuatorSettings {
  readonly name: string;
  readonly from: string;
  readonly target: CoapTarget;
  readonly method: "put" | "post";
  readonly outbox?: Partial<OutboxLimits>;
}

/** All that the client does. */
export interface ClientSettings {
  readonly sensors: readonly SensorSettings[];
  readonly actuators: readonly ActuatorSettings[];
}

const LEAST_EVERY_MS = 100;
/** What a timer takes. */
const MOST_EVERY_MS = 2 ** 31 - 1;

/** Fills in defaults. Throws `config-invalid` or `not-available-yet` with the path of what is wrong. */
export function clientSettings(options: ClientOptions): ClientSettings {
  const sensors = [
    ...(options.observe ?? []).map((each, at) => sensorOf(each, `coap.observe[${at}]`)),
    ...(options.poll ?? []).map((each, at) => polledOf(each, `coap.poll[${at}]`)),
  ];
  const actuators = (options.send ?? []).map((each, at) => actuatorOf(each, `coap.send[${at}]`));
  const channels = new Set<string>();
  for (const { channel } of sensors) {
    // Two sensors of one channel would overwrite each other, and one that is gone would clear the other's value.
    if (channels.has(channel)) invalid("coap", `two sensors have the channel ${JSON.stringify(channel)}`);
    channels.add(channel);
  }
  const names = new Set<string>();
  for (const { name } of actuators) {
    if (names.has(name)) invalid("coap.send", `two entries have the name ${name}`);
    names.add(name);
  }
  return { sensors, actuators };
}

function sensorOf({ url, channel, qos = 1, expire = false }: ObserveOptions, at: string): SensorSettings {
  if (!isValidChannel(channel)) invalid(`${at}.channel`, `${JSON.stringify(channel)} is no channel name`);
  if (qos !== 0 && qos !== 1 && qos !== 2) invalid(`${at}.qos`, "expected 0, 1 or 2");
  return { target: parseCoapUrl(url, `${at}.url`), channel, qos, expire };
}

function polledOf(options: PollOptions, at: string): SensorSettings {
  const { every } = options;
  if (!(every >= LEAST_EVERY_MS && every <= MOST_EVERY_MS)) {
    invalid(`${at}.every`, `expected at least ${LEAST_EVERY_MS} ms and at most 24 days`);
  }
  return { ...sensorOf(options, at), every };
}

function actuatorOf(options: SendOptions, at: string): ActuatorSettings {
  const { name, from, url, method = "put", outbox } = options;
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) invalid(`${at}.name`, "expected letters, digits and . _ -");
  if (!isValidFilter(from)) invalid(`${at}.from`, `${JSON.stringify(from)} is no filter`);
  if (method !== "put" && method !== "post") invalid(`${at}.method`, "expected put or post");
  const target = parseCoapUrl(url, `${at}.url`);
  return { name, from, target, method, ...(outbox === undefined ? {} : { outbox }) };
}

function invalid(at: string, reason: string): never {
  throw new NomqError("config-invalid", `${at}: ${reason}`);
}
