import type { Log } from "./log.ts";
import type { Message } from "./message.ts";

/** What a protocol does with one property of a message, one way. */
export type MappingVerdict = "kept" | "approximated" | "lost";

/** The rows of every mapping, in the order of docs/mapping.md. */
export const MAPPING_PROPERTIES = [
  "name",
  "publish",
  "qos0",
  "qos1",
  "qos2",
  "qos3",
  "retain",
  "no-value",
  "clear-retained",
  "ttl",
  "content-type",
  "priority",
  "text",
  "binary",
  "size",
  "properties",
  "response-channel",
  "correlation",
  "presence",
] as const;

/** A row of a mapping. */
export type MappingProperty = (typeof MAPPING_PROPERTIES)[number];

/** What becomes of one property of a message, from or to one variant of a protocol. */
export interface MappingCell {
  readonly is: MappingVerdict;
  /** How, or why not. */
  readonly how: string;
  /** The largest value that is not changed or refused: bytes of a payload or a name, seconds of a time to live. */
  readonly most?: number;
}

/** A cell with the code that does what it says. A lost property has none, so that cell and code cannot part. */
export interface ConvertingCell<Convert> extends MappingCell {
  readonly is: "kept" | "approximated";
  readonly convert: Convert;
}

/** One row: a property, from and to each variant of the protocol. */
export interface MappingRow<Variant extends string = string> {
  /** Protocol to hub. */
  readonly from: Readonly<Record<Variant, MappingCell>>;
  /** Hub to protocol. */
  readonly to: Readonly<Record<Variant, MappingCell>>;
}

/** A kind of peer that a protocol has: a v1 device and a node of ours, MQTT 3.1.1 and 5. */
export interface MappingVariant<Variant extends string = string> {
  readonly id: Variant;
  /** As pages and `nomq explain` call it. */
  readonly title: string;
}

/** What one protocol does with every property of a message. */
export interface ProtocolMapping<Variant extends string = string> {
  /** The bridge's name: `nomq`, `mqtt`. */
  readonly protocol: string;
  readonly title: string;
  readonly variants: readonly MappingVariant<Variant>[];
  readonly rows: Readonly<Record<MappingProperty, MappingRow<Variant>>>;
  /** What no single cell says. */
  readonly notes: readonly string[];
}

/** A cell whose value arrives as it was sent; `extra` holds its code and its limit. */
export function kept<Extra extends object>(
  how: string,
  extra?: Extra,
): { readonly is: "kept"; readonly how: string } & Extra {
  return cell("kept", how, extra);
}

/** A cell whose value arrives changed, but still means the same. */
export function approximated<Extra extends object>(
  how: string,
  extra?: Extra,
): { readonly is: "approximated"; readonly how: string } & Extra {
  return cell("approximated", how, extra);
}

/** A cell whose value does not arrive. */
export function lost(why: string): { readonly is: "lost"; readonly how: string } {
  return { is: "lost", how: why };
}

function cell<Is extends MappingVerdict, Extra extends object>(
  is: Is,
  how: string,
  extra?: Extra,
): { readonly is: Is; readonly how: string } & Extra {
  // Without `extra` there is nothing that its type could ask for: it is inferred from it.
  return { is, how, ...extra } as { readonly is: Is; readonly how: string } & Extra;
}

/** The user property by which a message says what it lost on its way into the hub: the name of the row. */
export const LOST_PROPERTY = "nomq-lost";

/** One sum of `nomq_mapping_lost_total{from,to,property}`. */
export interface MappingLoss {
  /** The protocol the message came from: `nomq`, `mqtt`, `api`. */
  readonly from: string;
  /** The protocol and variant it went to, `mqtt:3.1.1`; `hub` for a loss on the way in. */
  readonly to: string;
  readonly property: MappingProperty;
  readonly count: number;
}

/** Counts what could not be kept. */
export interface MappingLosses {
  /** `origin` as in a message. */
  add(origin: string, to: string, property: MappingProperty): void;
  read(): readonly MappingLoss[];
}

const FIRST_LOSS = "a property of a message cannot be kept on this way; said once (docs/mapping.md)";

/** Origins counted apart: programs that embed the hub name their own. */
const MOST_ORIGINS = 32;

/** Makes the counter; the log, if there is one yet, hears of each kind of loss once. */
export function createMappingLosses(log: () => Log | undefined = () => undefined): MappingLosses {
  const origins = new Set<string>();
  const sums = new Map<string, { from: string; to: string; property: MappingProperty; count: number }>();
  const protocolOf = (origin: string): string => {
    const [protocol = origin] = origin.split(":", 1);
    if (!origins.has(protocol) && origins.size >= MOST_ORIGINS) return "other";
    origins.add(protocol);
    return protocol;
  };
  return {
    add(origin, to, property) {
      const from = protocolOf(origin);
      const key = `${from} ${to} ${property}`;
      const known = sums.get(key);
      if (known !== undefined) {
        known.count += 1;
        return;
      }
      sums.set(key, { from, to, property, count: 1 });
      log()?.info(FIRST_LOSS, { from, to, property });
    },
    read: () => [...sums.values()].map((loss) => ({ ...loss })),
  };
}

/** Tells of one thing on its way whether it has a property at all: what it lacks cannot be lost. */
export type PropertyTests<Subject> = Partial<Record<MappingProperty, (subject: Subject) => boolean>>;

/** A property that is lost on one way, and the test whether a thing has it. */
export type LostProperty<Subject> = readonly [
  property: MappingProperty,
  isThere: (subject: Subject) => boolean,
];

/** The tests of those properties that the cells call lost: what a bridge counts follows the table. */
export function lostProperties<Subject>(
  cellOf: (property: MappingProperty) => MappingCell,
  tests: PropertyTests<Subject>,
): readonly LostProperty<Subject>[] {
  const lostOnes: LostProperty<Subject>[] = [];
  for (const property of MAPPING_PROPERTIES) {
    const isThere = tests[property];
    if (isThere !== undefined && cellOf(property).is === "lost") lostOnes.push([property, isThere]);
  }
  return lostOnes;
}

/** What a message of the hub has. */
export const MESSAGE_TESTS: PropertyTests<Message> = {
  qos1: (message) => message.qos === 1,
  qos2: (message) => message.qos === 2,
  retain: (message) => message.retain,
  ttl: (message) => message.expiresAt !== undefined,
  "content-type": (message) => message.contentType !== undefined,
  priority: (message) => message.priority > 0,
  properties: (message) => (message.properties?.length ?? 0) > 0,
  "response-channel": (message) => message.responseChannel !== undefined,
  correlation: (message) => message.correlation !== undefined,
};
