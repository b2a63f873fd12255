import { coapMapping } from "@nomq/coap-bridge";
import {
  type MappingCell,
  type MappingProperty,
  type MappingVerdict,
  nomqMapping,
  type ProtocolMapping,
} from "@nomq/core";
import { mqttMapping } from "@nomq/mqtt-bridge";
import { xmppMapping } from "@nomq/xmpp-bridge";

/** The table of every protocol that the gateway speaks. */
export const MAPPINGS: readonly ProtocolMapping[] = [nomqMapping, mqttMapping, coapMapping, xmppMapping];

/** One end of a way: a variant of a protocol. */
export interface WayEnd {
  readonly mapping: ProtocolMapping;
  readonly variant: string;
}

/** What becomes of one property between two ends. */
export interface Way {
  /** The worse of both cells. */
  readonly is: MappingVerdict;
  /** Into the hub. */
  readonly in: MappingCell;
  /** Out of it. */
  readonly out: MappingCell;
}

/** Every end that the tables know. */
export const WAY_ENDS: readonly WayEnd[] = MAPPINGS.flatMap((mapping) =>
  mapping.variants.map(({ id }) => ({ mapping, variant: id })),
);

/** `nomq:device`, `mqtt:5`. */
export const nameOfEnd = ({ mapping, variant }: WayEnd): string => `${mapping.protocol}:${variant}`;

/** As the table's variant is called. */
export const titleOfEnd = ({ mapping, variant }: WayEnd): string =>
  mapping.variants.find(({ id }) => id === variant)?.title ?? nameOfEnd({ mapping, variant });

/** Puts two tables together. */
export function wayOf(property: MappingProperty, from: WayEnd, to: WayEnd): Way {
  const into = cellOf(from.mapping.rows[property].from, from);
  const out = cellOf(to.mapping.rows[property].to, to);
  return { is: worse(into.is, out.is), in: into, out };
}

function cellOf(cells: Readonly<Record<string, MappingCell>>, end: WayEnd): MappingCell {
  const cell = cells[end.variant];
  if (cell === undefined) throw new RangeError(`${nameOfEnd(end)} is not in the mapping`);
  return cell;
}

const worse = (one: MappingVerdict, other: MappingVerdict): MappingVerdict =>
  one === "lost" || other === "lost" ? "lost" : one === "kept" ? other : one;
