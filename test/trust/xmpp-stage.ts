import { missingPeers } from "../real/peer-packages.ts";
import { startProsody } from "../real/prosody.ts";
import type { Book, Sent } from "./book.ts";
import { makeNodes, openXmppPublisher, openXmppReader } from "./xmpp-parties.ts";

/** Whether there is a server to start; without it the others are tried alone, and a skipped suite says so. */
export const HAS_XMPP: boolean = missingPeers(["prosody", "openssl"]).length === 0;

/** A server, somebody who reads what the gateway writes there, and somebody whose items the gateway reads. */
export interface XmppStage extends AsyncDisposable {
  /** The gateway's configuration. */
  readonly section: Readonly<Record<string, unknown>>;
  /** Publishes an item; settles in the book with the server's word. Resolves when it is settled. */
  publish(sent: Sent): Promise<void>;
  /** Resolves once the gateway has found the nodes it reads: only what comes after that is for it. */
  ready(subscribed: () => Promise<number>): Promise<void>;
  /** Kills the server: what it had not told is lost with it. Resolves when it is gone. */
  kill(): Promise<void>;
  /** Starts it again, with all that it had written down. */
  start(): Promise<void>;
}

/** What it is made of. */
export interface XmppStageOptions {
  readonly book: Book;
  /** The name of the reader in the book. */
  readonly reader: string;
  /** Channels that the gateway writes. */
  readonly written: readonly string[];
  /** Channels that it reads. */
  readonly read: readonly string[];
}

/** Longer than any trouble lasts. */
const HISTORY = 250;
const LOOK_AGAIN_MS = 50;

/** Starts the server with the nodes in it, and connects the two. */
export async function openXmppStage({ book, reader, written, read }: XmppStageOptions): Promise<XmppStage> {
  await using stack = new AsyncDisposableStack();
  const prosody = stack.use(await startProsody({ admins: ["gw@localhost", "alice@localhost"] }));
  const { service, domain } = prosody;
  // The gateway's own, so that the reader is told of everything.
  await makeNodes({ prosody, account: "gw" }, written);
  await makeNodes({ prosody, account: "alice" }, read, HISTORY);
  const alice = stack.use(await openXmppPublisher({ prosody, account: "alice", book }));
  stack.use(await openXmppReader(reader, { prosody, account: "bob", book, nodes: written }));
  const kept = stack.move();
  return {
    section: {
      ...{ service, domain, username: "gw", password: "gwpw", history: HISTORY },
      ...{ publish: written, subscribe: read },
    },
    publish: (sent) => alice.publish(sent),
    async ready(subscribed) {
      while ((await subscribed()) < read.length)
        await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    },
    kill: () => prosody.end("SIGKILL"),
    start: () => prosody.start(),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
