import {
  approximated,
  type Draft,
  kept,
  lost,
  type MappingProperty,
  type MappingRow,
  type Message,
  type ProtocolMapping,
  type Qos,
} from "@nomq/core";
import { MessageType } from "./wire/coap-message.ts";
import { Method } from "./wire/code.ts";
import { contentFormatOf, contentTypeOf } from "./wire/content-format.ts";
import { MAX_SEGMENT_BYTES } from "./wire/uri-path.ts";

/** Whether a CoAP message asks for an acknowledgement. */
export type CoapVariant = "con" | "non";

/** What a request with a body says, its query taken apart. */
export interface PublishRequest {
  readonly channel: string;
  readonly type: typeof MessageType.confirmable | typeof MessageType.nonConfirmable;
  /** PUT or POST. */
  readonly method: number;
  readonly payload: Uint8Array;
  readonly contentFormat?: number | undefined;
  /** Seconds, from the request's Max-Age option. */
  readonly maxAge?: number | undefined;
  readonly query: PublishQuery;
}

/** What the query of a request with a body may say. */
export interface PublishQuery {
  readonly qos?: Qos;
  readonly retain?: boolean;
  /** Seconds; 0 is now or never. */
  readonly ttl?: number;
  readonly priority?: number;
  /** Names one publish: the same name again is the same publish. */
  readonly id?: string;
}

const both = <Cell>(cell: Cell): { readonly con: Cell; readonly non: Cell } => ({ con: cell, non: cell });
const NO_FIELD = lost("CoAP has no field for it");
/** Max-Age is an uint of up to four bytes (RFC 7252 section 5.10.5). */
export const LONGEST_MAX_AGE = 0xffff_ffff;

const qosIn = ({ type, query }: PublishRequest): Qos =>
  query.qos ?? (type === MessageType.confirmable ? 1 : 0);
const retainIn = ({ method, query }: PublishRequest): boolean => query.retain ?? method === Method.put;

const rows = {
  name: {
    from: both(
      kept(
        "path below the prefix, one Uri-Path option per level; a name the hub does not know as valid is refused",
        {
          most: MAX_SEGMENT_BYTES,
        },
      ),
    ),
    to: both(
      approximated(
        "path below the prefix, one Uri-Path option per level; a name with a level of more than 255 bytes, `.` or `..` has no path",
        { most: MAX_SEGMENT_BYTES },
      ),
    ),
  },
  publish: {
    from: both(kept("PUT sets the state, POST is an event that no GET sees")),
    to: both(kept("GET answers the state; a notification goes to every observer")),
  },
  qos0: {
    from: {
      con: kept("CON with `?qos=0`", { convert: qosIn }),
      non: kept("NON", { convert: qosIn }),
    },
    to: {
      con: approximated("CON, for its observer asked so: acknowledged, and sent again until it is"),
      non: kept("NON"),
    },
  },
  qos1: {
    from: {
      con: kept("CON; answered once the hub has stored it", { convert: qosIn }),
      non: kept("NON with `?qos=1`: at least once from the hub on", { convert: qosIn }),
    },
    to: {
      con: approximated("CON, repeated until it is acknowledged; a newer value may take its place"),
      non: approximated("NON: sent once; a newer value may take its place"),
    },
  },
  qos2: {
    from: {
      con: kept("CON with `?qos=2`; routed once, told by endpoint and message id, beyond those by `?id=`", {
        convert: qosIn,
      }),
      non: kept("NON with `?qos=2`; told by endpoint and message id, beyond those by `?id=`", {
        convert: qosIn,
      }),
    },
    to: {
      con: approximated("CON, whose copies have one message id; a newer value may take its place"),
      non: approximated("NON: sent once; a newer value may take its place"),
    },
  },
  qos3: {
    from: both(lost("refused as 4.00: `?qos=` is 0, 1 or 2")),
    to: both(lost("never sent: the hub knows 0, 1 and 2")),
  },
  retain: {
    from: both(kept("PUT is retained, POST is not; `?retain=` says otherwise", { convert: retainIn })),
    to: both(approximated("what a GET answers; a notification does not tell a state from an event")),
  },
  "no-value": {
    from: both(kept("nothing is sent")),
    to: both(kept("GET is 4.04; observers of a known channel keep their relation and get an empty 2.05")),
  },
  "clear-retained": {
    from: both(kept("DELETE, or a PUT without payload")),
    to: both(kept("GET is 4.04; observers get an empty 2.05, after a DELETE over CoAP the final 4.04")),
  },
  ttl: {
    from: both(
      kept("`?ttl=`, else the request's Max-Age, whole seconds; 0 is now or never", {
        most: LONGEST_MAX_AGE,
        convert: ({ query, maxAge }: PublishRequest): number | undefined => {
          const seconds = query.ttl ?? maxAge;
          return seconds === undefined ? undefined : seconds * 1000;
        },
      }),
    ),
    to: both(
      approximated("Max-Age: what is left, rounded up to whole seconds; without a TTL 60", {
        most: LONGEST_MAX_AGE,
        convert: (expiresInMs: number): number =>
          Math.min(Math.max(Math.ceil(expiresInMs / 1000), 0), LONGEST_MAX_AGE),
      }),
    ),
  },
  "content-type": {
    from: both(
      kept("Content-Format; a number without a known media type is `coap/N`; experimental ones are 4.15", {
        convert: ({ contentFormat }: PublishRequest): string | undefined =>
          contentFormat === undefined ? undefined : contentTypeOf(contentFormat),
      }),
    ),
    to: both(
      approximated("Content-Format where the media type has a number, else left out and counted", {
        convert: ({ contentType }: Message): number | undefined =>
          contentType === undefined ? undefined : contentFormatOf(contentType),
      }),
    ),
  },
  priority: {
    from: both(
      kept("`?priority=`, 0 to 15", { convert: ({ query }: PublishRequest): number => query.priority ?? 0 }),
    ),
    to: both(NO_FIELD),
  },
  text: {
    from: both(kept("byte for byte")),
    to: both(kept("byte for byte; another format where Accept asks for it")),
  },
  binary: {
    from: both(
      kept("byte for byte", {
        // A copy: the view would keep the datagram alive, or change with it.
        convert: ({ payload }: PublishRequest): Uint8Array => new Uint8Array(payload),
      }),
    ),
    to: both(kept("byte for byte; another format where Accept asks for it")),
  },
  size: {
    from: both(kept("up to the listener's `maxPayload`, 1 MiB, in blocks; a larger one is 4.13")),
    to: both(kept("any size, in blocks of at most 1,024 bytes")),
  },
  properties: { from: both(NO_FIELD), to: both(NO_FIELD) },
  "response-channel": { from: both(NO_FIELD), to: both(NO_FIELD) },
  correlation: { from: both(NO_FIELD), to: both(NO_FIELD) },
  presence: {
    from: both(lost("CoAP knows no connection; a sensor that falls silent is said in the bridge's state")),
    to: both(lost("an observer is not told who else is there")),
  },
} satisfies Readonly<Record<MappingProperty, MappingRow<CoapVariant>>>;

