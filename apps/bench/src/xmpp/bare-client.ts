import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { Loop } from "../closed-loop.ts";

/**
 * A client that writes what it is given and counts what it sees, and does nothing else: the least that is possible on a
 * stream like the bridge's, where each side acknowledges stanzas (XEP-0198), the client with what it writes next.
 */
export interface BareClient extends AsyncDisposable {
  readonly jid: string;
  /** Publishes what `stanza` makes of an index; arrivals are answers. */
  publishing(stanza: (index: number) => string): Loop;
  /** Calls back with how many items came in one piece of the stream. */
  onItems(tell: (count: number) => void): void;
  /** Writes a request and resolves with the stream from then on, until it holds an answer. */
  ask(stanza: string): Promise<string>;
}

const HEADER =
  "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>";
const ANSWER = "<iq ";
const ITEM = "<item ";
const MANAGEMENT = "urn:xmpp:sm:3";
const STANZA = /<(?:iq|message|presence) /g;
const ASKED = /<r[ />]/;
/** As the bridge asks the server. */
const ASK_EVERY = 32;
const ACKNOWLEDGE_WITHIN_MS = 20;

/** Logs in as gw@localhost of a test server, without TLS. */
export async function openBareClient(port: number, resource: string): Promise<BareClient> {
  const socket = connect(port, "127.0.0.1").setNoDelay(true).setEncoding("utf8");
  await once(socket, "connect");
  const heard = { text: "" };
  await say(socket, HEADER, /<\/stream:features>/);
  const plain = Buffer.from("\0gw\0gwpw").toString("base64");
  await say(
    socket,
    `<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${plain}</auth>`,
    /<success/,
  );
  await say(socket, HEADER, /<\/stream:features>/);
  const bind = `<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>${resource}</resource></bind></iq>`;
  await say(socket, bind, /<\/jid>/);
  await say(socket, "<presence/>", /<presence/);
  await say(socket, `<enable xmlns='${MANAGEMENT}' resume='true'/>`, /<enabled/);
  const management = manage(socket);
  const answers = { tell: (_count: number): void => undefined };
  const items = { tell: (_count: number): void => undefined };
  socket.on("data", (data: string) => {
    // A tag's beginning may be cut by the end of a piece.
    const text = heard.text + data;
    const whole = text.lastIndexOf(">") + 1;
    heard.text = text.slice(whole);
    const seen = text.slice(0, whole);
    if (seen.includes("type='error'")) socket.destroy(new Error(seen.slice(0, 1_000)));
    management.heard(seen);
    // What one piece sets off goes out as one: the bridge writes so too.
    socket.cork();
    tellOf(seen, ANSWER, answers.tell);
    tellOf(seen, ITEM, items.tell);
    socket.uncork();
  });
  return {
    jid: `gw@localhost/${resource}`,
    publishing: (stanza) => ({
      send: (index) => management.write(stanza(index)),
      onArrivals: (tell) => {
        answers.tell = tell;
      },
    }),
    onItems: (tell) => {
      items.tell = tell;
    },
    ask: (stanza) => say(socket, stanza, /<iq [^>]*type='result'/),
    async [Symbol.asyncDispose]() {
      management.stop();
      const closed = once(socket, "close");
      socket.destroy();
      await closed;
    },
  };
}

interface Management {
  heard(text: string): void;
  write(stanza: string): void;
  stop(): void;
}

/** Counts what comes, and says so when it was asked to: with the next stanza, or soon. */
function manage(socket: Socket): Management {
  let received = 0;
  let sent = 0;
  let due: NodeJS.Timeout | undefined;
  const acknowledgement = (): string => `<a xmlns='${MANAGEMENT}' h='${received}'/>`;
  const stop = (): void => {
    clearTimeout(due);
    due = undefined;
  };
  const late = (): void => {
    due = undefined;
    socket.write(acknowledgement());
  };
  return {
    stop,
    heard(text) {
      received += text.match(STANZA)?.length ?? 0;
      if (ASKED.test(text)) due ??= setTimeout(late, ACKNOWLEDGE_WITHIN_MS);
    },
    write(stanza) {
      sent += 1;
      const parts = [stanza];
      if (due !== undefined) parts.push(acknowledgement());
      if (sent % ASK_EVERY === 0) parts.push(`<r xmlns='${MANAGEMENT}'/>`);
      stop();
      socket.write(parts.join(""));
    },
  };
}

function tellOf(text: string, tag: string, tell: (count: number) => void): void {
  let count = 0;
  for (let at = text.indexOf(tag); at >= 0; at = text.indexOf(tag, at + tag.length)) count += 1;
  if (count > 0) tell(count);
}

function say(socket: Socket, text: string, until: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let heard = "";
    const hear = (data: string): void => {
      heard += data;
      if (!until.test(heard)) return;
      socket.off("data", hear);
      socket.off("close", gone);
      resolve(heard);
    };
    const gone = (): void => reject(new Error(`the server ended the stream: ${heard.slice(-1_000)}`));
    socket.on("data", hear);
    socket.once("close", gone);
    socket.write(text);
  });
}
