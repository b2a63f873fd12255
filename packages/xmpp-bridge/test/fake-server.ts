/// <reference path="./xmpp-xml.d.ts" />
import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { Parser } from "@xmpp/xml";
import type { Element } from "../src/stream/element.ts";

const HEADER =
  "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' " +
  "id='1' from='localhost' version='1.0'>";
const SASL = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'";
export const SM = "xmlns='urn:xmpp:sm:3'";
export const SCRAM_FEATURE: string = `<mechanisms ${SASL}><mechanism>SCRAM-SHA-256</mechanism></mechanisms>`;
export const BIND_FEATURE = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>";

/** How a login goes. */
export interface Login {
  /** What is signed with. Default: the right password. */
  readonly password?: string;
  /** Stream management. Default true. */
  readonly manages?: boolean;
  /** Written in one piece with the last answer. */
  readonly andThen?: string;
}

/** A connection as its server sees it; a test plays the server. */
export interface FakeConnection {
  readonly socket: Socket;
  /** It takes no notice of farewells. Default false. */
  isDeaf: boolean;
  /** All that came, as text. */
  received(): string;
  /** The next element of the client but its presence, or `open` where it opens a stream. */
  next(): Promise<Element | "open">;
  /** The next element, which must be of this name. */
  element(name: string): Promise<Element>;
  write(xml: string | Uint8Array): void;
  /** Waits for the client's stream and answers it with these features. */
  open(features: string): Promise<void>;
  authenticate(login?: Login): Promise<void>;
  /** All from the beginning to where stanzas may go. */
  login(login?: Login): Promise<void>;
  readonly closed: Promise<unknown>;
}

/** A server that does nothing but accept. */
export interface FakeServer extends AsyncDisposable {
  /** `xmpp://127.0.0.1:PORT`. */
  readonly service: string;
  /** The next connection. */
  accept(): Promise<FakeConnection>;
}

/** Listens on 127.0.0.1. */
export async function fakeServer(): Promise<FakeServer> {
  const waiting: FakeConnection[] = [];
  const asked: ((connection: FakeConnection) => void)[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    const connection = fakeConnection(socket);
    const take = asked.shift();
    if (take === undefined) waiting.push(connection);
    else take(connection);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    service: `xmpp://127.0.0.1:${address.port}`,
    accept: () => {
      const first = waiting.shift();
      return first ? Promise.resolve(first) : new Promise((resolve) => asked.push(resolve));
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };
}

function fakeConnection(socket: Socket): FakeConnection {
  const said: (Element | "open")[] = [];
  const asked: ((said: Element | "open") => void)[] = [];
  let received = "";
  const say = (what: Element | "open"): void => {
    const take = asked.shift();
    if (take === undefined) said.push(what);
    else take(what);
  };
  let parser: Parser | undefined;
  socket.setNoDelay(true);
  socket.on("error", () => undefined);
  socket.on("data", (data) => {
    const text = data.toString();
    received += text;
    if (text.startsWith("<?xml")) {
      parser = new Parser();
      // Each new session begins with it.
      parser.on("element", (each: Element) => each.name === "presence" || say(each));
      parser.on("error", () => undefined);
      say("open");
    }
    // A TLS handshake is none of the parser's.
    if (data[0] === 0x16) parser = undefined;
    parser?.write(text);
    if (text.endsWith("</stream:stream>") && !connection.isDeaf) socket.end("</stream:stream>");
  });
  const connection: FakeConnection = {
    socket,
    isDeaf: false,
    received: () => received,
    next: () => {
      const first = said.shift();
      return first ? Promise.resolve(first) : new Promise((resolve) => asked.push(resolve));
    },
    async element(name) {
      const element = await connection.next();
      if (element === "open" || element.name !== name) throw new Error(`not ${name}: ${String(element)}`);
      return element;
    },
    write: (xml) => void socket.write(xml),
    async open(features) {
      const opened = await connection.next();
      if (opened !== "open") throw new Error(`not a stream: ${String(opened)}`);
      connection.write(`${HEADER}<stream:features>${features}</stream:features>`);
    },
    authenticate: (login) => authenticate(connection, login),
    login: (login) => logIn(connection, login),
    closed: new Promise((closed) => socket.once("close", closed)),
  };
  return connection;
}

async function logIn(connection: FakeConnection, login: Login = {}): Promise<void> {
  const { manages = true, andThen = "" } = login;
  await connection.open(SCRAM_FEATURE);
  await connection.authenticate(login);
  await connection.open(`${BIND_FEATURE}${manages ? `<sm ${SM}/>` : ""}`);
  const bind = await connection.element("iq");
  const jid = "<jid>gw@localhost/nomq</jid>";
  const result = `<iq type='result' id='${bind.attrs["id"]}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>${jid}</bind></iq>`;
  connection.write(manages ? result : result + andThen);
  if (!manages) return;
  await connection.element("enable");
  connection.write(`<enabled ${SM} id='session-1' resume='true'/>${andThen}`);
}

/** The server's half of RFC 5802, with its own arithmetic. */
async function authenticate(connection: FakeConnection, { password = "gwpw" }: Login = {}): Promise<void> {
  const auth = await connection.element("auth");
  const bare = Buffer.from(auth.getText(), "base64").toString().slice(3);
  const salt = randomBytes(12);
  const nonce = `${/r=(.*)$/.exec(bare)?.[1]}server`;
  const challenge = `r=${nonce},s=${salt.toString("base64")},i=4096`;
  connection.write(`<challenge ${SASL}>${Buffer.from(challenge).toString("base64")}</challenge>`);
  const response = await connection.element("response");
  const final = Buffer.from(response.getText(), "base64").toString();
  const said = `${bare},${challenge},${final.slice(0, final.lastIndexOf(",p="))}`;
  const hmac = (key: Uint8Array, text: string): Buffer => createHmac("sha256", key).update(text).digest();
  const salted = pbkdf2Sync(password, salt, 4096, 32, "sha256");
  const signature = hmac(createHash("sha256").update(hmac(salted, "Client Key")).digest(), said);
  const proof = Buffer.from(final.slice(final.lastIndexOf(",p=") + 3), "base64");
  const key = proof.map((byte, at) => byte ^ (signature[at] ?? 0));
  const isRight = Buffer.from(key).equals(hmac(salted, "Client Key"));
  const verifier = hmac(hmac(salted, "Server Key"), said).toString("base64");
  connection.write(`<success ${SASL}>${Buffer.from(`v=${verifier}`).toString("base64")}</success>`);
  if (!isRight && password === "gwpw") throw new Error("the client's proof is wrong");
}
