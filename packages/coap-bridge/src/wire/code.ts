/** A code byte: class in the upper three bits, detail in the lower five (RFC 7252 section 3). */
export type Code = number;

/** Class of a code: 0 request, 2 success, 4 client error, 5 server error; the others are reserved. */
export const classOf = (code: Code): number => code >> 5;

/** As logs and pages say it: `4.04`. */
export const codeText = (code: Code): string => `${classOf(code)}.${String(code & 0x1f).padStart(2, "0")}`;

export const EMPTY: Code = 0;

/** Methods (RFC 7252 section 12.1.1, RFC 8132). */
export const Method = {
  get: 1,
  post: 2,
  put: 3,
  delete: 4,
  fetch: 5,
  patch: 6,
  ipatch: 7,
} as const;

/** Response codes, class in the upper three bits: 0x84 is 4.04 (RFC 7252 section 12.1.2, RFC 7959, RFC 8516). */
export const Response = {
  created: 0x41,
  deleted: 0x42,
  valid: 0x43,
  changed: 0x44,
  content: 0x45,
  continue: 0x5f,
  badRequest: 0x80,
  unauthorized: 0x81,
  badOption: 0x82,
  forbidden: 0x83,
  notFound: 0x84,
  methodNotAllowed: 0x85,
  notAcceptable: 0x86,
  requestEntityIncomplete: 0x88,
  conflict: 0x89,
  preconditionFailed: 0x8c,
  requestEntityTooLarge: 0x8d,
  unsupportedContentFormat: 0x8f,
  tooManyRequests: 0x9d,
  internalServerError: 0xa0,
  notImplemented: 0xa1,
  serviceUnavailable: 0xa3,
  gatewayTimeout: 0xa4,
  proxyingNotSupported: 0xa5,
} as const;
