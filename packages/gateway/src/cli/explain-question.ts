import { MAPPING_PROPERTIES, type MappingProperty, type ProtocolMapping } from "@nomq/core";
import { nearest } from "../config/nearest.ts";
import { MAPPINGS, type WayEnd } from "../mapping.ts";
import { UsageError } from "./usage-error.ts";

/** What one argument of `nomq explain` names: `nomq`, `nomq:qos2`, `nomq:device:retain`, `mqtt5:ttl`. */
export interface Named {
  /** All of the protocol where no variant is named. */
  readonly ends: readonly WayEnd[];
  /** Undefined: all. */
  readonly properties: readonly MappingProperty[] | undefined;
}

/** Reads an argument. Throws a {@link UsageError} with a suggestion. */
export function readNamed(text: string): Named {
  const [first = "", ...rest] = text.split(":");
  const { mapping, variant } = readProtocol(first);
  let found: { variant: string | undefined; properties?: readonly MappingProperty[] } = { variant };
  for (const word of rest) {
    const properties = propertiesLike(word);
    const named = variantLike(mapping, word);
    if (named !== undefined && found.variant === undefined) found = { ...found, variant: named };
    else if (properties.length > 0 && found.properties === undefined) found = { ...found, properties };
    else throw unknown(word, [...MAPPING_PROPERTIES, ...mapping.variants.map(({ id }) => id)]);
  }
  const variants = found.variant === undefined ? mapping.variants.map(({ id }) => id) : [found.variant];
  return { ends: variants.map((one) => ({ mapping, variant: one })), properties: found.properties };
}

/** The rows that both arguments ask for; all where neither names one. */
export function propertiesAsked(from: Named, to: Named): readonly MappingProperty[] {
  const asked = from.properties ?? to.properties ?? MAPPING_PROPERTIES;
  const both = asked.filter((property) => to.properties?.includes(property) ?? true);
  if (both.length === 0) throw new UsageError("both sides name a property, and not the same one");
  return both;
}

/** `nomq`, `mqtt`, and with the variant in one word: `mqtt5`, `mqtt3.1.1`, `mqtt311`. */
function readProtocol(word: string): { mapping: ProtocolMapping; variant: string | undefined } {
  const plain = letters(word);
  for (const mapping of MAPPINGS) {
    if (plain === mapping.protocol) return { mapping, variant: undefined };
    if (!plain.startsWith(mapping.protocol)) continue;
    const variant = variantLike(mapping, plain.slice(mapping.protocol.length));
    if (variant !== undefined) return { mapping, variant };
  }
  throw unknown(
    word,
    MAPPINGS.map(({ protocol }) => protocol),
  );
}

function variantLike({ variants }: ProtocolMapping, word: string): string | undefined {
  const plain = letters(word);
  return variants.find(({ id }) => letters(id) === plain)?.id;
}

/** The row of that name, else all that begin so: `qos` is every QoS. */
function propertiesLike(word: string): readonly MappingProperty[] {
  const plain = letters(word);
  const exact = MAPPING_PROPERTIES.filter((property) => letters(property) === plain);
  if (exact.length > 0 || plain.length < 2) return exact;
  return MAPPING_PROPERTIES.filter((property) => letters(property).startsWith(plain));
}

const letters = (text: string): string => text.toLowerCase().replaceAll(/[-_.\s]/g, "");

function unknown(word: string, known: readonly string[]): UsageError {
  const near = nearest(word, known);
  const advice = near === undefined ? `known: ${known.join(", ")}` : `did you mean ${near}?`;
  return new UsageError(`${JSON.stringify(word)} is not in the mapping; ${advice}`);
}
