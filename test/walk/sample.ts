import { nameOfEnd, WAY_ENDS } from "../../packages/gateway/src/mapping.ts";

/** What a message may carry; what is undefined was not said, or did not arrive. */
export interface Carried {
  readonly payload: Buffer;
  readonly qos: number;
  readonly retain: boolean;
  /** Seconds. */
  readonly ttl?: number | undefined;
  readonly contentType?: string | undefined;
  readonly priority?: number | undefined;
  readonly properties?: readonly (readonly [string, string])[] | undefined;
  readonly responseChannel?: string | undefined;
  readonly correlation?: string | undefined;
}

/** A message of the walk, each on a channel of its own. */
export interface Sample extends Carried {
  readonly channel: string;
  /** The variant that sends it: `nomq:device`. */
  readonly from: string;
  /** Sent as the will of a client whose connection breaks. */
  readonly will?: boolean | undefined;
  /** What `nomq.channels` says of its channel. */
  readonly configured?: string | undefined;
}

const contentOf = (from: string): readonly Partial<Sample>[] => [
  {},
  // CoAP has a number for it, whose name this is.
  { contentType: from.startsWith("coap") ? "text/plain;charset=utf-8" : "text/plain" },
  { contentType: "application/json" },
  { configured: "application/x-walk" },
];
/** The XMPP service carries what its own clients publish to its own subscribers: the gateway has no part in it. */
export const isBehindUs = (end: string): boolean => end.startsWith("xmpp");
/** What a NoMQ sender says that is not told how long. */
const UNSAID_TTL = 3600;
const PAYLOADS = {
  text: Buffer.from("21.5 °C"),
  binary: Buffer.from([0, 255, 128, 10]),
  xml: Buffer.from('<reading xmlns="urn:walk">21.5</reading>'),
};

/** Every combination from every variant. */
export const samples: readonly Sample[] = WAY_ENDS.flatMap((end) => {
  const from = nameOfEnd(end);
  const unsaid = end.mapping.protocol === "nomq" ? UNSAID_TTL : undefined;
  const combinations = [0, 1, 2].flatMap((qos) =>
    [false, true].flatMap((retain) =>
      // An item whose time is over is left out, however fast it came.
      [unsaid, 600, isBehindUs(from) ? 5_000 : 0].flatMap((ttl) =>
        contentOf(from).flatMap((content) =>
          [PAYLOADS.text, PAYLOADS.binary].map((payload) => ({ qos, retain, ttl, ...content, payload })),
        ),
      ),
    ),
  );
  return [
    ...combinations.map((sample, at) => ({ channel: `walk/${from}/${at}`, ...sample, from })),
    ...special(from, unsaid).map((sample) => ({ ...sample, from })),
  ];
});

/** One of each thing that the combinations do not hold. */
function special(from: string, unsaid: number | undefined): readonly Omit<Sample, "from">[] {
  const plain = { payload: PAYLOADS.text, qos: 1, retain: false, ttl: unsaid };
  const on = (name: string, more: Partial<Sample>): Omit<Sample, "from"> => ({
    ...plain,
    channel: `walk/${from}/${name}`,
    ...more,
  });
  return [
    on("priority", { priority: 9 }),
    on("priority at once", { priority: 15, qos: 0 }),
    on("/ä € /", {}),
    on("properties", {
      properties: [
        ["unit", "°C"],
        ["place", "roof"],
        ["unit", "K"],
      ],
      responseChannel: "walk/answers",
      correlation: "00ff",
    }),
    on("long", { ttl: from === "mqtt:5" ? 200_000 : 65_535 }),
    ...[1339, 1340, 65_375, ...(from === "mqtt:5" ? [131_072, 131_073] : [])].map((bytes) =>
      on(`${bytes} bytes`, { payload: Buffer.alloc(bytes, "x") }),
    ),
    ...(from === "nomq:device" ? [on("qos3", { qos: 3 })] : []),
    ...(from.startsWith("mqtt") ? [on("will", { will: true })] : []),
    ...(from === "xmpp:plain" ? [on("xml", { payload: PAYLOADS.xml, contentType: "application/xml" })] : []),
  ];
}

/** How a TTL of 0 is told apart: it is sent alone, when everyone can take it. */
export const isNowOrNever = ({ ttl }: Sample): boolean => ttl === 0;

/** What a late subscriber finds: the value kept on each channel. */
export const isValue = ({ retain, ttl, payload }: Sample): boolean =>
  retain && ttl !== 0 && payload.length > 0;

const valueAt = (from: string, qos: number): Sample => {
  const found = samples.find(
    (one) => one.from === from && one.qos === qos && isValue(one) && one.payload === PAYLOADS.text,
  );
  if (found === undefined) throw new Error("the samples have changed");
  return found;
};

/** One value of every sender that can say QoS 0: a device without acknowledgements can be sent those. */
export const valuesAtOnce: readonly Sample[] = WAY_ENDS.map(nameOfEnd)
  .filter((end) => end !== "xmpp:plain")
  .map((end) => valueAt(end, 0));

/** Clears one value of every sender. */
export const clearing: readonly Sample[] = WAY_ENDS.map((end) => ({
  ...valueAt(nameOfEnd(end), 1),
  payload: Buffer.alloc(0),
}));

/** What a device without `binary: base64` cannot read. */
export const unreadable: readonly Sample[] = WAY_ENDS.map(nameOfEnd).flatMap(
  (from) =>
    samples.find(
      (one) => one.from === from && one.qos === 1 && one.ttl !== 0 && one.payload === PAYLOADS.binary,
    ) ?? [],
);
