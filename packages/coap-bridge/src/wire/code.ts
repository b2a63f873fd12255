/** A code byte: class in the upper three bits, detail in the lower five (RFC 7252 section 3). */
export type Code = number;

/** The byte of a code written as RFCs do: class 2, detail 05 is `codeOfParts(2, 5)`. */
export const codeOfParts = (codeClass: number, detail: number): Code => (codeClass << 5) | detail;

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

/** Response codes (RFC 7252 section 12.1.2, RFC 7959, RFC 8516). */
export const Response = {
  created: codeOfParts(2, 1),
  deleted: codeOfParts(2, 2),
  valid: codeOfParts(2, 3),
  changed: codeOfParts(2, 4),
  content: codeOfParts(2, 5),
  continue: codeOfParts(2, 31),
  badRequest: codeOfParts(4, 0),
  unauthorized: codeOfParts(4, 1),
  badOption: codeOfParts(4, 2),
  forbidden: codeOfParts(4, 3),
  notFound: codeOfParts(4, 4),
  methodNotAllowed: codeOfParts(4, 5),
  notAcceptable: codeOfParts(4, 6),
  requestEntityIncomplete: codeOfParts(4, 8),
  conflict: codeOfParts(4, 9),
  preconditionFailed: codeOfParts(4, 12),
  requestEntityTooLarge: codeOfParts(4, 13),
  unsupportedContentFormat: codeOfParts(4, 15),
  tooManyRequests: codeOfParts(4, 29),
  internalServerError: codeOfParts(5, 0),
  notImplemented: codeOfParts(5, 1),
  serviceUnavailable: codeOfParts(5, 3),
  gatewayTimeout: codeOfParts(5, 4),
  proxyingNotSupported: codeOfParts(5, 5),
} as const;
