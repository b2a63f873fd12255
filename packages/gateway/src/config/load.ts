import { readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { codeOf, NomqError } from "@nomq/core";
import { LineCounter, parseDocument } from "yaml";
import { weaknessOf } from "../weak-keys.ts";
import { readAccess } from "./access-section.ts";
import { coapContradictions } from "./coap-section.ts";
import type { AccessConfig, Config, KeyConfig } from "./config.ts";
import { type Fault, faultsOf, pathText } from "./faults.ts";
import { httpConfig, httpContradictions } from "./http-section.ts";
import { configJsonSchema } from "./json-schema.ts";
import { type NomqSection, nomqContradictions } from "./nomq-section.ts";
import { notAvailable } from "./not-available.ts";
import { faultText, type PlacedFault, placeFaults } from "./positions.ts";
import { type ConfigFile, fileSchema } from "./schema.ts";
import { readSecret, type SecretSource } from "./secret.ts";
import { readXmpp, xmppContradictions } from "./xmpp-section.ts";

/** Bytes. YAML compares every key of a mapping with every other: a larger file would be read for minutes. */
const LARGEST_FILE = 1_048_576;
const tooLarge: PlacedFault = { path: "(file)", reason: "is larger than 1 MiB", notYet: false };

/** Where a configuration comes from. */
export interface ConfigSource {
  /** How refusals name the file. */
  readonly name: string;
  readonly text: string;
  /** Relative paths start here. */
  readonly folder: string;
  /** Default: the process's. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** A configuration, or all that is wrong with it. */
export type Inspected =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly faults: readonly PlacedFault[]; readonly error: NomqError };

/**
 * Reads `gateway.yaml`, or the defaults without a path.
 * Throws {@link NomqError} `config-invalid` with all faults of the file, or `not-available-yet` when its only
 * faults are parts that a later version brings.
 */
export function loadConfig(path: string | undefined, folder: string): Config {
  if (path === undefined) return parseConfig({ name: "(defaults)", text: "", folder });
  const result = inspectConfigFile(path, folder);
  if (!result.ok) throw result.error;
  return result.config;
}

/** As {@link loadConfig}, with the faults as data. */
export function inspectConfigFile(path: string, folder: string): Inspected {
  const full = resolve(folder, path);
  try {
    if (statSync(full).size > LARGEST_FILE) return unfit(path, [tooLarge]);
    return inspectConfig({ name: path, text: readFileSync(full, "utf8"), folder: dirname(full) });
  } catch (error) {
    const fault = { path: "(file)", reason: `cannot be read (${codeOf(error)})`, notYet: false };
    return unfit(path, [fault]);
  }
}

/** Validates the text of a configuration; throws as {@link loadConfig} does. */
export function parseConfig(source: ConfigSource): Config {
  const result = inspectConfig(source);
  if (!result.ok) throw result.error;
  return result.config;
}

/** Validates the text of a configuration. */
export function inspectConfig(source: ConfigSource): Inspected {
  const lines = new LineCounter();
  const document = parseDocument(source.text, { lineCounter: lines, prettyErrors: false });
  const parsed = { document, lines };
  const raw = document.errors.length > 0 ? document.errors[0] : readable(document.toJS.bind(document));
  if (raw instanceof Error) return unfit(source.name, [notYaml(raw, lines)]);
  const result = fileSchema.safeParse(raw);
  const wrong = result.success
    ? [
        ...nomqContradictions(result.data.nomq),
        ...coapContradictions(result.data.coap),
        ...xmppContradictions(result.data.xmpp),
        ...httpContradictions(result.data.http),
      ]
    : faultsOf(result.error, raw, configJsonSchema());
  const told = new Set(wrong.map(({ path }) => pathText(path)));
  const faults = [...wrong, ...notAvailable(raw).filter(({ path }) => !told.has(pathText(path)))];
  if (!result.success) return unfit(source.name, placeFaults(faults, parsed));
  const secrets = { folder: source.folder, env: source.env ?? process.env };
  const keys = readKeys(result.data.nomq, secrets, faults);
  const access = result.data.access && readAccess(result.data.access, secrets, faults);
  const xmpp = result.data.xmpp && readXmpp(result.data.xmpp, secrets, faults);
  if (faults.length > 0) return unfit(source.name, placeFaults(faults, parsed));
  return { ok: true, config: assemble(result.data, { keys, access, xmpp }, source.folder) };
}

/**
 * The file's values; an error where aliases would unfold without bound. `mqtt:` with nothing below it is absent;
 * `access:` with nothing below it allows nothing: whoever comments out the last rule must not open the gateway.
 */
function readable(toJs: (options: { maxAliasCount: number }) => unknown): unknown {
  let raw: unknown;
  try {
    raw = toJs({ maxAliasCount: 100 });
  } catch (error) {
    return error;
  }
  if (raw === null || raw === undefined) return {};
  if (typeof raw !== "object" || Array.isArray(raw)) return raw;
  return Object.fromEntries(
    Object.entries(raw)
      .map(([key, value]): [string, unknown] => [key, key === "access" && value === null ? {} : value])
      .filter(([, value]) => value !== null),
  );
}

function notYaml(error: Error, lines: LineCounter): PlacedFault {
  const at = "pos" in error && Array.isArray(error.pos) ? lines.linePos(Number(error.pos[0])) : undefined;
  return {
    path: "(file)",
    reason: `is not valid YAML: ${error.message}`,
    ...(at === undefined ? {} : { line: at.line, column: at.col }),
    notYet: false,
  };
}

interface ReadSecrets {
  readonly keys: readonly KeyConfig[] | undefined;
  readonly access: AccessConfig | undefined;
  readonly xmpp: Config["xmpp"] | undefined;
}

function assemble(file: ConfigFile, { keys, access, xmpp }: ReadSecrets, folder: string): Config {
  const { listen, channels, broadcast, broadcastFilters, pace, probe, time, devices } = file.nomq;
  return {
    version: 1,
    data: file.data === "memory" ? "memory" : resolve(folder, file.data),
    durability: file.durability,
    nomq: {
      listen,
      ...(keys === undefined ? {} : { keys }),
      channels,
      broadcast,
      broadcastFilters,
      pace,
      probe,
      ...(time === null ? {} : { time }),
      devices,
    },
    mqtt: { listen: file.mqtt.listen },
    coap: file.coap,
    ...(xmpp === undefined ? {} : { xmpp }),
    ...(access === undefined ? {} : { access }),
    keep: file.keep,
    http: httpConfig(file.http, folder),
    log: { ...file.log, file: file.log.file === null ? null : resolve(folder, file.log.file) },
  };
}

function readKeys(
  nomq: NomqSection,
  source: SecretSource,
  faults: Fault[],
): readonly KeyConfig[] | undefined {
  return nomq.keys?.map((key, at) => {
    const half = (name: "encryption" | "mac"): string => {
      const read = readSecret(key[name], source);
      const reason = "reason" in read ? read.reason : hexFault(read.text);
      if (reason !== undefined) faults.push({ path: ["nomq", "keys", at, name], reason });
      return "text" in read ? read.text.toLowerCase() : "";
    };
    const known = faults.length;
    const read = { id: key.id, encryption: half("encryption"), mac: half("mac"), dialect: key.dialect };
    const weak = faults.length > known ? undefined : weaknessOf(read);
    if (weak !== undefined) faults.push({ path: ["nomq", "keys", at, weak.half], reason: weak.reason });
    return read;
  });
}

const hexFault = (text: string): string | undefined =>
  /^[0-9a-fA-F]{64}$/.test(text) ? undefined : "expected 64 hexadecimal digits; nomq keys new makes them";

function unfit(file: string, faults: readonly PlacedFault[]): Inspected {
  const code = faults.every(({ notYet }) => notYet) ? "not-available-yet" : "config-invalid";
  const said = faults.map((fault) => faultText(file, fault));
  const text =
    said.length === 1
      ? said.join("")
      : `${said.length} faults\n${said.map((line) => `  ${line}`).join("\n")}`;
  return { ok: false, faults, error: new NomqError(code, text) };
}
