/** Content-Formats that this bridge does something with (IANA, CoAP Content-Formats). */
export const ContentFormat = {
  text: 0,
  linkFormat: 40,
  octets: 42,
  json: 50,
  cbor: 60,
} as const;

/** Largest number of a Content-Format: two bytes (RFC 7252 section 5.10.3). */
const LARGEST = 0xffff;
/** From here on numbers are for experiments, not for use in the field: nobody knows what they mean (RFC 7252 section 12.3). */
const EXPERIMENTAL_FROM = 65_000;
/** A message sealed for somebody else (RFC 8613): nothing that a channel could carry as a value. */
const OSCORE = 10_001;

/** Media types as the registry writes them, the numbers beside them. */
const REGISTERED: readonly (readonly [format: number, contentType: string])[] = [
  [0, "text/plain;charset=utf-8"],
  [16, 'application/cose; cose-type="cose-encrypt0"'],
  [17, 'application/cose; cose-type="cose-mac0"'],
  [18, 'application/cose; cose-type="cose-sign1"'],
  [21, "image/gif"],
  [22, "image/jpeg"],
  [23, "image/png"],
  [40, "application/link-format"],
  [41, "application/xml"],
  [42, "application/octet-stream"],
  [47, "application/exi"],
  [50, "application/json"],
  [51, "application/json-patch+json"],
  [52, "application/merge-patch+json"],
  [60, "application/cbor"],
  [61, "application/cwt"],
  [62, "application/multipart-core"],
  [63, "application/cbor-seq"],
  [96, 'application/cose; cose-type="cose-encrypt"'],
  [97, 'application/cose; cose-type="cose-mac"'],
  [98, 'application/cose; cose-type="cose-sign"'],
  [101, "application/cose-key"],
  [102, "application/cose-key-set"],
  [110, "application/senml+json"],
  [111, "application/sensml+json"],
  [112, "application/senml+cbor"],
  [113, "application/sensml+cbor"],
  [114, "application/senml-exi"],
  [115, "application/sensml-exi"],
  [256, "application/coap-group+json"],
  [257, "application/concise-problem-details+cbor"],
  [271, "application/dots+cbor"],
  [272, "application/missing-blocks+cbor-seq"],
  [284, "application/pkcs8"],
  [285, "application/csrattrs"],
  [286, "application/pkcs10"],
  [287, "application/pkix-cert"],
  [310, "application/senml+xml"],
  [311, "application/sensml+xml"],
  [320, "application/senml-etch+json"],
  [322, "application/senml-etch+cbor"],
  [432, "application/td+json"],
  [606, "application/core-pubsub+cbor"],
  [10_000, "application/vnd.ocf+cbor"],
  [10_002, "application/javascript"],
  [11_542, "application/vnd.oma.lwm2m+tlv"],
  [11_543, "application/vnd.oma.lwm2m+json"],
  [11_544, "application/vnd.oma.lwm2m+cbor"],
  [20_000, "text/css"],
  [30_000, "image/svg+xml"],
];

const TYPES: ReadonlyMap<number, string> = new Map(REGISTERED);
const FORMATS: ReadonlyMap<string, number> = new Map([
  ...REGISTERED.map(([format, contentType]) => [normal(contentType), format] as const),
  // Text without a charset is read as what it mostly is, ASCII, which is UTF-8 too.
  ["text/plain", 0],
  ["text/plain;charset=us-ascii", 0],
  ["application/json;charset=utf-8", 50],
  ["application/xml;charset=utf-8", 41],
  ["text/xml", 41],
  ["text/xml;charset=utf-8", 41],
  ["text/css;charset=utf-8", 20_000],
  ["text/javascript", 10_002],
]);

/** A number that no media type stands for here: it goes round as it came. */
const UNKNOWN = /^coap\/(0|[1-9]\d{0,4})$/;

/** All media types of this table with their numbers. */
export const registeredFormats = (): readonly (readonly [format: number, contentType: string])[] =>
  REGISTERED;

/**
 * The media type of a Content-Format; `coap/N` for a number this table does not know. Undefined: unsupported, to be
 * answered 4.15: numbers for experiments (65,000 and above), and OSCORE.
 */
export function contentTypeOf(format: number): string | undefined {
  if (format >= EXPERIMENTAL_FROM || format === OSCORE) return undefined;
  return TYPES.get(format) ?? `coap/${format}`;
}

/** Longer media types have no number; looking into them would take time that whoever made them up decides about. */
const MOST_CHARACTERS = 128;

/** The Content-Format of a media type, whatever its case and spaces; undefined: it has no number. */
export function contentFormatOf(contentType: string): number | undefined {
  if (contentType.length > MOST_CHARACTERS) return undefined;
  const name = normal(contentType);
  const known = FORMATS.get(name);
  if (known !== undefined) return known;
  const number = Number(UNKNOWN.exec(name)?.[1]);
  return number <= LARGEST && contentTypeOf(number) === name ? number : undefined;
}

function normal(contentType: string): string {
  return contentType
    .trim()
    .toLowerCase()
    .replace(/\s*([;=])\s*/g, "$1")
    .replace('charset="utf-8"', "charset=utf-8");
}