/** What CoAP does with each property of a message. {@link draftFromRequest} and {@link secondsLeft} read it. */
export const coapMapping: ProtocolMapping<CoapVariant> = {
  protocol: "coap",
  title: "CoAP",
  variants: [
    { id: "con", title: "CoAP, confirmable" },
    { id: "non", title: "CoAP, non-confirmable" },
  ],
  rows,
  notes: [
    "`?qos=`, `?retain=`, `?ttl=`, `?priority=` and `?id=` of a PUT or POST say otherwise than its type and method.",
    "Whether an observer is told by CON or NON is for it to say, by its registration's type or `?qos=`, whatever the message's QoS.",
    "Without a prefix, channels whose first level is `.well-known` have no path: it belongs to discovery.",
  ],
};

const QOS = [rows.qos0, rows.qos1, rows.qos2] as const;

/** The hub's words for a PUT or POST. Its Content-Format must be one that {@link contentTypeOf} knows. */
export function draftFromRequest(request: PublishRequest): Draft {
  const variant: CoapVariant = request.type === MessageType.confirmable ? "con" : "non";
  const draft: { -readonly [Key in keyof Draft]: Draft[Key] } = {
    channel: request.channel,
    payload: rows.binary.from[variant].convert(request),
    qos: QOS[request.query.qos ?? 0].from[variant].convert(request),
    retain: rows.retain.from[variant].convert(request),
  };
  const ttlMs = rows.ttl.from[variant].convert(request);
  const contentType = rows["content-type"].from[variant].convert(request);
  const priority = rows.priority.from[variant].convert(request);
  if (ttlMs !== undefined) draft.ttlMs = ttlMs;
  if (contentType !== undefined) draft.contentType = contentType;
  if (priority > 0) draft.priority = priority;
  return draft;
}

/** The Content-Format of a message; undefined: it has no type, or one without a number. */
export function formatOfMessage(message: Message): number | undefined {
  return rows["content-type"].to.con.convert(message);
}

/** Milliseconds as a Max-Age: whole seconds, rounded up, as much as four bytes hold. */
export function secondsLeft(ms: number): number {
  return rows.ttl.to.con.convert(ms);
}
