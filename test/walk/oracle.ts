import { MAPPING_PROPERTIES, type MappingCell, type MappingProperty } from "@nomq/core";
import { nameOfEnd, WAY_ENDS } from "../../packages/gateway/src/mapping.ts";
import type { Carried, Sample } from "./sample.ts";

type Way = "from" | "to";

/** What a cell that is approximated makes of a value: what the table's words mean. Every such cell must have one. */
const MODELS: Readonly<Record<string, (carried: Sample) => Partial<Carried>>> = {
  "from nomq content-type": ({ configured }) => ({ contentType: configured }),
  "from nomq name": () => ({}),
  "from nomq:device clear-retained": () => ({}),
  "from mqtt presence": () => ({}),
  "from mqtt:5 properties": ({ properties }) => ({ properties: byName(properties) }),
  // 16 bits, and no word for never.
  "to nomq ttl": ({ ttl = 0xffff }) => ({ ttl: Math.min(ttl, 0xffff) }),
  "to nomq:device binary": ({ payload }) => ({ payload: Buffer.from(payload.toString("base64")) }),
  // Only where acknowledgements are lost is it less (mosquitto-to-device.test.ts).
  "to nomq:device qos2": () => ({}),
  // What the observer asked for, not what the message is; CON is as QoS 1 here, NON as QoS 0.
  "to coap:con qos0": () => ({ qos: 1 }),
  "to coap:con qos1": () => ({ qos: 1 }),
  "to coap:con qos2": () => ({ qos: 1 }),
  "to coap:non qos1": () => ({ qos: 0 }),
  "to coap:non qos2": () => ({ qos: 0 }),
  "to coap name": () => ({}),
  "to coap retain": () => ({ retain: false }),
  "to coap ttl": ({ ttl = REFRESH_SECONDS }) => ({ ttl }),
  "to coap content-type": ({ contentType = "" }) => ({ contentType: NUMBERED[contentType] }),
  "from xmpp:plain qos0": () => ({ qos: 1 }),
  "from xmpp:plain qos1": () => ({ qos: 1 }),
  "from xmpp:plain qos2": () => ({ qos: 1 }),
  "from xmpp:plain content-type": () => ({}),
  "from xmpp:plain text": () => ({}),
  "from xmpp:plain binary": () => ({}),
  "to xmpp qos2": () => ({}),
  "to mqtt:3.1.1 retain": () => ({ retain: false }),
  "to mqtt:3.1.1 ttl": () => ({ ttl: undefined }),
  "to mqtt:5 ttl": () => ({}),
  "to mqtt:5 properties": ({ properties }) => ({ properties: byName(properties) }),
};

/** Max-Age of what does not expire. */
const REFRESH_SECONDS = 60;

/** The content types of the walk that CoAP has a number for, as that number's name. */
const NUMBERED: Readonly<Record<string, string>> = {
  "text/plain": "text/plain;charset=utf-8",
  "text/plain;charset=utf-8": "text/plain;charset=utf-8",
  "application/json": "application/json",
  "application/xml": "application/xml",
};

/** What is left where a property is lost. */
const WITHOUT: Partial<Record<MappingProperty, (sample: Sample) => Partial<Carried>>> = {
  qos3: ({ qos }) => (qos === 3 ? { qos: 0 } : {}),
  retain: () => ({ retain: false }),
  ttl: () => ({ ttl: undefined }),
  "content-type": () => ({ contentType: undefined }),
  priority: () => ({ priority: undefined }),
  properties: () => ({ properties: undefined }),
  "response-channel": () => ({ responseChannel: undefined }),
  correlation: () => ({ correlation: undefined }),
  // Nobody is told who is there, but a will arrives.
  presence: () => ({}),
};

/** Whether a sample has anything that a row is about. */
const HAS: Partial<Record<MappingProperty, (sample: Sample) => boolean>> = {
  name: () => true,
  publish: () => true,
  qos0: ({ qos }) => qos === 0,
  qos1: ({ qos }) => qos === 1,
  qos2: ({ qos }) => qos === 2,
  qos3: ({ qos }) => qos === 3,
  retain: ({ retain }) => retain,
  "clear-retained": ({ retain, payload }) => retain && payload.length === 0,
  ttl: () => true,
  "content-type": () => true,
  priority: ({ priority }) => priority !== undefined,
  text: ({ payload }) => !isBinary(payload),
  binary: ({ payload }) => isBinary(payload),
  size: ({ payload }) => payload.length > 1000,
  properties: ({ properties }) => properties !== undefined,
  "response-channel": ({ responseChannel }) => responseChannel !== undefined,
  correlation: ({ correlation }) => correlation !== undefined,
  presence: ({ will }) => will === true,
};

