import { codeOf } from "@nomq/core";
import type { Element } from "./element.ts";
import { ownText } from "./own-text.ts";

/** Why a stream ended. */
export interface StreamEnd {
  readonly is: /** No connection: nobody listens, no such host, no TLS with the right certificate. */
    | "unreachable"
    /** The server did not let us in, or we it. */
    | "refused"
    /** The server closed the stream, or the connection broke. */
    | "closed"
    /** A stream error of the server's (RFC 6120 section 4.9). */
    | "stream-error"
    /** The server sent what cannot be read or is too large. */
    | "unreadable"
    /** No sign of life in time. */
    | "silent"
    /** We ended it. */
    | "stopped";
  readonly reason: string;
  /** `not-authorized`, `conflict`, …, as the server wrote it. */
  readonly condition?: string;
  /** Trying again at once cannot help: only the operator can mend it. */
  readonly fatal?: boolean;
  /** What we sent may be why: the server could not take a stanza, or its answer was more than we take. */
  readonly blamed?: boolean;
}

/** Thrown while a connection is being made. */
export class StreamFailure extends Error {
  override readonly name = "StreamFailure";
  readonly end: StreamEnd;

  constructor(end: StreamEnd, options?: ErrorOptions) {
    super(end.reason, options);
    this.end = end;
  }
}

/** Stream errors of RFC 6120 section 4.9.3 that come back until an operator does something. */
const FATAL = new Set(["conflict", "host-unknown", "host-gone", "not-authorized", "unsupported-version"]);

/** Those that a stanza may bring about. */
const BLAMED = new Set([
  ...["bad-format", "bad-namespace-prefix", "improper-addressing", "invalid-from", "invalid-namespace"],
  ...["invalid-xml", "not-well-formed", "policy-violation", "restricted-xml", "unsupported-encoding"],
  ...["unsupported-feature", "unsupported-stanza-type", "xml-not-well-formed"],
]);

/** SASL failures of RFC 6120 section 6.5 that may pass. */
const PASSING = new Set(["temporary-auth-failure", "aborted"]);

const LONGEST_TEXT = 200;

const childName = (of: Element, fallback: string): string =>
  conditionOf(
    of.getChildElements().find((child) => child.getName() !== "text"),
    fallback,
  );

/** The condition that an element is; every one of RFC 6120 and XEP-0060 is such a word, and no text without end. */
export function conditionOf(element: Element | undefined, fallback: string): string {
  const name = element?.getName() ?? fallback;
  return /^[a-z][a-z0-9-]{0,63}$/.test(name) ? ownText(name) : fallback;
}

/** What the server says for people, on one line and not longer than that. */
export function textIn(of: Element): string | undefined {
  const text = of.getChild("text")?.getText().replace(/\s+/g, " ").trim().slice(0, LONGEST_TEXT);
  return text === undefined || text === "" ? undefined : ownText(text);
}

const withText = (condition: string, of: Element): string => {
  const text = textIn(of);
  return text === undefined ? condition : `${condition}: ${text}`;
};

/** The end that a stream error is. */
export function streamErrorEnd(error: Element): StreamEnd {
  const condition = childName(error, "undefined-condition");
  return {
    is: "stream-error",
    reason: `the server ended the stream: ${withText(condition, error)}`,
    condition,
    ...(FATAL.has(condition) ? { fatal: true } : {}),
    ...(BLAMED.has(condition) ? { blamed: true } : {}),
  };
}

/** The end that a SASL failure is. */
export function saslEnd(failure: Element): StreamEnd {
  const condition = childName(failure, "not-authorized");
  return {
    is: "refused",
    reason: `the server refuses the name or the password: ${withText(condition, failure)}`,
    condition,
    fatal: !PASSING.has(condition),
  };
}

/** What OpenSSL says where the other end knows not the name asked for, speaks no TLS, or none of ours. */
const TLS_REFUSED = /^ERR_SSL_.*(?:UNRECOGNIZED_NAME|WRONG_VERSION_NUMBER|PROTOCOL|HANDSHAKE_FAILURE)/;

/** The end that an error of a socket is. */
export function socketEnd(error: unknown, connected: boolean): StreamEnd {
  const code = codeOf(error);
  const certificate = /CERT|SELF_SIGNED|UNABLE_TO|ERR_TLS|ALTNAME/.test(code);
  if (certificate) {
    const reason = `the server's certificate is not trusted: ${code}`;
    return { is: "refused", reason, condition: "certificate", fatal: true };
  }
  if (TLS_REFUSED.test(code)) {
    const reason = `TLS does not come about: ${code}`;
    return { is: "refused", reason, condition: "tls", fatal: true };
  }
  // A session that went on would be sent it again.
  if (code === "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH")
    return {
      is: "unreadable",
      reason: "the server sent a WebSocket message that is too large",
      blamed: true,
    };
  return connected
    ? { is: "closed", reason: `the connection broke: ${code}` }
    : { is: "unreachable", reason: `no connection: ${code}` };
}
