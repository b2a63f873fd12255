import type { Element } from "./element.ts";
import { type Credentials, createScram, type ScramHash } from "./scram.ts";
import { StreamFailure, saslEnd } from "./stream-end.ts";

const SASL = "urn:ietf:params:xml:ns:xmpp-sasl";

/** Best first. */
const SCRAM: readonly (readonly [mechanism: string, hash: ScramHash])[] = [
  ["SCRAM-SHA-256", "sha256"],
  ["SCRAM-SHA-1", "sha1"],
];

/** One authentication: sends and waits for the answers in turn. */
export interface SaslExchange {
  readonly credentials: Credentials;
  /** Fresh for each attempt, printable, without commas. */
  readonly nonce: string;
  /** Whether TLS keeps a password in clear from others. */
  readonly isSecure: boolean;
  send(element: string): void;
  next(): Promise<Element>;
}

/**
 * Authenticates with the best mechanism of the server's `mechanisms`. Rejects with a {@link StreamFailure} where the
 * server refuses, or does not know the password itself.
 */
export async function authenticate(mechanisms: Element | undefined, exchange: SaslExchange): Promise<void> {
  const offered = new Set(mechanisms?.getChildren("mechanism").map((each) => each.getText()) ?? []);
  const found = SCRAM.find(([name]) => offered.has(name));
  if (found !== undefined) return scram(...found, exchange);
  if (offered.has("PLAIN") && exchange.isSecure) return plain(exchange);
  const names = [...offered].join(", ").slice(0, 200);
  throw refused(`no way to log in that is known and safe here; the server offers ${names || "none"}`);
}

async function scram(mechanism: string, hash: ScramHash, exchange: SaslExchange): Promise<void> {
  const conversation = createScram(hash, exchange.credentials, exchange.nonce);
  exchange.send(auth(mechanism, conversation.first));
  const challenge = await answer(exchange, "challenge");
  try {
    const proof = await conversation.answer(textOf(challenge));
    exchange.send(`<response xmlns='${SASL}'>${base64(proof)}</response>`);
  } catch (error) {
    throw refused(`SCRAM: ${error instanceof Error ? error.message : "failed"}`);
  }
  const last = await answer(exchange, "challenge", "success");
  try {
    conversation.verify(textOf(last));
  } catch (error) {
    throw refused(`SCRAM: ${error instanceof Error ? error.message : "failed"}`);
  }
  if (last.getName() === "success") return;
  // RFC 5802 section 5: a server may send its signature as a challenge of its own.
  exchange.send(`<response xmlns='${SASL}'/>`);
  await answer(exchange, "success");
}

async function plain(exchange: SaslExchange): Promise<void> {
  const { username, password } = exchange.credentials;
  exchange.send(auth("PLAIN", `\0${username}\0${password}`));
  await answer(exchange, "success");
}

async function answer(exchange: SaslExchange, ...names: readonly string[]): Promise<Element> {
  const element = await exchange.next();
  const name = element.getName();
  if (element.getNS() === SASL && name === "failure") throw new StreamFailure(saslEnd(element));
  if (element.getNS() !== SASL || !names.includes(name))
    throw refused(`the server sent ${name.slice(0, 40)} instead of ${names.join(" or ")}`);
  return element;
}

const auth = (mechanism: string, first: string): string =>
  `<auth xmlns='${SASL}' mechanism='${mechanism}'>${base64(first)}</auth>`;

const base64 = (text: string): string => Buffer.from(text).toString("base64");

const textOf = (element: Element): string => Buffer.from(element.getText(), "base64").toString();

const refused = (reason: string): StreamFailure => new StreamFailure({ is: "refused", reason, fatal: true });
