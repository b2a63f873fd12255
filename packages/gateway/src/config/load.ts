import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { NomqError } from "@nomq/core";
import { type Document, isCollection, isMap, isNode, isScalar, LineCounter, parseDocument } from "yaml";
import type { Config, KeyConfig } from "./config.ts";
import { type Fault, faultsOf, pathText } from "./faults.ts";
import { configJsonSchema } from "./json-schema.ts";
import { type NomqSection, nomqContradictions } from "./nomq-section.ts";
import { notAvailable } from "./not-available.ts";
import { type ConfigFile, fileSchema } from "./schema.ts";
import { codeOf, readSecret, type SecretSource } from "./secret.ts";

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

/**
 * Reads `gateway.yaml`, or the defaults without a path.
 * Throws {@link NomqError} `config-invalid` with all faults of the file, or `not-available-yet` when its only
 * faults are parts that a later version brings.
 */
export function loadConfig(path: string | undefined, folder: string): Config {
  if (path === undefined) return parseConfig({ name: "(defaults)", text: "", folder });
  const full = resolve(folder, path);
  let text: string;
  try {
    text = readFileSync(full, "utf8");
  } catch (error) {
    throw new NomqError("config-invalid", `cannot read ${full} (${codeOf(error)})`, { cause: error });
  }
  return parseConfig({ name: path, text, folder: dirname(full) });
}

/** Validates the text of a configuration; throws as {@link loadConfig} does. */
export function parseConfig(source: ConfigSource): Config {
  const lines = new LineCounter();
  const document = parseDocument(source.text, { lineCounter: lines, prettyErrors: false });
  const broken = document.errors[0];
  if (broken !== undefined) {
    const { line, col } = lines.linePos(broken.pos[0]);
    throw new NomqError("config-invalid", `${source.name}:${line}:${col}: not valid YAML: ${broken.message}`);
  }
  const raw = withoutEmptySections(document.toJS({ maxAliasCount: 100 }));
  const result = fileSchema.safeParse(raw);
  const faults = [
    ...(result.success
      ? nomqContradictions(result.data.nomq)
      : faultsOf(result.error, raw, configJsonSchema())),
    ...notAvailable(raw),
  ];
  const secrets = { folder: source.folder, env: source.env ?? process.env };
  const keys = result.success ? readKeys(result.data.nomq, secrets, faults) : undefined;
  if (!result.success || faults.length > 0) throw refusal(source.name, faults, { document, lines });
  return assemble(result.data, keys, source.folder);
}

function assemble(file: ConfigFile, keys: readonly KeyConfig[] | undefined, folder: string): Config {
  const { listen, channels, pace, probe, devices } = file.nomq;
  return {
    version: 1,
    data: file.data === "memory" ? "memory" : resolve(folder, file.data),
    nomq: { listen, ...(keys === undefined ? {} : { keys }), channels, pace, probe, devices },
    mqtt: { listen: file.mqtt.listen },
    log: { ...file.log, file: file.log.file === null ? null : resolve(folder, file.log.file) },
  };
}

/** `mqtt:` with nothing below it is the same as no such line. */
function withoutEmptySections(raw: unknown): unknown {
  if (raw === null || raw === undefined) return {};
  if (typeof raw !== "object" || Array.isArray(raw)) return raw;
  return Object.fromEntries(Object.entries(raw).filter(([, value]) => value !== null));
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
    return { id: key.id, encryption: half("encryption"), mac: half("mac"), dialect: key.dialect };
  });
}

const hexFault = (text: string): string | undefined =>
  /^[0-9a-fA-F]{64}$/.test(text) ? undefined : "expected 64 hexadecimal digits; nomq keys new makes them";

interface Parsed {
  readonly document: Document;
  readonly lines: LineCounter;
}

function refusal(name: string, faults: readonly Fault[], parsed: Parsed): NomqError {
  const code = faults.every((fault) => fault.notYet === true) ? "not-available-yet" : "config-invalid";
  const placed = faults.map((fault) => ({ fault, offset: offsetOf(fault.path, parsed.document) }));
  placed.sort((a, b) => (a.offset ?? 0) - (b.offset ?? 0));
  const said = placed.map(({ fault, offset }) => {
    const advice = fault.suggestion === undefined ? "" : `; ${fault.suggestion}`;
    return `${name}${positionText(offset, parsed.lines)}: ${pathText(fault.path)}: ${fault.reason}${advice}`;
  });
  const [only] = said;
  if (said.length === 1 && only !== undefined) return new NomqError(code, only);
  return new NomqError(code, `${said.length} faults\n${said.map((line) => `  ${line}`).join("\n")}`);
}

/** Where the deepest part of the path that the file has begins. */
function offsetOf(path: readonly PropertyKey[], document: Document): number | undefined {
  let node: unknown = document.contents;
  let offset: number | undefined = isNode(node) ? node.range?.[0] : undefined;
  for (const step of path) {
    if (!isCollection(node)) break;
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && key.value === step);
      if (pair === undefined) break;
      if (isNode(pair.key)) offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else {
      node = node.get(step, true);
      if (isNode(node)) offset = node.range?.[0] ?? offset;
    }
  }
  return offset;
}

function positionText(offset: number | undefined, lines: LineCounter): string {
  if (offset === undefined) return "";
  const { line, col } = lines.linePos(offset);
  return `:${line}:${col}`;
}