const isBinary = (payload: Buffer): boolean => payload.includes(255);

/** Reads the tables; remembers what it read. */
export interface Oracle {
  /** What arrives; undefined: nothing. */
  expected(sample: Sample, to: string): Carried | undefined;
  /** A sample as the hub has it. */
  inHub(sample: Sample): Sample | undefined;
  /** What a sample that has got into the hub loses on its way out, and a counter tells. */
  lostOut(sample: Sample, to: string): readonly MappingProperty[];
  /** Cells that some sample went through: `to mqtt:5 ttl`. */
  readonly walked: Set<string>;
  /** Models that were asked. */
  readonly modelled: Set<string>;
}

/** Every cell of every table. */
export const allCells: readonly string[] = WAY_ENDS.flatMap((end) =>
  (["from", "to"] as const).flatMap((way) =>
    MAPPING_PROPERTIES.map((property) => `${way} ${nameOfEnd(end)} ${property}`),
  ),
);
export const allModels: readonly string[] = Object.keys(MODELS);

export function cellAt(way: Way, end: string, property: MappingProperty): MappingCell {
  const found = WAY_ENDS.find((one) => nameOfEnd(one) === end);
  const cell = found?.mapping.rows[property][way][found.variant];
  if (cell === undefined) throw new Error(`no cell ${way} ${end} ${property}`);
  return cell;
}

export function createOracle(): Oracle {
  const walked = new Set<string>();
  const modelled = new Set<string>();

  const through = (sample: Sample, way: Way, end: string): Sample | undefined => {
    let carried = sample;
    const said: [string, string][] = [];
    for (const property of MAPPING_PROPERTIES) {
      if (HAS[property]?.(sample) !== true) continue;
      const cell = cellAt(way, end, property);
      walked.add(`${way} ${end} ${property}`);
      if (property === "size" && sample.payload.length > (cell.most ?? Number.POSITIVE_INFINITY))
        return undefined;
      if (cell.is === "lost") {
        const left = WITHOUT[property];
        if (left === undefined)
          throw new Error(`${way} ${end} ${property} is lost: say in this file what is left`);
        carried = { ...carried, ...left(sample) };
        if (way === "from" && property === "qos3") said.push(["nomq-lost", property]);
      }
      if (cell.is === "approximated") carried = { ...carried, ...model(`${way} ${end} ${property}`)(sample) };
    }
    return said.length > 0 ? { ...carried, properties: [...(carried.properties ?? []), ...said] } : carried;
  };
  const model = (key: string): (typeof MODELS)[string] => {
    const [way = "", end = "", property = ""] = key.split(" ");
    const known = [key, `${way} ${end.split(":")[0]} ${property}`].find((one) => one in MODELS);
    if (known === undefined) throw new Error(`${key} is approximated: say in this file what arrives`);
    modelled.add(known);
    return MODELS[known] ?? (() => ({}));
  };

  const COUNTED: MappingProperty[] = [
    "content-type",
    "priority",
    "properties",
    "response-channel",
    "correlation",
  ];
  const VALUE: Partial<Record<MappingProperty, keyof Carried>> = {
    "content-type": "contentType",
    "response-channel": "responseChannel",
  };

  return {
    inHub: (sample) => through(sample, "from", sample.from),
    lostOut(sample, to) {
      const inHub = through(sample, "from", sample.from);
      if (inHub === undefined) return [];
      const { most = Number.POSITIVE_INFINITY } = cellAt("to", to, "ttl");
      const isCapped = (inHub.ttl ?? 0) > most;
      // The other names are the rows' own.
      const lost = COUNTED.filter((property) => {
        const value = inHub[VALUE[property] ?? (property as keyof Carried)];
        return value !== undefined && cellAt("to", to, property).is === "lost";
      });
      // Approximated where there is a number for it.
      const isUnnumbered =
        to.startsWith("coap:") &&
        inHub.contentType !== undefined &&
        NUMBERED[inHub.contentType] === undefined;
      return [
        ...lost,
        ...(isCapped ? (["ttl"] as const) : []),
        ...(isUnnumbered ? (["content-type"] as const) : []),
      ];
    },
    walked,
    modelled,
    expected(sample, to) {
      const inHub = through(sample, "from", sample.from);
      const arrived = inHub && through(inHub, "to", to);
      if (arrived === undefined) return undefined;
      const { channel: _c, from: _f, configured: _t, will: _w, ...carried } = arrived;
      return carried;
    },
  };
}

/** Properties in the order of their names' first letters: only those of one name keep their order. */
export function byName(properties: Carried["properties"]): Carried["properties"] {
  return properties?.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}
