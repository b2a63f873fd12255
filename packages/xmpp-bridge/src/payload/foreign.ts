import { type Element, Namespace } from "../stream/element.ts";
import { ownText } from "../stream/own-text.ts";
import { standalone } from "./standalone.ts";

/** What an element holds, and what its kind says of it. */
export interface Content {
  readonly bytes: Uint8Array;
  readonly contentType?: string;
}

const BOB = "urn:xmpp:bob";
const ATOM = "http://www.w3.org/2005/Atom";
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** Bytes of a payload element, and its type where its kind says it. Undefined: base64 that is none, or nested too deeply. */
export function payloadOf(payload: Element, encoding: string | undefined): Content | undefined {
  const namespace = payload.getNS();
  const name = payload.getName();
  if (encoding === "base64") return fromBase64(payload.getText());
  if (namespace === Namespace.json && name === "json")
    return { bytes: Buffer.from(payload.getText()), contentType: "application/json" };
  if (namespace === Namespace.nomq && name === "text") return { bytes: Buffer.from(payload.getText()) };
  // XEP-0231 section 2.
  if (namespace === BOB && name === "data") {
    const { type } = payload.attrs;
    return fromBase64(payload.getText(), type && ownText(type));
  }
  const contentType = namespace === ATOM ? "application/atom+xml" : "application/xml";
  const text = standalone(payload);
  return text === undefined ? undefined : { bytes: Buffer.from(text), contentType };
}

function fromBase64(text: string, contentType?: string): Content | undefined {
  const digits = text.replace(/\s+/g, "");
  if (!BASE64.test(digits) || digits.replace(/=+$/, "").length % 4 === 1) return undefined;
  return { bytes: Buffer.from(digits, "base64"), ...(contentType === undefined ? {} : { contentType }) };
}
